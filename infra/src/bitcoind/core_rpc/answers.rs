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
