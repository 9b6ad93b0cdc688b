//! The chain by an index of every script.

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
use satpost_domain::ids::ScriptHash;
use serde_json::Value;
use tokio::sync::watch;

use super::bodies::Bodies;
use super::index::{Index, IndexError, View};
use super::node::EsploraNode;
use crate::bitcoind::rpc::NodeRpc;

/// The adapter.
pub struct AllScripts {
    index: Arc<Index>,
    node: Arc<EsploraNode>,
    rpc: Arc<dyn NodeRpc>,
    bodies: Bodies,
}

#[expect(clippy::needless_pass_by_value, reason = "the signature of `map_err`")]
fn broken(error: IndexError) -> QueryError {
    QueryError::Broken(error.to_string())
}

impl AllScripts {
    /// Over `index`, which somebody keeps in step with the node by the same `rpc`.
    #[must_use]
    pub fn new(
        index: Arc<Index>,
        node: Arc<EsploraNode>,
        rpc: Arc<dyn NodeRpc>,
        network: Network,
    ) -> Self {
        Self {
            bodies: Bodies::new(Arc::clone(&node), network),
            index,
            node,
            rpc,
        }
    }

    /// What is so now, once the index has caught up.
    fn view(&self) -> Result<View<'_>, QueryError> {
        let view = self.index.view().map_err(broken)?;
        if self.index.has_agreed() {
            return Ok(view);
        }
        let height = view.tip().map_err(broken)?.map_or(0, |tip| tip.height);
        Err(QueryError::CatchingUp { height })
    }

    /// Takes in what the node has just accepted. When that fails it is still accepted, and is
    /// taken in later. Goes on when the client does not wait for it.
    async fn take_in(&self) {
        let (index, node, rpc) = (
            Arc::clone(&self.index),
            Arc::clone(&self.node),
            Arc::clone(&self.rpc),
        );
        let synchronised =
            tokio::spawn(async move { index.synchronise(&node, rpc.as_ref(), true).await });
        match synchronised.await {
            Ok(Ok(())) => {}
            Ok(Err(error)) => {
                tracing::warn!(%error, "a transaction was accepted and is indexed later");
            }
            Err(error) => {
                tracing::error!(%error, "a transaction was accepted and is indexed later");
            }
        }
    }
}

#[async_trait]
impl ChainQuery for AllScripts {
    async fn tip(&self) -> Result<BlockPlace, QueryError> {
        let tip = self.view()?.tip().map_err(broken)?;
        tip.ok_or(QueryError::CatchingUp { height: 0 })
    }

    async fn hash_at(&self, height: u32) -> Result<Option<BlockHash>, QueryError> {
        let block = self.view()?.block_at(height).map_err(broken)?;
        Ok(block.map(|block| block.hash))
    }

    async fn place_of_block(&self, hash: BlockHash) -> Result<Option<BlockPlace>, QueryError> {
        self.view()?.place_of_block(&hash).map_err(broken)
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
        let place = self.view()?.place_of_block(&hash).map_err(broken)?;
        let places = txids.iter().map(|txid| (*txid, hash, place)).collect();
        self.bodies.in_blocks(places).await
    }

    async fn transaction(&self, txid: Txid) -> Result<Option<FoundTransaction>, QueryError> {
        let place = {
            let view = self.view()?;
            if let Some(entry) = view.mempool.get(&txid) {
                return Ok(Some(FoundTransaction {
                    txid,
                    transaction: Arc::clone(&entry.transaction),
                    prevouts: Arc::clone(&entry.prevouts),
                    place: None,
                }));
            }
            view.place_of(&txid).map_err(broken)?
        };
        let Some((block, _)) = place else {
            return Ok(None);
        };
        let places = vec![(txid, block.hash, Some(block))];
        Ok(self.bodies.in_blocks(places).await?.pop())
    }

    async fn place_of(&self, txid: Txid) -> Result<Option<Option<BlockPlace>>, QueryError> {
        let view = self.view()?;
        if let Some((block, _)) = view.place_of(&txid).map_err(broken)? {
            return Ok(Some(Some(block)));
        }
        Ok(view.mempool.get(&txid).map(|_| None))
    }

    async fn spends(&self, outpoints: &[OutPoint]) -> Result<Vec<Option<Spend>>, QueryError> {
        let view = self.view()?;
        outpoints
            .iter()
            .map(|outpoint| view.spend(outpoint).map_err(broken))
            .collect()
    }

    async fn totals(&self, script: ScriptHash) -> Result<(ScriptTotals, ScriptTotals), QueryError> {
        let view = self.view()?;
        let confirmed = view.totals(&script).map_err(broken)?;
        Ok((confirmed, view.mempool.totals(&script)))
    }

    async fn confirmed_of(
        &self,
        script: ScriptHash,
        after: Option<Txid>,
        max: usize,
    ) -> Result<Vec<FoundTransaction>, QueryError> {
        let history = {
            let view = self.view()?;
            let before = match after {
                None => None,
                Some(after) => match view.place_of(&after).map_err(broken)? {
                    Some((block, index)) => Some((block.height, index)),
                    None => return Ok(Vec::new()),
                },
            };
            view.history(&script, before, max).map_err(broken)?
        };
        let places = history
            .into_iter()
            .map(|(txid, block)| (txid, block.hash, Some(block)))
            .collect();
        self.bodies.in_blocks(places).await
    }

    async fn unconfirmed_of(
        &self,
        script: ScriptHash,
        max: usize,
    ) -> Result<Vec<FoundTransaction>, QueryError> {
        let view = self.view()?;
        let found = view.mempool.of_script(&script).take(max);
        Ok(found
            .map(|(txid, entry)| FoundTransaction {
                txid,
                transaction: Arc::clone(&entry.transaction),
                prevouts: Arc::clone(&entry.prevouts),
                place: None,
            })
            .collect())
    }

    async fn unspent_of(&self, script: ScriptHash, max: usize) -> Result<Vec<Unspent>, QueryError> {
        let unspent = self.view()?.unspent(&script, max).map_err(broken)?;
        if unspent.len() > max {
            return Err(QueryError::TooManyUnspent { max });
        }
        Ok(unspent)
    }

    async fn mempool(&self) -> Result<Vec<MempoolTransaction>, QueryError> {
        Ok(self.view()?.mempool.figures())
    }

    async fn recent(&self) -> Result<Vec<MempoolTransaction>, QueryError> {
        Ok(self.view()?.mempool.recent())
    }

    async fn fees(&self) -> Result<Fees, QueryError> {
        self.node.fees().await
    }

    async fn block_template(&self) -> Result<Value, QueryError> {
        self.node.block_template().await
    }

    async fn broadcast(&self, transaction: String) -> Result<Txid, QueryError> {
        let txid = self.node.broadcast(transaction).await?;
        self.take_in().await;
        Ok(txid)
    }

    async fn submit_package(
        &self,
        transactions: Vec<String>,
        max_fee_rate: Option<f64>,
        max_burn: Option<f64>,
    ) -> Result<Value, QueryError> {
        let result = self
            .node
            .submit_package(transactions, max_fee_rate, max_burn)
            .await?;
        self.take_in().await;
        Ok(result)
    }

    async fn test_accept(
        &self,
        transactions: Vec<String>,
        max_fee_rate: Option<f64>,
    ) -> Result<Value, QueryError> {
        self.node.test_accept(transactions, max_fee_rate).await
    }

    fn changes(&self) -> watch::Receiver<u64> {
        self.index.changes()
    }
}
