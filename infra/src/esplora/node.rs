//! What the Esplora API asks of the node: a few connections that share the questions, and room for
//! so many that wait.

use std::collections::{HashMap, VecDeque};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use bitcoin::block::{Header, Version};
use bitcoin::consensus::encode::deserialize_hex;
use bitcoin::hex::FromHex as _;
use bitcoin::{Amount, BlockHash, CompactTarget, OutPoint, Transaction, TxOut, Txid};
use bytes::Bytes;
use satpost_api::esplora::ports::{BlockSummary, Fees, QueryError};
use satpost_domain::limits::{
    ESPLORA_BLOCKS_REMEMBERED_MAX, ESPLORA_NODE_CALLS_MAX, ESPLORA_NODE_CALLS_WAITING_MAX,
};
use serde::de::DeserializeOwned;
use serde_json::{Value, json};
use tokio::sync::Semaphore;

use crate::bitcoind::rpc::RpcError;
use crate::bitcoind::{CoreRpc, NodeAuth};

mod answers;

/// RPC error codes, see `src/rpc/protocol.h` of Bitcoin Core.
const NOT_FOUND: i32 = -5;
const OUT_OF_RANGE: i32 = -8;
/// For how many blocks of waiting a fee is asked, as other Esplora servers do.
const FEE_TARGETS: [u16; 28] = [
    1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15, 16, 17, 18, 19, 20, 21, 22, 23, 24, 25, 144,
    504, 1_008,
];

/// The node.
pub struct EsploraNode {
    connections: Vec<CoreRpc>,
    next: AtomicUsize,
    turns: Semaphore,
    waiting: AtomicUsize,
    blocks: Mutex<RememberedBlocks>,
}

#[derive(Default)]
struct RememberedBlocks {
    by_hash: HashMap<BlockHash, Arc<BlockSummary>>,
    oldest_first: VecDeque<BlockHash>,
}

/// A transaction as the node gives it, with the outputs it spends where the node knows them.
pub(super) struct NodeTransaction {
    pub(super) transaction: Transaction,
    /// The output behind each input; empty for a coinbase, and nothing for the mempool.
    pub(super) prevouts: Option<Vec<TxOut>>,
    /// The block it was found in, when the node said so.
    pub(super) block: Option<BlockHash>,
}

/// What an error of the node means to who asks for Esplora.
pub(super) fn query_error(error: RpcError) -> QueryError {
    match error {
        RpcError::Refused {
            method,
            code,
            message,
        } => QueryError::Refused {
            method,
            code,
            message,
        },
        RpcError::WarmingUp { message } => QueryError::NodeBusy(message),
        RpcError::Unreachable { .. } | RpcError::Unauthorized { .. } => {
            QueryError::NodeUnavailable(error.to_string())
        }
        RpcError::NoBlock { .. } | RpcError::Unexpected { .. } => {
            QueryError::Broken(error.to_string())
        }
    }
}

/// Turns the refusal with `code`, by which the node says that there is no such thing, into nothing.
fn absent<T>(answer: Result<T, QueryError>, code: i32) -> Result<Option<T>, QueryError> {
    match answer {
        Ok(found) => Ok(Some(found)),
        Err(QueryError::Refused { code: given, .. }) if given == code => Ok(None),
        Err(error) => Err(error),
    }
}

fn broken(error: impl std::fmt::Display) -> QueryError {
    QueryError::Broken(format!("the node answers with something else: {error}"))
}

impl EsploraNode {
    /// Prepares the connections; nothing is sent yet.
    #[must_use]
    pub fn new(rpc_url: &str, auth: &NodeAuth) -> Self {
        let connect = |_| CoreRpc::new(rpc_url.to_owned(), auth.clone());
        Self {
            connections: (0..ESPLORA_NODE_CALLS_MAX).map(connect).collect(),
            next: AtomicUsize::new(0),
            turns: Semaphore::new(ESPLORA_NODE_CALLS_MAX),
            waiting: AtomicUsize::new(0),
            blocks: Mutex::default(),
        }
    }

