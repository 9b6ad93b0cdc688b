//! What the commands need from outside. `infra` has the adapters.

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use satpost_domain::push::{PushTarget, VerificationCode};
use satpost_domain::{
    Envelope, Event, EventId, MessageId, Metadata, PayloadId, Position, PushTargetId, Revision,
    StreamId, Timestamp, WatchId,
};

/// What an append expects of its stream. There is no "any": a repeat must be recognisable.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Expected {
    /// The stream has no events.
    NoStream,
    /// The last event of the stream is this one.
    Exact(Revision),
}

/// An event to be appended.
#[derive(Debug, Clone)]
pub struct NewEvent {
    /// Its id.
    pub id: EventId,
    /// What happened.
    pub event: Event,
    /// Where it came from.
    pub metadata: Metadata,
    /// An erasable payload that is stored with it, durable before the event is.
    pub payload: Option<NewPayload>,
}

/// A payload to be stored beside the log.
#[derive(Clone)]
pub struct NewPayload {
    /// Its id.
    pub id: PayloadId,
    /// Its bytes; never logged.
    pub bytes: Arc<[u8]>,
}

/// Shows the size only.
impl std::fmt::Debug for NewPayload {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "NewPayload({}, {} bytes)", self.id, self.bytes.len())
    }
}

/// Where an append ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Appended {
    /// The last event's place in the stream.
    pub revision: Revision,
    /// The last event's place in the log.
    pub position: Position,
}

/// A part of a stream.
#[derive(Debug, Clone)]
pub struct StreamPage {
    /// Events by ascending revision; empty when the stream is absent or ended before `from`.
    pub events: Vec<Envelope>,
    /// True when nothing follows the last event.
    pub end_of_stream: bool,
}

/// Why the log could not be used.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum LogError {
    /// The stream is not where it was expected to be; nothing was appended.
    #[error("expected another revision; the stream ends at {actual:?}")]
    Conflict {
        /// The last revision, if there is one.
        actual: Option<Revision>,
    },
    /// An event or payload is too large; nothing was appended.
    #[error("an event or payload has {actual} bytes, at most {max} are stored")]
    TooLarge {
        /// The bound.
        max: usize,
        /// The size.
        actual: usize,
    },
    /// There is no room for it on the disk; nothing was appended. Reads go on, and so do appends
    /// when there is room again.
    #[error("the event log has no room: {reason}")]
    StorageFull {
        /// What is wrong, for the operator.
        reason: String,
    },
    /// The log cannot be reached or takes nothing now; nothing was appended.
    #[error("the event log takes nothing now: {reason}")]
    Unavailable {
        /// What is wrong, for the operator.
        reason: String,
    },
    /// Whether the append happened is not known; the same append may be repeated.
    #[error("the outcome of the append is not known: {reason}")]
    Unknown {
        /// What is wrong, for the operator.
        reason: String,
    },
    /// The log is damaged or has stopped for good.
    #[error("the event log has stopped: {reason}")]
    Fatal {
        /// What is wrong, for the operator.
        reason: String,
    },
}

/// The event log, seen by one who appends and folds.
#[async_trait]
pub trait EventLog: Send + Sync + 'static {
    /// Appends `events` to `stream` and destroys the keys of the payloads in `erase`, all or
    /// nothing, and durable when it returns. The same ids with the same expectation give the same
    /// answer, also after a restart.
    ///
    /// # Errors
    /// [`LogError`]; after `Conflict`, `TooLarge`, `StorageFull` and `Unavailable` nothing has
    /// changed.
    async fn append(
        &self,
        stream: &StreamId,
        expected: Expected,
        events: Vec<NewEvent>,
        erase: Vec<PayloadId>,
    ) -> Result<Appended, LogError>;

    /// Reads up to `max` events of `stream` from `from` on.
    ///
    /// # Errors
    /// [`LogError`] when the log cannot be read. An absent stream is an empty page.
    async fn read(
        &self,
        stream: &StreamId,
        from: Revision,
        max: usize,
    ) -> Result<StreamPage, LogError>;

    /// The position of the last event; [`Position::START`] when there is none.
    ///
    /// # Errors
    /// [`LogError`] when the log cannot be read.
    async fn head(&self) -> Result<Position, LogError>;
}

/// The payloads beside the log.
#[async_trait]
pub trait Payloads: Send + Sync + 'static {
    /// The bytes of a payload, or nothing once it was erased.
    ///
    /// # Errors
    /// [`LogError`] when the store cannot be read.
    async fn read(&self, id: PayloadId) -> Result<Option<Vec<u8>>, LogError>;
}

/// The server's clock.
pub trait Clock: Send + Sync + 'static {
    /// The time now. May jump; order is by position, never by time.
    fn now(&self) -> Timestamp;
}

/// The source of everything that must not be guessed.
pub trait IdSource: Send + Sync + 'static {
    /// A fresh message id.
    fn message_id(&self) -> MessageId;
    /// A fresh watch-list entry id. Its first [`WatchId::COMMON_BYTES`] bytes are never drawn again:
    /// they name a request.
    fn watch_id(&self) -> WatchId;
    /// A fresh push registration id.
    fn push_target_id(&self) -> PushTargetId;
    /// A fresh verification code.
    fn verification_code(&self) -> VerificationCode;
}

/// What a push target is sent. Both have the same size on the wire.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum PushPayload {
    /// The one constant wake-up, for every cause.
    Wake,
    /// The code that must come back before the target is used.
    Verification(VerificationCode),
}

/// What became of a push.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum PushOutcome {
    /// The push service took it.
    Accepted,
    /// Not now for this target; try again, not earlier than this.
    Retry(Option<Duration>),
    /// Not now for anybody: the push service fails or cannot be reached; not earlier than this.
    Unavailable(Option<Duration>),
    /// The push service does not know the target any more; since when, if it says so.
    Invalid(Option<Timestamp>),
    /// The push service refuses our pushes to this target.
    Refused,
    /// The target may not be connected to.
    Forbidden,
    /// The push service does not take our word: the operator has to put credentials or settings
    /// right. The target is as good as before.
    Misconfigured,
}

impl PushOutcome {
    /// The label of this outcome in metrics.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Accepted => "accepted",
            Self::Retry(_) => "retry",
            Self::Unavailable(_) => "unavailable",
            Self::Invalid(_) => "invalid",
            Self::Refused => "refused",
            Self::Forbidden => "forbidden",
            Self::Misconfigured => "misconfigured",
        }
    }
}

/// Chance where nothing has to be secret: it spreads what would otherwise happen at once.
pub trait Chance: Send + Sync + 'static {
    /// A number from 0 up to but not including 1, evenly spread.
    fn fraction(&self) -> f64;
}

/// The way to a phone.
#[async_trait]
pub trait Notifier: Send + Sync + 'static {
    /// Sends one push. Bounded in time; every failure is an outcome.
    async fn push(&self, target: &PushTarget, payload: PushPayload) -> PushOutcome;
}
