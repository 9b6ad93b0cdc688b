//! From when on a wallet wants to know the history of a script.

use crate::limits::{BIRTHDAY_AHEAD_BLOCKS_MAX, BIRTHDAY_AHEAD_MAX};
use crate::time::Timestamp;
use crate::watchlist::WatchBounds;

/// The moment before which a script was not used. A watch without one hears only of what happens
/// after it began.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Birthday {
    /// The first block that can hold a transaction of the script.
    Height(u32),
    /// A time; the block is found by the times in the headers.
    Time(Timestamp),
}

/// A birthday that cannot be meant.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum BirthdayError {
    /// A height the chain will not reach for long.
    #[error(
        "the birthday is block {height}, the tip is block {tip}; at most {BIRTHDAY_AHEAD_BLOCKS_MAX} blocks ahead are taken"
    )]
    BeyondTip {
        /// The height given.
        height: u32,
        /// The height of the tip.
        tip: u32,
    },
    /// A time that is still to come.
    #[error("the birthday, {given}, is in the future; it is {now} now")]
    Future {
        /// The time given.
        given: Timestamp,
        /// The clock of the server.
        now: Timestamp,
    },
    /// A time before there was a chain.
    #[error("the birthday, {given}, is before the first block of the chain, {genesis}")]
    BeforeGenesis {
        /// The time given.
        given: Timestamp,
        /// The time of block 0.
        genesis: Timestamp,
    },
}

impl Birthday {
    /// Takes a birthday that the chain allows. While the tip is not known every height is taken.
    ///
    /// # Errors
    /// [`BirthdayError`].
    pub fn check(self, bounds: &WatchBounds, now: Timestamp) -> Result<(), BirthdayError> {
        match self {
            Self::Height(height) => match bounds.tip_height {
                Some(tip) if height > tip.saturating_add(BIRTHDAY_AHEAD_BLOCKS_MAX) => {
                    Err(BirthdayError::BeyondTip { height, tip })
                }
                _ => Ok(()),
            },
            Self::Time(given) if given > now.plus(BIRTHDAY_AHEAD_MAX) => {
                Err(BirthdayError::Future { given, now })
            }
            Self::Time(given) if given < bounds.genesis_at => Err(BirthdayError::BeforeGenesis {
                given,
                genesis: bounds.genesis_at,
            }),
            Self::Time(_) => Ok(()),
        }
    }
}
