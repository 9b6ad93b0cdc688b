//! Where each living payload is, and what lives in each blob segment. Erased payloads take no
//! memory.

use std::collections::{BTreeSet, HashMap};
use std::path::PathBuf;
use std::sync::{Arc, RwLock, RwLockReadGuard, RwLockWriteGuard};

use satpost_domain::PayloadId;

use self::places::Places;
use super::blob_segment::FRAME_HEADER_BYTES;
use super::key_file::Slot;
use super::scan::Found;
use crate::embedded::data_folder::LogId;
use crate::storage::StorageFile;

pub(crate) mod places;
pub(crate) mod reading;

/// Where a payload is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Place {
    /// The number of its blob segment.
    pub(crate) segment: u32,
    /// Where its frame starts in the segment.
    pub(crate) offset: u32,
    /// How many bytes its ciphertext has.
    pub(crate) bytes: u32,
    /// Where its key is.
    pub(crate) slot: Slot,
}

impl Place {
    /// How many bytes its frame has.
    pub(super) fn frame_bytes(&self) -> u64 {
        FRAME_HEADER_BYTES as u64 + u64::from(self.bytes)
    }

    /// What is left here once it is not needed any more.
    pub(super) fn remains(&self) -> Remains {
        Remains {
            segment: self.segment,
            offset: self.offset,
            bytes: FRAME_HEADER_BYTES as u32 + self.bytes,
        }
    }
}

/// A part of a blob segment that nobody needs and that is not overwritten yet.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Remains {
    pub(crate) segment: u32,
    pub(crate) offset: u32,
    pub(crate) bytes: u32,
}

/// One blob segment.
pub(crate) struct BlobFile {
    pub(crate) path: PathBuf,
    pub(crate) file: Arc<dyn StorageFile>,
    /// How many payloads in it are alive.
    pub(crate) alive: u32,
    /// How many bytes their frames have.
    pub(crate) alive_bytes: u64,
    /// How long the file is.
    pub(crate) len: u64,
    /// True when nothing more is written to it.
    pub(crate) full: bool,
}

struct Index {
    places: Places,
    segments: HashMap<u32, BlobFile>,
    /// The first number that no segment has.
    next_number: u32,
}

/// Shared by the one who writes, the keeper and those who read.
#[derive(Clone)]
pub(crate) struct PayloadIndex {
    index: Arc<RwLock<Index>>,
    log_id: LogId,
    keys: Option<Arc<dyn StorageFile>>,
    /// Whether another process changes the files, without this index being told.
    foreign: bool,
}

/// One change of what is alive.
#[derive(Debug, Clone, Copy)]
pub(super) enum Change {
    /// A payload is stored; what had its id before is erased.
    Store(PayloadId, Place),
    /// A payload is erased.
    Erase(PayloadId),
    /// A segment gets no more payloads; how long it is.
    Fill(u32, u64),
}

/// What a change leaves behind.
#[derive(Default)]
pub(super) struct Leftovers {
    /// Slots with keys that are not needed any more.
    pub(super) slots: Vec<Slot>,
    /// What is to be overwritten.
    pub(super) remains: Vec<Remains>,
    /// Segments in which nothing is alive.
    pub(super) dead: Vec<PathBuf>,
}

/// A payload that was copied.
#[derive(Debug, Clone, Copy)]
pub(super) struct Move {
    pub(super) id: PayloadId,
    pub(super) from: Place,
    pub(super) to: Place,
}

impl Index {
    fn store(&mut self, id: PayloadId, place: Place) -> Option<Place> {
        self.count_in(place);
        self.places.insert(id, place)
    }

    fn count_in(&mut self, place: Place) {
        if let Some(blob) = self.segments.get_mut(&place.segment) {
            blob.alive += 1;
            blob.alive_bytes += place.frame_bytes();
        }
    }

    fn count_out(&mut self, place: Place) {
        if let Some(blob) = self.segments.get_mut(&place.segment) {
            blob.alive -= 1;
            blob.alive_bytes -= place.frame_bytes();
        }
    }

    /// Forgets those of `segments` in which nothing is alive; gives their paths.
    fn take_dead(&mut self, segments: BTreeSet<u32>) -> Vec<PathBuf> {
        let is_dead = |blob: &BlobFile| blob.full && blob.alive == 0;
        let mut dead = Vec::new();
        for number in segments {
            if self.segments.get(&number).is_some_and(is_dead) {
                dead.extend(self.segments.remove(&number).map(|blob| blob.path));
            }
        }
        dead
    }
}

impl PayloadIndex {
    /// `foreign` says that another process writes the store.
    pub(super) fn new(
        found: Found,
        log_id: LogId,
        keys: Option<Arc<dyn StorageFile>>,
        foreign: bool,
    ) -> Self {
        let mut places = Places::default();
        for (id, (place, _)) in found.places {
            places.insert(id, place);
        }
        let index = Index {
            places,
            segments: found.segments,
            next_number: found.next_number,
        };
        Self {
            index: Arc::new(RwLock::new(index)),
            log_id,
            keys,
            foreign,
        }
    }

