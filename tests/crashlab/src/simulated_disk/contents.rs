//! The bytes of one file: as they are read, as they are on the disk, and what lies between.

use std::sync::Arc;

use satpost_tests::random::Random;

use super::{SECTOR_BYTES, Survival};

/// A change that is not durable yet.
#[derive(Clone)]
enum Change {
    /// Whole sectors, as far as the file has them.
    Write { start: usize, bytes: Arc<[u8]> },
    /// Another length.
    Length(usize),
}

/// One file.
#[derive(Clone, Default)]
pub(super) struct Contents {
    /// What is read.
    cache: Arc<Vec<u8>>,
    /// What is on the disk.
    durable: Arc<Vec<u8>>,
    /// What makes the second into the first, unless a failed sync has dropped some of it.
    pending: Vec<Change>,
}

fn place(offset: u64) -> usize {
    usize::try_from(offset).expect("files of tests fit in memory")
}

impl Contents {
    pub(super) fn len(&self) -> u64 {
        self.cache.len() as u64
    }

    pub(super) fn cache(&self) -> &[u8] {
        &self.cache
    }

    pub(super) fn read(&self, bytes: &mut [u8], offset: u64) -> usize {
        let start = place(offset).min(self.cache.len());
        let count = bytes.len().min(self.cache.len() - start);
        bytes[..count].copy_from_slice(&self.cache[start..start + count]);
        count
    }

    pub(super) fn write(&mut self, bytes: &[u8], offset: u64) {
        let (start, end) = (place(offset), place(offset) + bytes.len());
        let cache = Arc::make_mut(&mut self.cache);
        if cache.len() < end {
            cache.resize(end, 0);
        }
        cache[start..end].copy_from_slice(bytes);
        // A sector goes to the disk as the cache has it, with what was in it before.
        let start = start / SECTOR_BYTES * SECTOR_BYTES;
        let end = end.next_multiple_of(SECTOR_BYTES).min(cache.len());
        self.pending.push(Change::Write {
            start,
            bytes: Arc::from(&cache[start..end]),
        });
    }

    /// Writes, and lets some sectors of it reach the disk.
    pub(super) fn tear(&mut self, bytes: &[u8], offset: u64, random: &mut Random) {
        self.write(bytes, offset);
        if let Some(Change::Write { start, bytes }) = self.pending.last().cloned() {
            let durable = Arc::make_mut(&mut self.durable);
            for (at, sector) in (start..)
                .step_by(SECTOR_BYTES)
                .zip(bytes.chunks(SECTOR_BYTES))
            {
                if random.one_in(2) && at + sector.len() <= durable.len() {
                    durable[at..at + sector.len()].copy_from_slice(sector);
                }
            }
            self.pending.pop();
        }
    }

    pub(super) fn set_len(&mut self, len: u64) {
        Arc::make_mut(&mut self.cache).resize(place(len), 0);
        self.pending.push(Change::Length(place(len)));
    }

    pub(super) fn sync(&mut self) {
        let durable = Arc::make_mut(&mut self.durable);
        for change in self.pending.drain(..) {
            change.apply(durable);
        }
    }

    /// A failed sync: the changes count as written and never are.
    pub(super) fn forget_pending(&mut self) {
        self.pending.clear();
    }

    /// Changes a byte everywhere.
    pub(super) fn flip(&mut self, at: usize, mask: u8) {
        Arc::make_mut(&mut self.cache)[at] ^= mask;
        Arc::make_mut(&mut self.durable)[at] ^= mask;
    }

    /// What a crash leaves.
    pub(super) fn after_crash(&self, survival: Survival, random: &mut Random) -> Self {
        let mut left = Self {
            cache: Arc::clone(&self.durable),
            durable: Arc::clone(&self.durable),
            pending: Vec::new(),
        };
        match survival {
            Survival::Cached => return self.clone(),
            Survival::Nothing => {}
            Survival::Everything => {
                left.pending.clone_from(&self.pending);
                left.sync();
            }
            Survival::Seeded(_) if self.pending.is_empty() => {}
            Survival::Seeded(_) => left.durable = Arc::new(self.some_of_it(random)),
        }
        left.cache = Arc::clone(&left.durable);
        left
    }

    /// Each sector, and the length, as after some of the changes.
    fn some_of_it(&self, random: &mut Random) -> Vec<u8> {
        let changes = self.pending.len();
        let lengths = random.below(changes + 1);
        let mut bytes = Vec::clone(&self.durable);
        for change in &self.pending[..lengths] {
            match change {
                Change::Length(len) => bytes.resize(*len, 0),
                Change::Write { start, bytes: new } if bytes.len() < start + new.len() => {
                    bytes.resize(start + new.len(), 0);
                }
                Change::Write { .. } => {}
            }
        }
        // Drawn once for each sector that some change touches.
        let mut drawn = std::collections::HashMap::new();
        for (number, change) in self.pending.iter().enumerate() {
            let Change::Write { start, bytes: new } = change else {
                continue;
            };
            for (at, sector) in (*start..)
                .step_by(SECTOR_BYTES)
                .zip(new.chunks(SECTOR_BYTES))
            {
                let survived = *drawn.entry(at).or_insert_with(|| random.below(changes + 1));
                if number < survived && at < bytes.len() {
                    let end = (at + sector.len()).min(bytes.len());
                    bytes[at..end].copy_from_slice(&sector[..end - at]);
                }
            }
        }
        bytes
    }
}

impl Change {
    fn apply(self, bytes: &mut Vec<u8>) {
        match self {
            Self::Length(len) => bytes.resize(len, 0),
            Self::Write { start, bytes: new } => {
                let end = start + new.len();
                if bytes.len() < end {
                    bytes.resize(end, 0);
                }
                bytes[start..end].copy_from_slice(&new);
            }
        }
    }
}
