//! What the events say about each payload, folded by the rules of the aggregates.

use std::collections::HashMap;

use satpost_domain::aggregate::Aggregate;
use satpost_domain::client::Client;
use satpost_domain::ids::Digest;
use satpost_domain::mailbox::{Mailbox, MailboxEvent};
use satpost_domain::watchlist::Watchlist;
use satpost_domain::{Event, PayloadId, Position, StreamId, Timestamp};
use satpost_event_store::RecordedEvent;
use satpost_event_store::embedded::OpenError;
use satpost_event_store::embedded::erasure::{DataFolderLook, LogItem};

use super::finding::EventPlace;
use crate::stored_event::{DecodeError, decode, decode_metadata};

/// An open payload.
#[derive(Debug, Clone)]
pub struct OpenPayload {
    /// The event it was stored with.
    pub event: EventPlace,
    /// SHA-256 of it, where its event says so: of message bodies.
    pub digest: Option<Digest>,
}

/// When a payload was closed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Closing {
    /// The event that closed it.
    pub position: Position,
    /// When that was recorded.
    pub at: Timestamp,
    /// Whether it was a part of an event: a watched script or a push target, and no message.
    pub is_sealed_part: bool,
}

/// The log cannot be folded.
#[derive(Debug, thiserror::Error)]
pub enum BooksError {
    /// Its files cannot be read.
    #[error(transparent)]
    Open(#[from] OpenError),
    /// An event is not understood.
    #[error("event {position} of the log is not understood: {source}")]
    Decode {
        /// Its place.
        position: Position,
        /// What is wrong with it.
        source: DecodeError,
    },
}

/// What the events through [`Books::head`] say.
#[derive(Debug, Default)]
pub struct Books {
    clients: HashMap<StreamId, Client>,
    mailboxes: HashMap<StreamId, Mailbox>,
    watchlists: HashMap<StreamId, Watchlist>,
    open: HashMap<PayloadId, OpenPayload>,
    /// What is alive by what the log itself says it erases.
    alive: HashMap<PayloadId, Position>,
    /// What was closed after `remembered_since`; of the rest only the number is kept.
    closings: HashMap<PayloadId, Closing>,
    remembered_since: Timestamp,
    closed: u64,
    events: u64,
    head: Position,
}

impl Books {
    /// Empty books, which remember each closing since `remembered_since`.
    #[must_use]
    pub fn new(remembered_since: Timestamp) -> Self {
        Self {
            remembered_since,
            ..Self::default()
        }
    }

    /// Reads on to the end of the log. `progress` is told how many bytes of how many are done.
    ///
    /// # Errors
    /// [`BooksError`].
    pub fn catch_up(
        &mut self,
        look: &DataFolderLook,
        progress: &dyn Fn(u64, u64),
    ) -> Result<(), BooksError> {
        let (mut failed, head) = (None, self.head);
        let mut take = |item: LogItem<'_>| {
            if failed.is_none() {
                failed = self.take(item).err();
            }
        };
        look.read_log(head, &mut take, progress)?;
        failed.map_or(Ok(()), Err)
    }

    fn take(&mut self, item: LogItem<'_>) -> Result<(), BooksError> {
        match item {
            LogItem::Event(event) => {
                let position = event.position;
                self.take_event(&event)
                    .map_err(|source| BooksError::Decode { position, source })
            }
            LogItem::Erased(ids) => {
                for id in ids {
                    self.alive.remove(id);
                }
                Ok(())
            }
        }
    }

    fn take_event(&mut self, recorded: &RecordedEvent) -> Result<(), DecodeError> {
        let at = decode_metadata(&recorded.metadata)?.recorded_at;
        // Sealed parts are left out: the rules do not look at them, and they may be erased.
        let event = decode(&recorded.kind, recorded.schema, &recorded.body, None)?;
        if let Some(id) = recorded.payload {
            self.alive.insert(id, recorded.position);
            let (seq, digest) = message_of(&event).unzip();
            let event = EventPlace {
                stream: recorded.stream.clone(),
                revision: recorded.revision,
                position: recorded.position,
                seq,
            };
            self.open.insert(id, OpenPayload { event, digest });
        }
        for id in self.fold(&recorded.stream, &event) {
            let Some(payload) = self.open.remove(&id) else {
                continue;
            };
            self.closed += 1;
            if at >= self.remembered_since {
                let closing = Closing {
                    position: recorded.position,
                    at,
                    is_sealed_part: payload.digest.is_none(),
                };
                self.closings.insert(id, closing);
            }
        }
        self.events += 1;
        self.head = recorded.position;
        Ok(())
    }

