//! Load, decide, append, retry on conflict: the only place that does it.
//!
//! Commands on one stream queue inside this process and find the folded state of the last one, so
//! a command on a warm stream reads nothing. Other servers are noticed by the expected revision: a
//! conflict drops the state and decides again. A refusal, or an answer that nothing is to be done,
//! is given only after a look at the end of the stream.

mod batch;
mod folded;
mod recent_commands;
mod streams;
#[cfg(test)]
mod tests;

use std::sync::Arc;

use satpost_domain::aggregate::Aggregate;
use satpost_domain::limits::CONFLICT_RETRIES_MAX;
use satpost_domain::{CommandId, EventId, Position, RequestDigest, Revision, StreamId, Timestamp};

use crate::error::CommandError;
use crate::ports::{Clock, EventLog, IdSource, LogError, NewPayload, StreamPage};

use batch::{Batch, Decision, command_event_id};
use folded::{Folded, read_back};
use recent_commands::Recall;
use streams::{Streams, Turn};

/// Which command this is; a repeat has the same id and digest.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct CommandContext {
    /// Chosen by the caller. Names the command within each stream: the same id may be used once on
    /// every stream that a request concerns.
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

/// Carries out commands. Cheap to clone; clones share what they remember.
#[derive(Clone)]
pub struct Handler {
    log: Arc<dyn EventLog>,
    clock: Arc<dyn Clock>,
    ids: Arc<dyn IdSource>,
    streams: Arc<Streams>,
    /// Tells what this server decided from what another one did, or this one before a restart.
    run: [u8; 16],
}

/// What is known once a command was decided against the present state.
enum Decided<A: Aggregate> {
    /// It was carried out before.
    Repeat(Recall),
    /// It is refused.
    Refused(A::Error),
    /// It gives these events; none when what was asked for already holds.
    Events(Vec<A::Event>),
}

impl Handler {
    /// Builds the handler over its ports.
    #[must_use]
    pub fn new(log: Arc<dyn EventLog>, clock: Arc<dyn Clock>, ids: Arc<dyn IdSource>) -> Self {
        let run = *ids.message_id().as_bytes();
        Self {
            log,
            clock,
            ids,
            streams: Arc::new(Streams::default()),
            run,
        }
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

    /// Reads up to `max` events of `stream` from `from` on, for queries that need more than the read
    /// model keeps.
    ///
    /// # Errors
    /// [`LogError`] when the log cannot be read.
    pub async fn read_stream(
        &self,
        stream: &StreamId,
        from: Revision,
        max: usize,
    ) -> Result<StreamPage, LogError> {
        self.log.read(stream, from, max).await
    }

    /// Carries out `command` on `stream`; `payload` is stored with the first event.
    ///
    /// A repeat of one of the last [`satpost_domain::limits::COMMANDS_REMEMBERED_MAX`] commands of
    /// the stream that changed something gets the first answer, also after a restart. A command
    /// that changed nothing is simply decided again.
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
        let name = |_: &A, _: &A::Event, place: usize, decision: Decision| {
            command_event_id(stream, context.command_id, decision, place)
        };
        self.carry_out(stream, Some(context), command, payload, name)
            .await
    }

    /// Like [`Self::handle`], for events whose ids are computed from their content: from the event
    /// and the state right after it. There is no command id to repeat: deciding again is what
    /// makes it idempotent.
    ///
    /// # Errors
    /// [`CommandError`].
    pub async fn handle_ingest<A: Aggregate>(
        &self,
        stream: &StreamId,
        command: &A::Command,
        event_id: impl Fn(&A, &A::Event) -> EventId + Send + Sync,
    ) -> Result<Outcome<A::Event>, CommandError<A::Error>> {
        let name = |state: &A, event: &A::Event, _: usize, _: Decision| event_id(state, event);
        self.carry_out(stream, None, command, None, name).await
    }

    /// Answers like [`Self::handle`] would, but changes nothing: `Ok` when the command was carried
    /// out before or would be now. For commands that touch a second stream first.
    ///
    /// # Errors
    /// [`CommandError`].
    pub async fn rehearse<A: Aggregate>(
        &self,
        stream: &StreamId,
        context: CommandContext,
        command: &A::Command,
    ) -> Result<(), CommandError<A::Error>> {
        let mut turn = self.streams.enter(stream).await;
        let (mut folded, warm) = self.folded::<A>(&mut turn, stream).await?;
        let decided = self.decide(&mut folded, warm, stream, Some(context), command);
        let decided = decided.await?;
        turn.keep(folded);
        match decided {
            Decided::Repeat(Recall::OtherRequest) => Err(CommandError::IdempotencyMismatch),
            Decided::Refused(error) => Err(CommandError::Rejected(error)),
            Decided::Repeat(Recall::Same(_)) | Decided::Events(_) => Ok(()),
        }
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
        let mut turn = self.streams.enter(stream).await;
        let (mut folded, warm) = self.folded::<A>(&mut turn, stream).await?;
        if warm {
            folded.catch_up(self.log.as_ref(), stream).await?;
        }
        let state = Arc::clone(&folded.state);
        turn.keep(folded);
        Ok(state)
    }

