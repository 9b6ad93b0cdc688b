//! Which scripts are watched, by whom, and what each client wants to hear of them.
//!
//! A script takes about 60 bytes: its bytes and two places in hash tables (see
//! [`crate::script_table`]), and its place in the list of the client that watches it. What entries of
//! one request have in common is kept once.

use std::collections::{BTreeSet, BinaryHeap, HashMap};

use satpost_domain::chain::{ChainEvent, HistoryEvent};
use satpost_domain::ids::ScriptHash;
use satpost_domain::watchlist::{Birthday, WatchOptions, WatchTarget, WatchlistEvent};
use satpost_domain::{ClientId, Envelope, Event, Sealed, Timestamp, WatchId};

use crate::projection::{Projection, SnapshotError};
use crate::script_table::{ScriptBytes, ScriptTable, Slot};
use crate::stream_owner::client_of;

mod client_list;
mod lists;
mod stored;
#[cfg(test)]
mod tests;

use client_list::Terms;
use lists::{Lists, Owner};

/// An entry of a client's list.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct WatchedScript {
    /// The script, or its hash.
    pub target: WatchTarget,
    /// What the client wants to hear.
    pub options: WatchOptions,
    /// Since when it is watched.
    pub watched_at: Timestamp,
}

/// A client that wants to know what happened to a script before it was watched.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct HistoryWish {
    /// The client.
    pub client: ClientId,
    /// The script.
    pub script: ScriptHash,
    /// From when on.
    pub birthday: Birthday,
    /// How many back-fills had begun when the watch did. Each may have passed over the script, and
    /// blocks may have been matched without it; a later one leaves nothing out.
    pub passes_before: u32,
}

/// The projection.
#[derive(Debug, Default)]
pub struct WatchedScripts {
    /// Each with its first watcher.
    scripts: ScriptTable<Owner>,
    /// The further watchers of scripts that have some.
    shared: HashMap<Slot, Vec<Owner>>,
    lists: Lists,
    /// Every depth that was wished for any script, also long ago: at most one for each depth.
    depths_wished: BTreeSet<u32>,
    /// How many back-fills have begun.
    passes: u32,
    /// True while the last of them is not complete.
    is_reading: bool,
}

impl WatchedScripts {
    /// The hash of `script` when anybody watches it. Called for every output of every
    /// transaction: constant time, no allocation.
    #[must_use]
    pub fn lookup(&self, script: &[u8]) -> Option<ScriptHash> {
        self.scripts.lookup(script)
    }

    /// True when anybody watches the script with this hash.
    #[must_use]
    pub fn is_watched(&self, script: &ScriptHash) -> bool {
        self.scripts.find_hash(script).next().is_some()
    }

    /// What is watched under this hash: the script, its hash alone, or both.
    #[must_use]
    pub fn targets(&self, script: &ScriptHash) -> Vec<WatchTarget> {
        let slots = self.scripts.find_hash(script);
        slots.map(|slot| self.scripts.target(slot)).collect()
    }

    /// Who watches the script with this hash, by ascending id.
    pub fn watchers(&self, script: &ScriptHash) -> impl Iterator<Item = ClientId> + use<> {
        let mut clients: Vec<_> = self
            .owners(script)
            .map(|owner| self.lists.get(owner).client())
            .collect();
        clients.sort_unstable();
        clients.dedup();
        clients.into_iter()
    }

    /// True when any watcher wants to hear that a transaction that touches this script is so deep.
    #[must_use]
    pub fn is_depth_wished(&self, script: &ScriptHash, depth: u32) -> bool {
        self.owners(script).any(|owner| {
            let options = self.lists.get(owner).options(owner.number);
            options.depths.contains(depth)
        })
    }

