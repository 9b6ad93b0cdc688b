//! What blocks bring and take back.

use std::collections::HashSet;

use satpost_commands::CommandError;
use satpost_domain::chain::{BlockRef, ChainCommand, ChainError, Coin, Conflict, GapKind};
use satpost_domain::ids::{BlockHash, Txid};
use satpost_domain::limits::REORG_BLOCKS_MAX;

use super::{FollowError, Follower, depths};
use crate::bitcoind::block_search::{self, BlockTransaction};
use crate::bitcoind::rpc::{RawBlock, RpcError};

impl Follower {
    /// A block became the node's tip.
    pub(super) async fn block_announced(
        &mut self,
        hash: BlockHash,
    ) -> Result<Option<GapKind>, FollowError> {
        let chain = self.chain().await?;
        if chain.remembers(&hash) {
            return Ok(None);
        }
        drop(chain);
        let block = self.rpc.raw_block(hash).await?;
        let tip = self.tip().await?;
        if block.header()?.previous == tip.hash {
            let explained = self.connect(&block).await?;
            return Ok((!explained).then_some(GapKind::Books));
        }
        // The node announces with a delay: a block below the first that was recorded may come
        // after the headers were read.
        let is_old = self.rpc.best_block().await? == tip.hash;
        Ok((!is_old).then_some(GapKind::Books))
    }

    /// A block was taken back; `replayed` when that may have been long ago.
    pub(super) async fn block_withdrawn(
        &mut self,
        hash: BlockHash,
        replayed: bool,
    ) -> Result<Option<GapKind>, FollowError> {
        let chain = self.chain().await?;
        if !chain.remembers(&hash) {
            return Ok(None);
        }
        let is_tip = chain.tip().is_some_and(|tip| tip.hash == hash);
        drop(chain);
        // Announced before the headers were read, the block may have come back since.
        if replayed && self.rpc.is_in_best_chain(hash).await? {
            return Ok(None);
        }
        if !is_tip {
            return Ok(Some(GapKind::Books));
        }
        self.disconnect_tip().await?;
        Ok(None)
    }

    /// Connects the block after the tip in one append; false when more mempool changes were
    /// skipped than it explains.
    ///
    /// # Errors
    /// [`FollowError`].
    pub(in crate::bitcoind) async fn connect(
        &mut self,
        block: &RawBlock,
    ) -> Result<bool, FollowError> {
        let transactions = block_search::transactions(block)?;
        let txids: HashSet<Txid> = transactions.iter().map(|found| found.txid).collect();
        self.let_go(|held| txids.contains(held)).await?;

        let chain = self.chain().await?;
        let found = {
            let watched = self.read_model.watched_scripts();
            // The coin may be older than the last who watched its script.
            let is_watched = |coin: &Coin| watched.watchers(&coin.script_hash).next().is_some();
            block_search::search_with_tracked(
                block,
                |script| watched.lookup(script),
                |outpoint| chain.coin(outpoint).filter(is_watched),
                &transactions,
                |txid| chain.tracked(txid).is_some(),
            )?
        };
        let height = chain.tip().map_or(0, |tip| tip.height + 1);
        let depths = depths::made_by_block(&self.read_model.watched_scripts(), &chain, height);
        drop(chain);
        let command = ChainCommand::ConnectBlock {
            block: BlockRef {
                height,
                hash: block.hash,
            },
            previous: found.header.previous,
            time_secs: found.header.time_secs,
            sightings: found.sightings,
            conflicts: self.conflicts_with(&transactions),
            depths,
            final_depth: self.final_depth,
        };
        self.record(&command).await?;
        let taken = txids.iter().filter(|txid| self.mempool.remove(txid));
        let taken = taken.count() as u64;
        tracing::debug!(block.height = height, block.hash = %block.hash, "block connected");
        Ok(self.books.block_connected(taken))
    }

    fn conflicts_with(&self, block: &[BlockTransaction]) -> Vec<Conflict> {
        let mut conflicts = Vec::new();
        for transaction in block {
            let broken = self.claims.broken_by(transaction.txid, &transaction.inputs);
            conflicts.extend(broken.into_iter().map(|(txid, via)| Conflict {
                txid,
                by: transaction.txid,
                via,
            }));
        }
        conflicts
    }

    /// Takes back the tip. Below the oldest remembered block the chain begins again, deep enough
    /// to be below the fork.
    ///
    /// # Errors
    /// [`FollowError`].
    pub(in crate::bitcoind) async fn disconnect_tip(&mut self) -> Result<(), FollowError> {
        let chain = self.chain().await?;
        let (tip, genesis) = (self.tip().await?, chain.genesis());
        drop(chain);
        tracing::info!(block.height = tip.height, block.hash = %tip.hash, "block disconnected");
        let result = self
            .record(&ChainCommand::DisconnectBlock { hash: tip.hash })
            .await;
        let Err(FollowError::Record(CommandError::Rejected(ChainError::TooDeep { oldest }))) =
            result
        else {
            return result;
        };
        let depth = u32::try_from(REORG_BLOCKS_MAX).unwrap_or(u32::MAX);
        let blocks = self.rpc.info().await?.blocks;
        let height = oldest.saturating_sub(depth).min(blocks);
        tracing::warn!(
            chain.oldest_height = oldest,
            chain.start_height = height,
            "a reorganisation reaches below every remembered block; the chain begins again below it"
        );
        match (self.rpc.block_hash(height).await?, genesis) {
            (Some(hash), Some(genesis)) => self.start(genesis, BlockRef { height, hash }).await,
            _ => Err(FollowError::Node(RpcError::Unexpected {
                method: "getblockhash",
                reason: format!("block {height} was taken back at this moment"),
            })),
        }
    }
}
