//! What is true of a watch list now, and how an event changes it.

use std::collections::BTreeMap;

use crate::ids::WatchId;
use crate::script::Script;
use crate::sealed::Sealed;
use crate::watchlist::WatchlistEvent;

/// The state of one watch list; the default is empty.
///
/// An entry whose script was erased is no longer watched, so it does not appear here.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Watchlist {
    pub(super) by_script: BTreeMap<Script, WatchId>,
    pub(super) by_id: BTreeMap<WatchId, Script>,
}

impl Watchlist {
    /// How many scripts are watched.
    #[must_use]
    pub fn len(&self) -> usize {
        self.by_id.len()
    }

    /// True when nothing is watched.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.by_id.is_empty()
    }

    pub(super) fn apply(&mut self, event: &WatchlistEvent) {
        match event {
            WatchlistEvent::AddressWatched {
                id,
                script: Sealed::Present(script),
                ..
            } => {
                self.by_script.insert(script.clone(), *id);
                self.by_id.insert(*id, script.clone());
            }
            WatchlistEvent::AddressWatched {
                script: Sealed::Erased,
                ..
            } => {}
            WatchlistEvent::AddressUnwatched { id, .. } => {
                if let Some(script) = self.by_id.remove(id) {
                    self.by_script.remove(&script);
                }
            }
        }
    }
}
