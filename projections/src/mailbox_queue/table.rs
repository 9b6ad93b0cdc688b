//! Queues by mailbox. They lie in blocks that never move, and are found by hash tables that hold
//! nothing but their numbers: an idle queue takes little more memory than what it knows.

use std::hash::{BuildHasher as _, RandomState};

use hashbrown::HashTable;
use satpost_domain::MessagingKey;

use super::queue::Queue;

/// How many queues a block has.
const BLOCK: usize = 1_024;
/// How many tables the index is cut into. With a million queues one of them has four thousand, which
/// are moved within a millisecond when it grows.
const SHARDS: usize = 256;

/// The number of a queue, good until it is removed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Slot(u32);

/// All queues.
#[derive(Debug, Default)]
pub(super) struct QueueTable {
    /// None as long as nothing was inserted.
    shards: Vec<HashTable<Slot>>,
    hash: RandomState,
    blocks: Vec<Vec<Queue>>,
    /// Places of queues that were removed. What stands there is of nobody.
    free: Vec<Slot>,
    len: usize,
}

impl QueueTable {
    pub(super) const fn len(&self) -> usize {
        self.len
    }

    pub(super) fn find(&self, mailbox: &MessagingKey) -> Option<Slot> {
        let hash = self.hash.hash_one(mailbox);
        let shard = self.shards.get(shard(hash))?;
        let found = shard.find(hash, |slot| self.at(*slot).mailbox == *mailbox);
        found.copied()
    }

    pub(super) fn get(&self, mailbox: &MessagingKey) -> Option<&Queue> {
        self.find(mailbox).map(|slot| self.at(slot))
    }

    pub(super) fn at(&self, slot: Slot) -> &Queue {
        let place = slot.0 as usize;
        &self.blocks[place / BLOCK][place % BLOCK]
    }

    pub(super) fn at_mut(&mut self, slot: Slot) -> &mut Queue {
        let place = slot.0 as usize;
        &mut self.blocks[place / BLOCK][place % BLOCK]
    }

    /// Inserts a queue, unless its mailbox has one.
    pub(super) fn insert(&mut self, queue: Queue) {
        if self.find(&queue.mailbox).is_some() {
            return;
        }
        let hash = self.hash.hash_one(queue.mailbox);
        let slot = self.place(queue);
        if self.shards.is_empty() {
            self.shards.resize_with(SHARDS, HashTable::new);
        }
        let mut table = std::mem::take(&mut self.shards[shard(hash)]);
        table.insert_unique(hash, slot, |slot| {
            self.hash.hash_one(self.at(*slot).mailbox)
        });
        self.shards[shard(hash)] = table;
        self.len += 1;
    }

    fn place(&mut self, queue: Queue) -> Slot {
        if let Some(slot) = self.free.pop() {
            *self.at_mut(slot) = queue;
            return slot;
        }
        match self.blocks.last_mut() {
            Some(block) if block.len() < BLOCK => block.push(queue),
            _ => {
                let mut block = Vec::with_capacity(BLOCK);
                block.push(queue);
                self.blocks.push(block);
            }
        }
        let last = self.blocks.last().map_or(0, Vec::len) - 1;
        let place = (self.blocks.len() - 1) * BLOCK + last;
        Slot(u32::try_from(place).expect("four billion queues do not fit into memory"))
    }

    pub(super) fn remove(&mut self, slot: Slot) {
        let hash = self.hash.hash_one(self.at(slot).mailbox);
        if let Some(table) = self.shards.get_mut(shard(hash))
            && let Ok(found) = table.find_entry(hash, |known| *known == slot)
        {
            found.remove();
            let queue = self.at_mut(slot);
            *queue = Queue::new(queue.mailbox);
            self.free.push(slot);
            self.len -= 1;
        }
    }

    /// Every queue and its number, in no order.
    pub(super) fn iter(&self) -> impl Iterator<Item = (Slot, &Queue)> {
        let slots = self.shards.iter().flatten().copied();
        slots.map(|slot| (slot, self.at(slot)))
    }
}

/// From the middle of the hash: a table takes its buckets from the lower end and its fingerprints
/// from the upper.
const fn shard(hash: u64) -> usize {
    (hash >> 32) as usize % SHARDS
}

#[cfg(test)]
mod tests {
    use super::*;

    fn key(number: u32) -> MessagingKey {
        let mut bytes = [0; 32];
        bytes[..4].copy_from_slice(&number.to_le_bytes());
        MessagingKey::from_stored(bytes)
    }

    #[test]
    fn finds_every_queue_and_gives_the_places_of_removed_ones_away() {
        let mut table = QueueTable::default();
        for number in 0..5_000 {
            table.insert(Queue::new(key(number)));
        }
        table.insert(Queue::new(key(7)));
        assert_eq!((table.len(), table.iter().count()), (5_000, 5_000));
        for number in (0..5_000).step_by(2) {
            let slot = table.find(&key(number)).unwrap();
            table.remove(slot);
        }
        assert!(table.get(&key(2_000)).is_none());
        assert_eq!(table.get(&key(2_001)).unwrap().mailbox, key(2_001));
        let blocks = table.blocks.len();
        for number in 5_000..7_500 {
            table.insert(Queue::new(key(number)));
        }
        assert_eq!((table.len(), table.blocks.len()), (5_000, blocks));
        assert_eq!(table.get(&key(7_499)).unwrap().mailbox, key(7_499));
    }
}
