//! The transactions of one watched script, as the log has them, with bodies from the node.

use bitcoin::{BlockHash, OutPoint, Txid};
use satpost_api::esplora::ports::{BlockPlace, FoundTransaction, QueryError, Spend};
use satpost_api_types::esplora::ScriptTotals;
use satpost_domain::Position;
use satpost_domain::hash::sha256;
use satpost_domain::ids::ScriptHash;
use satpost_domain::limits::ESPLORA_HISTORY_MAX;
use satpost_projections::transaction_status::{Status, TransactionRecord};

use super::WatchedScriptsChain;
use crate::bitcoind::convert;
use crate::esplora::index::pays;

/// Newest first.
pub(super) struct History {
    pub(super) confirmed: Vec<FoundTransaction>,
    pub(super) unconfirmed: Vec<FoundTransaction>,
}

/// What transactions did with a script.
pub(super) fn totals(transactions: &[FoundTransaction], script: &ScriptHash) -> ScriptTotals {
    let mut totals = ScriptTotals::default();
    for found in transactions {
        totals.tx_count += 1;
        for prevout in found.prevouts.iter().filter(|output| pays(output, script)) {
            totals.spent_txo_count += 1;
            totals.spent_txo_sum += prevout.value.to_sat();
        }
        let outputs = found.transaction.output.iter();
        for output in outputs.filter(|output| pays(output, script)) {
            totals.funded_txo_count += 1;
            totals.funded_txo_sum += output.value.to_sat();
        }
    }
    totals
}

impl WatchedScriptsChain {
    /// The records of a script that is watched and whose whole history is known.
    fn records(&self, script: &ScriptHash) -> Result<Vec<TransactionRecord>, QueryError> {
        if !self.is_watched(script) {
            return Err(QueryError::ScriptNotWatched);
        }
        if !(self.is_complete)(&self.read_model, script) {
            return Err(QueryError::HistoryIncomplete);
        }
        let status = self.read_model.transaction_status();
        let max = ESPLORA_HISTORY_MAX;
        let records = status.changed_since(&[*script], Position::default(), max + 1);
        if records.len() > max {
            return Err(QueryError::HistoryTooLong { max });
        }
        Ok(records)
    }

    fn is_watched(&self, script: &ScriptHash) -> bool {
        let watched = self.read_model.watched_scripts();
        watched.watchers(script).next().is_some()
    }

    /// The confirmed transactions of a script, newest first.
    pub(super) async fn confirmed_places(
        &self,
        script: ScriptHash,
    ) -> Result<Vec<(Txid, BlockHash, Option<BlockPlace>)>, QueryError> {
        let mut keyed = Vec::new();
        for record in self.records(&script)? {
            let Some(block) = block_of(&record) else {
                continue;
            };
            let txid = convert::node_txid(record.txid);
            let block = self.node.block(block).await?.ok_or_else(|| {
                QueryError::Broken(format!(
                    "the node has no block {block}, which is in the log"
                ))
            })?;
            let index = block.txids.iter().position(|other| *other == txid);
            let place = BlockPlace {
                height: block.height,
                hash: block.hash,
                time: block.header.time,
            };
            self.places.remember(txid, block.hash);
            keyed.push(((block.height, index), (txid, block.hash, Some(place))));
        }
        keyed.sort_by_key(|(key, _)| std::cmp::Reverse(*key));
        Ok(keyed.into_iter().map(|(_, place)| place).collect())
    }

    /// Up to `max` transactions of a script in the mempool, newest first.
    pub(super) async fn unconfirmed(
        &self,
        script: ScriptHash,
        max: usize,
    ) -> Result<Vec<FoundTransaction>, QueryError> {
        let mut found = Vec::new();
        let records = self.records(&script)?;
        // The latest change comes last.
        for record in records.iter().rev() {
            if !is_in_mempool(record) {
                continue;
            }
            if found.len() == max {
                break;
            }
            let txid = convert::node_txid(record.txid);
            // Gone by now: the log tells in a moment where to.
            if let Some(body) = self.bodies.in_mempool(txid).await? {
                found.push(FoundTransaction {
                    txid,
                    transaction: body.transaction,
                    prevouts: body.prevouts,
                    place: None,
                });
            }
        }
        Ok(found)
    }

    /// All of it.
    pub(super) async fn history(&self, script: ScriptHash) -> Result<History, QueryError> {
        let unconfirmed = self.unconfirmed(script, usize::MAX).await?;
        let confirmed = self.confirmed_places(script).await?;
        let confirmed = self.bodies.in_blocks(confirmed).await?;
        let mined = |txid: &Txid| confirmed.iter().any(|found| found.txid == *txid);
        Ok(History {
            unconfirmed: unconfirmed
                .into_iter()
                .filter(|found| !mined(&found.txid))
                .collect(),
            confirmed,
        })
    }

    /// What spends an output: known for outputs of watched scripts, and for what is not spent.
    pub(super) async fn spend(&self, outpoint: OutPoint) -> Result<Option<Spend>, QueryError> {
        if self.node.unspent_output(outpoint, true).await?.is_some() {
            return Ok(None);
        }
        let transaction = super::ChainQuery::transaction(self, outpoint.txid).await?;
        let output = transaction.and_then(|found| {
            let vout = usize::try_from(outpoint.vout).ok()?;
            found.transaction.output.get(vout).cloned()
        });
        let Some(output) = output else {
            return Ok(None);
        };
        if output.script_pubkey.is_op_return() {
            return Ok(None);
        }
        let script = ScriptHash::new(*sha256(output.script_pubkey.as_bytes()).as_bytes());
        let history = match self.history(script).await {
            Err(QueryError::ScriptNotWatched) => return Err(QueryError::TransactionNotWatched),
            other => other?,
        };
        for found in history.unconfirmed.iter().chain(&history.confirmed) {
            let mut inputs = (0..).zip(&found.transaction.input);
            if let Some((vin, _)) = inputs.find(|(_, input)| input.previous_output == outpoint) {
                return Ok(Some(Spend {
                    txid: found.txid,
                    vin,
                    place: found.place,
                }));
            }
        }
        Err(QueryError::TransactionNotWatched)
    }
}

fn block_of(record: &TransactionRecord) -> Option<BlockHash> {
    match record.steps.last()?.state {
        Status::Confirmed { block } => Some(convert::node_block_hash(block.hash)),
        _ => None,
    }
}

/// After its block was taken back a transaction is in the mempool, until it is told that it is not.
fn is_in_mempool(record: &TransactionRecord) -> bool {
    matches!(
        record.steps.last().map(|step| step.state),
        Some(Status::Seen | Status::Unconfirmed { .. })
    )
}
