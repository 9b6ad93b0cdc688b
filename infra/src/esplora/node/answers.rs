//! The fields of the node's answers that are used, by the names the node gives them.

use bitcoin::{BlockHash, TxMerkleNode, Txid};
use serde::Deserialize;

#[derive(Deserialize)]
pub(super) struct Confirmations {
    /// -1 for a stale block.
    pub(super) confirmations: i64,
}

#[derive(Deserialize)]
pub(super) struct Block {
    pub(super) height: u32,
    pub(super) version: i32,
    pub(super) previousblockhash: Option<BlockHash>,
    pub(super) merkleroot: TxMerkleNode,
    pub(super) time: u32,
    pub(super) mediantime: u32,
    pub(super) nonce: u32,
    pub(super) bits: String,
    pub(super) difficulty: f64,
    pub(super) size: u64,
    pub(super) weight: u64,
    pub(super) tx: Vec<Txid>,
}

#[derive(Deserialize)]
pub(super) struct Transaction {
    pub(super) hex: String,
    pub(super) vin: Vec<Input>,
    pub(super) blockhash: Option<BlockHash>,
}

#[derive(Deserialize)]
pub(super) struct Input {
    pub(super) prevout: Option<Output>,
}

#[derive(Deserialize)]
pub(super) struct Output {
    pub(super) value: f64,
    #[serde(rename = "scriptPubKey")]
    pub(super) script: Script,
}

#[derive(Deserialize)]
pub(super) struct Script {
    pub(super) hex: String,
}

#[derive(Deserialize)]
pub(super) struct MempoolEntry {
    pub(super) vsize: u64,
    pub(super) fees: EntryFees,
}

#[derive(Deserialize)]
pub(super) struct EntryFees {
    pub(super) base: f64,
}

#[derive(Deserialize)]
pub(super) struct MempoolInfo {
    pub(super) size: u64,
    pub(super) bytes: u64,
    pub(super) total_fee: f64,
    pub(super) mempoolminfee: f64,
}

#[derive(Deserialize)]
pub(super) struct FeeEstimate {
    pub(super) feerate: Option<f64>,
}
