//! Whose turn it is on each stream, and the folded states that wait for the next one.
//!
//! Bounded by number and by weight, streams in use on top; the one that was used longest ago is
//! forgotten first, never one that is in use.

#[cfg(test)]
mod tests;

use std::any::Any;
use std::collections::{BTreeMap, HashMap};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use satpost_domain::StreamId;
use satpost_domain::aggregate::Aggregate;
use satpost_domain::limits::{STATES_CACHED_MAX, STATES_CACHED_WEIGHT_MAX};
use tokio::sync::OwnedMutexGuard;

use crate::ports::Expected;

use super::folded::Folded;

/// The streams that are in use or were lately.
#[derive(Debug)]
pub(super) struct Streams {
    known: Mutex<Known>,
    states_max: usize,
    weight_max: usize,
}

/// Critical sections on it touch one entry, and never wait.
#[derive(Debug, Default)]
struct Known {
    entries: HashMap<StreamId, Entry>,
    /// The streams by when they were used last; the first was used longest ago.
    by_use: BTreeMap<u64, StreamId>,
    /// How often a stream was used so far.
    uses: u64,
    /// The sum of the entries' weights.
    weight: usize,
}

#[derive(Debug)]
struct Entry {
    slot: Arc<tokio::sync::Mutex<Slot>>,
    used: u64,
    weight: usize,
}

/// What a turn finds: the state that the last turn kept.
#[derive(Debug, Default)]
struct Slot {
    /// A `Box<Folded<A>>` for the aggregate of this stream.
    folded: Option<Box<dyn Any + Send + Sync>>,
    weight: usize,
}

/// The exclusive right to a stream inside this process. What is not kept before it ends is
/// forgotten, so a command that fails or is cancelled leaves nothing doubtful behind.
#[derive(Debug)]
pub(super) struct Turn<'a> {
    streams: &'a Streams,
    stream: &'a StreamId,
    slot: OwnedMutexGuard<Slot>,
}

impl Default for Streams {
    fn default() -> Self {
        Self::bounded(STATES_CACHED_MAX, STATES_CACHED_WEIGHT_MAX)
    }
}

impl Streams {
    pub(super) fn bounded(states_max: usize, weight_max: usize) -> Self {
        Self {
            known: Mutex::default(),
            states_max,
            weight_max,
        }
    }

    /// Waits for the turn on `stream`; turns come in the order in which they were asked for.
    pub(super) async fn enter<'a>(&'a self, stream: &'a StreamId) -> Turn<'a> {
        let slot = self.known().slot(stream);
        Turn {
            streams: self,
            stream,
            slot: slot.lock_owned().await,
        }
    }

    /// How many streams are remembered.
    #[cfg(test)]
    pub(super) fn len(&self) -> usize {
        self.known().entries.len()
    }

    fn known(&self) -> MutexGuard<'_, Known> {
        // Nothing panics while it is held, and a half-done change would cost a reload, no more.
        self.known.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Known {
    fn slot(&mut self, stream: &StreamId) -> Arc<tokio::sync::Mutex<Slot>> {
        self.uses += 1;
        if let Some(entry) = self.entries.get_mut(stream) {
            if let Some(name) = self.by_use.remove(&entry.used) {
                self.by_use.insert(self.uses, name);
            }
            entry.used = self.uses;
            return Arc::clone(&entry.slot);
        }
        let slot = Arc::default();
        self.by_use.insert(self.uses, stream.clone());
        self.entries.insert(
            stream.clone(),
            Entry {
                slot: Arc::clone(&slot),
                used: self.uses,
                weight: 0,
            },
        );
        slot
    }

    fn set_weight(&mut self, stream: &StreamId, weight: usize) {
        if let Some(entry) = self.entries.get_mut(stream) {
            self.weight = self.weight - entry.weight + weight;
            entry.weight = weight;
        }
    }

    fn forget_longest_unused(&mut self, states_max: usize, weight_max: usize) {
        for _ in 0..self.by_use.len() {
            if self.entries.len() <= states_max && self.weight <= weight_max {
                return;
            }
            let Some((_, stream)) = self.by_use.pop_first() else {
                return;
            };
            if self.is_idle(&stream) {
                self.forget(&stream);
            } else if let Some(entry) = self.entries.get_mut(&stream) {
                self.uses += 1;
                entry.used = self.uses;
                self.by_use.insert(self.uses, stream);
            }
        }
    }

    /// Forgets a stream of whose turn nothing is left, while that turn still holds the slot.
    fn forget_unless_awaited(&mut self, stream: &StreamId) {
        let entry = self.entries.get(stream);
        if entry.is_some_and(|entry| Arc::strong_count(&entry.slot) == 2) {
            self.forget(stream);
        }
    }

    fn forget(&mut self, stream: &StreamId) {
        if let Some(entry) = self.entries.remove(stream) {
            self.by_use.remove(&entry.used);
            self.weight -= entry.weight;
        }
    }

    /// True when nobody has or awaits a turn: further ones come only from [`Self::slot`].
    fn is_idle(&self, stream: &StreamId) -> bool {
        self.entries
            .get(stream)
            .is_some_and(|entry| Arc::strong_count(&entry.slot) == 1)
    }
}

impl Turn<'_> {
    /// Takes the state out, so that it can be changed in place.
    pub(super) fn take<A: Aggregate>(&mut self) -> Option<Box<Folded<A>>> {
        self.slot.weight = 0;
        self.slot.folded.take()?.downcast().ok()
    }

    /// Leaves a state for the next turn; that of an absent stream is worth nothing.
    pub(super) fn keep<A: Aggregate>(&mut self, folded: Box<Folded<A>>) {
        if folded.expected() == Expected::NoStream {
            return;
        }
        self.slot.weight = folded.weight();
        self.slot.folded = Some(folded);
    }
}

impl Drop for Turn<'_> {
    fn drop(&mut self) {
        let mut known = self.streams.known();
        known.set_weight(self.stream, self.slot.weight);
        if self.slot.folded.is_none() {
            known.forget_unless_awaited(self.stream);
        }
        known.forget_longest_unused(self.streams.states_max, self.streams.weight_max);
    }
}
