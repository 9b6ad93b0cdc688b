//! What the back-fill asks of the node beside the watcher's questions.

use async_trait::async_trait;
use satpost_domain::chain::{BlockRef, OutPoint};
use satpost_domain::ids::Txid;
use satpost_domain::script::Script;

use crate::bitcoind::rpc::{NodeRpc, RpcError};

/// An entry of the node's set of unspent outputs.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct UnspentOutput {
    /// Where it is.
    pub outpoint: OutPoint,
    /// The script it pays to.
    pub script: Script,
    /// Its value, in satoshi.
    pub value_sat: u64,
    /// The height of its block.
    pub height: u32,
    /// True when a coinbase made it.
    pub coinbase: bool,
}

/// A node that is asked about the past.
#[async_trait]
pub trait HistoryRpc: NodeRpc {
    /// The median of the times of the block at `height` and the ten before it, in Unix seconds,
    /// which never decreases; nothing above the tip.
    async fn median_time_secs(&self, height: u32) -> Result<Option<u64>, RpcError>;

    /// The height of the first block that it has whole; above 0 when it is pruned.
    async fn lowest_block(&self) -> Result<u32, RpcError>;

    /// Up to which height its block filters (BIP 158) reach; nothing when it has none.
    async fn filters_through(&self) -> Result<Option<u32>, RpcError>;

    /// The blocks from `from` to `to` that may touch one of `scripts`, by its block filters.
    async fn blocks_touching(
        &self,
        scripts: &[Script],
        from: u32,
        to: u32,
    ) -> Result<Vec<BlockRef>, RpcError>;

    /// The unspent outputs that pay to one of `scripts`. Walks over all of them, which takes
    /// minutes on the main network.
    async fn unspent_outputs(&self, scripts: &[Script]) -> Result<Vec<UnspentOutput>, RpcError>;

    /// Of each of `outpoints`, in their order, whether it is among the unspent outputs. They are asked
    /// for one by one: a block in between gives answers of two moments.
    async fn are_unspent(&self, outpoints: &[OutPoint]) -> Result<Vec<bool>, RpcError>;

    /// The mempool transactions that spend one of `outpoints`.
    async fn mempool_spenders(&self, outpoints: &[OutPoint]) -> Result<Vec<Txid>, RpcError>;
}
