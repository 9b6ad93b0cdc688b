//! The log in memory: the same semantics as the embedded one without its durability, for tests
//! and simulations.

use std::collections::HashMap;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard};

use async_trait::async_trait;
use futures_util::stream::BoxStream;
use satpost_commands::ports::{Appended, Expected, LogError};
use satpost_domain::{PayloadId, Position, Revision, StreamId, limits};
use tokio::sync::watch;

use super::follow::{self, Chunks, Tail, TailState};
use super::{
    Capabilities, EventStore, Filter, LogIdentity, NewStoredEvent, RecordedEvent, RecordedPage,
    StoredItem, check_bounds,
};

/// How many events a follower reads at a time.
const CHUNK_EVENTS: usize = 256;

/// A log that lives as long as its last clone. Cheap to clone.
#[derive(Clone)]
pub struct MemoryEventStore {
    inner: Arc<Inner>,
}

struct Inner {
    identity: LogIdentity,
    state: Mutex<State>,
    tail: watch::Sender<Tail>,
}

#[derive(Default)]
struct State {
    /// All events; the one at position `n` is at index `n - 1`.
    events: Vec<RecordedEvent>,
    /// Stream to the indexes of its events.
    streams: HashMap<StreamId, Vec<usize>>,
    payloads: HashMap<PayloadId, Arc<[u8]>>,
}

impl MemoryEventStore {
    /// An empty log. Its identity differs from that of every other one of this process.
    #[must_use]
    pub fn new() -> Self {
        static NEXT: AtomicU64 = AtomicU64::new(1);
        let (tail, _) = watch::channel(Tail {
            head: Position::START,
            chain: [0; 32],
            state: TailState::Live,
        });
        Self {
            inner: Arc::new(Inner {
                identity: LogIdentity(
                    u128::from(NEXT.fetch_add(1, Ordering::Relaxed)).to_be_bytes(),
                ),
                state: Mutex::default(),
                tail,
            }),
        }
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.inner.state()
    }
}

impl Default for MemoryEventStore {
    fn default() -> Self {
        Self::new()
    }
}

impl Inner {
    fn state(&self) -> MutexGuard<'_, State> {
        self.state
            .lock()
            .expect("no code panics while it holds the lock")
    }
}

impl State {
    fn head(&self) -> Position {
        Position::new(self.events.len() as u64, 0)
    }

    fn stream(&self, stream: &StreamId) -> &[usize] {
        self.streams.get(stream).map_or(&[], Vec::as_slice)
    }

    /// The answer to an append that was carried out before, if that is what `events` are.
    fn first_answer(
        &self,
        stream: &StreamId,
        expected: Expected,
        events: &[NewStoredEvent],
    ) -> Option<Appended> {
        let from = match expected {
            Expected::NoStream => 0,
            Expected::Exact(revision) => usize::try_from(revision.0).ok()?.checked_add(1)?,
        };
        let found = self
            .stream(stream)
            .get(from..from.checked_add(events.len())?)?;
        let mut pairs = found.iter().zip(events);
        if !pairs.all(|(at, event)| self.events[*at].id == event.id) {
            return None;
        }
        let last = &self.events[*found.last()?];
        Some(Appended {
            revision: last.revision,
            position: last.position,
        })
    }

    fn append(
        &mut self,
        stream: &StreamId,
        expected: Expected,
        events: Vec<NewStoredEvent>,
        erase: &[PayloadId],
    ) -> Result<Appended, LogError> {
        let length = self.stream(stream).len();
        let actual = length.checked_sub(1).map(|last| Revision(last as u64));
        let as_expected = match expected {
            Expected::NoStream => actual.is_none() && !events.is_empty(),
            Expected::Exact(revision) => actual == Some(revision),
        };
        if !as_expected {
            return self
                .first_answer(stream, expected, &events)
                .ok_or(LogError::Conflict { actual });
        }
        for (number, event) in (length as u64..).zip(events) {
            let at = self.events.len();
            if let Some((id, bytes)) = &event.payload {
                self.payloads.insert(*id, Arc::clone(bytes));
            }
            self.events.push(RecordedEvent {
                stream: stream.clone(),
                revision: Revision(number),
                position: Position::new(at as u64 + 1, 0),
                id: event.id,
                kind: event.kind.into_owned(),
                schema: event.schema,
                body: event.body,
                metadata: event.metadata,
                payload: event.payload.map(|(id, _)| id),
            });
            self.streams.entry(stream.clone()).or_default().push(at);
        }
        for id in erase {
            self.payloads.remove(id);
        }
        let last = *self
            .stream(stream)
            .last()
            .expect("the stream had events, or got some");
        Ok(Appended {
            revision: self.events[last].revision,
            position: self.events[last].position,
        })
    }

