//! What a client wants to hear of one script.

use crate::chain::DepthSet;
use crate::watchlist::Birthday;

/// The options of a watch as they are settled.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub struct WatchOptions {
    /// At which depths of a transaction the client is told.
    pub depths: DepthSet,
    /// From when on history is wanted; nothing when only what happens from now on is.
    pub birthday: Option<Birthday>,
}

/// The options as a client wishes them. What it does not say keeps its value, or gets the default
/// when the script is new.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
pub struct WatchWish {
    /// At which depths it wants to be told.
    pub depths: Option<DepthSet>,
    /// From when on it wants history. A birthday can be changed, but not taken back: what was
    /// read stays read.
    pub birthday: Option<Birthday>,
}

impl WatchWish {
    /// The options after this wish, from the options before it.
    #[must_use]
    pub fn applied_to(&self, before: WatchOptions) -> WatchOptions {
        WatchOptions {
            depths: self.depths.unwrap_or(before.depths),
            birthday: self.birthday.or(before.birthday),
        }
    }
}
