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

/// The data of one event of `GET /v1/events`: one step of a transaction, and one watched address the
/// transaction touches.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct TransactionChange {
    /// The transaction id, in display order.
    pub txid: String,
    /// The address.
    pub address: String,
    /// What the transaction pays to the address, in satoshi.
    pub received_sat: u64,
    /// What it takes from the address, in satoshi.
    pub spent_sat: u64,
    /// The step, as in the history of a transaction.
    #[serde(flatten)]
    pub step: TransactionStep,
}

/// `GET /v1/transactions/{txid}/proof`: that a transaction is in a block. Whoever has checked that the
/// header belongs to the chain needs to trust nobody for the rest.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct TransactionProof {
    /// The height of the block.
    pub block_height: u32,
    /// The hash of the block, in display order.
    pub block_hash: String,
    /// The header of the block, 80 bytes in hexadecimal.
    pub header: String,
    /// The hashes beside the way from the transaction to the Merkle root in the header, from the
    /// bottom, in display order.
    pub merkle: Vec<String>,
    /// The place of the transaction in the block, from 0: bit n tells on which side of the nth hash
    /// the way goes up.
    pub pos: u32,
    /// The transaction with its witness, in hexadecimal. It shows that what is proven is a
    /// transaction, and no inner node of the tree.
    pub tx: String,
}

impl TransactionStatus {
    /// Every name of [`Self::event_name`].
    pub const EVENT_NAMES: [&'static str; 8] = [
        "seen",
        "confirmed",
        "depth",
        "matured",
        "final",
        "unconfirmed",
        "replaced",
        "evicted",
    ];

    /// What the event of `GET /v1/events` is called.
    #[must_use]
    pub const fn event_name(&self) -> &'static str {
        match self {
            Self::Seen => "seen",
            Self::Confirmed { .. } => "confirmed",
            Self::DepthReached { .. } => "depth",
            Self::Matured { .. } => "matured",
            Self::Final { .. } => "final",
            Self::Unconfirmed { .. } => "unconfirmed",
            Self::Replaced { .. } => "replaced",
            Self::Evicted => "evicted",
        }
    }
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
