//! What the back-fill tells the chain.

use crate::chain::{BlockRef, Coin, OutPoint, Sighting};
use crate::ids::ScriptHash;
use crate::time::Timestamp;

/// A block of the past with what of it concerns the scripts of the back-fill.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct HistoricBlock {
    /// The block.
    pub block: BlockRef,
    /// What in it touches the scripts, by place in the block.
    pub sightings: Vec<Sighting>,
    /// Transactions that were recorded in this block before and take more than was recorded then.
    pub amended: Vec<Sighting>,
}

/// A command about the history of scripts.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum HistoryCommand {
    /// Begin a back-fill, or add scripts to the one that has read nothing yet.
    Start {
        /// The scripts, 1 to [`crate::limits::BACKFILL_SCRIPTS_PER_COMMAND_MAX`].
        scripts: Vec<ScriptHash>,
        /// From which height history was asked for.
        wanted: u32,
        /// The earliest birthday, in Unix seconds, that `wanted` satisfies.
        wanted_time_secs: u64,
        /// The height of the first block that is read; above `wanted` when the node has no older
        /// blocks any more.
        from: u32,
        /// When.
        at: Timestamp,
    },
    /// Coins from below the first block that is read, as the node's set of unspent outputs has
    /// them. Those that are known are skipped.
    FindCoins {
        /// Each with its place, the height of its block, and whether a coinbase made it.
        coins: Vec<(OutPoint, Coin, u32, bool)>,
    },
    /// Coins that the node has spent as of `tip`, while the log, which has read every block from the
    /// first one up to it, has not: a block spent them that nobody can read any more. Those that are
    /// not known are skipped.
    DropCoins {
        /// Each with its script.
        coins: Vec<(ScriptHash, OutPoint)>,
        /// The tip, of the node and of the log.
        tip: BlockRef,
    },
    /// What was found in blocks after the cursor.
    Record {
        /// The blocks with anything in them, by ascending height; all others have nothing.
        blocks: Vec<HistoricBlock>,
        /// The last block that is now read whole; nothing when the last one is recorded in parts.
        through: Option<BlockRef>,
    },
    /// The node has no blocks below `from` any more; what was read of them stands.
    Raise {
        /// The height of the first block it has.
        from: u32,
    },
    /// Everything up to `through`, which has been read, is recorded.
    Complete {
        /// The last block that was read.
        through: BlockRef,
        /// When.
        at: Timestamp,
    },
}