    async fn call<T: DeserializeOwned + Send + 'static>(
        &self,
        method: &'static str,
        parameters: Vec<Value>,
    ) -> Result<T, QueryError> {
        let _turn = self.turn().await?;
        let connection = self.next.fetch_add(1, Ordering::Relaxed) % self.connections.len();
        let answer = self.connections[connection].call(method, parameters).await;
        answer.map_err(query_error)
    }

    /// Waits for a turn, if not too many do so already.
    async fn turn(&self) -> Result<tokio::sync::SemaphorePermit<'_>, QueryError> {
        struct Waiting<'a>(&'a AtomicUsize);
        impl Drop for Waiting<'_> {
            fn drop(&mut self) {
                self.0.fetch_sub(1, Ordering::Relaxed);
            }
        }
        let before = self.waiting.fetch_add(1, Ordering::Relaxed);
        let _waiting = Waiting(&self.waiting);
        if before >= ESPLORA_NODE_CALLS_WAITING_MAX {
            return Err(QueryError::NodeBusy("too many questions wait".to_owned()));
        }
        let turn = self.turns.acquire().await;
        Ok(turn.expect("the semaphore is never closed"))
    }

    pub(super) async fn hash_at(&self, height: u32) -> Result<Option<BlockHash>, QueryError> {
        let answer = self.call("getblockhash", vec![json!(height)]).await;
        absent(answer, OUT_OF_RANGE)
    }

    /// True when the block is in the node's best chain.
    pub(super) async fn is_in_best_chain(&self, hash: BlockHash) -> Result<bool, QueryError> {
        let answer = self.call("getblockheader", vec![json!(hash)]).await;
        let header: Option<answers::Confirmations> = absent(answer, NOT_FOUND)?;
        Ok(header.is_some_and(|header| header.confirmations >= 0))
    }

    /// A block without bodies, also a stale one. It never changes, so it is remembered.
    pub(super) async fn block(
        &self,
        hash: BlockHash,
    ) -> Result<Option<Arc<BlockSummary>>, QueryError> {
        if let Some(known) = self.remembered().by_hash.get(&hash) {
            return Ok(Some(Arc::clone(known)));
        }
        let answer = self.call("getblock", vec![json!(hash), json!(1)]).await;
        let Some(found) = absent::<answers::Block>(answer, NOT_FOUND)? else {
            return Ok(None);
        };
        let summary = Arc::new(summary(hash, found)?);
        let mut blocks = self.remembered();
        if blocks.by_hash.insert(hash, Arc::clone(&summary)).is_none() {
            blocks.oldest_first.push_back(hash);
        }
        if blocks.oldest_first.len() > ESPLORA_BLOCKS_REMEMBERED_MAX
            && let Some(oldest) = blocks.oldest_first.pop_front()
        {
            blocks.by_hash.remove(&oldest);
        }
        Ok(Some(summary))
    }

    fn remembered(&self) -> std::sync::MutexGuard<'_, RememberedBlocks> {
        self.blocks.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(super) async fn raw_block(&self, hash: BlockHash) -> Result<Option<Bytes>, QueryError> {
        let answer = self.call("getblock", vec![json!(hash), json!(0)]).await;
        let hex: Option<String> = absent(answer, NOT_FOUND)?;
        hex.map(|hex| Vec::from_hex(&hex).map(Bytes::from).map_err(broken))
            .transpose()
    }

    /// A transaction of the block, with what it spends (`getrawtransaction` with verbosity 2, since
    /// Bitcoin Core 25); without a block, one of the mempool or of the node's own index.
    pub(super) async fn transaction(
        &self,
        txid: Txid,
        block: Option<BlockHash>,
    ) -> Result<Option<NodeTransaction>, QueryError> {
        let mut parameters = vec![json!(txid), json!(2)];
        parameters.extend(block.map(|block| json!(block)));
        let answer = self.call("getrawtransaction", parameters).await;
        let Some(found) = absent::<answers::Transaction>(answer, NOT_FOUND)? else {
            return Ok(None);
        };
        let transaction: Transaction = deserialize_hex(&found.hex).map_err(broken)?;
        let prevouts: Option<Result<Vec<TxOut>, QueryError>> = if transaction.is_coinbase() {
            Some(Ok(Vec::new()))
        } else {
            let prevouts = found.vin.into_iter().map(|input| input.prevout);
            let prevouts: Option<Vec<answers::Output>> = prevouts.collect();
            prevouts.map(|prevouts| prevouts.iter().map(output).collect())
        };
        Ok(Some(NodeTransaction {
            transaction,
            prevouts: prevouts.transpose()?,
            block: found.blockhash,
        }))
    }

    /// An output that is not spent; `mempool` lets the mempool spend it.
    pub(super) async fn unspent_output(
        &self,
        outpoint: OutPoint,
        mempool: bool,
    ) -> Result<Option<TxOut>, QueryError> {
        let parameters = vec![json!(outpoint.txid), json!(outpoint.vout), json!(mempool)];
        let found: Option<answers::Output> = self.call("gettxout", parameters).await?;
        found.as_ref().map(output).transpose()
    }

    /// The mempool with sizes and fees.
    pub(super) async fn mempool(&self) -> Result<HashMap<Txid, (u64, u64)>, QueryError> {
        let found: HashMap<Txid, answers::MempoolEntry> =
            self.call("getrawmempool", vec![json!(true)]).await?;
        found
            .into_iter()
            .map(|(txid, entry)| Ok((txid, (entry.vsize, satoshi(entry.fees.base)?))))
            .collect()
    }

    /// What tells cheaply whether the mempool may have changed.
    pub(super) async fn mempool_mark(&self) -> Result<(u64, u64, u64), QueryError> {
        let info: answers::MempoolInfo = self.call("getmempoolinfo", vec![]).await?;
        Ok((info.size, info.bytes, info.total_fee.to_bits()))
    }

    pub(super) async fn fees(&self) -> Result<Fees, QueryError> {
        let info: answers::MempoolInfo = self.call("getmempoolinfo", vec![]).await?;
        let mut fees = Fees {
            minimum: per_vbyte(info.mempoolminfee),
            ..Fees::default()
        };
        for target in FEE_TARGETS {
            let parameters = vec![json!(target)];
            let found: answers::FeeEstimate = self.call("estimatesmartfee", parameters).await?;
            if let Some(rate) = found.feerate {
                fees.estimates.insert(target, per_vbyte(rate));
            }
        }
        Ok(fees)
    }

    pub(super) async fn block_template(&self) -> Result<Value, QueryError> {
        let rules = json!({ "rules": ["segwit"] });
        self.call("getblocktemplate", vec![rules]).await
    }

    pub(super) async fn broadcast(&self, hex: String) -> Result<Txid, QueryError> {
        self.call("sendrawtransaction", vec![json!(hex)]).await
    }

    pub(super) async fn submit_package(
        &self,
        transactions: Vec<String>,
        max_fee_rate: Option<f64>,
        max_burn: Option<f64>,
    ) -> Result<Value, QueryError> {
        let mut parameters = vec![json!(transactions)];
        if max_fee_rate.is_some() || max_burn.is_some() {
            parameters.push(json!(max_fee_rate));
        }
        parameters.extend(max_burn.map(|max| json!(max)));
        self.call("submitpackage", parameters).await
    }

    pub(super) async fn test_accept(
        &self,
        transactions: Vec<String>,
        max_fee_rate: Option<f64>,
    ) -> Result<Value, QueryError> {
        let mut parameters = vec![json!(transactions)];
        parameters.extend(max_fee_rate.map(|max| json!(max)));
        self.call("testmempoolaccept", parameters).await
    }
}

