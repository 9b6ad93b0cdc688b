//! Items of one client under ids that count, in the order in which they came.
//!
//! The ids of one request count (see [`WatchId::at_place`]), and most else about its items is the same:
//! all that is a run, and is kept once. An item then takes no more than itself. Items have numbers; one
//! that goes leaves a gap, and when a list consists mostly of gaps it is numbered anew.

use std::hash::{BuildHasher as _, RandomState};

use hashbrown::HashTable;
use satpost_domain::WatchId;

/// How many items of a run may be missing in the middle before another run is begun: erased ones,
/// when the log is read again.
const HOLE_MAX: u32 = 64;
/// A list with fewer gaps is left as it is.
const GAPS_MIN: usize = 64;

/// Items with ids that count, up to the first number of the next run.
#[derive(Debug, Clone, Copy)]
struct Run<C> {
    id: [u8; WatchId::COMMON_BYTES],
    /// The place in the id of the first item.
    first_place: u32,
    /// The number of the first item.
    first: u32,
    common: C,
}

/// An item that was numbered anew: itself, its number before, its number now.
pub(crate) type Moved<T> = (T, u32, u32);

/// The items; those of a run have a `C` in common.
#[derive(Debug)]
pub(crate) struct IdList<T, C> {
    /// By number; nothing is a gap.
    items: Vec<Option<T>>,
    /// How many of them are no gaps.
    len: usize,
    /// By ascending first number.
    runs: Vec<Run<C>>,
    /// Places in `runs`, found by the bytes that ids have in common; runs may have the same.
    by_id: HashTable<u32>,
}

impl<T: Copy, C: Copy + PartialEq> IdList<T, C> {
    pub(crate) const fn new() -> Self {
        Self {
            items: Vec::new(),
            len: 0,
            runs: Vec::new(),
            by_id: HashTable::new(),
        }
    }

    pub(crate) const fn len(&self) -> usize {
        self.len
    }

    /// Numbers and items, in the order in which they came.
    pub(crate) fn entries(&self) -> impl Iterator<Item = (u32, T)> + '_ {
        let items = (0..).zip(&self.items);
        items.filter_map(|(number, item)| Some((number, (*item)?)))
    }

    /// The item with this number, unless it is a gap.
    pub(crate) fn get(&self, number: u32) -> Option<T> {
        self.items[number as usize]
    }

    /// The number that the next item will have.
    pub(crate) fn next_number(&self, id: WatchId, common: &C) -> u32 {
        self.end() + self.hole(id, common).unwrap_or(0)
    }

    pub(crate) fn push(&mut self, key: &RandomState, id: WatchId, item: T, common: C) {
        match self.hole(id, &common) {
            Some(missing) => {
                let numbers = self.items.len() + missing as usize;
                self.items.resize(numbers, None);
            }
            None => self.begin_run(key, id, common),
        }
        self.items.push(Some(item));
        self.len += 1;
    }

    /// How many items are missing between the last one and this; nothing when it begins a run.
    fn hole(&self, id: WatchId, common: &C) -> Option<u32> {
        let (id, place) = id.parts();
        let run = self.runs.last()?;
        if run.id != id || run.common != *common {
            return None;
        }
        let expected = run.first_place.checked_add(self.end() - run.first)?;
        let missing = place.checked_sub(expected)?;
        (missing <= HOLE_MAX).then_some(missing)
    }

    fn begin_run(&mut self, key: &RandomState, id: WatchId, common: C) {
        let (id, first_place) = id.parts();
        let place = u32::try_from(self.runs.len()).expect("there are no more runs than items");
        self.runs.push(Run {
            id,
            first_place,
            first: self.end(),
            common,
        });
        let runs = &self.runs;
        self.by_id.insert_unique(key.hash_one(id), place, |place| {
            key.hash_one(runs[*place as usize].id)
        });
    }

    /// The number of an item by its id, and the item.
    pub(crate) fn find(&self, key: &RandomState, id: WatchId) -> Option<(u32, T)> {
        let (id, place) = id.parts();
        let number_in = |index: u32| {
            let run = &self.runs[index as usize];
            let number = run.first.checked_add(place.checked_sub(run.first_place)?)?;
            (run.id == id && number < self.end_of(index as usize)).then_some(number)
        };
        let is_it =
            |index: &u32| number_in(*index).is_some_and(|number| self.get(number).is_some());
        let index = self.by_id.find(key.hash_one(id), is_it)?;
        let number = number_in(*index)?;
        Some((number, self.get(number)?))
    }

    /// Makes a gap of an item.
    pub(crate) fn forget(&mut self, number: u32) {
        if self.items[number as usize].take().is_some() {
            self.len -= 1;
        }
    }

    /// What an item has in common with others.
    pub(crate) fn common(&self, number: u32) -> C {
        self.run(number).common
    }

    /// The id of an item.
    pub(crate) fn id(&self, number: u32) -> WatchId {
        let run = self.run(number);
        let mut id = [0; 16];
        id[..WatchId::COMMON_BYTES].copy_from_slice(&run.id);
        WatchId::new(id).at_place(run.first_place + (number - run.first))
    }

    /// Which numbers have what in common.
    pub(crate) fn runs(&self) -> impl Iterator<Item = (std::ops::Range<u32>, &C)> + '_ {
        let runs = self.runs.iter().enumerate();
        runs.map(|(index, run)| (run.first..self.end_of(index), &run.common))
    }

    /// Numbers the items anew when more than half of the numbers are gaps; `common` says what each has
    /// in common with others now.
    pub(crate) fn close_gaps(
        &mut self,
        key: &RandomState,
        common: impl Fn(&Self, u32) -> C,
    ) -> Option<Vec<Moved<T>>> {
        let gaps = self.items.len() - self.len;
        if gaps < GAPS_MIN || gaps <= self.len {
            return None;
        }
        let mut list = Self::new();
        let mut moved = Vec::with_capacity(self.len);
        for (number, item) in self.entries() {
            let (id, common) = (self.id(number), common(self, number));
            moved.push((item, number, list.next_number(id, &common)));
            list.push(key, id, item, common);
        }
        *self = list;
        Some(moved)
    }

    /// How many bytes of memory it holds on to, beside itself.
    pub(crate) fn memory_bytes(&self) -> usize {
        self.items.capacity() * size_of::<Option<T>>()
            + self.runs.capacity() * size_of::<Run<C>>()
            + self.by_id.allocation_size()
    }

    fn end(&self) -> u32 {
        u32::try_from(self.items.len()).expect("a list has fewer than 2^32 numbers")
    }

    fn end_of(&self, run: usize) -> u32 {
        self.runs
            .get(run + 1)
            .map_or_else(|| self.end(), |next| next.first)
    }

    fn run(&self, number: u32) -> &Run<C> {
        let after = self.runs.partition_point(|run| run.first <= number);
        &self.runs[after - 1]
    }
}
