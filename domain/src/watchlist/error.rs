//! Why a command to a watch list is refused.

use crate::limits::{ADDRESSES_PER_REQUEST_MAX, WATCHED_ADDRESSES_MAX};

/// A refusal; nothing was changed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum WatchlistError {
    /// Too many addresses would be watched.
    #[error(
        "a client watches at most {WATCHED_ADDRESSES_MAX} addresses; {watched} are watched and {added} would be added"
    )]
    Full {
        /// How many are watched.
        watched: usize,
        /// How many would be added.
        added: usize,
    },
    /// Too many addresses in one command, or none.
    #[error("a request names 1 to {ADDRESSES_PER_REQUEST_MAX} addresses, got {actual}")]
    Count {
        /// How many were named.
        actual: usize,
    },
    /// An address is not on the list.
    #[error("an address of the request is not watched")]
    NotWatched,
}
