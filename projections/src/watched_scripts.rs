//! Which scripts are watched, and by whom.

use std::collections::{BTreeMap, HashMap};
use std::ops::Bound;
use std::sync::Arc;

use satpost_domain::ids::ScriptHash;
use satpost_domain::script::Script;
use satpost_domain::watchlist::WatchlistEvent;
use satpost_domain::{ClientId, Envelope, Event, Sealed, Timestamp, WatchId};
use serde::{Deserialize, Serialize};

use crate::per_client::PerClient;
use crate::projection::{Projection, SnapshotError};
use crate::snapshot::{StoredScript, from_bytes, sorted, to_bytes, to_tree};
use crate::stream_owner::client_of;

#[cfg(test)]
mod tests;

/// An address on a client's list.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct WatchedScript {
    /// The script.
    pub script: Script,
    /// Since when it is watched.
    pub watched_at: Timestamp,
}

/// The projection. The bytes of a script lie in memory once, however many maps name it.
#[derive(Debug, Default)]
pub struct WatchedScripts {
    scripts: HashMap<Arc<[u8]>, ScriptHash>,
    watched: HashMap<ScriptHash, Watched>,
    lists: HashMap<ClientId, List>,
}

#[derive(Debug)]
struct Watched {
    script: Arc<[u8]>,
    watchers: PerClient<()>,
}

/// The list of one client.
#[derive(Debug, Default)]
struct List {
    entries: BTreeMap<Arc<[u8]>, Entry>,
    by_id: BTreeMap<WatchId, Arc<[u8]>>,
}

#[derive(Debug, Clone, Copy)]
struct Entry {
    id: WatchId,
    hash: ScriptHash,
    watched_at: Timestamp,
}

impl WatchedScripts {
    /// The hash of `script` when anybody watches it. Called for every output of every
    /// transaction: constant time, no allocation.
    #[must_use]
    pub fn lookup(&self, script: &[u8]) -> Option<ScriptHash> {
        self.scripts.get(script).copied()
    }

    /// Who watches the script with this hash, by ascending id.
    pub fn watchers(&self, script: &ScriptHash) -> impl Iterator<Item = ClientId> + '_ {
        self.watched
            .get(script)
            .into_iter()
            .flat_map(|watched| watched.watchers.iter())
            .map(|(client, ())| *client)
    }

    /// Up to `max` scripts of a client after the script `after`, by ascending script.
    #[must_use]
    pub fn list(
        &self,
        client: &ClientId,
        after: Option<&Script>,
        max: usize,
    ) -> Vec<WatchedScript> {
        let Some(list) = self.lists.get(client) else {
            return Vec::new();
        };
        let from = after.map_or(Bound::Unbounded, |script| {
            Bound::Excluded(script.as_bytes())
        });
        list.entries
            .range::<[u8], _>((from, Bound::Unbounded))
            .take(max)
            .map(|(script, entry)| WatchedScript {
                script: whole_script(script),
                watched_at: entry.watched_at,
            })
            .collect()
    }

    /// True when `client` watches the script with this hash.
    #[must_use]
    pub fn watches(&self, client: &ClientId, script: &ScriptHash) -> bool {
        self.watched
            .get(script)
            .is_some_and(|watched| watched.watchers.get(client).is_some())
    }

    /// The hashes of all scripts of a client.
    #[must_use]
    pub fn hashes(&self, client: &ClientId) -> Vec<ScriptHash> {
        self.lists.get(client).map_or_else(Vec::new, |list| {
            list.entries.values().map(|entry| entry.hash).collect()
        })
    }

    /// How many scripts are watched by anybody.
    #[must_use]
    pub fn len(&self) -> usize {
        self.scripts.len()
    }

    /// True when nothing is watched.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.scripts.is_empty()
    }

    fn watch(&mut self, client: ClientId, id: WatchId, script: &Script, watched_at: Timestamp) {
        let hash = script.hash();
        let watched = self
            .watched
            .entry(hash)
            .and_modify(|watched| watched.watchers.insert(client, ()))
            .or_insert_with(|| Watched {
                script: script.as_bytes().into(),
                watchers: PerClient::One(client, ()),
            });
        let bytes = Arc::clone(&watched.script);
        self.scripts.entry(Arc::clone(&bytes)).or_insert(hash);
        let list = self.lists.entry(client).or_default();
        let entry = Entry {
            id,
            hash,
            watched_at,
        };
        list.by_id.insert(id, Arc::clone(&bytes));
        if let Some(former) = list.entries.insert(bytes, entry)
            && former.id != id
        {
            list.by_id.remove(&former.id);
        }
    }

    fn unwatch(&mut self, client: ClientId, id: WatchId) {
        let Some(list) = self.lists.get_mut(&client) else {
            return;
        };
        let Some(entry) = list
            .by_id
            .remove(&id)
            .and_then(|script| list.entries.remove(&script))
        else {
            return;
        };
        if list.entries.is_empty() {
            self.lists.remove(&client);
        }
        if let Some(watched) = self.watched.get_mut(&entry.hash)
            && let Some(((), false)) = watched.watchers.remove(&client)
        {
            self.scripts.remove(&watched.script);
            self.watched.remove(&entry.hash);
        }
    }
}

fn whole_script(bytes: &[u8]) -> Script {
    Script::new(bytes).expect("only the bytes of scripts are kept")
}

impl Projection for WatchedScripts {
    const NAME: &'static str = "watched_scripts";
    const VERSION: u32 = 1;

    fn apply(&mut self, envelope: &Envelope) {
        let Event::Watchlist(event) = &envelope.event else {
            return;
        };
        let Some(client) = client_of(&envelope.stream) else {
            return;
        };
        match event {
            WatchlistEvent::AddressWatched {
                id,
                script: Sealed::Present(script),
                at,
            } => self.watch(client, *id, script, *at),
            // Erased because it is no longer watched; its AddressUnwatched follows.
            WatchlistEvent::AddressWatched {
                script: Sealed::Erased,
                ..
            } => {}
            WatchlistEvent::AddressUnwatched { id, .. } => self.unwatch(client, *id),
        }
    }

    fn snapshot(&self) -> Vec<u8> {
        let lists: Vec<StoredList> = sorted(&self.lists)
            .into_iter()
            .map(|(client, list)| StoredList {
                client: *client,
                entries: list
                    .entries
                    .iter()
                    .map(|(script, entry)| {
                        (
                            StoredScript(whole_script(script)),
                            entry.id,
                            entry.watched_at,
                        )
                    })
                    .collect(),
            })
            .collect();
        to_bytes(&lists)
    }

    fn restore(bytes: &[u8]) -> Result<Self, SnapshotError> {
        let mut scripts = Self::default();
        for list in from_bytes::<Vec<StoredList>>(bytes)? {
            for (StoredScript(script), id, watched_at) in list.entries {
                scripts.watch(list.client, id, &script, watched_at);
            }
        }
        Ok(scripts)
    }

    fn tree(bytes: &[u8]) -> Result<serde_json::Value, SnapshotError> {
        to_tree::<Vec<StoredList>>(bytes)
    }
}

#[derive(Serialize, Deserialize)]
struct StoredList {
    client: ClientId,
    entries: Vec<(StoredScript, WatchId, Timestamp)>,
}
