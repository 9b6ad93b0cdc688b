//! Stored events as the protocol shows them.

use std::collections::HashMap;
use std::sync::Arc;

use satpost_commands::ports::Clock;
use satpost_domain::{Position, Timestamp};
use satpost_event_store::RecordedEvent;
use uuid::Uuid;

use super::Meaning;
use super::foreign::{self, ForeignMetadata};
use crate::protocol::shared;
use crate::protocol::streams::ReadResp;
use crate::protocol::streams::read_resp::{self, ReadEvent, read_event};
use crate::wire_event::{self, CustomMetadata};

/// Turns events into answers, in the way one call asked for.
#[derive(Clone)]
pub(super) struct Render {
    pub(super) meaning: Arc<dyn Meaning>,
    pub(super) clock: Option<Arc<dyn Clock>>,
    /// Ids as two numbers instead of text.
    pub(super) structured_ids: bool,
}

impl Render {
    /// One event.
    pub(super) fn event(&self, event: RecordedEvent) -> ReadResp {
        let (commit_position, prepare_position) = wire_event::position_to_wire(event.position);
        let surroundings = self.surroundings(&event);
        let metadata = HashMap::from([
            ("type".to_owned(), event.kind),
            ("content-type".to_owned(), surroundings.content_type),
            (
                "created".to_owned(),
                ticks(surroundings.recorded_at).to_string(),
            ),
        ]);
        let recorded = read_event::RecordedEvent {
            id: Some(self.id(*event.id.as_bytes())),
            stream_identifier: Some(stream_identifier(event.stream.as_str())),
            stream_revision: event.revision.0,
            prepare_position,
            commit_position,
            metadata,
            custom_metadata: surroundings.custom_metadata,
            data: event.body,
        };
        answer(read_resp::Content::Event(ReadEvent {
            event: Some(recorded),
            link: None,
            position: Some(read_event::Position::CommitPosition(commit_position)),
        }))
    }

    fn surroundings(&self, event: &RecordedEvent) -> Surroundings {
        if event.schema == foreign::SCHEMA
            && let Some(foreign) = ForeignMetadata::decode(&event.metadata)
        {
            return Surroundings {
                content_type: foreign.content_type.to_owned(),
                recorded_at: foreign.recorded_at,
                custom_metadata: foreign.custom_metadata.to_vec(),
            };
        }
        let ours = CustomMetadata {
            schema: event.schema,
            payload: event.payload,
            erases: Vec::new(),
            metadata: event.metadata.clone(),
        };
        Surroundings {
            content_type: wire_event::CONTENT_TYPE.to_owned(),
            recorded_at: self.meaning.recorded_at(event).unwrap_or_default(),
            custom_metadata: ours.encode_with(self.meaning.to_json(event)),
        }
    }

    fn id(&self, bytes: [u8; 16]) -> shared::Uuid {
        if self.structured_ids {
            structured_uuid(bytes)
        } else {
            shared::Uuid {
                value: Some(shared::uuid::Value::String(
                    Uuid::from_bytes(bytes).to_string(),
                )),
            }
        }
    }

    /// The time now, if there is a clock.
    pub(super) fn now(&self) -> Option<prost_types::Timestamp> {
        let millis = self.clock.as_ref()?.now().as_millis();
        Some(prost_types::Timestamp {
            seconds: i64::try_from(millis / 1000).unwrap_or(i64::MAX),
            nanos: i32::try_from(millis % 1000 * 1_000_000).unwrap_or(0),
        })
    }
}

/// What is shown around the data of an event.
struct Surroundings {
    content_type: String,
    recorded_at: Timestamp,
    custom_metadata: Vec<u8>,
}

/// An answer with this content.
pub(super) fn answer(content: read_resp::Content) -> ReadResp {
    ReadResp {
        content: Some(content),
    }
}

/// A position inside an answer.
pub(super) fn position(position: Position) -> read_resp::Position {
    let (commit_position, prepare_position) = wire_event::position_to_wire(position);
    read_resp::Position {
        commit_position,
        prepare_position,
    }
}

/// A stream by its name.
pub(super) fn stream_identifier(name: &str) -> shared::StreamIdentifier {
    shared::StreamIdentifier {
        stream_name: name.as_bytes().to_vec(),
    }
}

/// An id as two numbers.
pub(super) fn structured_uuid(bytes: [u8; 16]) -> shared::Uuid {
    let (most, least) = Uuid::from_bytes(bytes).as_u64_pair();
    shared::Uuid {
        value: Some(shared::uuid::Value::Structured(shared::uuid::Structured {
            most_significant_bits: most.cast_signed(),
            least_significant_bits: least.cast_signed(),
        })),
    }
}

/// The bytes of an id in either spelling; nothing when it has none or the text is not one.
pub(super) fn uuid_bytes(id: Option<&shared::Uuid>) -> Option<[u8; 16]> {
    match id?.value.as_ref()? {
        shared::uuid::Value::Structured(pair) => Some(
            *Uuid::from_u64_pair(
                pair.most_significant_bits.cast_unsigned(),
                pair.least_significant_bits.cast_unsigned(),
            )
            .as_bytes(),
        ),
        shared::uuid::Value::String(text) => Uuid::parse_str(text).ok().map(Uuid::into_bytes),
    }
}

/// A time in ticks of 100 ns since the Unix epoch, as the protocol dates events.
pub(super) fn ticks(time: Timestamp) -> u64 {
    time.as_millis().saturating_mul(10_000)
}
