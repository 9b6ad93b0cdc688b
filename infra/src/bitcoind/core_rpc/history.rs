//! Questions about the past.

use async_trait::async_trait;
use bitcoin::Amount;
use satpost_domain::chain::{BlockRef, OutPoint};
use satpost_domain::ids::{BlockHash, Txid};
use satpost_domain::limits::NODE_HASHES_PER_CALL_MAX;
use satpost_domain::script::Script;
use serde::Deserialize;
use serde_json::{Value, json};

use super::{CoreRpc, NOT_FOUND, not_found};
use crate::bitcoind::backfill::history_rpc::{HistoryRpc, UnspentOutput};
use crate::bitcoind::rpc::{NodeRpc as _, RpcError};

/// The name of the index of block filters in `getindexinfo`.
const FILTER_INDEX: &str = "basic block filter index";

#[derive(Deserialize)]
struct Header {
    height: u32,
    mediantime: u64,
}

#[derive(Deserialize)]
struct Pruning {
    #[serde(default)]
    pruneheight: u32,
}

#[derive(Deserialize)]
struct Index {
    best_block_height: u32,
}

#[derive(Deserialize)]
struct ScannedBlocks {
    relevant_blocks: Vec<BlockHash>,
    completed: bool,
}

#[derive(Deserialize)]
struct ScannedOutputs {
    success: bool,
    unspents: Vec<FoundOutput>,
}

#[derive(Deserialize)]
struct FoundOutput {
    txid: Txid,
    vout: u32,
    #[serde(rename = "scriptPubKey")]
    script: bitcoin::ScriptBuf,
    #[serde(with = "bitcoin::amount::serde::as_btc")]
    amount: Amount,
    height: u32,
    #[serde(default)]
    coinbase: bool,
}

#[derive(Deserialize)]
struct Spending {
    spendingtxid: Option<Txid>,
}

/// Scripts as output descriptors.
fn descriptors(scripts: &[Script]) -> Vec<Value> {
    let hex = |script: &Script| bitcoin::Script::from_bytes(script.as_bytes()).to_hex_string();
    scripts
        .iter()
        .map(|script| json!(format!("raw({})", hex(script))))
        .collect()
}

impl CoreRpc {
    async fn header(&self, hash: BlockHash) -> Result<Option<Header>, RpcError> {
        let answer = self.call("getblockheader", vec![json!(hash)]).await;
        not_found(answer, NOT_FOUND)
    }
}

#[async_trait]
impl HistoryRpc for CoreRpc {
    async fn median_time_secs(&self, height: u32) -> Result<Option<u64>, RpcError> {
        let Some(hash) = self.block_hash(height).await? else {
            return Ok(None);
        };
        Ok(self.header(hash).await?.map(|header| header.mediantime))
    }

    async fn lowest_block(&self) -> Result<u32, RpcError> {
        let pruning: Pruning = self.call("getblockchaininfo", vec![]).await?;
        Ok(pruning.pruneheight)
    }

    async fn filters_through(&self) -> Result<Option<u32>, RpcError> {
        let mut indexes: std::collections::BTreeMap<String, Index> =
            self.call("getindexinfo", vec![]).await?;
        let filters = indexes.remove(FILTER_INDEX);
        Ok(filters.map(|index| index.best_block_height))
    }

    async fn blocks_touching(
        &self,
        scripts: &[Script],
        from: u32,
        to: u32,
    ) -> Result<Vec<BlockRef>, RpcError> {
        const METHOD: &str = "scanblocks";
        let parameters = vec![
            json!("start"),
            json!(descriptors(scripts)),
            json!(from),
            json!(to),
            json!("basic"),
        ];
        let scanned: ScannedBlocks = self.call(METHOD, parameters).await?;
        if !scanned.completed {
            return Err(RpcError::Unexpected {
                method: METHOD,
                reason: "the scan was ended before its last block".to_owned(),
            });
        }
        let mut blocks = Vec::with_capacity(scanned.relevant_blocks.len());
        for hashes in scanned
            .relevant_blocks
            .chunks(NODE_HASHES_PER_CALL_MAX as usize)
        {
            for hash in hashes {
                let hash = *hash;
                // One that is gone was taken back; whoever reads on notices.
                if let Some(header) = self.header(hash).await? {
                    let height = header.height;
                    blocks.push(BlockRef { height, hash });
                }
            }
        }
        blocks.sort_unstable();
        Ok(blocks)
    }

    async fn unspent_outputs(&self, scripts: &[Script]) -> Result<Vec<UnspentOutput>, RpcError> {
        const METHOD: &str = "scantxoutset";
        let parameters = vec![json!("start"), json!(descriptors(scripts))];
        let scanned: ScannedOutputs = self.call(METHOD, parameters).await?;
        if !scanned.success {
            return Err(RpcError::Unexpected {
                method: METHOD,
                reason: "the scan was ended early".to_owned(),
            });
        }
        let found = scanned.unspents.into_iter();
        Ok(found
            .filter_map(|found| {
                Some(UnspentOutput {
                    outpoint: OutPoint {
                        txid: found.txid,
                        vout: found.vout,
                    },
                    script: Script::new(found.script.as_bytes()).ok()?,
                    value_sat: found.amount.to_sat(),
                    height: found.height,
                    coinbase: found.coinbase,
                })
            })
            .collect())
    }

    async fn are_unspent(&self, outpoints: &[OutPoint]) -> Result<Vec<bool>, RpcError> {
        // The mempool is not looked at: what it spends is still there.
        let parameters: Vec<Value> = outpoints
            .iter()
            .map(|outpoint| json!([outpoint.txid, outpoint.vout, false]))
            .collect();
        self.blocking(move |inner| {
            let found = inner.batch::<Value>("gettxout", &parameters)?.into_iter();
            found
                .map(|output| output.map(|output| !output.is_null()))
                .collect()
        })
        .await
    }

    async fn mempool_spenders(&self, outpoints: &[OutPoint]) -> Result<Vec<Txid>, RpcError> {
        let named: Vec<Value> = outpoints
            .iter()
            .map(|outpoint| json!({ "txid": outpoint.txid, "vout": outpoint.vout }))
            .collect();
        let found: Vec<Spending> = self
            .call("gettxspendingprevout", vec![json!(named)])
            .await?;
        let mut txids: Vec<Txid> = found
            .into_iter()
            .filter_map(|spending| spending.spendingtxid)
            .collect();
        txids.sort_unstable();
        txids.dedup();
        Ok(txids)
    }
}
