//! What can happen to a back-fill.

use crate::chain::{BlockRef, OutPoint, Touch};
use crate::ids::{ScriptHash, Txid};
use crate::time::Timestamp;

/// An event of the back-fill of one chain.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum HistoryEvent {
    /// A back-fill begins for these scripts; several in a row are one back-fill.
    BackfillStarted {
        /// The scripts.
        scripts: Vec<ScriptHash>,
        /// From which height history was asked for.
        wanted: u32,
        /// The earliest birthday, in Unix seconds, that `wanted` satisfies.
        wanted_time_secs: u64,
        /// The height of the first block that is read.
        from: u32,
        /// When.
        at: Timestamp,
    },
    /// A coin from below the first block that is read; what made it is not known.
    CoinFound {
        /// The script it pays to.
        script_hash: ScriptHash,
        /// Where it is.
        outpoint: OutPoint,
        /// Its value, in satoshi.
        value_sat: u64,
        /// The height of its block.
        height: u32,
        /// True when a coinbase made it.
        coinbase: bool,
    },
    /// A coin from below the first block that is read is spent, and by none of the blocks that were
    /// read: what spent it is not known.
    CoinGone {
        /// The script it paid to.
        script_hash: ScriptHash,
        /// Where it was.
        outpoint: OutPoint,
    },
    /// A transaction was recorded before all the coins it spends were known; this is what it does
    /// to the script. It did not move.
    TransactionAmended {
        /// The transaction.
        txid: Txid,
        /// How it touches the script.
        touch: Touch,
        /// The outputs it spends.
        inputs: Vec<OutPoint>,
    },
    /// All blocks from the first one up to this one have been read. Stands last in the append that
    /// holds what was found in them.
    BackfillAdvanced {
        /// The last of them.
        through: BlockRef,
    },
    /// The node has no blocks below this height any more; history begins here.
    BackfillRaised {
        /// The height.
        from: u32,
    },
    /// The scripts of the back-fill have their history, and the watcher goes on from there.
    BackfillCompleted {
        /// The height of the first block that was read.
        from: u32,
        /// The last block that was read.
        through: BlockRef,
        /// When.
        at: Timestamp,
    },
}
