//! What became of transactions that touch watched addresses.

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

/// `GET /v1/transactions?after=&limit=`: what changed after a cursor, by position of the last change.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct ListTransactionsResponse {
    /// The transactions, one entry for each watched address they touch.
    pub transactions: Vec<Transaction>,
    /// True when more follow; ask again with `after` = `cursor`.
    pub more: bool,
    /// Where the next query goes on.
    pub cursor: String,
    /// The tip of the chain the server follows; absent while it has no node.
    pub tip: Option<Block>,
    /// False while something may have been missed and is not yet made good.
    pub complete: bool,
}

/// A block.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Block {
    /// Its height.
    pub height: u32,
    /// Its hash, in display order.
    pub hash: String,
}

/// A transaction and one watched address it touches.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Transaction {
    /// The transaction id, in display order.
    pub txid: String,
    /// The address.
    pub address: String,
    /// What it pays to the address, in satoshi.
    pub received_sat: u64,
    /// What it takes from the address, in satoshi.
    pub spent_sat: u64,
    /// Where it is now: `seen`, `confirmed`, `unconfirmed`, `replaced` or `evicted`.
    pub status: TransactionStatus,
    /// How many blocks deep it is, 1 in the tip; absent when it is in no block.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub depth: Option<u32>,
    /// True when it is so deep that the server expects no reorganisation to reach it.
    #[serde(rename = "final")]
    pub is_final: bool,
    /// For the coinbase of a block: whether the next block can spend it. Absent for others.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub mature: Option<bool>,
    /// Its way so far, oldest first: where it was, and what it reached there.
    pub history: Vec<TransactionStep>,
}

/// One step of a transaction's way.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct TransactionStep {
    /// The event's position in the log.
    pub position: String,
    /// When the server recorded it.
    pub at: u64,
    /// What happened.
    #[serde(flatten)]
    pub status: TransactionStatus,
}

/// Where a transaction is, or what it has reached there.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(tag = "state", rename_all = "snake_case")]
pub enum TransactionStatus {
    /// Seen in the mempool.
    Seen,
    /// In a block.
    Confirmed {
        /// The block.
        block: Block,
    },
    /// As many blocks deep as somebody who watches the address wished. Taken back with `block`.
    DepthReached {
        /// How deep.
        depth: u32,
        /// The block that made the depth.
        block: Block,
    },
    /// A coinbase that can be spent. Taken back with `block`.
    Matured {
        /// The block before the first that can spend it.
        block: Block,
    },
    /// So deep that the server expects no reorganisation to reach it. Taken back with `block`.
    Final {
        /// The block that made the depth.
        block: Block,
    },
    /// Its block was taken back; it waits again.
    Unconfirmed {
        /// The block it was in.
        block: Block,
    },
    /// Another transaction took its place.
    Replaced {
        /// The other transaction.
        by: String,
        /// Where that one is: `mempool` or `block`.
        replaced_in: String,
    },
    /// The node dropped it.
    Evicted,
}
