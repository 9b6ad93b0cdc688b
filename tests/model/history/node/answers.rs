//! What the node answers.

use async_trait::async_trait;
use bitcoin::consensus::encode::{VarInt, serialize};
use bitcoin::{Block, Transaction, TxOut};
use satpost_domain::chain::{BlockRef, OutPoint};
use satpost_domain::ids::{BlockHash, ScriptHash, Txid};
use satpost_domain::script::Script;
use satpost_infra::bitcoind::backfill::HistoryRpc;
use satpost_infra::bitcoind::backfill::history_rpc::UnspentOutput;
use satpost_infra::bitcoind::rpc::{
    MempoolSnapshot, NodeInfo, NodeRpc, Publication, RawBlock, RpcError,
};

use super::{Inner, Mined, PastNode, Payment};

impl Inner {
    fn block(&self, hash: BlockHash) -> Result<&Mined, RpcError> {
        let block = self.blocks.get(&hash);
        let kept = block.filter(|block| block.at.height as usize >= self.pruned_below);
        kept.ok_or_else(|| RpcError::NoBlock {
            hash,
            reason: "Block not available (pruned data)".to_owned(),
        })
    }

    fn raw(&self, hash: BlockHash) -> Result<RawBlock, RpcError> {
        let block = self.block(hash)?;
        let spent = self.kind.tells_spends.then(|| {
            let mut bytes = serialize(&VarInt::from(block.payments.len()));
            for payment in &block.payments {
                let spent: Vec<TxOut> = payment
                    .inputs
                    .iter()
                    .map(|input| self.outputs[input].clone())
                    .collect();
                bytes.extend(serialize(&spent));
            }
            bytes.into()
        });
        Ok(RawBlock {
            hash,
            bytes: serialize(&block.body()).into(),
            spent,
        })
    }

    fn touches(&self, payment: &Payment, scripts: &[Script]) -> bool {
        let is_one = |hash: ScriptHash| scripts.iter().any(|script| script.hash() == hash);
        let pays = payment.outputs().any(|(_, script, _)| is_one(script));
        let spends = payment.inputs.iter().any(|input| {
            let script = &self.outputs[input].script_pubkey;
            is_one(Script::new(script.as_bytes()).unwrap().hash())
        });
        pays || spends
    }
}

#[async_trait]
impl NodeRpc for PastNode {
    async fn info(&self) -> Result<NodeInfo, RpcError> {
        let blocks = self.ask(|node| node.tip().height).await;
        Ok(NodeInfo {
            network: "regtest".to_owned(),
            version: 300_000,
            subversion: "/Model/".to_owned(),
            blocks,
            headers: blocks,
            initial_download: false,
            uptime_secs: 1,
        })
    }

    async fn publications(&self) -> Result<Vec<Publication>, RpcError> {
        Ok(Vec::new())
    }

    async fn best_block(&self) -> Result<BlockHash, RpcError> {
        Ok(self.ask(|node| node.tip().hash).await)
    }

    async fn block_hash(&self, height: u32) -> Result<Option<BlockHash>, RpcError> {
        Ok(self
            .ask(|node| node.best.get(height as usize).copied())
            .await)
    }

    async fn is_in_best_chain(&self, hash: BlockHash) -> Result<bool, RpcError> {
        Ok(self.ask(|node| node.best.contains(&hash)).await)
    }

    async fn block(&self, hash: BlockHash) -> Result<Block, RpcError> {
        self.ask(|node| node.block(hash).map(Mined::body)).await
    }

    async fn raw_block(&self, hash: BlockHash) -> Result<RawBlock, RpcError> {
        self.ask(|node| node.raw(hash)).await
    }

    async fn mempool(&self) -> Result<MempoolSnapshot, RpcError> {
        let snapshot = self.ask(|node| MempoolSnapshot {
            txids: node.mempool.iter().map(|payment| payment.txid).collect(),
            sequence: 1,
        });
        Ok(snapshot.await)
    }

    async fn mempool_size(&self) -> Result<usize, RpcError> {
        Ok(self.ask(|node| node.mempool.len()).await)
    }

