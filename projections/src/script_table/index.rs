//! Slots by a keyed hash of what is in them, in shards that grow one at a time.

use std::hash::{BuildHasher as _, Hasher as _, RandomState};

use hashbrown::HashTable;
use satpost_domain::ids::ScriptHash;

use super::Slot;
use super::form::Parts;

/// How many tables an index is cut into. With ten million scripts one of them has 40 thousand, which
/// are moved within some milliseconds when it grows.
const SHARDS: usize = 256;

/// A hash table that holds nothing but slots.
#[derive(Debug, Default)]
pub(super) struct Index {
    /// None as long as nothing was inserted.
    shards: Vec<HashTable<Slot>>,
    key: RandomState,
    len: usize,
}

impl Index {
    pub(super) const fn len(&self) -> usize {
        self.len
    }

    /// Where a script belongs.
    pub(super) fn key_of_script(&self, parts: &Parts<'_>) -> u64 {
        let mut hasher = self.key.build_hasher();
        hasher.write(parts.bytes);
        hasher.write_u8(parts.form as u8);
        hasher.finish()
    }

    /// Where the hash of a script belongs. The hash of a script can be chosen by trying, this not.
    pub(super) fn key_of_hash(&self, hash: &ScriptHash) -> u64 {
        let mut hasher = self.key.build_hasher();
        hasher.write(hash.as_bytes());
        hasher.finish()
    }

    /// From the middle of the key: a table takes its buckets from the lower end and its
    /// fingerprints from the upper.
    const fn shard(key: u64) -> usize {
        (key >> 32) as usize % SHARDS
    }

    pub(super) fn find(&self, key: u64, is_it: impl Fn(Slot) -> bool) -> Option<Slot> {
        let shard = self.shards.get(Self::shard(key))?;
        shard.find(key, |slot| is_it(*slot)).copied()
    }

    /// Inserts a slot that is not there. `key_of` gives the keys of those that are.
    pub(super) fn insert(&mut self, key: u64, slot: Slot, key_of: impl Fn(&Self, Slot) -> u64) {
        if self.shards.is_empty() {
            self.shards.resize_with(SHARDS, HashTable::new);
        }
        let mut shard = std::mem::take(&mut self.shards[Self::shard(key)]);
        shard.insert_unique(key, slot, |slot| key_of(self, *slot));
        self.shards[Self::shard(key)] = shard;
        self.len += 1;
    }

    pub(super) fn remove(&mut self, key: u64, slot: Slot) {
        if let Some(shard) = self.shards.get_mut(Self::shard(key))
            && let Ok(found) = shard.find_entry(key, |known| *known == slot)
        {
            found.remove();
            self.len -= 1;
        }
    }

    /// Every slot, in no order.
    pub(super) fn slots(&self) -> impl Iterator<Item = Slot> + '_ {
        self.shards.iter().flatten().copied()
    }

    pub(super) fn memory_bytes(&self) -> usize {
        let shards: usize = self.shards.iter().map(HashTable::allocation_size).sum();
        shards + self.shards.capacity() * size_of::<HashTable<Slot>>()
    }
}
