//! Load, decide, append, retry on conflict: the only place that does it.

use std::sync::Arc;

use satpost_domain::aggregate::Aggregate;
use satpost_domain::{CommandId, EventId, Position, RequestDigest, StreamId, Timestamp};

use crate::error::CommandError;
use crate::ports::{Clock, EventLog, IdSource, NewPayload};

/// Which command this is; a repeat has the same id and digest.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct CommandContext {
    /// Chosen by the caller.
    pub command_id: CommandId,
    /// What the command asks for.
    pub request_digest: RequestDigest,
}

/// What a command did.
#[derive(Debug, Clone)]
pub struct Outcome<E> {
    /// The events it appended, now or when it was first carried out; empty when what was asked
    /// for already held.
    pub events: Vec<E>,
    /// Where the stream stood afterwards: a reader at this position sees the effect.
    pub position: Position,
    /// True when the command was carried out before and this is the first answer again.
    pub repeated: bool,
}

/// Carries out commands. Cheap to clone.
#[derive(Clone)]
pub struct Handler {
    log: Arc<dyn EventLog>,
    clock: Arc<dyn Clock>,
    ids: Arc<dyn IdSource>,
}

impl Handler {
    /// Builds the handler over its ports.
    #[must_use]
    pub fn new(log: Arc<dyn EventLog>, clock: Arc<dyn Clock>, ids: Arc<dyn IdSource>) -> Self {
        Self { log, clock, ids }
    }

    /// The time now.
    #[must_use]
    pub fn now(&self) -> Timestamp {
        self.clock.now()
    }

    /// The source of fresh ids.
    #[must_use]
    pub fn ids(&self) -> &dyn IdSource {
        self.ids.as_ref()
    }

    /// Carries out `command` on `stream`; `payload` is stored with the first event.
    ///
    /// # Errors
    /// [`CommandError`].
    pub async fn handle<A: Aggregate>(
        &self,
        stream: &StreamId,
        context: CommandContext,
        command: &A::Command,
        payload: Option<NewPayload>,
    ) -> Result<Outcome<A::Event>, CommandError<A::Error>> {
        let _ = (&self.log, stream, context, command, payload);
        todo!()
    }

    /// Like [`Self::handle`], for events whose ids are computed from their content. There is no
    /// command id to repeat: deciding again is what makes it idempotent.
    ///
    /// # Errors
    /// [`CommandError`].
    pub async fn handle_ingest<A: Aggregate>(
        &self,
        stream: &StreamId,
        command: &A::Command,
        event_id: impl Fn(&A::Event) -> EventId + Send + Sync,
    ) -> Result<Outcome<A::Event>, CommandError<A::Error>> {
        let _ = (stream, command, event_id);
        todo!()
    }

    /// The present state of a stream, for a writer that must look before it asks (the watcher,
    /// process managers). Never for queries.
    ///
    /// # Errors
    /// [`CommandError::Log`].
    pub async fn state<A: Aggregate>(
        &self,
        stream: &StreamId,
    ) -> Result<Arc<A>, CommandError<A::Error>> {
        let _ = stream;
        todo!()
    }
}
