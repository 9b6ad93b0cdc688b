//! What the Esplora API asks of the chain, in Bitcoin's words. `infra` has the adapters: one over an
//! index of every script, one over what the watcher knows of watched scripts.

use std::collections::BTreeMap;
use std::sync::Arc;

use async_trait::async_trait;
use bitcoin::block::Header;
use bitcoin::{BlockHash, OutPoint, Transaction, TxOut, Txid};
use bytes::Bytes;
use satpost_api_types::esplora::ScriptTotals;
use satpost_domain::ids::ScriptHash;
use serde_json::Value;
use tokio::sync::watch;

/// Why a question has no answer. None of them means "nothing": that is an answer.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum QueryError {
    /// Only scripts that some client watches are known here, and this one is not.
    #[error("the script is not watched by this server")]
    ScriptNotWatched,
    /// Only transactions of watched scripts, and those in the mempool, are known here.
    #[error("the transaction is not watched by this server")]
    TransactionNotWatched,
    /// The script is watched, but its past is not read yet.
    #[error("the history of the script is not read to its beginning yet")]
    HistoryIncomplete,
    /// The script has more transactions than one answer can be computed from.
    #[error("the script has more than {max} transactions")]
    HistoryTooLong {
        /// How many there may be.
        max: usize,
    },
    /// The script has more unspent outputs than one answer holds.
    #[error("the script has more than {max} unspent outputs")]
    TooManyUnspent {
        /// How many there may be.
        max: usize,
    },
    /// The index has not caught up with the node yet.
    #[error("the index has not caught up with the node yet, it is at block {height}")]
    CatchingUp {
        /// How far it has come.
        height: u32,
    },
    /// The node answered with an error.
    #[error("{method} RPC error {code}: {message}")]
    Refused {
        /// What was asked.
        method: &'static str,
        /// The node's error code.
        code: i32,
        /// The node's message.
        message: String,
    },
    /// The node is starting, or too many questions wait for it.
    #[error("the node is busy: {0}")]
    NodeBusy(String),
    /// The node does not answer.
    #[error("the node is unavailable: {0}")]
    NodeUnavailable(String),
    /// Something that should not be.
    #[error("{0}")]
    Broken(String),
}

/// A block of the best chain, as a transaction's status tells it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct BlockPlace {
    /// Its height.
    pub height: u32,
    /// Its hash.
    pub hash: BlockHash,
    /// Its time, in Unix seconds.
    pub time: u32,
}

/// A transaction, what it spends, and where it is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FoundTransaction {
    /// Its id.
    pub txid: Txid,
    /// The transaction.
    pub transaction: Arc<Transaction>,
    /// The output behind each input, in order; empty for a coinbase.
    pub prevouts: Arc<[TxOut]>,
    /// Its block of the best chain; none in the mempool or in a stale block.
    pub place: Option<BlockPlace>,
}

/// A block without the bodies of its transactions; it may be stale.
#[derive(Debug, Clone, PartialEq)]
pub struct BlockSummary {
    /// Its hash.
    pub hash: BlockHash,
    /// Its header.
    pub header: Header,
    /// Its height on its own branch.
    pub height: u32,
    /// Its size in bytes.
    pub size: u64,
    /// Its weight in units.
    pub weight: u64,
    /// The median time of itself and the ten blocks before it.
    pub median_time: u32,
    /// Its difficulty, as the node computes it.
    pub difficulty: f64,
    /// Its transactions, in order.
    pub txids: Vec<Txid>,
}

/// An output that is not spent.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Unspent {
    /// Which one.
    pub outpoint: OutPoint,
    /// What it holds, in satoshi.
    pub value_sat: u64,
    /// Where its transaction is.
    pub place: Option<BlockPlace>,
}

/// The input that spends an output.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Spend {
    /// The transaction it is in.
    pub txid: Txid,
    /// Which one.
    pub vin: u32,
    /// Where that transaction is.
    pub place: Option<BlockPlace>,
}

/// A transaction of the mempool in figures.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct MempoolTransaction {
    /// Its id.
    pub txid: Txid,
    /// What it leaves to the miner, in satoshi.
    pub fee_sat: u64,
    /// Its size in virtual bytes.
    pub vsize: u64,
    /// What its outputs hold together, in satoshi.
    pub value_sat: u64,
}

