//! What is true of a watch list now, and how an event changes it.

use std::collections::BTreeMap;

use crate::ids::{ScriptHash, WatchId};
use crate::sealed::Sealed;
use crate::watchlist::{WatchOptions, WatchlistEvent};

/// The state of one watch list; the default is empty.
///
/// An entry whose script was erased is no longer watched, so it does not appear here. Scripts are
/// known by their hashes: the rules need no more, and a list can be long.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Watchlist {
    pub(super) by_script: BTreeMap<ScriptHash, Entry>,
    pub(super) by_id: BTreeMap<WatchId, ScriptHash>,
}

/// A script on the list.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Entry {
    pub(super) id: WatchId,
    pub(super) options: WatchOptions,
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

    /// The options of a script, when it is watched.
    #[must_use]
    pub fn options(&self, script: &ScriptHash) -> Option<WatchOptions> {
        Some(self.by_script.get(script)?.options)
    }

    pub(super) fn apply(&mut self, event: &WatchlistEvent) {
        match *event {
            WatchlistEvent::AddressWatched {
                id,
                target: Sealed::Present(ref target),
                options,
                ..
            } => {
                let script = target.hash();
                self.by_script.insert(script, Entry { id, options });
                self.by_id.insert(id, script);
            }
            WatchlistEvent::AddressWatched {
                target: Sealed::Erased,
                ..
            } => {}
            WatchlistEvent::WatchOptionsChanged { id, options, .. } => {
                let script = self.by_id.get(&id);
                if let Some(entry) = script.and_then(|script| self.by_script.get_mut(script)) {
                    entry.options = options;
                }
            }
            WatchlistEvent::AddressUnwatched { id, .. } => {
                if let Some(script) = self.by_id.remove(&id) {
                    self.by_script.remove(&script);
                }
            }
        }
    }
}
