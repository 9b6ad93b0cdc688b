//! The places of all living payloads, in about 40 bytes each.
//!
//! Slots of the key file are few and used again, so places lie in a table by slot, and a hash
//! table finds the slot of an id. The first grows by small chunks that are given back when nothing
//! in them is alive; the second is cut into shards that grow one at a time. So no growth holds
//! anyone up for long.

use std::hash::{BuildHasher as _, RandomState};

use hashbrown::HashTable;
use satpost_domain::PayloadId;

use super::Place;
use crate::payload_store::key_file::Slot;

#[cfg(test)]
mod tests;

/// How many slots a chunk has: 28 KiB.
const CHUNK_SLOTS: usize = 1024;
/// How many hash tables there are. With the most payloads there may be each has 16 Ki slots, which
/// are moved within a millisecond or two when it grows.
const SHARDS: usize = 1024;
/// Hash tables of fewer slots are never made smaller.
const SHARD_SLOTS_MIN: usize = 32;

/// A place without its slot, which is where the entry lies.
#[derive(Clone, Copy)]
struct Entry {
    id: PayloadId,
    segment: u32,
    offset: u32,
    /// Zero when nothing is here: a ciphertext is never empty.
    bytes: u32,
}

const NOTHING: Entry = Entry {
    id: PayloadId::new([0; 16]),
    segment: 0,
    offset: 0,
    bytes: 0,
};

struct Chunk {
    /// How many entries are in use.
    used: usize,
    entries: Box<[Entry]>,
}

/// Ids and places of what is alive.
pub(crate) struct Places {
    chunks: Vec<Option<Chunk>>,
    by_id: Vec<HashTable<Slot>>,
    hasher: RandomState,
    len: usize,
}

impl Default for Places {
    fn default() -> Self {
        Self {
            chunks: Vec::new(),
            by_id: (0..SHARDS).map(|_| HashTable::new()).collect(),
            hasher: RandomState::new(),
            len: 0,
        }
    }
}

fn entry(chunks: &[Option<Chunk>], slot: Slot) -> Entry {
    let slot = slot as usize;
    let chunk = chunks.get(slot / CHUNK_SLOTS).and_then(Option::as_ref);
    chunk.map_or(NOTHING, |chunk| chunk.entries[slot % CHUNK_SLOTS])
}

/// The hash tables use the highest and the lowest bits themselves.
fn shard(hash: u64) -> usize {
    (hash >> 32) as usize % SHARDS
}

fn place(entry: Entry, slot: Slot) -> Place {
    Place {
        segment: entry.segment,
        offset: entry.offset,
        bytes: entry.bytes,
        slot,
    }
}

impl Places {
    /// How many payloads there are.
    pub(crate) fn len(&self) -> usize {
        self.len
    }

    /// Where a payload is.
    pub(crate) fn get(&self, id: &PayloadId) -> Option<Place> {
        let hash = self.hasher.hash_one(id);
        let slot =
            *self.by_id[shard(hash)].find(hash, |slot| entry(&self.chunks, *slot).id == *id)?;
        Some(place(entry(&self.chunks, slot), slot))
    }

    /// Notes where a payload is. Gives the place that was noted before. No other payload may have
    /// the same slot.
    pub(crate) fn insert(&mut self, id: PayloadId, place: Place) -> Option<Place> {
        let before = self.remove(&id);
        let slot = place.slot as usize;
        if self.chunks.len() <= slot / CHUNK_SLOTS {
            self.chunks.resize_with(slot / CHUNK_SLOTS + 1, || None);
        }
        let chunk = self.chunks[slot / CHUNK_SLOTS].get_or_insert_with(|| Chunk {
            used: 0,
            entries: vec![NOTHING; CHUNK_SLOTS].into_boxed_slice(),
        });
        let entry_now = &mut chunk.entries[slot % CHUNK_SLOTS];
        debug_assert_eq!(entry_now.bytes, 0, "a slot was given to two payloads");
        *entry_now = Entry {
            id,
            segment: place.segment,
            offset: place.offset,
            bytes: place.bytes,
        };
        chunk.used += 1;
        self.len += 1;
        let (chunks, hasher) = (&self.chunks, &self.hasher);
        let hash = hasher.hash_one(id);
        self.by_id[shard(hash)].insert_unique(hash, place.slot, |slot| {
            hasher.hash_one(entry(chunks, *slot).id)
        });
        before
    }

    /// Forgets a payload. Gives the place where it was.
    pub(crate) fn remove(&mut self, id: &PayloadId) -> Option<Place> {
        let (chunks, hasher) = (&self.chunks, &self.hasher);
        let hash = hasher.hash_one(id);
        let table = &mut self.by_id[shard(hash)];
        let found = table.find_entry(hash, |slot| entry(chunks, *slot).id == *id);
        let (slot, _) = found.ok()?.remove();
        if table.capacity() > SHARD_SLOTS_MIN && table.len() < table.capacity() / 8 {
            let rehash = |slot: &Slot| hasher.hash_one(entry(chunks, *slot).id);
            table.shrink_to(2 * table.len(), rehash);
        }
        let before = entry(chunks, slot);
        self.len -= 1;
        let chunk = &mut self.chunks[slot as usize / CHUNK_SLOTS];
        if let Some(used) = chunk {
            used.entries[slot as usize % CHUNK_SLOTS] = NOTHING;
            used.used -= 1;
            if used.used == 0 {
                *chunk = None;
            }
        }
        Some(place(before, slot))
    }

    /// Notes that a payload lies elsewhere now, under the same key. True if it was at `from`;
    /// otherwise nothing is changed.
    pub(crate) fn relocate(&mut self, id: &PayloadId, from: Place, to: Place) -> bool {
        if self.get(id) != Some(from) || from.slot != to.slot {
            return false;
        }
        let slot = from.slot as usize;
        if let Some(chunk) = &mut self.chunks[slot / CHUNK_SLOTS] {
            let entry = &mut chunk.entries[slot % CHUNK_SLOTS];
            entry.segment = to.segment;
            entry.offset = to.offset;
        }
        true
    }

    /// How many chunks there are, used or not.
    pub(crate) fn chunks(&self) -> usize {
        self.chunks.len()
    }

    /// What one chunk holds.
    pub(crate) fn chunk(&self, number: usize) -> impl Iterator<Item = (PayloadId, Place)> + '_ {
        let chunk = self.chunks.get(number).and_then(Option::as_ref);
        let entries = chunk.map_or(&[][..], |chunk| &chunk.entries);
        (0..).zip(entries).filter_map(move |(at, entry)| {
            let slot = Slot::try_from(number * CHUNK_SLOTS).ok()? + at;
            (entry.bytes > 0).then(|| (entry.id, place(*entry, slot)))
        })
    }

    /// How many bytes of memory all of this takes.
    #[cfg(test)]
    pub(crate) fn memory_bytes(&self) -> usize {
        let used = self.chunks.iter().flatten().count();
        let tables: usize = self.by_id.iter().map(HashTable::allocation_size).sum();
        used * CHUNK_SLOTS * size_of::<Entry>()
            + self.chunks.capacity() * size_of::<Option<Chunk>>()
            + tables
            + SHARDS * size_of::<HashTable<Slot>>()
    }
}
