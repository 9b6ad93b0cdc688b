//! Why a command to a watch list is refused.

use crate::limits::EVENTS_PER_COMMAND_MAX;
use crate::watchlist::BirthdayError;

/// A refusal; nothing was changed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum WatchlistError {
    /// Too many addresses would be watched.
    #[error(
        "a client watches at most {max} addresses; {watched} are watched and {added} would be added"
    )]
    Full {
        /// How many are watched.
        watched: usize,
        /// How many would be added.
        added: usize,
        /// How many this server allows.
        max: usize,
    },
    /// Too many addresses in one command, or none.
    #[error("a command names 1 to {EVENTS_PER_COMMAND_MAX} addresses, got {actual}")]
    Count {
        /// How many were named.
        actual: usize,
    },
    /// An address is not on the list.
    #[error("an address of the request is not watched")]
    NotWatched,
    /// A birthday cannot be meant.
    #[error(transparent)]
    Birthday(#[from] BirthdayError),
}
