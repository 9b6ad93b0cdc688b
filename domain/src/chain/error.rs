//! Why a command to a chain is refused.

use crate::chain::BlockRef;
use crate::ids::BlockHash;
use crate::limits::{BACKFILL_SCRIPTS_PER_COMMAND_MAX, EVENTS_PER_COMMAND_MAX};

/// A refusal; nothing was changed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum ChainError {
    /// The node serves another chain than the one in the log.
    #[error("the log follows the chain with genesis {known}, the node serves {given}")]
    OtherGenesis {
        /// The genesis in the log.
        known: BlockHash,
        /// The genesis of the node.
        given: BlockHash,
    },
    /// Nothing was started yet.
    #[error("the chain is not followed yet")]
    NotStarted,
    /// The block does not follow the tip.
    #[error("the block at height {height} does not follow the tip {tip}", height = block.height, tip = tip.hash)]
    DoesNotConnect {
        /// The block given.
        block: BlockRef,
        /// The tip.
        tip: BlockRef,
    },
    /// The block to take back is not the tip.
    #[error("block {hash} is not the tip")]
    NotTheTip {
        /// The block given.
        hash: BlockHash,
    },
    /// The reorganisation reaches below the oldest block that is remembered.
    #[error(
        "the reorganisation reaches below height {oldest}, the oldest block that is remembered"
    )]
    TooDeep {
        /// The height of the oldest remembered block.
        oldest: u32,
    },
    /// No back-fill has begun.
    #[error("no back-fill is running")]
    NoBackfill,
    /// A back-fill has read blocks already, or another range.
    #[error("a back-fill is running and has read up to height {next}")]
    BackfillRuns {
        /// The height of the next block it reads.
        next: u32,
    },
    /// A back-fill begins with no scripts, or with too many at once.
    #[error(
        "a back-fill begins with 1 to {BACKFILL_SCRIPTS_PER_COMMAND_MAX} scripts at a time, got {actual}"
    )]
    BackfillScripts {
        /// How many were given.
        actual: usize,
    },
    /// More was found than one append holds.
    #[error("a back-fill records up to {EVENTS_PER_COMMAND_MAX} events at a time, got {actual}")]
    BackfillEvents {
        /// How many there were.
        actual: usize,
    },
    /// A block of the past does not come in the order of heights.
    #[error("the back-fill goes on with height {next}, not with {height}", height = block.height)]
    BackfillOrder {
        /// The block given.
        block: BlockRef,
        /// The height of the next block to read.
        next: u32,
    },
    /// The chain in the log has another block at this height, or none.
    #[error("block {hash} is not at height {height} of the chain", hash = block.hash, height = block.height)]
    NotInChain {
        /// The block given.
        block: BlockRef,
    },
}
