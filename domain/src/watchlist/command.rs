//! What can be asked of a watch list.

use crate::ids::WatchId;
use crate::script::Script;
use crate::time::Timestamp;

/// A command to one watch list.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum WatchlistCommand {
    /// Watch these scripts; those watched already stay as they are.
    Watch {
        /// The scripts, each with the id it will have if it is new.
        scripts: Vec<(WatchId, Script)>,
        /// When.
        at: Timestamp,
    },
    /// Stop watching these scripts.
    Unwatch {
        /// The scripts; all must be watched.
        scripts: Vec<Script>,
        /// When.
        at: Timestamp,
    },
    /// Stop watching everything: the client is retired. Takes up to
    /// [`crate::limits::EVENTS_PER_COMMAND_MAX`] scripts at a time; asked again until nothing happens.
    Clear {
        /// When.
        at: Timestamp,
    },
}
