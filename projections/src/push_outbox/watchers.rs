//! Who is to be woken for which script, in as little memory as there is: millions of scripts are
//! watched, and few of them ever trigger anything.
//!
//! A script is known by the first 8 bytes of its hash. Two scripts that share them trigger each other's
//! watchers, which is one wake-up too many; finding a script for the bytes of a given one takes 2⁶⁴
//! attempts. The numbers of triggers are kept only for scripts that were one. A script takes about 25
//! bytes: its 8 bytes in the list of its client, and a place in an index of lists and numbers.

use std::collections::HashMap;
use std::hash::{BuildHasher as _, RandomState};

use hashbrown::HashTable;
use satpost_domain::ids::ScriptHash;
use satpost_domain::{ClientId, WatchId};

use crate::client_slots::ClientSlots;
use crate::id_list::IdList;

/// How many tables the index is cut into. They grow one at a time, so that no growth holds a reader
/// up for long.
const SHARDS: usize = 256;

/// The first bytes of the hash of a script.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(super) struct ScriptPrefix(pub(super) [u8; 8]);

impl From<&ScriptHash> for ScriptPrefix {
    fn from(script: &ScriptHash) -> Self {
        let mut prefix = [0; 8];
        prefix.copy_from_slice(&script.as_bytes()[..8]);
        Self(prefix)
    }
}

/// A place in a list.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
struct Place {
    list: u32,
    number: u32,
}

/// What one client watches.
#[derive(Debug)]
struct List {
    client: ClientId,
    scripts: IdList<ScriptPrefix, ()>,
}

/// All lists.
#[derive(Debug, Default)]
pub(super) struct Watchers {
    /// An empty list is dropped.
    lists: ClientSlots<List>,
    /// Where each script stands in lists. None as long as nothing was inserted.
    shards: Vec<HashTable<Place>>,
    /// The last trigger of each entry that was one.
    triggers: HashMap<Place, u64>,
    key: RandomState,
}

impl Watchers {
    pub(super) fn watch(
        &mut self,
        client: ClientId,
        id: WatchId,
        script: ScriptPrefix,
        trigger: u64,
    ) {
        let list = self.lists.find_or_add(client, || List {
            client,
            scripts: IdList::new(),
        });
        let found = self.lists.at_mut(list);
        let number = found.scripts.next_number(id, &());
        found.scripts.push(&self.key, id, script, ());
        let place = Place { list, number };
        self.index(script, place);
        if trigger > 0 {
            self.triggers.insert(place, trigger);
        }
    }

    /// Takes an entry out, and gives back the last trigger that it was; nothing when there is no such
    /// entry.
    pub(super) fn unwatch(&mut self, client: &ClientId, id: WatchId) -> Option<u64> {
        let list = self.lists.find(client)?;
        let (number, script) = self.lists.at(list).scripts.find(&self.key, id)?;
        let place = Place { list, number };
        self.unindex(script, place);
        let trigger = self.triggers.remove(&place).unwrap_or(0);
        let found = self.lists.at_mut(list);
        found.scripts.forget(number);
        if found.scripts.len() == 0 {
            self.lists.remove(client);
        } else if let Some(moved) = found.scripts.close_gaps(&self.key, |_, _| ()) {
            for (script, from, to) in moved {
                self.renumber(script, Place { list, number: from }, to);
            }
        }
        Some(trigger)
    }

    /// Takes everything of a client out.
    pub(super) fn forget(&mut self, client: &ClientId) {
        let Some(list) = self.lists.find(client) else {
            return;
        };
        let entries: Vec<_> = self.lists.at(list).scripts.entries().collect();
        for (number, script) in entries {
            let place = Place { list, number };
            self.unindex(script, place);
            self.triggers.remove(&place);
        }
        self.lists.remove(client);
    }

