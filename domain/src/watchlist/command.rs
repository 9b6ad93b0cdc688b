//! What can be asked of a watch list.

use crate::ids::{ScriptHash, WatchId};
use crate::limits::WATCHED_ADDRESSES_MAX;
use crate::network::Network;
use crate::time::Timestamp;
use crate::watchlist::{WatchTarget, WatchWish};

/// A script to be watched.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NewWatch {
    /// The id it will have if it is new.
    pub id: WatchId,
    /// What to look for.
    pub target: WatchTarget,
    /// What the client wants to hear of it.
    pub wish: WatchWish,
}

/// What the server allows now.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct WatchBounds {
    /// How many scripts the list may have.
    pub list_max: usize,
    /// The height of the tip, when the chain is followed.
    pub tip_height: Option<u32>,
    /// The time of block 0.
    pub genesis_at: Timestamp,
}

impl WatchBounds {
    /// The bounds of a server on `network` with its tip at `tip_height` and the usual length of a
    /// list.
    #[must_use]
    pub const fn new(network: Network, tip_height: Option<u32>) -> Self {
        Self {
            list_max: WATCHED_ADDRESSES_MAX,
            tip_height,
            genesis_at: network.genesis_at(),
        }
    }
}

/// A command to one watch list.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum WatchlistCommand {
    /// Watch these scripts, up to [`crate::limits::EVENTS_PER_COMMAND_MAX`]. Of those watched already
    /// the options change where a wish says so; a script that is named twice has the first wish.
    Watch {
        /// The scripts.
        watches: Vec<NewWatch>,
        /// What the server allows.
        bounds: WatchBounds,
        /// When.
        at: Timestamp,
    },
    /// Stop watching these scripts, up to [`crate::limits::EVENTS_PER_COMMAND_MAX`].
    Unwatch {
        /// The hashes of the scripts; all must be watched.
        scripts: Vec<ScriptHash>,
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
