//! Coins that were spent in blocks nobody can read: the node had pruned these blocks.
//!
//! A coin that the log knows from an earlier reading may be spent in such a block. No search finds its
//! spender, but the node's set of unspent outputs does not have it any more. When the log has read
//! every block from the first one that the node still had, up to the node's own tip, then what is
//! unspent by the log and spent by the node was spent in one of the others.

use satpost_commands::CommandError;
use satpost_domain::chain::{ChainError, HistoryCommand, OutPoint};
use satpost_domain::ids::ScriptHash;
use satpost_domain::limits::BACKFILL_SCRIPTS_PER_COMMAND_MAX;
use satpost_projections::coins::Origin;

use super::BackfillError;
use super::pass::{OUTPOINTS_PER_CALL, Pass, Standing};

impl Pass<'_> {
    /// Lets go of the coins that were spent in blocks below the first one that was read. False when the
    /// node, the log and its readers did not stand at the same block all the while.
    pub(super) async fn drop_spent_coins(
        &mut self,
        standing: &Standing,
    ) -> Result<bool, BackfillError> {
        let Some(coins) = self.coins_from_below(standing) else {
            return Ok(false);
        };
        let rpc = &self.backfiller.rpc;
        if rpc.best_block().await? != standing.tip.hash {
            return Ok(false);
        }
        let mut gone = Vec::new();
        for part in coins.chunks(OUTPOINTS_PER_CALL) {
            let outpoints: Vec<OutPoint> = part.iter().map(|(_, outpoint)| *outpoint).collect();
            let unspent = rpc.are_unspent(&outpoints).await?;
            let spent = part.iter().zip(unspent).filter(|(_, unspent)| !unspent);
            gone.extend(spent.map(|(coin, _)| *coin));
        }
        if rpc.best_block().await? != standing.tip.hash {
            return Ok(false);
        }
        for coins in gone.chunks(BACKFILL_SCRIPTS_PER_COMMAND_MAX) {
            let (coins, tip) = (coins.to_vec(), standing.tip);
            match self.tell(HistoryCommand::DropCoins { coins, tip }).await {
                Err(BackfillError::Record(CommandError::Rejected(ChainError::NotTheTip {
                    ..
                }))) => return Ok(false),
                other => other?,
            }
        }
        if !gone.is_empty() {
            tracing::info!(
                backfill.coins = gone.len(),
                backfill.from = standing.from,
                "coins were spent in blocks that the node had pruned"
            );
        }
        Ok(true)
    }

    /// The coins from below the first block that was read and that no block has spent; nothing when
    /// readers do not see the log as it stands.
    fn coins_from_below(&self, standing: &Standing) -> Option<Vec<(ScriptHash, OutPoint)>> {
        let coins = self.backfiller.read_model.coins();
        if coins.tip() != Some(standing.tip) {
            return None;
        }
        let unspent = self.scripts.iter().flat_map(|script| {
            let unspent = coins.unspent(script, None);
            unspent.map(move |coin| (*script, coin))
        });
        let from_below = unspent.filter(|(_, coin)| match coin.origin {
            Origin::Block { height, .. } => height < standing.from,
            Origin::Mempool => false,
        });
        Some(
            from_below
                .map(|(script, coin)| (script, coin.outpoint))
                .collect(),
        )
    }
}