    /// Every depth at which somebody may want to hear of some transaction, ascending; those of
    /// watchers who have gone are among them.
    pub fn depths_wished(&self) -> impl Iterator<Item = u32> + '_ {
        self.depths_wished.iter().copied()
    }

    /// What `client` wants to hear of the script with this hash, when it watches it.
    #[must_use]
    pub fn options(&self, client: &ClientId, script: &ScriptHash) -> Option<WatchOptions> {
        let list = self.lists.find(client)?;
        let mut owners = self.owners(script);
        let owner = owners.find(|owner| owner.list == list)?;
        Some(self.lists.get(owner).options(owner.number))
    }

    /// From when on `client` wants the history of a script, and how many back-fills had begun when it
    /// began to watch it; nothing when it wants no history.
    #[must_use]
    pub fn birthday(&self, client: &ClientId, script: &ScriptHash) -> Option<(Birthday, u32)> {
        let list = self.lists.find(client)?;
        let owner = self.owners(script).find(|owner| owner.list == list)?;
        let list = self.lists.get(owner);
        let birthday = list.options(owner.number).birthday?;
        Some((birthday, list.terms(owner.number).passes_before))
    }

    /// True when `client` watches the script with this hash.
    #[must_use]
    pub fn watches(&self, client: &ClientId, script: &ScriptHash) -> bool {
        self.options(client, script).is_some()
    }

    /// Every watch with a birthday, whether its history was read already or not. Costs a look at
    /// every list, and nothing for entries without a birthday.
    pub fn wishes(&self) -> impl Iterator<Item = HistoryWish> + '_ {
        self.lists.iter().flat_map(|list| {
            list.born()
                .map(|(slot, birthday, passes_before)| HistoryWish {
                    client: list.client(),
                    script: self.scripts.hash(slot),
                    birthday,
                    passes_before,
                })
        })
    }

    /// Up to `max` entries of a client after `after`, scripts before hashes, each by ascending
    /// bytes. Costs a look at every entry of the list.
    #[must_use]
    pub fn list(
        &self,
        client: &ClientId,
        after: Option<&WatchTarget>,
        max: usize,
    ) -> Vec<WatchedScript> {
        let Some(list) = self.lists.find(client).map(|list| self.lists.at(list)) else {
            return Vec::new();
        };
        let after = after.map(place_of_target);
        let mut first = BinaryHeap::with_capacity(max.min(list.len()) + 1);
        for (number, slot) in list.entries() {
            let place = self.place(slot);
            let too_late =
                first.len() == max && first.peek().is_none_or(|(last, _, _)| place >= *last);
            if too_late || after.is_some_and(|after| place <= after) {
                continue;
            }
            first.push((place, number, slot));
            if first.len() > max {
                first.pop();
            }
        }
        first
            .into_sorted_vec()
            .into_iter()
            .map(|(_, number, slot)| WatchedScript {
                target: self.scripts.target(slot),
                options: list.options(number),
                watched_at: list.terms(number).watched_at,
            })
            .collect()
    }

    /// The hashes of all scripts of a client, in the order in which they were watched.
    #[must_use]
    pub fn hashes(&self, client: &ClientId) -> Vec<ScriptHash> {
        self.lists.find(client).map_or_else(Vec::new, |list| {
            let entries = self.lists.at(list).entries();
            entries.map(|(_, slot)| self.scripts.hash(slot)).collect()
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

    /// How many bytes of memory it holds on to.
    #[must_use]
    pub fn memory_bytes(&self) -> usize {
        let shared: usize = self
            .shared
            .values()
            .map(|owners| owners.capacity() * size_of::<Owner>())
            .sum();
        let shared_map = self.shared.capacity() * size_of::<(Slot, Vec<Owner>)>();
        self.scripts.memory_bytes() + shared + shared_map + self.lists.memory_bytes()
    }

    fn owners(&self, script: &ScriptHash) -> impl Iterator<Item = Owner> + '_ {
        self.scripts.find_hash(script).flat_map(|slot| {
            let further = self.shared.get(&slot).into_iter().flatten().copied();
            std::iter::once(self.scripts.value(slot)).chain(further)
        })
    }

    /// What a list is ordered by.
    fn place(&self, slot: Slot) -> (bool, ScriptBytes) {
        match self.scripts.script(slot) {
            Some(script) => (false, script),
            None => (
                true,
                ScriptBytes::from(self.scripts.hash(slot).as_bytes().as_slice()),
            ),
        }
    }

    fn watch(&mut self, client: ClientId, id: WatchId, target: &WatchTarget, terms: Terms) {
        self.depths_wished.extend(terms.options.depths.iter());
        let list = self.lists.find_or_add(client);
        let number = self.lists.at(list).next_number(id, &terms);
        let owner = Owner { list, number };
        let before = self.scripts.len();
        let (slot, first) = self.scripts.insert(target, owner);
        let first = *first;
        if self.scripts.len() == before {
            self.add_watcher(slot, first, owner);
        }
        self.lists.push(list, id, slot, terms);
    }

    /// Adds a watcher to a script that has one. A client watches it once: under its last id.
    fn add_watcher(&mut self, slot: Slot, first: Owner, owner: Owner) {
        if first.list == owner.list {
            self.lists.at_mut(first.list).forget(first.number);
            *self.scripts.value_mut(slot) = owner;
            return;
        }
        let further = self.shared.entry(slot).or_default();
        match further.iter_mut().find(|known| known.list == owner.list) {
            Some(known) => {
                self.lists.at_mut(known.list).forget(known.number);
                *known = owner;
            }
            None => further.push(owner),
        }
    }

    fn unwatch(&mut self, client: ClientId, id: WatchId) {
        let Some((list, number, slot)) = self.lists.find_entry(&client, id) else {
            return;
        };
        self.lists.at_mut(list).forget(number);
        self.remove_watcher(slot, Owner { list, number });
        if let Some(moved) = self.lists.tidy(list) {
            for (slot, from, to) in moved {
                self.renumber(slot, Owner { list, number: from }, to);
            }
        }
    }

    fn remove_watcher(&mut self, slot: Slot, owner: Owner) {
        let further = self.shared.get_mut(&slot);
        if self.scripts.value(slot) == owner {
            match further.and_then(Vec::pop) {
                Some(another) => *self.scripts.value_mut(slot) = another,
                None => self.scripts.remove(slot),
            }
        } else if let Some(further) = further {
            further.retain(|known| *known != owner);
        }
        if self.shared.get(&slot).is_some_and(Vec::is_empty) {
            self.shared.remove(&slot);
        }
    }

    fn renumber(&mut self, slot: Slot, from: Owner, to: u32) {
        let first = self.scripts.value_mut(slot);
        let further = self.shared.get_mut(&slot).into_iter().flatten();
        if let Some(owner) = std::iter::once(first)
            .chain(further)
            .find(|owner| **owner == from)
        {
            owner.number = to;
        }
    }

    fn apply_history(&mut self, event: &HistoryEvent) {
        match event {
            HistoryEvent::BackfillStarted { .. } => {
                // Several in a row are one back-fill.
                self.passes += u32::from(!self.is_reading);
                self.is_reading = true;
            }
            HistoryEvent::BackfillCompleted { .. } => self.is_reading = false,
            HistoryEvent::CoinFound { .. }
            | HistoryEvent::CoinGone { .. }
            | HistoryEvent::TransactionAmended { .. }
            | HistoryEvent::BackfillAdvanced { .. }
            | HistoryEvent::BackfillRaised { .. } => {}
        }
    }

    fn apply_watchlist(&mut self, client: ClientId, event: &WatchlistEvent) {
        match *event {
            WatchlistEvent::AddressWatched {
                id,
                target: Sealed::Present(ref target),
                options,
                at,
            } => {
                let terms = Terms {
                    options,
                    watched_at: at,
                    passes_before: self.passes,
                };
                self.watch(client, id, target, terms);
            }
            // Erased because it is no longer watched; its AddressUnwatched follows.
            WatchlistEvent::AddressWatched {
                target: Sealed::Erased,
                ..
            } => {}
            WatchlistEvent::WatchOptionsChanged { id, options, .. } => {
                if let Some((list, number, _)) = self.lists.find_entry(&client, id) {
                    self.depths_wished.extend(options.depths.iter());
                    self.lists.at_mut(list).change(number, options);
                }
            }
            WatchlistEvent::AddressUnwatched { id, .. } => self.unwatch(client, id),
        }
    }
}

fn place_of_target(target: &WatchTarget) -> (bool, ScriptBytes) {
    match target {
        WatchTarget::Script(script) => (false, ScriptBytes::from(script.as_bytes())),
        WatchTarget::Hash(hash) => (true, ScriptBytes::from(hash.as_bytes().as_slice())),
    }
}

impl Projection for WatchedScripts {
    const NAME: &'static str = "watched_scripts";
    const VERSION: u32 = 3;

    fn apply(&mut self, envelope: &Envelope) {
        match &envelope.event {
            Event::Watchlist(event) => {
                if let Some(client) = client_of(&envelope.stream) {
                    self.apply_watchlist(client, event);
                }
            }
            Event::Chain(ChainEvent::History(event)) => self.apply_history(event),
            Event::Chain(_) | Event::Client(_) | Event::Mailbox(_) => {}
        }
    }

    fn snapshot(&self) -> Vec<u8> {
        stored::snapshot(self)
    }

    fn restore(bytes: &[u8]) -> Result<Self, SnapshotError> {
        stored::restore(bytes)
    }

    fn tree(bytes: &[u8]) -> Result<serde_json::Value, SnapshotError> {
        stored::tree(bytes)
    }
}
