//! What is appended for one decision: events with their ids and metadata, and what they close; and
//! how it is appended when the log does not say whether it was.

use std::sync::Arc;

use satpost_domain::aggregate::Aggregate;
use satpost_domain::hash::tagged_16;
use satpost_domain::limits::{UNKNOWN_RETRIES_MAX, UNKNOWN_RETRY_DELAY};
use satpost_domain::{CommandId, EventId, Metadata, PayloadId, RequestDigest, StreamId, Timestamp};

use crate::ports::{Appended, EventLog, Expected, LogError, NewEvent, NewPayload};

use super::CommandContext;
use super::folded::Folded;

/// Who decided a command, and when. A command decided again may give other content (a message id
/// is drawn), and then its events are other events: an append of uncertain outcome that lands late,
/// or one of another server, must never be taken for the later one.
#[derive(Debug, Clone, Copy)]
pub(super) struct Decision {
    /// Drawn when the server was started.
    pub(super) run: [u8; 16],
    /// The clock of that server.
    pub(super) at: Timestamp,
}

/// The id of the event at `place` of what a command appends to one stream:
/// H("satpost/event-id/1", command id ‖ place ‖ run ‖ time ‖ stream), numbers in big endian. The
/// stream is part of it because a request may use its id on several streams.
pub(super) fn command_event_id(
    stream: &StreamId,
    command_id: CommandId,
    decision: Decision,
    place: usize,
) -> EventId {
    let place = u32::try_from(place).expect("a command gives far fewer than 2^32 events");
    EventId::new(tagged_16(
        "satpost/event-id/1",
        &[
            command_id.as_bytes(),
            &place.to_be_bytes(),
            &decision.run,
            &decision.at.as_millis().to_be_bytes(),
            stream.as_str().as_bytes(),
        ],
    ))
}

/// The context of events that no caller named: it comes from their ids, so from their content.
fn ingest_context(ids: &[EventId]) -> CommandContext {
    let parts: Vec<&[u8]> = ids.iter().map(|id| id.as_bytes().as_slice()).collect();
    CommandContext {
        command_id: CommandId::new(tagged_16("satpost/ingest-id/1", &parts)),
        request_digest: RequestDigest::new(tagged_16("satpost/ingest-digest/1", &parts)),
    }
}

/// The events of one decision, ready to be appended more than once.
pub(super) struct Batch<A: Aggregate> {
    pub(super) events: Vec<A::Event>,
    pub(super) metadata: Metadata,
    ids: Vec<EventId>,
    erase: Vec<PayloadId>,
    payload: Option<NewPayload>,
}

impl<A: Aggregate> Batch<A> {
    /// Applies `events` to the state and notes on the way which payloads they close.
    pub(super) fn prepare(
        folded: &mut Folded<A>,
        events: Vec<A::Event>,
        context: Option<CommandContext>,
        payload: Option<NewPayload>,
        recorded_at: Timestamp,
        name: impl Fn(&A, &A::Event, usize) -> EventId,
    ) -> Self {
        let state = Arc::make_mut(&mut folded.state);
        let mut ids = Vec::with_capacity(events.len());
        let mut erase = Vec::new();
        for (place, event) in events.iter().enumerate() {
            erase.extend(state.payloads_closed_by(event));
            state.evolve(event);
            ids.push(name(state, event, place));
        }
        let context = context.unwrap_or_else(|| ingest_context(&ids));
        Self {
            events,
            metadata: Metadata {
                command_id: context.command_id,
                request_digest: context.request_digest,
                recorded_at,
            },
            ids,
            erase,
            payload,
        }
    }

    /// Appends, and repeats the very same append while its outcome is not known.
    pub(super) async fn append(
        &self,
        log: &dyn EventLog,
        stream: &StreamId,
        expected: Expected,
    ) -> Result<Appended, LogError> {
        let mut delay = UNKNOWN_RETRY_DELAY;
        let mut unknown = None;
        for _ in 0..=UNKNOWN_RETRIES_MAX {
            if unknown.is_some() {
                tracing::debug!(
                    stream.category = A::CATEGORY,
                    "the outcome of an append is not known, repeating it"
                );
                tokio::time::sleep(delay).await;
                delay *= 2;
            }
            let (events, erase) = self.to_append();
            match log.append(stream, expected, events, erase).await {
                Err(error @ LogError::Unknown { .. }) => unknown = Some(error),
                // That the repeat did not append says nothing about the first attempt.
                Err(LogError::Unavailable { .. } | LogError::StorageFull { .. })
                    if unknown.is_some() => {}
                answer => return answer,
            }
        }
        Err(unknown.expect("the loop goes on only after an unknown outcome"))
    }

    /// The arguments of an append; the payload goes with the first event.
    fn to_append(&self) -> (Vec<NewEvent>, Vec<PayloadId>) {
        let mut payload = self.payload.clone();
        let events = self.events.iter().zip(&self.ids);
        let events = events.map(|(event, id)| NewEvent {
            id: *id,
            event: event.clone().into(),
            metadata: self.metadata,
            payload: payload.take(),
        });
        (events.collect(), self.erase.clone())
    }
}