/// Fee rates in sat/vB.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Fees {
    /// By the number of blocks that a transaction may wait; what the node cannot estimate is absent.
    pub estimates: BTreeMap<u16, f64>,
    /// The least that the node takes into its mempool.
    pub minimum: f64,
}

/// The chain as an Esplora server knows it. Answers that belong together agree: a tip is told
/// only when everything up to it can be asked for.
#[async_trait]
pub trait ChainQuery: Send + Sync + 'static {
    /// The tip.
    async fn tip(&self) -> Result<BlockPlace, QueryError>;
    /// The hash of the block at `height` of the best chain.
    async fn hash_at(&self, height: u32) -> Result<Option<BlockHash>, QueryError>;
    /// The place of a block in the best chain; nothing for a stale or unknown one.
    async fn place_of_block(&self, hash: BlockHash) -> Result<Option<BlockPlace>, QueryError>;
    /// A block, also a stale one.
    async fn block(&self, hash: BlockHash) -> Result<Option<Arc<BlockSummary>>, QueryError>;
    /// Its bytes.
    async fn raw_block(&self, hash: BlockHash) -> Result<Option<Bytes>, QueryError>;
    /// Some transactions of the block `hash`, in the order of `txids`.
    async fn block_transactions(
        &self,
        hash: BlockHash,
        txids: &[Txid],
    ) -> Result<Vec<FoundTransaction>, QueryError>;

    /// A transaction of the best chain or of the mempool.
    async fn transaction(&self, txid: Txid) -> Result<Option<FoundTransaction>, QueryError>;
    /// Where a transaction is: nothing when it is unknown, no place while it is in the mempool.
    async fn place_of(&self, txid: Txid) -> Result<Option<Option<BlockPlace>>, QueryError>;
    /// What spends each of the outputs.
    async fn spends(&self, outpoints: &[OutPoint]) -> Result<Vec<Option<Spend>>, QueryError>;

    /// What transactions did with a script: those in blocks, and those in the mempool.
    async fn totals(&self, script: ScriptHash) -> Result<(ScriptTotals, ScriptTotals), QueryError>;
    /// Up to `max` transactions of a script that are in blocks, newest first, after the one named;
    /// nothing when that one is not among them.
    async fn confirmed_of(
        &self,
        script: ScriptHash,
        after: Option<Txid>,
        max: usize,
    ) -> Result<Vec<FoundTransaction>, QueryError>;
    /// Up to `max` transactions of a script that are in the mempool, newest first.
    async fn unconfirmed_of(
        &self,
        script: ScriptHash,
        max: usize,
    ) -> Result<Vec<FoundTransaction>, QueryError>;
    /// The unspent outputs of a script. Those that the mempool spends are not among them.
    ///
    /// # Errors
    /// [`QueryError::TooManyUnspent`] when there are more than `max`.
    async fn unspent_of(&self, script: ScriptHash, max: usize) -> Result<Vec<Unspent>, QueryError>;

    /// The mempool, in the order of arrival as far as it is known.
    async fn mempool(&self) -> Result<Vec<MempoolTransaction>, QueryError>;
    /// The transactions that came last, newest first; some may have left already.
    async fn recent(&self) -> Result<Vec<MempoolTransaction>, QueryError>;
    /// What a transaction should pay.
    async fn fees(&self) -> Result<Fees, QueryError>;
    /// The node's proposal for a block.
    async fn block_template(&self) -> Result<Value, QueryError>;

    /// Offers a transaction in hexadecimal to the node. It is known here when this returns.
    async fn broadcast(&self, transaction: String) -> Result<Txid, QueryError>;
    /// Offers a package; the answer is the node's.
    async fn submit_package(
        &self,
        transactions: Vec<String>,
        max_fee_rate: Option<f64>,
        max_burn: Option<f64>,
    ) -> Result<Value, QueryError>;
    /// Asks whether the node would take transactions; the answer is the node's.
    async fn test_accept(
        &self,
        transactions: Vec<String>,
        max_fee_rate: Option<f64>,
    ) -> Result<Value, QueryError>;

    /// Counts changes: whoever waits for the next one asks again when it comes.
    fn changes(&self) -> watch::Receiver<u64>;
}
