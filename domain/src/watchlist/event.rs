//! What can happen to a watch list.

use crate::ids::WatchId;
use crate::sealed::Sealed;
use crate::time::Timestamp;
use crate::watchlist::{WatchOptions, WatchTarget};

/// An event of one watch list.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum WatchlistEvent {
    /// A script is watched.
    AddressWatched {
        /// The id of the entry, also of its payload.
        id: WatchId,
        /// The script or its hash; erased when it is no longer watched.
        target: Sealed<WatchTarget>,
        /// What the client wants to hear.
        options: WatchOptions,
        /// When.
        at: Timestamp,
    },
    /// The client wants to hear something else of a script.
    WatchOptionsChanged {
        /// The id of the entry.
        id: WatchId,
        /// What it wants to hear from now on.
        options: WatchOptions,
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
