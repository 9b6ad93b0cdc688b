//! The list of one client: its entries in the order in which they were watched.
//!
//! The entries of one request come one after another. Their ids count (see [`WatchId::at_place`]), and
//! time and options are the same: all that is a run, and is kept once. An entry is then no more
//! than the slot of its script. Entries have numbers; one that goes leaves a gap, and when a list
//! consists mostly of gaps it is numbered anew.

use std::collections::BTreeMap;
use std::hash::{BuildHasher as _, RandomState};

use hashbrown::HashTable;
use satpost_domain::watchlist::{Birthday, WatchOptions};
use satpost_domain::{ClientId, Timestamp, WatchId};

use crate::script_table::Slot;

/// How many entries of a run may be missing in the middle before another run is begun: erased ones,
/// when the log is read again.
const HOLE_MAX: u32 = 64;
/// A list with fewer gaps is left as it is.
const GAPS_MIN: usize = 64;

/// What the entries of a run have in common.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Terms {
    pub(super) options: WatchOptions,
    pub(super) watched_at: Timestamp,
    /// The height of the tip at that moment.
    pub(super) watched_at_height: Option<u32>,
}

/// Entries with ids that count, up to the first number of the next run.
#[derive(Debug, Clone, Copy)]
struct Run {
    common: [u8; WatchId::COMMON_BYTES],
    /// The place in the id of the first entry.
    first_place: u32,
    /// The number of the first entry.
    first: u32,
    terms: Terms,
}

/// An entry that was numbered anew: its slot, its number before, its number now.
pub(super) type Moved = (Slot, u32, u32);

#[derive(Debug)]
pub(super) struct ClientList {
    client: ClientId,
    /// By number; nothing is a gap.
    slots: Vec<Option<Slot>>,
    /// How many of them are no gaps.
    len: usize,
    /// By ascending first number.
    runs: Vec<Run>,
    /// Places in `runs`, found by the common bytes; runs may have the same.
    by_common: HashTable<u32>,
    /// The options of entries that were changed since.
    changed: BTreeMap<u32, WatchOptions>,
}

impl ClientList {
    pub(super) const fn new(client: ClientId) -> Self {
        Self {
            client,
            slots: Vec::new(),
            len: 0,
            runs: Vec::new(),
            by_common: HashTable::new(),
            changed: BTreeMap::new(),
        }
    }

    pub(super) const fn client(&self) -> ClientId {
        self.client
    }

    pub(super) const fn len(&self) -> usize {
        self.len
    }

