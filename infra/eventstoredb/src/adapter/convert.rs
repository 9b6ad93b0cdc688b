//! Events on their way to the cluster and back.

use bytes::Bytes;
use eventstore::{EventData, ResolvedEvent};
use satpost_domain::{EventId, PayloadId, Position, Revision, StreamId};
use satpost_event_store::{NewStoredEvent, RecordedEvent};
use uuid::Uuid;

use super::identity;
use crate::wire_event::{self, CustomMetadata};

/// An event ready to be sent, as often as it takes.
pub(super) struct Prepared {
    id: EventId,
    kind: String,
    body: Bytes,
    custom_metadata: Bytes,
}

impl Prepared {
    pub(super) fn to_wire(&self) -> EventData {
        EventData::binary(&self.kind, self.body.clone())
            .id(Uuid::from_bytes(*self.id.as_bytes()))
            .metadata(self.custom_metadata.clone())
    }
}

/// Prepares the events of one append. The last one names what is erased with them.
pub(super) fn prepare(events: &[NewStoredEvent], erase: &[PayloadId]) -> Vec<Prepared> {
    let last = events.len().saturating_sub(1);
    (0..)
        .zip(events)
        .map(|(number, event)| {
            let custom = CustomMetadata {
                schema: event.schema,
                payload: event.payload.as_ref().map(|(id, _)| *id),
                erases: if number == last {
                    erase.to_vec()
                } else {
                    Vec::new()
                },
                metadata: event.metadata.clone(),
            };
            Prepared {
                id: event.id,
                kind: event.kind.to_string(),
                body: Bytes::copy_from_slice(&event.body),
                custom_metadata: custom.encode().into(),
            }
        })
        .collect()
}

/// One of our events as it was read.
pub(super) struct Read {
    pub(super) event: RecordedEvent,
    /// What was erased with it.
    pub(super) erases: Vec<PayloadId>,
}

/// What stands at a place of the log.
pub(super) enum Found {
    /// One of our events.
    Ours(Box<Read>),
    /// Of the server, of the adapter itself, or of another program.
    Foreign(Position),
}

impl Found {
    pub(super) fn position(&self) -> Position {
        match self {
            Self::Ours(read) => read.event.position,
            Self::Foreign(position) => *position,
        }
    }
}

/// The position of an event. A read of a stream names the first event of its append as the commit
/// position, a read of `$all` the event itself, so the later one is taken: with appends of one
/// write each (all that exist since transactions were removed) both then agree.
pub(super) fn position_of(commit: u64, prepare: u64) -> Position {
    wire_event::position_from_wire(commit.max(prepare), prepare)
}

/// The crate's form of a position.
pub(super) fn to_crate_position(position: Position) -> eventstore::Position {
    let (commit, prepare) = wire_event::position_to_wire(position);
    eventstore::Position { commit, prepare }
}

/// Whether a stream belongs to the server or to the adapter.
fn is_internal(stream: &str, kind: &str) -> bool {
    stream.starts_with('$') || kind.starts_with('$') || stream == identity::STREAM
}

/// Reads an event of `$all` or of a stream; `None` for a link to an event that is gone.
pub(super) fn read(resolved: ResolvedEvent) -> Option<Found> {
    let event = resolved.event?;
    let position = position_of(event.position.commit, event.position.prepare);
    if is_internal(&event.stream_id, &event.event_type) {
        return Some(Found::Foreign(position));
    }
    let stream = event.stream_id.parse::<StreamId>().ok();
    let custom = CustomMetadata::decode(&event.custom_metadata).ok();
    let Some((stream, custom)) = stream.zip(custom) else {
        return Some(Found::Foreign(position));
    };
    let recorded = RecordedEvent {
        stream,
        revision: Revision(event.revision),
        position,
        id: EventId::new(event.id.into_bytes()),
        kind: event.event_type,
        schema: custom.schema,
        body: event.data.into(),
        metadata: custom.metadata,
        payload: custom.payload,
    };
    Some(Found::Ours(Box::new(Read {
        event: recorded,
        erases: custom.erases,
    })))
}