    /// Which payloads `event` closes.
    fn fold(&mut self, stream: &StreamId, event: &Event) -> Vec<PayloadId> {
        match event {
            Event::Client(event) => fold(&mut self.clients, stream, event),
            Event::Mailbox(event) => fold(&mut self.mailboxes, stream, event),
            Event::Watchlist(event) => fold(&mut self.watchlists, stream, event),
            // Nothing of a chain is personal by itself.
            Event::Chain(_) => Vec::new(),
        }
    }

    /// The last event.
    #[must_use]
    pub const fn head(&self) -> Position {
        self.head
    }

    /// How many events there are.
    #[must_use]
    pub const fn events(&self) -> u64 {
        self.events
    }

    /// How many payloads are closed.
    #[must_use]
    pub const fn closed(&self) -> u64 {
        self.closed
    }

    /// The open payloads.
    #[must_use]
    pub const fn open(&self) -> &HashMap<PayloadId, OpenPayload> {
        &self.open
    }

    /// When a payload was closed, if that is remembered.
    #[must_use]
    pub fn closing(&self, id: &PayloadId) -> Option<Closing> {
        self.closings.get(id).copied()
    }

    /// Every closing that is remembered.
    pub fn closings(&self) -> impl Iterator<Item = Closing> + '_ {
        self.closings.values().copied()
    }

    /// Closed by the events, and not erased by the log; with the event each was stored with.
    pub fn not_erased(&self) -> impl Iterator<Item = (PayloadId, Position)> + '_ {
        let closed = |(id, _): &(&PayloadId, &Position)| !self.open.contains_key(*id);
        let alive = self.alive.iter().filter(closed);
        alive.map(|(id, position)| (*id, *position))
    }

    /// Erased by the log, and not closed by the events.
    pub fn erased_too_early(&self) -> impl Iterator<Item = (PayloadId, &OpenPayload)> {
        let open = self.open.iter();
        open.filter(|(id, _)| !self.alive.contains_key(*id))
            .map(|(id, payload)| (*id, payload))
    }
}

fn fold<A: Aggregate>(
    states: &mut HashMap<StreamId, A>,
    stream: &StreamId,
    event: &A::Event,
) -> Vec<PayloadId> {
    if !states.contains_key(stream) {
        states.insert(stream.clone(), A::default());
    }
    let state = states.get_mut(stream).expect("it was put there");
    let closed = state.payloads_closed_by(event);
    state.evolve(event);
    closed
}

/// The number and the digest of an accepted message.
const fn message_of(event: &Event) -> Option<(u64, Digest)> {
    match event {
        Event::Mailbox(MailboxEvent::MessageAccepted { seq, digest, .. }) => Some((*seq, *digest)),
        _ => None,
    }
}

/// Finds the events that some payloads were stored with; a payload without one is not in the log.
///
/// # Errors
/// [`BooksError`].
pub fn find_events(
    look: &DataFolderLook,
    payloads: &[PayloadId],
) -> Result<HashMap<PayloadId, EventPlace>, BooksError> {
    let wanted: std::collections::HashSet<_> = payloads.iter().copied().collect();
    let mut found = HashMap::new();
    let mut take = |item: LogItem<'_>| {
        let LogItem::Event(event) = item else {
            return;
        };
        let Some(id) = event.payload.filter(|id| wanted.contains(id)) else {
            return;
        };
        let content = decode(&event.kind, event.schema, &event.body, None).ok();
        let seq = content.as_ref().and_then(message_of).map(|(seq, _)| seq);
        let place = EventPlace {
            stream: event.stream,
            revision: event.revision,
            position: event.position,
            seq,
        };
        found.insert(id, place);
    };
    look.read_log(Position::START, &mut take, &|_, _| ())?;
    Ok(found)
}
