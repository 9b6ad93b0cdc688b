//! The chain by what the watcher knows: the transactions of watched scripts. What nobody watches is
//! an error of its own here, never an empty answer.

use std::collections::{HashMap, HashSet};
use std::sync::Arc;

use async_trait::async_trait;
use bitcoin::{BlockHash, Network, OutPoint, Txid};
use bytes::Bytes;
use satpost_api::esplora::ChainQuery;
use satpost_api::esplora::ports::{
    BlockPlace, BlockSummary, Fees, FoundTransaction, MempoolTransaction, QueryError, Spend,
    Unspent,
};
use satpost_api_types::esplora::ScriptTotals;
use satpost_commands::Handler;
use satpost_domain::chain::{Chain, TransactionState};
use satpost_domain::ids::ScriptHash;
use satpost_domain::limits::ESPLORA_RECENT_MAX;
use satpost_domain::{StreamId, network};
use satpost_projections::ReadModel;
use serde_json::Value;
use tokio::sync::watch;

use super::bodies::Bodies;
use super::index::pays;
use super::node::EsploraNode;
use crate::bitcoind::convert;

mod history;
mod places;

use places::Places;

/// Whether everything that ever happened to a watched script is in the log.
pub type HistoryIsComplete = Box<dyn Fn(&ReadModel, &ScriptHash) -> bool + Send + Sync>;

/// The adapter.
pub struct WatchedScriptsChain {
    node: Arc<EsploraNode>,
    read_model: Arc<ReadModel>,
    handler: Handler,
    stream: StreamId,
    bodies: Bodies,
    is_complete: HistoryIsComplete,
    places: Places,
    changes: watch::Receiver<u64>,
}

impl WatchedScriptsChain {
    /// Over what `read_model` has and `node` can tell. `is_complete` says of which scripts the
    /// whole history is known; `changes` counts what the read model applied.
    #[must_use]
    pub fn new(
        node: Arc<EsploraNode>,
        read_model: Arc<ReadModel>,
        handler: Handler,
        network: network::Network,
        is_complete: HistoryIsComplete,
        changes: watch::Receiver<u64>,
    ) -> Self {
        let on: Network = convert::network(network);
        Self {
            bodies: Bodies::new(Arc::clone(&node), on),
            stream: StreamId::chain(network),
            node,
            read_model,
            handler,
            is_complete,
            places: Places::default(),
            changes,
        }
    }

    /// Where the watcher, the node's mempool, an index of the node's, or an earlier answer says
    /// that a transaction is.
    async fn find(&self, txid: Txid) -> Result<Option<BlockHash>, QueryError> {
        let chain = self.handler.state::<Chain>(&self.stream).await;
        let chain = chain.map_err(|error| QueryError::Broken(error.to_string()))?;
        if let Some(tracked) = chain.tracked(&convert::our_txid(txid)) {
            match tracked.state {
                TransactionState::Confirmed(block) => {
                    return Ok(Some(convert::node_block_hash(block.hash)));
                }
                TransactionState::Mempool => return Ok(None),
                _ => {}
            }
        }
        if let Some(found) = self.node.transaction(txid, None).await? {
            return Ok(found.block);
        }
        match self.places.get(&txid) {
            Some(block) if self.node.is_in_best_chain(block).await? => Ok(Some(block)),
            _ => Err(QueryError::TransactionNotWatched),
        }
    }

    async fn place_of_hash(&self, hash: BlockHash) -> Result<BlockPlace, QueryError> {
        let block = self.node.block(hash).await?;
        let block =
            block.ok_or_else(|| QueryError::Broken(format!("the node has no block {hash}")))?;
        Ok(BlockPlace {
            height: block.height,
            hash,
            time: block.header.time,
        })
    }
}

#[async_trait]
impl ChainQuery for WatchedScriptsChain {
    async fn tip(&self) -> Result<BlockPlace, QueryError> {
        let tip = self.read_model.transaction_status().tip();
        let tip = tip.ok_or(QueryError::CatchingUp { height: 0 })?;
        self.place_of_hash(convert::node_block_hash(tip.hash)).await
    }

    async fn hash_at(&self, height: u32) -> Result<Option<BlockHash>, QueryError> {
        if height > self.tip().await?.height {
            return Ok(None);
        }
        self.node.hash_at(height).await
    }

    async fn place_of_block(&self, hash: BlockHash) -> Result<Option<BlockPlace>, QueryError> {
        if self.node.block(hash).await?.is_none() || !self.node.is_in_best_chain(hash).await? {
            return Ok(None);
        }
        // The node may be ahead of the watcher by a moment.
        let (place, tip) = (self.place_of_hash(hash).await?, self.tip().await?);
        Ok(Some(place).filter(|place| place.height <= tip.height))
    }

    async fn block(&self, hash: BlockHash) -> Result<Option<Arc<BlockSummary>>, QueryError> {
        self.node.block(hash).await
    }

    async fn raw_block(&self, hash: BlockHash) -> Result<Option<Bytes>, QueryError> {
        self.node.raw_block(hash).await
    }

    async fn block_transactions(
        &self,
        hash: BlockHash,
        txids: &[Txid],
    ) -> Result<Vec<FoundTransaction>, QueryError> {
        let place = self.place_of_block(hash).await?;
        let places = txids.iter().map(|txid| (*txid, hash, place)).collect();
        self.bodies.in_blocks(places).await
    }