    /// Numbers and slots, in the order in which they were watched.
    pub(super) fn entries(&self) -> impl Iterator<Item = (u32, Slot)> + '_ {
        let slots = (0..).zip(&self.slots);
        slots.filter_map(|(number, slot)| Some((number, (*slot)?)))
    }

    /// The number that the next entry will have.
    pub(super) fn next_number(&self, id: WatchId, terms: &Terms) -> u32 {
        self.end() + self.hole(id, terms).unwrap_or(0)
    }

    pub(super) fn push(&mut self, key: &RandomState, id: WatchId, slot: Slot, terms: Terms) {
        match self.hole(id, &terms) {
            Some(missing) => {
                let numbers = self.slots.len() + missing as usize;
                self.slots.resize(numbers, None);
            }
            None => self.begin_run(key, id, terms),
        }
        self.slots.push(Some(slot));
        self.len += 1;
    }

    /// How many entries are missing between the last one and this; nothing when it begins a run.
    fn hole(&self, id: WatchId, terms: &Terms) -> Option<u32> {
        let (common, place) = id.parts();
        let run = self.runs.last()?;
        if run.common != common || run.terms != *terms {
            return None;
        }
        let expected = run.first_place.checked_add(self.end() - run.first)?;
        let missing = place.checked_sub(expected)?;
        (missing <= HOLE_MAX).then_some(missing)
    }

    fn begin_run(&mut self, key: &RandomState, id: WatchId, terms: Terms) {
        let (common, first_place) = id.parts();
        let place = u32::try_from(self.runs.len()).expect("there are no more runs than entries");
        self.runs.push(Run {
            common,
            first_place,
            first: self.end(),
            terms,
        });
        let runs = &self.runs;
        self.by_common
            .insert_unique(key.hash_one(common), place, |place| {
                key.hash_one(runs[*place as usize].common)
            });
    }

    /// The number and the slot of an entry by its id.
    pub(super) fn find(&self, key: &RandomState, id: WatchId) -> Option<(u32, Slot)> {
        let (common, place) = id.parts();
        let number_in = |index: u32| {
            let index = index as usize;
            let run = self.runs[index];
            let end = self
                .runs
                .get(index + 1)
                .map_or(self.end(), |next| next.first);
            let number = run.first.checked_add(place.checked_sub(run.first_place)?)?;
            (run.common == common && number < end).then_some(number)
        };
        let is_it = |index: &u32| {
            let number = number_in(*index);
            number.is_some_and(|number| self.slots[number as usize].is_some())
        };
        let index = self.by_common.find(key.hash_one(common), is_it)?;
        let number = number_in(*index)?;
        Some((number, self.slots[number as usize]?))
    }

    /// Makes a gap of an entry.
    pub(super) fn forget(&mut self, number: u32) {
        if self.slots[number as usize].take().is_some() {
            self.len -= 1;
        }
        self.changed.remove(&number);
    }

    pub(super) fn change(&mut self, number: u32, options: WatchOptions) {
        self.changed.insert(number, options);
    }

    /// What an entry began with.
    pub(super) fn terms(&self, number: u32) -> Terms {
        self.run(number).terms
    }

    /// The options of an entry as they are now.
    pub(super) fn options(&self, number: u32) -> WatchOptions {
        let changed = self.changed.get(&number);
        changed.map_or_else(|| self.run(number).terms.options, |options| *options)
    }

    /// The id of an entry.
    pub(super) fn id(&self, number: u32) -> WatchId {
        let run = self.run(number);
        let mut id = [0; 16];
        id[..WatchId::COMMON_BYTES].copy_from_slice(&run.common);
        WatchId::new(id).at_place(run.first_place + (number - run.first))
    }

    /// The entries with a birthday: slot, birthday, height of the tip when it was watched.
    pub(super) fn born(&self) -> impl Iterator<Item = (Slot, Birthday, Option<u32>)> + '_ {
        let ends = self.runs.iter().skip(1).map(|run| run.first);
        let runs = self.runs.iter().zip(ends.chain([self.end()]));
        let in_runs = runs
            .filter(|(run, _)| run.terms.options.birthday.is_some())
            .flat_map(|(run, end)| run.first..end)
            .filter(|number| !self.changed.contains_key(number));
        in_runs
            .chain(self.changed.keys().copied())
            .filter_map(|number| {
                let birthday = self.options(number).birthday?;
                let slot = self.slots[number as usize]?;
                Some((slot, birthday, self.terms(number).watched_at_height))
            })
    }

    /// Numbers the entries anew when more than half of the numbers are gaps.
    pub(super) fn close_gaps(&mut self, key: &RandomState) -> Option<Vec<Moved>> {
        let gaps = self.slots.len() - self.len;
        if gaps < GAPS_MIN || gaps <= self.len {
            return None;
        }
        let mut list = Self::new(self.client);
        let mut moved = Vec::with_capacity(self.len);
        for (number, slot) in self.entries() {
            let terms = Terms {
                options: self.options(number),
                ..self.terms(number)
            };
            let id = self.id(number);
            moved.push((slot, number, list.next_number(id, &terms)));
            list.push(key, id, slot, terms);
        }
        *self = list;
        Some(moved)
    }

    pub(super) fn memory_bytes(&self) -> usize {
        size_of::<Self>()
            + self.slots.capacity() * size_of::<Option<Slot>>()
            + self.runs.capacity() * size_of::<Run>()
            + self.by_common.allocation_size()
            + self.changed.len() * size_of::<(u32, WatchOptions)>() * 3 / 2
    }

    fn end(&self) -> u32 {
        u32::try_from(self.slots.len()).expect("a list has fewer than 2^32 numbers")
    }

    fn run(&self, number: u32) -> &Run {
        let after = self.runs.partition_point(|run| run.first <= number);
        &self.runs[after - 1]
    }
}