    fn after(&self, after: Position, max: usize) -> Vec<RecordedEvent> {
        let from = usize::try_from(after.major()).unwrap_or(usize::MAX);
        self.events.iter().skip(from).take(max).cloned().collect()
    }
}

#[async_trait]
impl EventStore for MemoryEventStore {
    async fn append(
        &self,
        stream: &StreamId,
        expected: Expected,
        events: Vec<NewStoredEvent>,
        erase: Vec<PayloadId>,
    ) -> Result<Appended, LogError> {
        check_bounds(&events, &erase, limits::APPEND_BYTES_MAX)?;
        let mut state = self.state();
        let appended = state.append(stream, expected, events, &erase)?;
        // Announced under the lock, so that heads are announced in order.
        let head = state.head();
        self.inner.tail.send_modify(|tail| tail.head = head);
        Ok(appended)
    }

    async fn read_stream(
        &self,
        stream: &StreamId,
        from: Revision,
        max: usize,
    ) -> Result<RecordedPage, LogError> {
        let state = self.state();
        let all = state.stream(stream);
        let from = usize::try_from(from.0).unwrap_or(usize::MAX).min(all.len());
        let rest = &all[from..];
        Ok(RecordedPage {
            events: rest
                .iter()
                .take(max)
                .map(|at| state.events[*at].clone())
                .collect(),
            end_of_stream: rest.len() <= max,
        })
    }

    async fn read_stream_back(
        &self,
        stream: &StreamId,
        from: Option<Revision>,
        max: usize,
    ) -> Result<RecordedPage, LogError> {
        let state = self.state();
        let all = state.stream(stream);
        let count = from.map_or(all.len(), |from| {
            usize::try_from(from.0)
                .unwrap_or(usize::MAX)
                .saturating_add(1)
                .min(all.len())
        });
        let rest = &all[..count];
        Ok(RecordedPage {
            events: rest
                .iter()
                .rev()
                .take(max)
                .map(|at| state.events[*at].clone())
                .collect(),
            end_of_stream: rest.len() <= max,
        })
    }

    async fn read_all(&self, after: Position, max: usize) -> Result<Vec<RecordedEvent>, LogError> {
        Ok(self.state().after(after, max))
    }

    async fn head(&self) -> Result<Position, LogError> {
        Ok(self.state().head())
    }

    fn follow(
        &self,
        after: Position,
        filter: Filter,
    ) -> BoxStream<'static, Result<StoredItem, LogError>> {
        let source: Arc<dyn Chunks> = Arc::clone(&self.inner) as Arc<dyn Chunks>;
        follow::follow(source, self.inner.tail.subscribe(), after, filter)
    }

    async fn identity(&self) -> Result<LogIdentity, LogError> {
        Ok(self.inner.identity)
    }

    async fn payload(&self, id: PayloadId) -> Result<Option<Vec<u8>>, LogError> {
        Ok(self.state().payloads.get(&id).map(|bytes| bytes.to_vec()))
    }

    fn capabilities(&self) -> Capabilities {
        Capabilities {
            durable: false,
            contiguous_positions: true,
            erases_at_once: true,
        }
    }
}

#[async_trait]
impl Chunks for Inner {
    async fn chunk(&self, after: Position) -> Result<Vec<RecordedEvent>, LogError> {
        Ok(self.state().after(after, CHUNK_EVENTS))
    }
}
