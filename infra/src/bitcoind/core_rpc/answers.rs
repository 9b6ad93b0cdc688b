//! The fields of the node's answers that are used, by the names the node gives them.

use satpost_domain::ids::Txid;
use serde::Deserialize;

use super::Publication;

#[derive(Deserialize)]
pub(super) struct BlockchainInfo {
    pub(super) chain: String,
    pub(super) blocks: u32,
    pub(super) headers: u32,
    pub(super) initialblockdownload: bool,
}

#[derive(Deserialize)]
pub(super) struct Pruning {
    /// The first block that is still there; there only when the node prunes.
    pub(super) pruneheight: Option<u32>,
    pub(super) pruned: bool,
}

#[derive(Deserialize)]
pub(super) struct Indexes {
    #[serde(rename = "basic block filter index")]
    pub(super) filters: Option<Index>,
}

#[derive(Deserialize)]
pub(super) struct Index {
    pub(super) best_block_height: u32,
}

#[derive(Deserialize)]
pub(super) struct NetworkInfo {
    pub(super) version: u64,
    pub(super) subversion: String,
}

#[derive(Deserialize)]
pub(super) struct BlockHeader {
    /// -1 for a stale block.
    pub(super) confirmations: i64,
}

#[derive(Deserialize)]
pub(super) struct RawMempool {
    pub(super) txids: Vec<Txid>,
    pub(super) mempool_sequence: u64,
}

#[derive(Deserialize)]
pub(super) struct MempoolInfo {
    pub(super) size: usize,
}

#[derive(Deserialize)]
pub(super) struct ZmqNotification {
    #[serde(rename = "type")]
    topic: String,
    address: String,
    hwm: u64,
}

impl From<ZmqNotification> for Publication {
    fn from(found: ZmqNotification) -> Self {
        Self {
            topic: found.topic,
            address: found.address,
            high_water_mark: found.hwm,
        }
    }
}