    /// A transaction that touches `script` is a trigger. Gives back for whom.
    pub(super) fn touch(&mut self, script: ScriptPrefix, trigger: u64) -> Vec<ClientId> {
        let hash = self.key.hash_one(script);
        let Some(shard) = self.shards.get(shard_of(hash)) else {
            return Vec::new();
        };
        let places: Vec<Place> = shard
            .iter_hash(hash)
            .filter(|place| self.script_at(**place) == Some(script))
            .copied()
            .collect();
        let mut clients: Vec<_> = places
            .iter()
            .map(|place| self.lists.at(place.list).client)
            .collect();
        clients.sort_unstable();
        clients.dedup();
        self.triggers
            .extend(places.into_iter().map(|place| (place, trigger)));
        clients
    }

    /// The last trigger of any script that `client` watches; 0 when there was none.
    pub(super) fn last_trigger(&self, client: &ClientId) -> u64 {
        let entries = self.entries(client).map(|(.., trigger)| trigger);
        entries.max().unwrap_or(0)
    }

    /// Who watches anything, by ascending id.
    pub(super) fn clients(&self) -> Vec<ClientId> {
        let mut clients: Vec<_> = self.lists.clients().copied().collect();
        clients.sort_unstable();
        clients
    }

    /// What `client` watches, in the order in which it was watched, each with its last trigger.
    pub(super) fn entries(
        &self,
        client: &ClientId,
    ) -> impl Iterator<Item = (WatchId, ScriptPrefix, u64)> + '_ {
        let list = self.lists.find(client);
        list.into_iter().flat_map(move |list| {
            let scripts = &self.lists.at(list).scripts;
            scripts.entries().map(move |(number, script)| {
                let trigger = self.triggers.get(&Place { list, number });
                (scripts.id(number), script, trigger.copied().unwrap_or(0))
            })
        })
    }

    /// How many bytes of memory it holds on to.
    pub(super) fn memory_bytes(&self) -> usize {
        let lists = self.lists.iter();
        let lists: usize = lists
            .map(|list| size_of::<List>() + list.scripts.memory_bytes())
            .sum();
        let shards: usize = self.shards.iter().map(HashTable::allocation_size).sum();
        lists
            + shards
            + self.lists.memory_bytes()
            + self.shards.capacity() * size_of::<HashTable<Place>>()
            + self.triggers.capacity() * (size_of::<(Place, u64)>() + 1)
    }

    fn script_at(&self, place: Place) -> Option<ScriptPrefix> {
        self.lists.at(place.list).scripts.get(place.number)
    }

    fn index(&mut self, script: ScriptPrefix, place: Place) {
        if self.shards.is_empty() {
            self.shards.resize_with(SHARDS, HashTable::new);
        }
        let hash = self.key.hash_one(script);
        let (lists, key) = (&self.lists, &self.key);
        self.shards[shard_of(hash)].insert_unique(hash, place, |place| {
            let script = lists.at(place.list).scripts.get(place.number);
            key.hash_one(script.expect("what goes leaves the index first"))
        });
    }

    fn unindex(&mut self, script: ScriptPrefix, place: Place) {
        let hash = self.key.hash_one(script);
        let shard = &mut self.shards[shard_of(hash)];
        if let Ok(found) = shard.find_entry(hash, |known| *known == place) {
            found.remove();
        }
    }

    fn renumber(&mut self, script: ScriptPrefix, from: Place, to: u32) {
        let hash = self.key.hash_one(script);
        let shard = &mut self.shards[shard_of(hash)];
        // Numbers only fall, in their order: no other entry of the list has this number any more.
        if let Some(place) = shard.find_mut(hash, |known| *known == from) {
            place.number = to;
        }
        let to = Place { number: to, ..from };
        if let Some(trigger) = self.triggers.remove(&from) {
            self.triggers.insert(to, trigger);
        }
    }
}

/// The upper bits choose a shard; a table uses the 7 highest for its fingerprints and the lower ones
/// for places.
const fn shard_of(hash: u64) -> usize {
    (hash >> 40) as usize % SHARDS
}

#[cfg(test)]
mod tests;
