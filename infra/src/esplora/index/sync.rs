//! Makes the index agree with the node: gathers what differs, then applies it at once.

use std::collections::{HashMap, HashSet};
use std::sync::atomic::Ordering;
use std::sync::{Arc, PoisonError};
use std::time::Duration;

use bitcoin::hashes::Hash as _;
use bitcoin::{Block, BlockHash, Transaction, TxOut};
use redb::{Durability, ReadableTable as _, WriteTransaction};
use satpost_api::esplora::ports::QueryError;
use satpost_domain::limits::{
    ESPLORA_BLOCK_BYTES_PER_BATCH_MAX, ESPLORA_BLOCKS_PER_BATCH_MAX, NODE_RETRY_MAX, NODE_RETRY_MIN,
};
use tokio::sync::Notify;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use super::connect::{coin, connect, disconnect};
use super::mempool::Mempool;
use super::tables::{self, Tables};
use super::{Index, IndexError};
use crate::bitcoind::convert;
use crate::bitcoind::rpc::{NodeRpc, RpcError};
use crate::esplora::node::EsploraNode;

/// How often everything is compared although nothing seems to have changed.
const COMPARE_EVERY: Duration = Duration::from_secs(10);
/// How often what was indexed is made safe against a power cut; what is lost is read again.
const SAFE_EVERY: Duration = Duration::from_secs(10);
/// So many blocks at once are worth to be made safe.
const SAFE_BLOCKS: usize = 50;

