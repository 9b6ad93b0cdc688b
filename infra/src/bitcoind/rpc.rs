//! The port to the node: the few questions the watcher asks, in the domain's words.

use async_trait::async_trait;
use bitcoin::consensus::encode::serialize;
use bitcoin::{Block, Transaction};
use bytes::Bytes;
use satpost_domain::ids::{BlockHash, Txid};

use super::scanner::{Header, MalformedBlock};

/// Why the node gave no answer.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum RpcError {
    /// It cannot be reached, or took too long.
    #[error("the node at {url} does not answer: {reason}")]
    Unreachable {
        /// Where it was looked for.
        url: String,
        /// What is wrong, for the operator.
        reason: String,
    },
    /// It refuses the login, or the cookie file cannot be read.
    #[error("the node at {url} cannot be logged in to: {reason}")]
    Unauthorized {
        /// Where it is.
        url: String,
        /// What is wrong, for the operator.
        reason: String,
    },
    /// It is starting (RPC error -28).
    #[error("the node is starting: {message}")]
    WarmingUp {
        /// What it does, in its words.
        message: String,
    },
    /// It answered with an error.
    #[error("the node refuses {method} with error {code}: {message}")]
    Refused {
        /// What was asked.
        method: &'static str,
        /// Its error code.
        code: i32,
        /// Its message.
        message: String,
    },
    /// It has not, or no longer, the block that it was asked for.
    #[error("the node does not have the block {hash}: {reason}")]
    NoBlock {
        /// The hash.
        hash: BlockHash,
        /// Why not, in its words: it is unknown or pruned.
        reason: String,
    },
    /// Its answer is not what the method promises.
    #[error("the node answers {method} with something else: {reason}")]
    Unexpected {
        /// What was asked.
        method: &'static str,
        /// What is wrong with the answer.
        reason: String,
    },
}

/// What a node says of itself.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NodeInfo {
    /// Its network, in its own words (`main`, `test`, `testnet4`, `signet`, `regtest`).
    pub network: String,
    /// Its version as a number, 290000 for 29.0.
    pub version: u64,
    /// Its name and version as it tells its peers.
    pub subversion: String,
    /// How many blocks it has.
    pub blocks: u32,
    /// How many headers it has.
    pub headers: u32,
    /// True while it fetches the chain for the first time.
    pub initial_download: bool,
    /// How many seconds it has been running.
    pub uptime_secs: u64,
}

/// What of the node is set up for more than following it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct NodeSettings {
    /// The first block that it still has, when it forgets old ones.
    pub pruned_below: Option<u32>,
    /// How many blocks its index of compact filters (BIP 158) has; nothing when there is none.
    pub filters_to: Option<u32>,
    /// True when it hands out blocks over REST.
    pub rest: bool,
    /// True when it tells what the transactions of a block spend.
    pub spent_outputs: bool,
}

/// A ZMQ topic the node publishes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Publication {
    /// The topic with `pub` before it, as in the option.
    pub topic: String,
    /// Where it is bound.
    pub address: String,
    /// After how many waiting messages the node drops them; 0 is never.
    pub high_water_mark: u64,
}

/// The mempool at one moment.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct MempoolSnapshot {
    /// What is in it.
    pub txids: Vec<Txid>,
    /// The number that the next change after this moment gets.
    pub sequence: u64,
}

/// A block as the node serialises it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RawBlock {
    /// Its hash, which is that of its header.
    pub hash: BlockHash,
    /// Its bytes, witnesses included.
    pub bytes: Bytes,
    /// The outputs that its inputs spend, in the form that `scanner` describes; nothing when the
    /// node does not tell them.
    pub spent: Option<Bytes>,
}

impl RawBlock {
    /// Its header.
    ///
    /// # Errors
    /// [`MalformedBlock`] when it has fewer than 80 bytes.
    pub fn header(&self) -> Result<Header, MalformedBlock> {
        Header::of(&self.bytes)
    }
}

/// A Bitcoin node. Every call is bounded in time.
#[async_trait]
pub trait NodeRpc: Send + Sync + 'static {
    /// What the node says of itself.
    async fn info(&self) -> Result<NodeInfo, RpcError>;

    /// What it publishes over ZMQ.
    async fn publications(&self) -> Result<Vec<Publication>, RpcError>;

    /// What it is set up for.
    async fn settings(&self) -> Result<NodeSettings, RpcError> {
        Ok(NodeSettings::default())
    }

    /// The hash of its tip.
    async fn best_block(&self) -> Result<BlockHash, RpcError>;

    /// The hash of the block at `height` of its best chain; nothing above its tip.
    async fn block_hash(&self, height: u32) -> Result<Option<BlockHash>, RpcError>;

    /// True when the block is in its best chain.
    async fn is_in_best_chain(&self, hash: BlockHash) -> Result<bool, RpcError>;

    /// The hashes of up to `count` blocks of its best chain from `height` on; fewer at its tip. They
    /// are read one by one: a reorganisation in between gives hashes of two chains.
    async fn block_hashes(&self, height: u32, count: u32) -> Result<Vec<BlockHash>, RpcError> {
        let mut hashes = Vec::new();
        for height in (height..).take(count as usize) {
            match self.block_hash(height).await? {
                Some(hash) => hashes.push(hash),
                None => break,
            }
        }
        Ok(hashes)
    }

    /// A block with its transactions, also a stale one if it still has it.
    async fn block(&self, hash: BlockHash) -> Result<Block, RpcError>;

    /// A block as bytes, with what it spends where the node tells that.
    ///
    /// # Errors
    /// [`RpcError::NoBlock`] when it is unknown or pruned, and what every call can meet.
    async fn raw_block(&self, hash: BlockHash) -> Result<RawBlock, RpcError> {
        let block = self.block(hash).await?;
        Ok(RawBlock {
            hash,
            bytes: serialize(&block).into(),
            spent: None,
        })
    }

    /// The mempool now.
    async fn mempool(&self) -> Result<MempoolSnapshot, RpcError>;

    /// How many transactions the mempool has now.
    async fn mempool_size(&self) -> Result<usize, RpcError>;

    /// The bodies of mempool transactions, in the order of `txids`; nothing for one that has left.
    async fn transactions(&self, txids: &[Txid]) -> Result<Vec<Option<Transaction>>, RpcError>;

    /// Which mempool transactions the mempool transaction `txid` depends on; empty when it has left.
    async fn mempool_ancestors(&self, txid: Txid) -> Result<Vec<Txid>, RpcError>;
}