    async fn transactions(&self, txids: &[Txid]) -> Result<Vec<Option<Transaction>>, RpcError> {
        let bodies = self.ask(|node| {
            let body = |txid: &Txid| {
                let known = node.mempool.iter().find(|known| known.txid == *txid);
                known.map(|known| known.body.clone())
            };
            txids.iter().map(body).collect()
        });
        Ok(bodies.await)
    }

    async fn mempool_ancestors(&self, txid: Txid) -> Result<Vec<Txid>, RpcError> {
        let ancestors = self.ask(|node| {
            let mut family = vec![txid];
            let mut place = 0;
            while let Some(member) = family.get(place).copied() {
                place += 1;
                let known = node.mempool.iter().find(|known| known.txid == member);
                for input in known.into_iter().flat_map(|known| &known.inputs) {
                    let parent = input.txid;
                    let waits = node.mempool.iter().any(|known| known.txid == parent);
                    if waits && !family.contains(&parent) {
                        family.push(parent);
                    }
                }
            }
            family.split_off(1)
        });
        Ok(ancestors.await)
    }
}

#[async_trait]
impl HistoryRpc for PastNode {
    async fn median_time_secs(&self, height: u32) -> Result<Option<u64>, RpcError> {
        // Times only grow here, so the median is the time of the middle block.
        let median = self.ask(|node| {
            let hash = node.best.get(height as usize)?;
            let middle = node.blocks[hash]
                .at
                .height
                .saturating_sub(height.min(10) / 2);
            let hash = node.best[middle as usize];
            Some(u64::from(node.blocks[&hash].header.time))
        });
        Ok(median.await)
    }

    async fn lowest_block(&self) -> Result<u32, RpcError> {
        Ok(self
            .ask(|node| u32::try_from(node.pruned_below).unwrap())
            .await)
    }

    async fn filters_through(&self) -> Result<Option<u32>, RpcError> {
        Ok(self
            .ask(|node| node.kind.has_filters.then_some(node.tip().height))
            .await)
    }

    async fn blocks_touching(
        &self,
        scripts: &[Script],
        from: u32,
        to: u32,
    ) -> Result<Vec<BlockRef>, RpcError> {
        let blocks = self.ask(|node| {
            let blocks = node.best.iter().map(|hash| &node.blocks[hash]);
            blocks
                .filter(|block| (from..=to).contains(&block.at.height))
                .filter(|block| {
                    let mut payments = block.payments.iter();
                    payments.any(|payment| node.touches(payment, scripts))
                        // A filter is wrong now and then.
                        || block.at.height.is_multiple_of(7)
                })
                .map(|block| block.at)
                .collect()
        });
        Ok(blocks.await)
    }

    async fn unspent_outputs(&self, scripts: &[Script]) -> Result<Vec<UnspentOutput>, RpcError> {
        let found = self.ask(|node| {
            let unspent = node.unspent().into_iter();
            let outputs = unspent.map(|(outpoint, (height, coinbase))| {
                let output = &node.outputs[&outpoint];
                UnspentOutput {
                    outpoint,
                    script: Script::new(output.script_pubkey.as_bytes()).unwrap(),
                    value_sat: output.value.to_sat(),
                    height,
                    coinbase,
                }
            });
            outputs
                .filter(|output| scripts.contains(&output.script))
                .collect()
        });
        Ok(found.await)
    }

    async fn are_unspent(&self, outpoints: &[OutPoint]) -> Result<Vec<bool>, RpcError> {
        let mut answers = Vec::new();
        for outpoint in outpoints {
            let unspent = self.ask(|node| node.unspent().contains_key(outpoint));
            answers.push(unspent.await);
        }
        Ok(answers)
    }

    async fn mempool_spenders(&self, outpoints: &[OutPoint]) -> Result<Vec<Txid>, RpcError> {
        let spenders = self.ask(|node| {
            let spenders = node
                .mempool
                .iter()
                .filter(|payment| outpoints.iter().any(|outpoint| payment.spends(outpoint)));
            spenders.map(|payment| payment.txid).collect()
        });
        Ok(spenders.await)
    }
}
