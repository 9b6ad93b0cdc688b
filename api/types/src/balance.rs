//! What watched addresses have, and how far back that is known.

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use crate::addresses::{Birthday, WatchEntry};
use crate::transactions::Block;

/// How far back the history of what was asked about is known.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Completeness {
    /// True when every address has its history since its birthday, and nothing may have been
    /// missed. An address without a birthday never has: its past was not asked for.
    pub complete: bool,
    /// From which block on every address is known, when each has been asked for; the node may
    /// have no older blocks.
    pub history_from: Option<u32>,
    /// The back-fill that runs now, for this client or others.
    pub backfill: Option<Backfill>,
}

/// A back-fill that runs.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Backfill {
    /// The height of the first block that it reads.
    pub from: u32,
    /// The height up to which it has read; absent before the first block.
    pub through: Option<u32>,
    /// The height up to which it reads.
    pub target: u32,
}

/// `GET /v1/balance?script_hash=`, in satoshi. When every mempool transaction confirms, the client
/// has `confirmed_sat + immature_sat + incoming_sat - outgoing_sat`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct BalanceResponse {
    /// The block as of which this holds, with the mempool on top; absent while the server has no
    /// node.
    pub as_of: Option<Block>,
    /// In blocks and unspent in blocks, without immature coinbases.
    pub confirmed_sat: u64,
    /// From coinbases that are not deep enough to be spent.
    pub immature_sat: u64,
    /// What mempool transactions pay to the addresses.
    pub incoming_sat: u64,
    /// What mempool transactions take from them.
    pub outgoing_sat: u64,
    /// Whether this is everything.
    #[serde(flatten)]
    pub completeness: Completeness,
}

/// `GET /v1/utxos?after=&limit=`: the coins that no block has spent.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct ListUtxosResponse {
    /// The block as of which this page holds; a page of another block may overlap or leave out.
    pub as_of: Option<Block>,
    /// The coins.
    pub utxos: Vec<Utxo>,
    /// True when more follow; ask again with `after` = `cursor`.
    pub more: bool,
    /// Where the next page begins; absent when this one is empty.
    pub cursor: Option<String>,
    /// Whether this is everything.
    #[serde(flatten)]
    pub completeness: Completeness,
}

/// A coin.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Utxo {
    /// The transaction that made it, in display order.
    pub txid: String,
    /// The index of the output.
    pub vout: u32,
    /// SHA-256 of the script it pays to, not reversed.
    pub script_hash: String,
    /// Its value, in satoshi.
    pub value_sat: u64,
    /// The height of its block; absent while it is in the mempool.
    pub height: Option<u32>,
    /// False for a coinbase that is not deep enough to be spent.
    pub mature: bool,
    /// The mempool transaction that spends it.
    pub spent_by: Option<String>,
}

/// `POST /v1/addresses/rescan`: 1 to 100 addresses that are watched.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct RescanAddressesRequest {
    /// Whose history is wanted.
    pub addresses: Vec<WatchEntry>,
    /// From when on.
    pub birthday: Birthday,
}

/// Whether the history of the addresses of a rescan is known.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct RescanAddressesResponse {
    /// Of how many the birthday changed.
    pub changed: usize,
    /// How far back they are known; asking again shows the progress.
    #[serde(flatten)]
    pub completeness: Completeness,
}
