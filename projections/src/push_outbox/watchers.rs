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
    /// By their places; an empty list is dropped and its place used again.
    lists: Vec<Option<Box<List>>>,
    free: Vec<u32>,
    by_client: HashMap<ClientId, u32>,
    /// Where each script stands in lists. None as long as nothing was inserted.
    shards: Vec<HashTable<Place>>,
    /// The last trigger of each entry that was one.
    triggers: HashMap<Place, u64>,
    key: RandomState,
}

const GONE: &str = "a list is dropped together with its last entry";

impl Watchers {
    pub(super) fn watch(
        &mut self,
        client: ClientId,
        id: WatchId,
        script: ScriptPrefix,
        trigger: u64,
    ) {
        let list = self.find_or_add(client);
        let found = self.lists[list as usize].as_deref_mut().expect(GONE);
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
        let list = *self.by_client.get(client)?;
        let (number, script) = self.at(list).scripts.find(&self.key, id)?;
        let place = Place { list, number };
        self.unindex(script, place);
        let trigger = self.triggers.remove(&place).unwrap_or(0);
        let found = self.lists[list as usize].as_deref_mut().expect(GONE);
        found.scripts.forget(number);
        if found.scripts.len() == 0 {
            self.drop_list(list);
        } else if let Some(moved) = found.scripts.close_gaps(&self.key, |_, _| ()) {
            for (script, from, to) in moved {
                self.renumber(script, Place { list, number: from }, to);
            }
        }
        Some(trigger)
    }

    /// Takes everything of a client out.
    pub(super) fn forget(&mut self, client: &ClientId) {
        let Some(list) = self.by_client.get(client).copied() else {
            return;
        };
        let entries: Vec<_> = self.at(list).scripts.entries().collect();
        for (number, script) in entries {
            let place = Place { list, number };
            self.unindex(script, place);
            self.triggers.remove(&place);
        }
        self.drop_list(list);
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
            .map(|place| self.at(place.list).client)
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
        let mut clients: Vec<_> = self.by_client.keys().copied().collect();
        clients.sort_unstable();
        clients
    }

    /// What `client` watches, in the order in which it was watched, each with its last trigger.
    pub(super) fn entries(
        &self,
        client: &ClientId,
    ) -> impl Iterator<Item = (WatchId, ScriptPrefix, u64)> + '_ {
        let list = self.by_client.get(client).copied();
        list.into_iter().flat_map(move |list| {
            let scripts = &self.at(list).scripts;
            scripts.entries().map(move |(number, script)| {
                let trigger = self.triggers.get(&Place { list, number });
                (scripts.id(number), script, trigger.copied().unwrap_or(0))
            })
        })
    }

    /// How many bytes of memory it holds on to.
    pub(super) fn memory_bytes(&self) -> usize {
        let lists = self.lists.iter().flatten();
        let lists: usize = lists
            .map(|list| size_of::<List>() + list.scripts.memory_bytes())
            .sum();
        let shards: usize = self.shards.iter().map(HashTable::allocation_size).sum();
        lists
            + shards
            + self.lists.capacity() * size_of::<usize>()
            + self.shards.capacity() * size_of::<HashTable<Place>>()
            + self.by_client.capacity() * (size_of::<(ClientId, u32)>() + 1)
            + self.triggers.capacity() * (size_of::<(Place, u64)>() + 1)
    }

    fn at(&self, list: u32) -> &List {
        self.lists[list as usize].as_deref().expect(GONE)
    }

    fn find_or_add(&mut self, client: ClientId) -> u32 {
        if let Some(list) = self.by_client.get(&client) {
            return *list;
        }
        let added = Some(Box::new(List {
            client,
            scripts: IdList::new(),
        }));
        let list = match self.free.pop() {
            Some(list) => {
                self.lists[list as usize] = added;
                list
            }
            None => {
                self.lists.push(added);
                u32::try_from(self.lists.len() - 1).expect("there are fewer than 2^32 clients")
            }
        };
        self.by_client.insert(client, list);
        list
    }

    fn drop_list(&mut self, list: u32) {
        let client = self.at(list).client;
        self.by_client.remove(&client);
        self.lists[list as usize] = None;
        self.free.push(list);
    }

    fn script_at(&self, place: Place) -> Option<ScriptPrefix> {
        self.at(place.list).scripts.get(place.number)
    }

    fn index(&mut self, script: ScriptPrefix, place: Place) {
        if self.shards.is_empty() {
            self.shards.resize_with(SHARDS, HashTable::new);
        }
        let hash = self.key.hash_one(script);
        let (lists, key) = (&self.lists, &self.key);
        self.shards[shard_of(hash)].insert_unique(hash, place, |place| {
            let list = lists[place.list as usize].as_deref().expect(GONE);
            let script = list.scripts.get(place.number);
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