    /// Like [`Self::state`], without a look at what other servers have appended since: for a writer
    /// that is alone as a rule, asks often, and whose appends say so when it is not.
    ///
    /// # Errors
    /// [`CommandError::Log`].
    pub async fn last_state<A: Aggregate>(
        &self,
        stream: &StreamId,
    ) -> Result<Arc<A>, CommandError<A::Error>> {
        let mut turn = self.streams.enter(stream).await;
        let (folded, _) = self.folded::<A>(&mut turn, stream).await?;
        let state = Arc::clone(&folded.state);
        turn.keep(folded);
        Ok(state)
    }

    async fn carry_out<A, N>(
        &self,
        stream: &StreamId,
        context: Option<CommandContext>,
        command: &A::Command,
        payload: Option<NewPayload>,
        name: N,
    ) -> Result<Outcome<A::Event>, CommandError<A::Error>>
    where
        A: Aggregate,
        N: Fn(&A, &A::Event, usize, Decision) -> EventId + Send + Sync,
    {
        let mut turn = self.streams.enter(stream).await;
        for _ in 0..=CONFLICT_RETRIES_MAX {
            let (mut folded, warm) = self.folded::<A>(&mut turn, stream).await?;
            let decided = self.decide(&mut folded, warm, stream, context, command);
            let events = match decided.await? {
                Decided::Events(events) => events,
                Decided::Refused(error) => {
                    turn.keep(folded);
                    return Err(CommandError::Rejected(error));
                }
                Decided::Repeat(recall) => {
                    turn.keep(folded);
                    return self.first_answer::<A>(stream, recall).await;
                }
            };
            if events.is_empty() {
                let position = folded.position;
                turn.keep(folded);
                return Ok(answer(events, position));
            }
            // The state moves on before the append, because it must not be cloned for it; unless
            // the append succeeds it is dropped here and folded again from the log.
            let expected = folded.expected();
            let at = self.now();
            let decision = Decision { run: self.run, at };
            let name = |state: &A, event: &A::Event, place| name(state, event, place, decision);
            let batch = Batch::prepare(&mut folded, events, context, payload.clone(), at, name);
            match batch.append(self.log.as_ref(), stream, expected).await {
                Ok(appended) => {
                    folded.moved_to(appended, &batch.metadata, batch.events.len());
                    turn.keep(folded);
                    return Ok(answer(batch.events, appended.position));
                }
                Err(LogError::Conflict { .. }) => {
                    tracing::debug!(
                        stream.category = A::CATEGORY,
                        "another writer was faster, deciding again"
                    );
                }
                Err(error) => return Err(error.into()),
            }
        }
        Err(CommandError::Conflict {
            retries: CONFLICT_RETRIES_MAX,
        })
    }

    /// The state of the stream, taken out of the cache (`true`: other servers may have moved the
    /// stream on) or read from the log (`false`).
    async fn folded<A: Aggregate>(
        &self,
        turn: &mut Turn<'_>,
        stream: &StreamId,
    ) -> Result<(Box<Folded<A>>, bool), LogError> {
        if let Some(folded) = turn.take() {
            return Ok((folded, true));
        }
        let mut folded = Box::<Folded<A>>::default();
        folded.catch_up(self.log.as_ref(), stream).await?;
        Ok((folded, false))
    }

    /// Decides against a state that is certainly current when the decision changes nothing: the
    /// append checks the others.
    async fn decide<A: Aggregate>(
        &self,
        folded: &mut Folded<A>,
        mut warm: bool,
        stream: &StreamId,
        context: Option<CommandContext>,
        command: &A::Command,
    ) -> Result<Decided<A>, LogError> {
        loop {
            if let Some(recall) = context.and_then(|context| folded.recall(context)) {
                return Ok(Decided::Repeat(recall));
            }
            let decided = match folded.state.decide(command) {
                Ok(events) if !events.is_empty() => return Ok(Decided::Events(events)),
                Ok(events) => Decided::Events(events),
                Err(error) => Decided::Refused(error),
            };
            if !warm || !folded.catch_up(self.log.as_ref(), stream).await? {
                return Ok(decided);
            }
            warm = false;
        }
    }

    async fn first_answer<A: Aggregate>(
        &self,
        stream: &StreamId,
        recall: Recall,
    ) -> Result<Outcome<A::Event>, CommandError<A::Error>> {
        match recall {
            Recall::OtherRequest => Err(CommandError::IdempotencyMismatch),
            Recall::Same(command) => {
                let (events, position) =
                    read_back::<A>(self.log.as_ref(), stream, &command).await?;
                Ok(Outcome {
                    events,
                    position,
                    repeated: true,
                })
            }
        }
    }
}

const fn answer<E>(events: Vec<E>, position: Position) -> Outcome<E> {
    Outcome {
        events,
        position,
        repeated: false,
    }
}
