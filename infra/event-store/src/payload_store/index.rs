//! Where each living payload is. About 80 bytes of memory for each of them; erased ones take none.

use std::collections::HashMap;
use std::io;
use std::path::PathBuf;
use std::sync::{Arc, RwLock, RwLockReadGuard, RwLockWriteGuard};

use satpost_domain::PayloadId;

use super::blob_segment::FRAME_HEADER_BYTES;
use super::key_file::{self, Slot};
use super::scan::Found;
use super::seal::{self, BrokenSeal};
use crate::storage::StorageFile;

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

#[derive(Default)]
struct Index {
    places: HashMap<PayloadId, Place>,
    segments: HashMap<u32, BlobFile>,
}

/// Shared by the one who writes and those who read.
#[derive(Clone)]
pub(crate) struct PayloadIndex {
    index: Arc<RwLock<Index>>,
    keys: Option<Arc<dyn StorageFile>>,
}

/// Why a payload could not be read.
#[derive(Debug, thiserror::Error)]
pub(crate) enum ReadPayloadError {
    #[error("cannot read {}: {source}", path.display())]
    Io {
        path: PathBuf,
        #[source]
        source: io::Error,
    },
    #[error("{} is damaged at byte {offset}: {source}", path.display())]
    Damaged {
        path: PathBuf,
        offset: u32,
        #[source]
        source: BrokenSeal,
    },
}

impl PayloadIndex {
    pub(super) fn new(found: Found, keys: Option<Arc<dyn StorageFile>>) -> Self {
        let places = found.places.into_iter();
        let places = places.map(|(id, (place, _))| (id, place)).collect();
        let segments = found.segments;
        Self {
            index: Arc::new(RwLock::new(Index { places, segments })),
            keys,
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

    /// The bytes of a payload; nothing when it is unknown or erased.
    pub(crate) fn read(&self, id: PayloadId) -> Result<Option<Vec<u8>>, ReadPayloadError> {
        let (place, file, path) = {
            let index = self.read_index();
            let Some(place) = index.places.get(&id) else {
                return Ok(None);
            };
            let Some(blob) = index.segments.get(&place.segment) else {
                return Ok(None);
            };
            (*place, Arc::clone(&blob.file), blob.path.clone())
        };
        let Some(keys) = &self.keys else {
            return Ok(None);
        };
        let failed = |source| ReadPayloadError::Io {
            path: path.clone(),
            source,
        };
        let mut ciphertext = vec![0; place.bytes as usize];
        let start = u64::from(place.offset) + FRAME_HEADER_BYTES as u64;
        file.read_at(&mut ciphertext, start).map_err(failed)?;
        let record = key_file::read_slot(&**keys, place.slot).map_err(failed)?;
        // The slot can be empty or hold another key: it was erased since the look at the index.
        let Some(record) = record.filter(|record| record.id == id) else {
            return Ok(None);
        };
        match seal::open(id, &record.key, ciphertext) {
            Ok(payload) => Ok(Some(payload)),
            Err(_) if self.read_index().places.get(&id) != Some(&place) => Ok(None),
            Err(source) => Err(ReadPayloadError::Damaged {
                path,
                offset: place.offset,
                source,
            }),
        }
    }

    /// How many payloads are alive.
    pub(crate) fn len(&self) -> usize {
        self.read_index().places.len()
    }

    /// The ids of all that is alive.
    pub(crate) fn ids(&self) -> Vec<PayloadId> {
        self.read_index().places.keys().copied().collect()
    }

    pub(super) fn add_segment(&self, number: u32, blob: BlobFile) {
        self.write_index().segments.insert(number, blob);
    }

    /// Carries out `changes` in their order. Gives the slots that are not needed any more and the
    /// segments in which nothing is alive.
    pub(super) fn apply(&self, changes: &[Change]) -> (Vec<Slot>, Vec<BlobFile>) {
        let mut index = self.write_index();
        let (mut slots, mut dead) = (Vec::new(), Vec::new());
        for change in changes {
            let gone = match *change {
                Change::Store(id, place) => {
                    if let Some(blob) = index.segments.get_mut(&place.segment) {
                        blob.alive += 1;
                    }
                    index.places.insert(id, place)
                }
                Change::Erase(id) => index.places.remove(&id),
                Change::Fill(number) => {
                    if let Some(blob) = index.segments.get_mut(&number) {
                        blob.full = true;
                    }
                    dead.push(number);
                    None
                }
            };
            if let Some(place) = gone {
                slots.push(place.slot);
                if let Some(blob) = index.segments.get_mut(&place.segment) {
                    blob.alive -= 1;
                }
                dead.push(place.segment);
            }
        }
        let is_dead = |blob: &BlobFile| blob.full && blob.alive == 0;
        let dead = dead
            .into_iter()
            .filter_map(|number| {
                let found = index.segments.get(&number).is_some_and(is_dead);
                found.then(|| index.segments.remove(&number)).flatten()
            })
            .collect();
        (slots, dead)
    }
}

/// One change of what is alive.
#[derive(Debug, Clone, Copy)]
pub(super) enum Change {
    /// A payload is stored; what had its id before is erased.
    Store(PayloadId, Place),
    /// A payload is erased.
    Erase(PayloadId),
    /// A segment gets no more payloads.
    Fill(u32),
}
