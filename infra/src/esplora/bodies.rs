//! Transactions with the outputs they spend, remembered for as long as there is room.

use std::collections::{HashMap, VecDeque};
use std::sync::{Arc, Mutex, PoisonError};

use bitcoin::constants::genesis_block;
use bitcoin::{BlockHash, Network, OutPoint, Transaction, TxOut, Txid};
use futures_util::{StreamExt as _, TryStreamExt as _, stream};
use satpost_api::esplora::ports::{BlockPlace, FoundTransaction, QueryError};
use satpost_domain::limits::{ESPLORA_BODIES_BYTES_MAX, ESPLORA_NODE_CALLS_MAX};

use super::node::{EsploraNode, NodeTransaction};

/// The body of a transaction. A txid does not commit to witnesses, so one in a block may differ
/// from the one with the same txid in the mempool.
#[derive(Clone)]
pub(super) struct Body {
    pub(super) transaction: Arc<Transaction>,
    pub(super) prevouts: Arc<[TxOut]>,
}

/// Bodies of transactions in blocks.
pub struct Bodies {
    node: Arc<EsploraNode>,
    network: Network,
    remembered: Mutex<Remembered>,
}

#[derive(Default)]
struct Remembered {
    by_place: HashMap<(BlockHash, Txid), Body>,
    oldest_first: VecDeque<((BlockHash, Txid), usize)>,
    bytes: usize,
}

impl Remembered {
    fn insert(&mut self, place: (BlockHash, Txid), body: Body) {
        let spent: usize = body
            .prevouts
            .iter()
            .map(|output| output.script_pubkey.len() + 64)
            .sum();
        // Vectors and headers of vectors cost about as much again as what is in them.
        let bytes = 2 * (body.transaction.total_size() + spent) + 256;
        if self.by_place.insert(place, body).is_some() {
            return;
        }
        self.oldest_first.push_back((place, bytes));
        self.bytes += bytes;
        while self.bytes > ESPLORA_BODIES_BYTES_MAX
            && let Some((oldest, bytes)) = self.oldest_first.pop_front()
        {
            self.by_place.remove(&oldest);
            self.bytes -= bytes;
        }
    }
}

impl Bodies {
    /// Asks `node`, which is on `network`.
    #[must_use]
    pub fn new(node: Arc<EsploraNode>, network: Network) -> Self {
        Self {
            node,
            network,
            remembered: Mutex::default(),
        }
    }

    /// The bodies of transactions that are in blocks, in order, as found transactions. The node has
    /// them: whoever asks knows the blocks from it.
    ///
    /// # Errors
    /// [`QueryError`] when it does not answer, or has deleted the block.
    pub async fn in_blocks(
        &self,
        places: Vec<(Txid, BlockHash, Option<BlockPlace>)>,
    ) -> Result<Vec<FoundTransaction>, QueryError> {
        stream::iter(places)
            .map(|(txid, block, place)| async move {
                let body = self.in_block(txid, block).await?;
                Ok(FoundTransaction {
                    txid,
                    transaction: body.transaction,
                    prevouts: body.prevouts,
                    place,
                })
            })
            .buffered(ESPLORA_NODE_CALLS_MAX)
            .try_collect()
            .await
    }

    pub(super) async fn in_block(&self, txid: Txid, block: BlockHash) -> Result<Body, QueryError> {
        let known = self.remembered().by_place.get(&(block, txid)).cloned();
        if let Some(body) = known {
            return Ok(body);
        }
        let missing = || {
            QueryError::Broken(format!(
                "the node does not have transaction {txid} in block {block}"
            ))
        };
        let found = match self.genesis_coinbase(txid, block) {
            Some(found) => found,
            None => self
                .node
                .transaction(txid, Some(block))
                .await?
                .ok_or_else(missing)?,
        };
        let body = Body {
            transaction: Arc::new(found.transaction),
            prevouts: found.prevouts.ok_or_else(missing)?.into(),
        };
        self.remembered().insert((block, txid), body.clone());
        Ok(body)
    }

    /// The node has no answer for the one transaction that was never one.
    fn genesis_coinbase(&self, txid: Txid, block: BlockHash) -> Option<NodeTransaction> {
        let genesis = genesis_block(self.network);
        let coinbase = genesis.txdata.first()?;
        let is_it = block == genesis.block_hash() && coinbase.compute_txid() == txid;
        is_it.then(|| NodeTransaction {
            transaction: coinbase.clone(),
            prevouts: Some(Vec::new()),
            block: Some(block),
        })
    }

    /// The body of a transaction in the mempool; nothing when it is not there. What it spends are
    /// outputs that nothing in a block spends, or outputs of other transactions in the mempool.
    pub(super) async fn in_mempool(&self, txid: Txid) -> Result<Option<Body>, QueryError> {
        let Some(found) = self.node.transaction(txid, None).await? else {
            return Ok(None);
        };
        if found.block.is_some() {
            return Ok(None);
        }
        let mut prevouts = Vec::with_capacity(found.transaction.input.len());
        for input in &found.transaction.input {
            match self.spendable(input.previous_output).await? {
                Some(output) => prevouts.push(output),
                // It has left the mempool, or its parent was mined, between two questions.
                None => return Ok(None),
            }
        }
        Ok(Some(Body {
            transaction: Arc::new(found.transaction),
            prevouts: prevouts.into(),
        }))
    }

    async fn spendable(&self, outpoint: OutPoint) -> Result<Option<TxOut>, QueryError> {
        if let Some(output) = self.node.unspent_output(outpoint, false).await? {
            return Ok(Some(output));
        }
        let parent = self.node.transaction(outpoint.txid, None).await?;
        Ok(parent.and_then(|parent| {
            let vout = usize::try_from(outpoint.vout).ok()?;
            parent.transaction.output.get(vout).cloned()
        }))
    }

    fn remembered(&self) -> std::sync::MutexGuard<'_, Remembered> {
        self.remembered
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
    }
}
