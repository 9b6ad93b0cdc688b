//! The list of one client: its entries in the order in which they were watched, each no more than the
//! slot of its script. Time and options of one request are kept once.

use std::collections::BTreeMap;
use std::hash::RandomState;

use satpost_domain::watchlist::{Birthday, WatchOptions};
use satpost_domain::{ClientId, Timestamp, WatchId};

use crate::id_list::{self, IdList};
use crate::script_table::Slot;

/// What the entries of a run have in common.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Terms {
    pub(super) options: WatchOptions,
    pub(super) watched_at: Timestamp,
    /// How many back-fills had begun at that moment.
    pub(super) passes_before: u32,
}

/// An entry that was numbered anew: its slot, its number before, its number now.
pub(super) type Moved = id_list::Moved<Slot>;

#[derive(Debug)]
pub(super) struct ClientList {
    client: ClientId,
    slots: IdList<Slot, Terms>,
    /// The options of entries that were changed since.
    changed: BTreeMap<u32, WatchOptions>,
}

impl ClientList {
    pub(super) const fn new(client: ClientId) -> Self {
        Self {
            client,
            slots: IdList::new(),
            changed: BTreeMap::new(),
        }
    }

    pub(super) const fn client(&self) -> ClientId {
        self.client
    }

    pub(super) const fn len(&self) -> usize {
        self.slots.len()
    }

    /// Numbers and slots, in the order in which they were watched.
    pub(super) fn entries(&self) -> impl Iterator<Item = (u32, Slot)> + '_ {
        self.slots.entries()
    }

    /// The number that the next entry will have.
    pub(super) fn next_number(&self, id: WatchId, terms: &Terms) -> u32 {
        self.slots.next_number(id, terms)
    }

    pub(super) fn push(&mut self, key: &RandomState, id: WatchId, slot: Slot, terms: Terms) {
        self.slots.push(key, id, slot, terms);
    }

    /// The number and the slot of an entry by its id.
    pub(super) fn find(&self, key: &RandomState, id: WatchId) -> Option<(u32, Slot)> {
        self.slots.find(key, id)
    }

    /// Makes a gap of an entry.
    pub(super) fn forget(&mut self, number: u32) {
        self.slots.forget(number);
        self.changed.remove(&number);
    }

    pub(super) fn change(&mut self, number: u32, options: WatchOptions) {
        self.changed.insert(number, options);
    }

    /// What an entry began with.
    pub(super) fn terms(&self, number: u32) -> Terms {
        self.slots.common(number)
    }

    /// The options of an entry as they are now.
    pub(super) fn options(&self, number: u32) -> WatchOptions {
        let changed = self.changed.get(&number);
        changed.map_or_else(|| self.terms(number).options, |options| *options)
    }

    /// The id of an entry.
    pub(super) fn id(&self, number: u32) -> WatchId {
        self.slots.id(number)
    }

    /// The entries with a birthday: slot, birthday, how many back-fills had begun when it was watched.
    pub(super) fn born(&self) -> impl Iterator<Item = (Slot, Birthday, u32)> + '_ {
        let in_runs = self
            .slots
            .runs()
            .filter(|(_, terms)| terms.options.birthday.is_some())
            .flat_map(|(numbers, _)| numbers)
            .filter(|number| !self.changed.contains_key(number));
        in_runs
            .chain(self.changed.keys().copied())
            .filter_map(|number| {
                let birthday = self.options(number).birthday?;
                let slot = self.slots.get(number)?;
                Some((slot, birthday, self.terms(number).passes_before))
            })
    }

    /// Numbers the entries anew when more than half of the numbers are gaps.
    pub(super) fn close_gaps(&mut self, key: &RandomState) -> Option<Vec<Moved>> {
        let changed = &self.changed;
        let terms = |slots: &IdList<Slot, Terms>, number| {
            let terms = slots.common(number);
            let options = changed.get(&number).copied().unwrap_or(terms.options);
            Terms { options, ..terms }
        };
        let moved = self.slots.close_gaps(key, terms)?;
        self.changed.clear();
        Some(moved)
    }

    pub(super) fn memory_bytes(&self) -> usize {
        size_of::<Self>()
            + self.slots.memory_bytes()
            + self.changed.len() * size_of::<(u32, WatchOptions)>() * 3 / 2
    }
}
