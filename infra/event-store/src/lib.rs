//! The event log as bytes: what every storage engine below it offers. An engine knows streams,
//! ids and positions, and nothing of what an event means; `event_log` gives the bytes a meaning.
//!
//! - [`memory`]: for tests and simulations.
//! - [`embedded`]: our own segmented log, the default.
//! - [`payload_store`]: what can be erased, beside a log.
//! - [`storage`]: the disk under both.
//!
//! All engines pass one contract suite (`tests/contract`).

use std::borrow::Cow;
use std::fmt;
use std::sync::Arc;

use async_trait::async_trait;
use futures_util::stream::BoxStream;
use satpost_commands::ports::{Appended, Expected, LogError};
use satpost_domain::limits;
use satpost_domain::{EventId, PayloadId, Position, Revision, StreamId};

pub mod embedded;
mod follow;
pub mod memory;
pub mod payload_store;
pub mod storage;

/// An event to be stored.
#[derive(Clone)]
pub struct NewStoredEvent {
    /// Its id. A repeated append is recognised by it.
    pub id: EventId,
    /// The name of its type, 1 to 255 bytes.
    pub kind: Cow<'static, str>,
    /// The version of its body.
    pub schema: u16,
    /// What happened, encoded.
    pub body: Vec<u8>,
    /// Where it came from, encoded. Body and metadata together have at most
    /// [`limits::EVENT_BYTES_MAX`] bytes.
    pub metadata: Vec<u8>,
    /// An erasable payload of at most [`limits::PAYLOAD_BYTES_MAX`] bytes, durable before the
    /// event is. An id that is in use already is replaced.
    pub payload: Option<(PayloadId, Arc<[u8]>)>,
}

/// Shows names and sizes, never bytes.
impl fmt::Debug for NewStoredEvent {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("NewStoredEvent")
            .field("id", &self.id)
            .field("kind", &self.kind)
            .field("schema", &self.schema)
            .field("body_bytes", &self.body.len())
            .field("metadata_bytes", &self.metadata.len())
            .field(
                "payload",
                &self.payload.as_ref().map(|(id, bytes)| (id, bytes.len())),
            )
            .finish()
    }
}

/// An event as it was stored.
#[derive(Clone, PartialEq, Eq)]
pub struct RecordedEvent {
    /// The stream it belongs to.
    pub stream: StreamId,
    /// Its place in the stream.
    pub revision: Revision,
    /// Its place in the log.
    pub position: Position,
    /// Its id.
    pub id: EventId,
    /// The name of its type.
    pub kind: String,
    /// The version of its body.
    pub schema: u16,
    /// What happened, encoded.
    pub body: Vec<u8>,
    /// Where it came from, encoded.
    pub metadata: Vec<u8>,
    /// The payload it was appended with, which may be erased by now.
    pub payload: Option<PayloadId>,
}

/// Shows names and sizes, never bytes.
impl fmt::Debug for RecordedEvent {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("RecordedEvent")
            .field("stream", &self.stream)
            .field("revision", &self.revision)
            .field("position", &self.position)
            .field("id", &self.id)
            .field("kind", &self.kind)
            .field("schema", &self.schema)
            .field("body_bytes", &self.body.len())
            .field("metadata_bytes", &self.metadata.len())
            .field("payload", &self.payload)
            .finish()
    }
}

/// A part of a stream.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RecordedPage {
    /// Ascending by revision when read forwards, descending when read backwards. Empty when the
    /// stream is absent or has nothing there.
    pub events: Vec<RecordedEvent>,
    /// True when nothing follows the last of `events` in the direction of reading.
    pub end_of_stream: bool,
}

/// Which events a follower is given: those whose stream name starts with one of `streams` and
/// whose type starts with one of `kinds`. An empty list accepts everything.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Filter {
    /// Beginnings of stream names: `mailbox-` is a whole category.
    pub streams: Vec<String>,
    /// Beginnings of type names.
    pub kinds: Vec<String>,
}

impl Filter {
    /// Accepts every event.
    #[must_use]
    pub fn all() -> Self {
        Self::default()
    }

    /// Whether an event of this stream and type is given to the follower.
    #[must_use]
    pub fn accepts(&self, stream: &str, kind: &str) -> bool {
        let begins = |prefixes: &[String], text: &str| {
            prefixes.is_empty() || prefixes.iter().any(|prefix| text.starts_with(prefix))
        };
        begins(&self.streams, stream) && begins(&self.kinds, kind)
    }
}

/// Which log this is: another one has another identity, and a copy or a restored backup of it has
/// the same. What is kept beside a log (snapshots, checkpoints) names the log it was made from.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct LogIdentity(pub [u8; 16]);

/// 32 lower-case hexadecimal digits.
impl fmt::Display for LogIdentity {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&hex::encode(self.0))
    }
}

/// Something a follower meets.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum StoredItem {
    /// The next event that the filter accepts.
    Event(Box<RecordedEvent>),
    /// Everything through this position was looked at, and what was not given is not accepted by
    /// the filter. Comes from time to time, so that a checkpoint moves on without events.
    CheckpointAt(Position),
    /// The history is over; what follows is live. Comes once.
    CaughtUp,
}

