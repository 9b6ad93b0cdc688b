//! What the watcher tells the chain.

use crate::chain::{BlockRef, GapKind, HistoryCommand, OutPoint, ReplacedIn, ReplacedVia, Touch};
use crate::ids::{BlockHash, ScriptHash, Txid};
use crate::time::Timestamp;

/// A transaction that touches watched scripts, as it was seen in the mempool or in a block.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Sighting {
    /// The transaction.
    pub txid: Txid,
    /// Its place in the block; 0 in the mempool.
    pub index: u32,
    /// How it touches each watched script, at least one, by ascending script hash.
    pub touches: Vec<Touch>,
    /// The outputs it spends.
    pub inputs: Vec<OutPoint>,
}

/// Why a transaction left the mempool without a block.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum RemovalCause {
    /// Another transaction took its place.
    Replaced {
        /// The other transaction.
        by: Txid,
        /// Through which conflict.
        via: ReplacedVia,
        /// Where the other transaction is.
        replaced_in: ReplacedIn,
    },
    /// The node dropped it.
    Evicted,
}

/// A tracked mempool transaction that a block made impossible.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Conflict {
    /// The transaction that can no longer confirm.
    pub txid: Txid,
    /// The transaction in the block that spends one of its inputs, or one of an ancestor's.
    pub by: Txid,
    /// Through which conflict.
    pub via: ReplacedVia,
}

/// Somebody who watches a script wished to hear of a depth, and the block being connected makes it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct DepthWish {
    /// The transaction.
    pub txid: Txid,
    /// The script it touches.
    pub script_hash: ScriptHash,
    /// How deep it is once the block is connected.
    pub depth: u32,
}

/// A command to one chain.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ChainCommand {
    /// Begin to follow the chain at its present tip.
    Start {
        /// The hash of block 0.
        genesis: BlockHash,
        /// The tip.
        tip: BlockRef,
        /// When.
        at: Timestamp,
    },
    /// Take the block after the tip, with everything in it that concerns watched scripts.
    ConnectBlock {
        /// The block.
        block: BlockRef,
        /// The block before it; must be the tip.
        previous: BlockHash,
        /// The time in its header, in Unix seconds.
        time_secs: u32,
        /// What in it touches watched scripts, by place in the block.
        sightings: Vec<Sighting>,
        /// Which tracked mempool transactions it made impossible.
        conflicts: Vec<Conflict>,
        /// Which wished depths it makes; those that do not fit are skipped.
        depths: Vec<DepthWish>,
        /// How deep a transaction is when it is final, from 2 to
        /// [`crate::limits::FINAL_DEPTH_MAX`].
        final_depth: u32,
    },
    /// Take back the tip.
    DisconnectBlock {
        /// The block; must be the tip.
        hash: BlockHash,
    },
    /// Transactions entered the mempool.
    SeeTransactions {
        /// Which; those in the mempool already are skipped.
        sightings: Vec<Sighting>,
        /// When.
        at: Timestamp,
    },
    /// Transactions left the mempool without a block.
    RemoveTransactions {
        /// Which and why; those not in the mempool are skipped, unless they were evicted and what
        /// took their place is known now.
        removals: Vec<(Txid, RemovalCause)>,
    },
    /// Everything that is remembered was compared with the node, and nothing differed.
    NoteAudit {
        /// How many blocks were compared.
        blocks: u32,
        /// How many transactions the mempool had.
        transactions: u32,
        /// When.
        at: Timestamp,
    },
    /// Something may have been missed.
    NoteGap {
        /// What was noticed.
        kind: GapKind,
        /// When.
        at: Timestamp,
    },
    /// The log agrees with the node again; nothing happens when no gap is open.
    NoteRestored {
        /// When.
        at: Timestamp,
    },
    /// Of the back-fill: what happened before the watcher knew a script.
    History(HistoryCommand),
}