    fn read_index(&self) -> RwLockReadGuard<'_, Index> {
        self.index
            .read()
            .expect("no code panics while it holds the lock")
    }

    fn write_index(&self) -> RwLockWriteGuard<'_, Index> {
        self.index
            .write()
            .expect("no code panics while it holds the lock")
    }

    /// How many payloads are alive.
    pub(crate) fn len(&self) -> usize {
        self.read_index().places.len()
    }

    /// What is alive and accepted. Lets others in from time to time, so what is stored or erased
    /// meanwhile may be missing or there.
    fn collect<T>(&self, accept: impl Fn(PayloadId, Place) -> Option<T>) -> Vec<T> {
        let mut all = Vec::new();
        let mut number = 0;
        loop {
            let index = self.read_index();
            if number == index.places.chunks() {
                return all;
            }
            let chunk = index.places.chunk(number);
            all.extend(chunk.filter_map(|(id, place)| accept(id, place)));
            number += 1;
        }
    }

    /// The ids of all that is alive.
    pub(crate) fn ids(&self) -> Vec<PayloadId> {
        self.collect(|id, _| Some(id))
    }

    /// What is alive in some segments.
    pub(super) fn living_in(&self, segments: &BTreeSet<u32>) -> Vec<(PayloadId, Place)> {
        self.collect(|id, place| segments.contains(&place.segment).then_some((id, place)))
    }

    /// Every segment that gets no more payloads, with the bytes that are alive in it and its
    /// length.
    pub(super) fn full_segments(&self) -> Vec<(u32, u64, u64)> {
        let index = self.read_index();
        let full = index.segments.iter().filter(|(_, blob)| blob.full);
        full.map(|(number, blob)| (*number, blob.alive_bytes, blob.len))
            .collect()
    }

    /// Whether a payload is at a place.
    pub(super) fn is_at(&self, id: PayloadId, place: Place) -> bool {
        self.read_index().places.get(&id) == Some(place)
    }

    /// Where a segment is; nothing when it was removed.
    pub(super) fn segment(&self, number: u32) -> Option<(PathBuf, Arc<dyn StorageFile>)> {
        let index = self.read_index();
        let blob = index.segments.get(&number)?;
        Some((blob.path.clone(), Arc::clone(&blob.file)))
    }

    /// A number for a new segment.
    pub(super) fn take_number(&self) -> u32 {
        let mut index = self.write_index();
        let number = index.next_number;
        index.next_number += 1;
        number
    }

    pub(super) fn add_segment(&self, number: u32, path: PathBuf, file: Arc<dyn StorageFile>) {
        let blob = BlobFile {
            path,
            file,
            alive: 0,
            alive_bytes: 0,
            len: 0,
            full: false,
        };
        self.write_index().segments.insert(number, blob);
    }

    /// Notes that a segment gets no more payloads and how long it is; gives its path if nothing in
    /// it is alive.
    pub(super) fn fill(&self, number: u32, len: u64) -> Vec<PathBuf> {
        let mut index = self.write_index();
        if let Some(blob) = index.segments.get_mut(&number) {
            blob.full = true;
            blob.len = len;
        }
        index.take_dead(BTreeSet::from([number]))
    }

    /// Carries out `changes` in their order.
    pub(super) fn apply(&self, changes: &[Change]) -> Leftovers {
        let mut index = self.write_index();
        let mut left = Leftovers::default();
        let mut touched = BTreeSet::new();
        for change in changes {
            let gone = match *change {
                Change::Store(id, place) => index.store(id, place),
                Change::Erase(id) => index.places.remove(&id),
                Change::Fill(number, len) => {
                    if let Some(blob) = index.segments.get_mut(&number) {
                        blob.full = true;
                        blob.len = len;
                    }
                    touched.insert(number);
                    None
                }
            };
            if let Some(place) = gone {
                index.count_out(place);
                left.slots.push(place.slot);
                left.remains.push(place.remains());
                touched.insert(place.segment);
            }
        }
        left.dead = index.take_dead(touched);
        left
    }

    /// Lets readers find copies, which must be durable, instead of what they were made from. A
    /// payload that was erased or replaced since then stays so, and its copy is left over.
    pub(super) fn relocate(&self, moves: &[Move]) -> Leftovers {
        let mut index = self.write_index();
        let mut left = Leftovers::default();
        let mut touched = BTreeSet::new();
        for Move { id, from, to } in moves {
            if index.places.relocate(id, *from, *to) {
                index.count_in(*to);
                index.count_out(*from);
                touched.insert(from.segment);
                left.remains.push(from.remains());
            } else {
                left.remains.push(to.remains());
            }
        }
        left.dead = index.take_dead(touched);
        left
    }
}