/// Why the index could not be made to agree with the node.
#[derive(Debug, thiserror::Error)]
pub enum SyncError {
    /// The node gave no answer.
    #[error(transparent)]
    Node(#[from] RpcError),
    /// The node gave no answer to the Esplora API's own connections.
    #[error(transparent)]
    Query(#[from] QueryError),
    /// The index cannot be written.
    #[error(transparent)]
    Index(#[from] IndexError),
}

/// What is remembered between rounds.
#[derive(Debug, Default)]
pub(super) struct Round {
    /// What the node said when the index agreed with it.
    mark: Option<(BlockHash, (u64, u64, u64))>,
    compared: Option<Instant>,
    safe: Option<Instant>,
    /// False when a transaction of the mempool could not be placed yet.
    whole: bool,
}

/// What differs.
struct Plan {
    /// Our tip when it was gathered.
    tip: Option<BlockHash>,
    /// How many blocks of ours are stale.
    stale: u32,
    /// The node's blocks above.
    blocks: Vec<Block>,
    /// The node's mempool, when the blocks reach its tip.
    mempool: Option<MempoolPlan>,
}

/// What became of a plan.
#[derive(Debug, Default)]
struct Applied {
    /// True when readers see something else now.
    changed: bool,
    /// True when every transaction of the mempool found its place.
    whole: bool,
    /// True when it survives a power cut.
    is_safe: bool,
    /// False when the index had gone on and nothing was done.
    still_fits: bool,
}

struct MempoolPlan {
    present: HashSet<bitcoin::Txid>,
    new: Vec<Transaction>,
}

/// Follows the node until `stop`. It is asked every `look_every` whether anything has changed, and
/// at once when `wake` says so.
pub async fn keep_in_step(
    index: Arc<Index>,
    node: Arc<EsploraNode>,
    rpc: Arc<dyn NodeRpc>,
    wake: Arc<Notify>,
    look_every: Duration,
    stop: CancellationToken,
) {
    let mut wait = NODE_RETRY_MIN;
    let mut failing = false;
    loop {
        let synchronised = tokio::select! {
            () = stop.cancelled() => break,
            outcome = index.synchronise(&node, rpc.as_ref(), false) => outcome,
        };
        let pause = match synchronised {
            Ok(()) => {
                failing = false;
                wait = NODE_RETRY_MIN;
                look_every
            }
            Err(error) => {
                if !failing {
                    tracing::warn!(%error, "the Esplora index is behind the node; it is tried again");
                }
                failing = true;
                wait = (wait * 2).min(NODE_RETRY_MAX);
                wait
            }
        };
        tokio::select! {
            () = stop.cancelled() => break,
            () = wake.notified() => {}
            () = tokio::time::sleep(pause) => {}
        }
    }
    if let Err(error) = index.make_safe() {
        tracing::warn!(%error, "the newest blocks of the Esplora index are read again at the next start");
    }
}

impl Index {
    /// Makes the index agree with the node as it is now. Unless `surely`, a node that seems not to
    /// have changed is not asked for more.
    ///
    /// # Errors
    /// [`SyncError`]; the index is as it was, or further.
    pub async fn synchronise(
        self: &Arc<Self>,
        node: &EsploraNode,
        rpc: &dyn NodeRpc,
        surely: bool,
    ) -> Result<(), SyncError> {
        let mut round = self.round.lock().await;
        let mark = mark(node, rpc).await?;
        let recently = round
            .compared
            .is_some_and(|at| at.elapsed() < COMPARE_EVERY);
        if !surely && round.whole && recently && round.mark == Some(mark) {
            return Ok(());
        }
        // Each attempt goes further, however fast the node moves.
        loop {
            let plan = self.gather(rpc).await?;
            let reaches_tip = plan.mempool.is_some();
            let safe_is_due = round.safe.is_none_or(|safe| safe.elapsed() > SAFE_EVERY);
            let index = Arc::clone(self);
            let applied = tokio::task::spawn_blocking(move || index.apply(&plan, safe_is_due));
            let applied = applied
                .await
                .map_err(|ended| IndexError::Storage(ended.to_string()))??;
            if applied.is_safe {
                round.safe = Some(Instant::now());
            }
            if applied.changed {
                self.changes.send_modify(|count| *count += 1);
            }
            if reaches_tip && applied.still_fits {
                round.whole = applied.whole;
                break;
            }
        }
        round.mark = Some(mark);
        round.compared = Some(Instant::now());
        self.agreed.store(true, Ordering::Release);
        Ok(())
    }

    /// True when the index has agreed with the node since the start.
    #[must_use]
    pub fn has_agreed(&self) -> bool {
        self.agreed.load(Ordering::Acquire)
    }

    async fn gather(&self, rpc: &dyn NodeRpc) -> Result<Plan, SyncError> {
        let best = rpc.best_block().await?;
        let tip = self.view()?.tip()?;
        let mut height = tip.map(|tip| tip.height);
        let mut stale = 0;
        // Down to the last block that both have.
        while let Some(at) = height {
            let ours = self.view()?.block_at(at)?;
            let theirs = rpc.block_hash(at).await?;
            if ours.map(|ours| ours.hash) == theirs.map(convert::node_block_hash) {
                break;
            }
            stale += 1;
            height = at.checked_sub(1);
        }
        let blocks = blocks_above(rpc, height).await?;
        let below = match height {
            Some(height) => self.view()?.block_at(height)?.map(|block| block.hash),
            None => None,
        };
        let linked = linked(below, &blocks);
        let reached = blocks.last().map(Block::block_hash).or(below);
        let mempool = if linked && reached == Some(convert::node_block_hash(best)) {
            self.mempool_plan(rpc, &blocks).await?
        } else {
            None
        };
        let stands = linked && (mempool.is_none() || rpc.best_block().await? == best);
        Ok(Plan {
            tip: tip.map(|tip| tip.hash),
            // The node went on while it was asked; the next attempt sees where.
            stale: if stands { stale } else { 0 },
            blocks: if stands { blocks } else { Vec::new() },
            mempool: mempool.filter(|_| stands),
        })
    }

    async fn mempool_plan(
        &self,
        rpc: &dyn NodeRpc,
        blocks: &[Block],
    ) -> Result<Option<MempoolPlan>, SyncError> {
        let snapshot = rpc.mempool().await?;
        let mined: HashSet<_> = blocks
            .iter()
            .flat_map(|block| block.txdata.iter().map(Transaction::compute_txid))
            .collect();
        let unknown: Vec<_> = {
            let view = self.view()?;
            let unknown = snapshot.txids.iter().filter(|txid| {
                let txid = convert::node_txid(**txid);
                view.mempool.get(&txid).is_none() && !mined.contains(&txid)
            });
            unknown.copied().collect()
        };
        let bodies = rpc.transactions(&unknown).await?;
        Ok(Some(MempoolPlan {
            present: snapshot.txids.into_iter().map(convert::node_txid).collect(),
            new: bodies.into_iter().flatten().collect(),
        }))
    }

    /// Applies a plan, unless somebody else has gone on since it was gathered.
    fn apply(&self, plan: &Plan, safe_is_due: bool) -> Result<Applied, IndexError> {
        let mut applied = Applied {
            changed: plan.stale > 0 || !plan.blocks.is_empty(),
            ..Applied::default()
        };
        applied.is_safe = plan.blocks.len() >= SAFE_BLOCKS || (applied.changed && safe_is_due);
        let mut transaction = self.database.begin_write()?;
        if self.view()?.tip()?.map(|tip| tip.hash) != plan.tip {
            transaction.abort()?;
            return Ok(Applied::default());
        }
        applied.still_fits = true;
        let durability = if applied.is_safe {
            Durability::Immediate
        } else {
            Durability::None
        };
        transaction.set_durability(durability)?;
        if !self.write_blocks(&transaction, plan)? {
            clear(&transaction)?;
            // Nothing is told until it has caught up again.
            self.agreed.store(false, Ordering::Release);
            transaction.commit()?;
            return Ok(Applied::default());
        }
        let placed = match &plan.mempool {
            Some(mempool) => self.place(&transaction, &mempool.new)?,
            None => Vec::new(),
        };
        let wanted = plan.mempool.as_ref().map(|mempool| mempool.new.len());
        applied.whole = wanted == Some(placed.len());
        let mut mempool = self.mempool.write().unwrap_or_else(PoisonError::into_inner);
        transaction.commit()?;
        for block in &plan.blocks {
            for mined in &block.txdata {
                mempool.remove(&mined.compute_txid());
            }
        }
        if let Some(plan) = &plan.mempool {
            applied.changed |= mempool.retain(&plan.present);
        }
        for (transaction, prevouts) in placed {
            mempool.insert(transaction, prevouts);
            applied.changed = true;
        }
        Ok(applied)
    }

    /// False when a reorganisation is deeper than is remembered.
    fn write_blocks(
        &self,
        transaction: &WriteTransaction,
        plan: &Plan,
    ) -> Result<bool, IndexError> {
        let mut tables = Tables::open(transaction)?;
        let mut height = tables.blocks.last()?.map(|(height, _)| height.value());
        for _ in 0..plan.stale {
            let newest = height.ok_or_else(|| {
                IndexError::Contradiction("more blocks are stale than there are".to_owned())
            })?;
            if !disconnect(&mut tables, newest)? {
                tracing::warn!(
                    block.height = newest,
                    "a reorganisation is deeper than the Esplora index remembers; it is built again"
                );
                return Ok(false);
            }
            height = newest.checked_sub(1);
        }
        for block in &plan.blocks {
            let next = height.map_or(0, |height| height + 1);
            connect(&mut tables, block, next)?;
            height = Some(next);
        }
        Ok(true)
    }

    /// Finds what new transactions of the mempool spend, parents first. Those whose parents are
    /// not here are left for the next round.
    fn place(
        &self,
        transaction: &WriteTransaction,
        new: &[Transaction],
    ) -> Result<Vec<(Transaction, Vec<TxOut>)>, IndexError> {
        let tables = Tables::open(transaction)?;
        let mempool = self.mempool.read().unwrap_or_else(PoisonError::into_inner);
        let mut fresh = HashMap::new();
        let mut placed: Vec<(Transaction, Vec<TxOut>)> = Vec::new();
        let mut left: Vec<&Transaction> = new.iter().collect();
        loop {
            let before = left.len();
            let mut still_left = Vec::new();
            for candidate in left {
                match prevouts(&tables, &mempool, &fresh, candidate)? {
                    Some(prevouts) => {
                        fresh.insert(candidate.compute_txid(), candidate.clone());
                        placed.push((candidate.clone(), prevouts));
                    }
                    None => still_left.push(candidate),
                }
            }
            left = still_left;
            if left.is_empty() || left.len() == before {
                return Ok(placed);
            }
        }
    }

    /// Makes everything safe that is in the index.
    fn make_safe(&self) -> Result<(), IndexError> {
        self.database.begin_write()?.commit()?;
        Ok(())
    }
}

fn prevouts(
    tables: &Tables<'_>,
    mempool: &Mempool,
    fresh: &HashMap<bitcoin::Txid, Transaction>,
    transaction: &Transaction,
) -> Result<Option<Vec<TxOut>>, IndexError> {
    let mut prevouts = Vec::with_capacity(transaction.input.len());
    for input in &transaction.input {
        let outpoint = input.previous_output;
        let in_mempool = mempool.output(&outpoint).or_else(|| {
            let vout = usize::try_from(outpoint.vout).ok()?;
            fresh.get(&outpoint.txid)?.output.get(vout)
        });
        let prevout = match in_mempool {
            Some(output) => output.clone(),
            None => match coin(tables, &outpoint)? {
                Some((value_sat, script_pubkey)) => TxOut {
                    value: bitcoin::Amount::from_sat(value_sat),
                    script_pubkey,
                },
                None => return Ok(None),
            },
        };
        prevouts.push(prevout);
    }
    Ok(Some(prevouts))
}

/// Empties every table, so that the index is built from the first block again.
fn clear(transaction: &WriteTransaction) -> Result<(), IndexError> {
    transaction.delete_table(tables::BLOCKS)?;
    transaction.delete_table(tables::HEIGHTS)?;
    transaction.delete_table(tables::TRANSACTIONS)?;
    transaction.delete_table(tables::HISTORY)?;
    transaction.delete_table(tables::UNSPENT)?;
    transaction.delete_table(tables::COINS)?;
    transaction.delete_table(tables::SPENDS)?;
    transaction.delete_table(tables::UNDO)?;
    Tables::open(transaction)?;
    Ok(())
}

/// What tells cheaply whether the node has changed.
async fn mark(
    node: &EsploraNode,
    rpc: &dyn NodeRpc,
) -> Result<(BlockHash, (u64, u64, u64)), SyncError> {
    let best = convert::node_block_hash(rpc.best_block().await?);
    let mempool = node.mempool_mark().await?;
    Ok((best, mempool))
}

async fn blocks_above(rpc: &dyn NodeRpc, height: Option<u32>) -> Result<Vec<Block>, SyncError> {
    let mut blocks = Vec::new();
    let mut bytes = 0;
    let mut next = height.map_or(0, |height| height + 1);
    while blocks.len() < ESPLORA_BLOCKS_PER_BATCH_MAX && bytes < ESPLORA_BLOCK_BYTES_PER_BATCH_MAX {
        let Some(hash) = rpc.block_hash(next).await? else {
            break;
        };
        let block = rpc.block(hash).await?;
        bytes += block.total_size();
        blocks.push(block);
        next += 1;
    }
    Ok(blocks)
}

/// True when each block stands on the one before it.
fn linked(mut below: Option<BlockHash>, blocks: &[Block]) -> bool {
    for block in blocks {
        let expected = below.unwrap_or_else(BlockHash::all_zeros);
        if block.header.prev_blockhash != expected {
            return false;
        }
        below = Some(block.block_hash());
    }
    true
}
