//! Why a command to a chain is refused.

use crate::chain::BlockRef;
use crate::ids::BlockHash;

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
}
