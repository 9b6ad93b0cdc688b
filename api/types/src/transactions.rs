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
    /// Where it is now.
    pub status: TransactionStatus,
    /// Its way so far, oldest first; the last one equals `status`.
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

/// Where a transaction is.
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
