//! Where streams end, as far as this process knows, and one append to a stream at a time.
//!
//! An append is compared with what is known here before it is sent, so that the server hardly ever
//! has to refuse one, which would cost everybody else their session. What is known can be out of
//! date; the server has the last word.

use std::collections::HashMap;
use std::hash::{BuildHasher as _, RandomState};
use std::sync::Arc;

use satpost_commands::ports::{Appended, Expected};
use satpost_domain::{EventId, PayloadId, StreamId};
use tokio::sync::{Mutex, OwnedMutexGuard};

use super::payloads_in_line::{Staged, Ticket};

/// How many appends to different streams can be under way at once.
const PLACES: usize = 1_024;
/// How many ends of streams one place remembers; in all [`PLACES`] times as many.
const ENDS_PER_PLACE: usize = 64;
/// How many appends of unknown outcome one place remembers.
const UNSETTLED_PER_PLACE: usize = 16;

/// The end of a stream.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum End {
    /// There is no stream.
    Absent,
    /// Its last event.
    At(Appended),
}

impl End {
    pub(super) fn is(self, expected: Expected) -> bool {
        match (self, expected) {
            (Self::Absent, Expected::NoStream) => true,
            (Self::At(last), Expected::Exact(revision)) => last.revision == revision,
            _ => false,
        }
    }
}

/// An append whose outcome was not found out.
pub(super) struct Unsettled {
    pub(super) expected: Expected,
    pub(super) ids: Vec<EventId>,
    pub(super) erase: Vec<PayloadId>,
    pub(super) staged: Staged,
    pub(super) ticket: Ticket,
}

/// What is known of the streams that share a place. Whoever holds it is the only one in this
/// process who appends to them.
#[derive(Default)]
pub(super) struct Place {
    ends: HashMap<StreamId, End>,
    unsettled: HashMap<StreamId, Unsettled>,
}

impl Place {
    pub(super) fn end(&self, stream: &StreamId) -> Option<End> {
        self.ends.get(stream).copied()
    }

    pub(super) fn remember(&mut self, stream: &StreamId, end: End) {
        if self.ends.len() >= ENDS_PER_PLACE && !self.ends.contains_key(stream) {
            // Rare enough that nothing finer is worth its bookkeeping.
            self.ends.clear();
        }
        self.ends.insert(stream.clone(), end);
    }

    pub(super) fn forget(&mut self, stream: &StreamId) {
        self.ends.remove(stream);
    }

    pub(super) fn take_unsettled(&mut self, stream: &StreamId) -> Option<Unsettled> {
        self.unsettled.remove(stream)
    }

    /// The earlier append, if it is this one.
    pub(super) fn take_same(
        &mut self,
        stream: &StreamId,
        expected: Expected,
        ids: &[EventId],
    ) -> Option<Unsettled> {
        let earlier = self.unsettled.get(stream)?;
        if earlier.expected == expected && earlier.ids == ids {
            return self.take_unsettled(stream);
        }
        None
    }

    /// Keeps an append of unknown outcome in mind. One that finds no room keeps its ticket, so it
    /// is settled when the payloads are brought in line the next time.
    pub(super) fn keep_unsettled(&mut self, stream: &StreamId, unsettled: Unsettled) {
        if self.unsettled.len() < UNSETTLED_PER_PLACE {
            self.unsettled.insert(stream.clone(), unsettled);
        }
    }
}

/// All places.
pub(super) struct StreamEnds {
    places: Vec<Arc<Mutex<Place>>>,
    hasher: RandomState,
}

impl StreamEnds {
    pub(super) fn new() -> Self {
        Self {
            places: (0..PLACES).map(|_| Arc::default()).collect(),
            hasher: RandomState::new(),
        }
    }

    /// The number that decides over the place and the session of a stream.
    pub(super) fn hash(&self, stream: &StreamId) -> usize {
        (self.hasher.hash_one(stream.as_str()) >> 16) as usize
    }

    /// Waits for the stream's place.
    pub(super) async fn hold(&self, stream: &StreamId) -> OwnedMutexGuard<Place> {
        let place = &self.places[self.hash(stream) % PLACES];
        Arc::clone(place).lock_owned().await
    }

    /// Takes note of an end that was read, unless an append is under way there or a later end is
    /// known.
    pub(super) fn note(&self, stream: &StreamId, end: End) {
        let Ok(mut place) = self.places[self.hash(stream) % PLACES].try_lock() else {
            return;
        };
        let newer = match (place.end(stream), end) {
            (Some(End::At(known)), End::At(read)) => read.revision > known.revision,
            (Some(End::At(_)), End::Absent) => false,
            _ => true,
        };
        if newer {
            place.remember(stream, end);
        }
    }
}