fn summary(hash: BlockHash, found: answers::Block) -> Result<BlockSummary, QueryError> {
    let bits = u32::from_str_radix(&found.bits, 16).map_err(broken)?;
    let zeros = || bitcoin::hashes::Hash::all_zeros();
    Ok(BlockSummary {
        hash,
        header: Header {
            version: Version::from_consensus(found.version),
            prev_blockhash: found.previousblockhash.unwrap_or_else(zeros),
            merkle_root: found.merkleroot,
            time: found.time,
            bits: CompactTarget::from_consensus(bits),
            nonce: found.nonce,
        },
        height: found.height,
        size: found.size,
        weight: found.weight,
        median_time: found.mediantime,
        difficulty: found.difficulty,
        txids: found.tx,
    })
}

fn output(found: &answers::Output) -> Result<TxOut, QueryError> {
    Ok(TxOut {
        value: Amount::from_sat(satoshi(found.value)?),
        script_pubkey: bitcoin::ScriptBuf::from_hex(&found.script.hex).map_err(broken)?,
    })
}

/// Amounts come as decimals of at most eight places, which a double holds exactly enough.
fn satoshi(bitcoins: f64) -> Result<u64, QueryError> {
    let amount = Amount::from_btc((bitcoins * 1e8).round() / 1e8).map_err(broken)?;
    Ok(amount.to_sat())
}

/// From bitcoins for each 1,000 virtual bytes to satoshi for each of them.
fn per_vbyte(rate: f64) -> f64 {
    (rate * 1e8).round() / 1e3
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_every_satoshi_of_a_decimal_amount() {
        for (text, sat) in [
            ("0.00000001", 1),
            ("0.1", 10_000_000),
            ("20999999.97690000", 2_099_999_997_690_000),
            ("49.99985900", 4_999_985_900),
        ] {
            let value: f64 = serde_json::from_str(text).unwrap();
            assert_eq!(satoshi(value).unwrap(), sat);
        }
        assert!(satoshi(-1.0).is_err());
    }

    #[test]
    fn reads_fee_rates() {
        assert_eq!(per_vbyte(0.00001), 1.0);
        assert_eq!(per_vbyte(0.000_878_82), 87.882);
    }
}
