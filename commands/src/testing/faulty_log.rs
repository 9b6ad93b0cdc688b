//! An event log in memory that keeps the promises of the port, and fails when it is told to.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::sync::{Arc, Mutex, MutexGuard};

use async_trait::async_trait;
use satpost_domain::client::ClientEvent;
use satpost_domain::watchlist::WatchlistEvent;
use satpost_domain::{
    CommandId, Envelope, Event, EventId, Metadata, PayloadId, Position, RequestDigest, Revision,
    Sealed, StreamId, Timestamp,
};

use crate::ports::{Appended, EventLog, Expected, LogError, NewEvent, Payloads, StreamPage};

/// What goes wrong with one append.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Fault {
    /// It conflicts, as if another writer had been faster.
    Conflict,
    /// Nothing is appended, and the log says so.
    Unavailable,
    /// Nothing is appended, and the log does not know it.
    LostUnknown,
    /// It is appended, and the log does not know it.
    StoredUnknown,
    /// The log does not know the outcome; it is appended right before the append that comes this
    /// many appends later, if it still fits then.
    LateUnknown(usize),
}

/// The log; share it by `Arc`, also between handlers that play several servers.
#[derive(Debug, Default)]
pub struct FaultyLog(Mutex<Inner>);

#[derive(Debug, Default)]
struct Inner {
    streams: BTreeMap<StreamId, Vec<Envelope>>,
    events: u64,
    payloads: BTreeMap<PayloadId, Arc<[u8]>>,
    /// Erased payloads in the order of their end; an id appears as often as it was erased.
    erased: Vec<PayloadId>,
    faults: VecDeque<Option<Fault>>,
    late: Vec<(usize, Append)>,
    attempts: Vec<Vec<EventId>>,
    reads: usize,
}

#[derive(Debug, Clone)]
struct Append {
    stream: StreamId,
    expected: Expected,
    events: Vec<NewEvent>,
    erase: Vec<PayloadId>,
}

impl FaultyLog {
    /// What goes wrong with the next appends; `None` stands for an append that works.
    pub fn fail_next(&self, faults: impl IntoIterator<Item = Option<Fault>>) {
        self.inner().faults.extend(faults);
    }

    /// Forgets all faults that have not happened.
    pub fn work_again(&self) {
        self.inner().faults.clear();
    }

    /// Appends one event as another server would, whatever the stream's end.
    ///
    /// # Panics
    /// When the log refuses it, which it has no reason to.
    pub fn append_as_rival(&self, stream: &StreamId, event: Event) {
        let mut inner = self.inner();
        let expected = inner.expectation(stream);
        let number = u128::from(inner.events).to_be_bytes();
        let append = Append {
            stream: stream.clone(),
            expected,
            events: vec![NewEvent {
                id: EventId::new(number),
                event,
                metadata: Metadata {
                    command_id: CommandId::new(number),
                    request_digest: RequestDigest::new(number),
                    recorded_at: Timestamp::default(),
                },
                payload: None,
            }],
            erase: Vec::new(),
        };
        inner.append(append).expect("the expectation was just read");
    }

    /// The events of a stream, with what was erased left out.
    #[must_use]
    pub fn history(&self, stream: &StreamId) -> Vec<Envelope> {
        let inner = self.inner();
        let events = inner.streams.get(stream).into_iter().flatten();
        events.map(|envelope| inner.unsealed(envelope)).collect()
    }

    /// The ids of the events of every append that was tried, also of those that failed.
    #[must_use]
    pub fn attempts(&self) -> Vec<Vec<EventId>> {
        self.inner().attempts.clone()
    }

    /// How often a stream was read.
    #[must_use]
    pub fn reads(&self) -> usize {
        self.inner().reads
    }

    /// The erased payloads in the order of their end; an id appears as often as it was erased.
    #[must_use]
    pub fn erased(&self) -> Vec<PayloadId> {
        self.inner().erased.clone()
    }

    /// The payloads that can still be read.
    #[must_use]
    pub fn held(&self) -> BTreeSet<PayloadId> {
        self.inner().payloads.keys().copied().collect()
    }

    fn inner(&self) -> MutexGuard<'_, Inner> {
        self.0
            .lock()
            .expect("no test panics while it holds the log")
    }
}

impl Inner {
    fn expectation(&self, stream: &StreamId) -> Expected {
        self.last(stream)
            .map_or(Expected::NoStream, Expected::Exact)
    }

    fn last(&self, stream: &StreamId) -> Option<Revision> {
        Some(self.streams.get(stream)?.last()?.revision)
    }

    fn next_append(&mut self, append: Append) -> Result<Appended, LogError> {
        self.land_late_appends();
        let ids = append.events.iter().map(|event| event.id).collect();
        self.attempts.push(ids);
        let unknown = || LogError::Unknown {
            reason: "told to".to_owned(),
        };
        match self.faults.pop_front().flatten() {
            None => self.append(append),
            Some(Fault::Conflict) => Err(LogError::Conflict {
                actual: self.last(&append.stream),
            }),
            Some(Fault::Unavailable) => Err(LogError::Unavailable {
                reason: "told to".to_owned(),
            }),
            Some(Fault::LostUnknown) => Err(unknown()),
            Some(Fault::StoredUnknown) => {
                self.append(append)?;
                Err(unknown())
            }
            Some(Fault::LateUnknown(appends)) => {
                self.late.push((appends, append));
                Err(unknown())
            }
        }
    }

