//! What can happen to a watch list.

use crate::ids::WatchId;
use crate::script::Script;
use crate::sealed::Sealed;
use crate::time::Timestamp;

/// An event of one watch list.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum WatchlistEvent {
    /// A script is watched.
    AddressWatched {
        /// The id of the entry, also of its payload.
        id: WatchId,
        /// The script; erased when it is no longer watched.
        script: Sealed<Script>,
        /// When.
        at: Timestamp,
    },
    /// A script is no longer watched.
    AddressUnwatched {
        /// The id of the entry.
        id: WatchId,
        /// When.
        at: Timestamp,
    },
}