    async fn transaction(&self, txid: Txid) -> Result<Option<FoundTransaction>, QueryError> {
        match self.find(txid).await? {
            Some(hash) => {
                let place = self.place_of_hash(hash).await?;
                let places = vec![(txid, hash, Some(place))];
                Ok(self.bodies.in_blocks(places).await?.pop())
            }
            None => {
                let body = self.bodies.in_mempool(txid).await?;
                // It left the mempool between two questions; where to is known in a moment.
                let body = body.ok_or(QueryError::TransactionNotWatched)?;
                Ok(Some(FoundTransaction {
                    txid,
                    transaction: body.transaction,
                    prevouts: body.prevouts,
                    place: None,
                }))
            }
        }
    }

    async fn place_of(&self, txid: Txid) -> Result<Option<Option<BlockPlace>>, QueryError> {
        match self.find(txid).await? {
            Some(hash) => Ok(Some(Some(self.place_of_hash(hash).await?))),
            None => Ok(Some(None)),
        }
    }

    async fn spends(&self, outpoints: &[OutPoint]) -> Result<Vec<Option<Spend>>, QueryError> {
        let mut spends = Vec::with_capacity(outpoints.len());
        for outpoint in outpoints {
            spends.push(self.spend(*outpoint).await?);
        }
        Ok(spends)
    }

    async fn totals(&self, script: ScriptHash) -> Result<(ScriptTotals, ScriptTotals), QueryError> {
        let history = self.history(script).await?;
        Ok((
            history::totals(&history.confirmed, &script),
            history::totals(&history.unconfirmed, &script),
        ))
    }

    async fn confirmed_of(
        &self,
        script: ScriptHash,
        after: Option<Txid>,
        max: usize,
    ) -> Result<Vec<FoundTransaction>, QueryError> {
        let confirmed = self.confirmed_places(script).await?;
        let from = match after {
            None => 0,
            Some(after) => match confirmed.iter().position(|(txid, ..)| *txid == after) {
                Some(position) => position + 1,
                None => return Ok(Vec::new()),
            },
        };
        let page = confirmed.into_iter().skip(from).take(max).collect();
        self.bodies.in_blocks(page).await
    }

    async fn unconfirmed_of(
        &self,
        script: ScriptHash,
        max: usize,
    ) -> Result<Vec<FoundTransaction>, QueryError> {
        self.unconfirmed(script, max).await
    }

    async fn unspent_of(&self, script: ScriptHash, max: usize) -> Result<Vec<Unspent>, QueryError> {
        let history = self.history(script).await?;
        let all = || history.unconfirmed.iter().chain(&history.confirmed);
        let spent: HashSet<OutPoint> = all()
            .flat_map(|found| &found.transaction.input)
            .map(|input| input.previous_output)
            .collect();
        let mut unspent = Vec::new();
        for found in all() {
            for (vout, output) in (0..).zip(&found.transaction.output) {
                let outpoint = OutPoint::new(found.txid, vout);
                if pays(output, &script) && !spent.contains(&outpoint) {
                    unspent.push(Unspent {
                        outpoint,
                        value_sat: output.value.to_sat(),
                        place: found.place,
                    });
                }
            }
        }
        if unspent.len() > max {
            return Err(QueryError::TooManyUnspent { max });
        }
        Ok(unspent)
    }

    async fn mempool(&self) -> Result<Vec<MempoolTransaction>, QueryError> {
        let entries: HashMap<Txid, (u64, u64)> = self.node.mempool().await?;
        Ok(entries
            .into_iter()
            .map(|(txid, (vsize, fee_sat))| MempoolTransaction {
                txid,
                fee_sat,
                vsize,
                value_sat: 0,
            })
            .collect())
    }

    /// The node does not say when a transaction arrived in a way that orders them; those of
    /// watched scripts are nobody else's business. So: any of the mempool.
    async fn recent(&self) -> Result<Vec<MempoolTransaction>, QueryError> {
        let mut recent = Vec::new();
        for mut entry in self.mempool().await?.into_iter().take(ESPLORA_RECENT_MAX) {
            let Some(found) = self.node.transaction(entry.txid, None).await? else {
                continue;
            };
            let outputs = found.transaction.output.iter();
            entry.value_sat = outputs.map(|output| output.value.to_sat()).sum();
            recent.push(entry);
        }
        Ok(recent)
    }

    async fn fees(&self) -> Result<Fees, QueryError> {
        self.node.fees().await
    }

    async fn block_template(&self) -> Result<Value, QueryError> {
        self.node.block_template().await
    }

    async fn broadcast(&self, transaction: String) -> Result<Txid, QueryError> {
        self.node.broadcast(transaction).await
    }

    async fn submit_package(
        &self,
        transactions: Vec<String>,
        max_fee_rate: Option<f64>,
        max_burn: Option<f64>,
    ) -> Result<Value, QueryError> {
        self.node
            .submit_package(transactions, max_fee_rate, max_burn)
            .await
    }

    async fn test_accept(
        &self,
        transactions: Vec<String>,
        max_fee_rate: Option<f64>,
    ) -> Result<Value, QueryError> {
        self.node.test_accept(transactions, max_fee_rate).await
    }

    fn changes(&self) -> watch::Receiver<u64> {
        self.changes.clone()
    }
}