/// What an engine promises beyond the trait.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Capabilities {
    /// An answered append survives the end of the process and a power cut.
    pub durable: bool,
    /// Positions count 1, 2, 3 … without gaps.
    pub contiguous_positions: bool,
    /// A payload is unreadable when the append that erases it is answered.
    pub erases_at_once: bool,
}

/// A log of events in streams, and the payloads beside it.
#[async_trait]
pub trait EventStore: Send + Sync + 'static {
    /// Appends `events` to `stream` and erases the payloads in `erase`: all or nothing, and
    /// durable when it returns.
    ///
    /// - A stream that is not where it is expected to be is a conflict, unless the events found
    ///   after the expected place have exactly the ids of `events`: then this append was carried
    ///   out before, and its first answer is given again, also after a restart.
    /// - With a correct expectation the append is new, whatever its ids are.
    /// - Without events the expectation is checked all the same, the payloads are erased, and the
    ///   answer is the end of the stream. [`Expected::NoStream`] without events is a conflict
    ///   (`actual` says what is there), since there is no place to answer with.
    /// - Erasing what is unknown or erased already does nothing.
    ///
    /// # Errors
    /// [`LogError`]; after `Conflict`, `TooLarge`, `StorageFull` and `Unavailable` nothing has
    /// changed.
    async fn append(
        &self,
        stream: &StreamId,
        expected: Expected,
        events: Vec<NewStoredEvent>,
        erase: Vec<PayloadId>,
    ) -> Result<Appended, LogError>;

    /// Reads up to `max` events of `stream` from `from` on, by ascending revision. A page has a
    /// bound in bytes as well, so only [`RecordedPage::end_of_stream`] tells that nothing follows.
    ///
    /// # Errors
    /// [`LogError`] when the log cannot be read.
    async fn read_stream(
        &self,
        stream: &StreamId,
        from: Revision,
        max: usize,
    ) -> Result<RecordedPage, LogError>;

    /// Reads up to `max` events of `stream` by descending revision, from `from` (or from the end
    /// of the stream) on. Bounded in bytes like [`Self::read_stream`].
    ///
    /// # Errors
    /// [`LogError`] when the log cannot be read.
    async fn read_stream_back(
        &self,
        stream: &StreamId,
        from: Option<Revision>,
        max: usize,
    ) -> Result<RecordedPage, LogError>;

    /// Reads up to `max` events of all streams by position, strictly after `after`. May return
    /// fewer; an empty answer means that nothing follows.
    ///
    /// # Errors
    /// [`LogError`] when the log cannot be read.
    async fn read_all(&self, after: Position, max: usize) -> Result<Vec<RecordedEvent>, LogError>;

    /// The position of the last event; [`Position::START`] when there is none.
    ///
    /// # Errors
    /// [`LogError`] when the log cannot be read.
    async fn head(&self) -> Result<Position, LogError>;

    /// Every event strictly after `after` that `filter` accepts, in order, without gap or double:
    /// history, then [`StoredItem::CaughtUp`], then live. Holds a bounded number of events. Ends
    /// after an error.
    fn follow(
        &self,
        after: Position,
        filter: Filter,
    ) -> BoxStream<'static, Result<StoredItem, LogError>>;

    /// Which log this is.
    ///
    /// # Errors
    /// [`LogError`] when the log cannot be read.
    async fn identity(&self) -> Result<LogIdentity, LogError>;

    /// The bytes of a payload; nothing when it is unknown or erased.
    ///
    /// # Errors
    /// [`LogError`] when the store cannot be read.
    async fn payload(&self, id: PayloadId) -> Result<Option<Vec<u8>>, LogError>;

    /// What this engine promises.
    fn capabilities(&self) -> Capabilities;
}

/// Refuses an append that is over a bound. `append_bytes_max` is the engine's bound on the bodies
/// and metadata of one append together, and on its payloads together.
///
/// # Errors
/// [`LogError::TooLarge`].
pub fn check_bounds(
    events: &[NewStoredEvent],
    erase: &[PayloadId],
    append_bytes_max: usize,
) -> Result<(), LogError> {
    let at_most = |max: usize, actual: usize| {
        if actual <= max {
            Ok(())
        } else {
            Err(LogError::TooLarge { max, actual })
        }
    };
    at_most(limits::EVENTS_PER_APPEND_MAX, events.len())?;
    at_most(limits::ERASURES_PER_APPEND_MAX, erase.len())?;
    let (mut total, mut payload_total) = (0, 0);
    for event in events {
        let bytes = event.body.len() + event.metadata.len();
        at_most(limits::EVENT_BYTES_MAX, bytes)?;
        at_most(limits::EVENT_KIND_BYTES_MAX, event.kind.len())?;
        if let Some((_, payload)) = &event.payload {
            at_most(limits::PAYLOAD_BYTES_MAX, payload.len())?;
            payload_total += payload.len();
        }
        total += bytes;
    }
    at_most(append_bytes_max, total)?;
    at_most(append_bytes_max, payload_total)
}