    fn land_late_appends(&mut self) {
        for (countdown, append) in std::mem::take(&mut self.late) {
            if countdown > 1 {
                self.late.push((countdown - 1, append));
            } else {
                // It was written against an old end of the stream and may well not fit any more.
                drop(self.append(append));
            }
        }
    }

    fn append(&mut self, append: Append) -> Result<Appended, LogError> {
        let actual = self.expectation(&append.stream);
        if append.expected != actual {
            return self.repeated(&append).ok_or(LogError::Conflict {
                actual: self.last(&append.stream),
            });
        }
        let mut next = match append.expected {
            Expected::NoStream => Revision(0),
            Expected::Exact(revision) => revision.next(),
        };
        assert!(!append.events.is_empty(), "an append has events");
        for new in append.events {
            self.events += 1;
            let event = Envelope {
                stream: append.stream.clone(),
                revision: next,
                position: Position::new(self.events, 0),
                event_id: new.id,
                metadata: new.metadata,
                event: new.event,
            };
            self.hold_payloads(&event.event, new.payload);
            self.streams
                .entry(append.stream.clone())
                .or_default()
                .push(event);
            next = next.next();
        }
        for id in append.erase {
            self.payloads.remove(&id);
            self.erased.push(id);
        }
        Ok(Appended {
            revision: Revision(next.0 - 1),
            position: Position::new(self.events, 0),
        })
    }

    /// The answer that the same append had before: the same ids right after the same place.
    fn repeated(&self, append: &Append) -> Option<Appended> {
        let stored = self.streams.get(&append.stream)?;
        let first = match append.expected {
            Expected::NoStream => 0,
            Expected::Exact(revision) => usize::try_from(revision.0).ok()? + 1,
        };
        let stored = stored.get(first..first + append.events.len())?;
        let mut pairs = stored.iter().zip(&append.events);
        if !pairs.all(|(stored, new)| stored.event_id == new.id) {
            return None;
        }
        stored.last().map(|last| Appended {
            revision: last.revision,
            position: last.position,
        })
    }

    /// Keeps what is erasable: the payload given, or the sealed part of the event itself.
    fn hold_payloads(&mut self, event: &Event, payload: Option<crate::ports::NewPayload>) {
        if let Some(payload) = payload {
            self.payloads.insert(payload.id, payload.bytes);
        }
        let sealed = match event {
            Event::Watchlist(WatchlistEvent::AddressWatched { id, .. }) => (*id).into(),
            Event::Client(ClientEvent::PushTargetSet { id, .. }) => (*id).into(),
            _ => return,
        };
        self.payloads.insert(sealed, Arc::from([]));
    }

    /// The event as a reader gets it now.
    fn unsealed(&self, envelope: &Envelope) -> Envelope {
        let mut envelope = envelope.clone();
        match &mut envelope.event {
            Event::Watchlist(WatchlistEvent::AddressWatched { id, target, .. })
                if !self.payloads.contains_key(&(*id).into()) =>
            {
                *target = Sealed::Erased;
            }
            Event::Client(ClientEvent::PushTargetSet {
                id, registration, ..
            }) if !self.payloads.contains_key(&(*id).into()) => {
                *registration = Sealed::Erased;
            }
            _ => {}
        }
        envelope
    }
}

#[async_trait]
impl EventLog for FaultyLog {
    async fn append(
        &self,
        stream: &StreamId,
        expected: Expected,
        events: Vec<NewEvent>,
        erase: Vec<PayloadId>,
    ) -> Result<Appended, LogError> {
        let append = Append {
            stream: stream.clone(),
            expected,
            events,
            erase,
        };
        // A real append takes time, before and after it is decided.
        tokio::task::yield_now().await;
        let answer = self.inner().next_append(append);
        tokio::task::yield_now().await;
        answer
    }

    async fn read(
        &self,
        stream: &StreamId,
        from: Revision,
        max: usize,
    ) -> Result<StreamPage, LogError> {
        tokio::task::yield_now().await;
        let mut inner = self.inner();
        inner.reads += 1;
        let all = inner.streams.get(stream).map_or(&[][..], Vec::as_slice);
        let from = usize::try_from(from.0).map_or(all.len(), |from| from.min(all.len()));
        let page = all[from..].iter().take(max);
        Ok(StreamPage {
            events: page.map(|envelope| inner.unsealed(envelope)).collect(),
            end_of_stream: all.len() - from <= max,
        })
    }

    async fn head(&self) -> Result<Position, LogError> {
        Ok(Position::new(self.inner().events, 0))
    }
}

#[async_trait]
impl Payloads for FaultyLog {
    async fn read(&self, id: PayloadId) -> Result<Option<Vec<u8>>, LogError> {
        Ok(self.inner().payloads.get(&id).map(|bytes| bytes.to_vec()))
    }
}
