//! One append: what the protocol proposes becomes what the store takes, and what the protocol may
//! expect of a stream becomes what the store can check.

use std::borrow::Cow;
use std::collections::HashMap;
use std::sync::Arc;

use satpost_commands::ports::{Appended, Clock, Expected, LogError};
use satpost_domain::{EventId, Revision, StreamId, limits};
use satpost_event_store::{EventStore, NewStoredEvent};

use super::Meaning;
use super::foreign::{self, ForeignMetadata};
use super::refusal::Refusal;
use super::render::uuid_bytes;
use crate::protocol::shared;
use crate::protocol::streams::{append_req, batch_append_req};
use crate::wire_event::{self, CustomMetadata};

/// How often an append without an exact expectation is tried again when others were faster.
const TRIES_MAX: usize = 16;

/// What an append expects of its stream.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum ExpectedState {
    /// Nothing.
    Any,
    /// That it has events.
    StreamExists,
    /// That it has none.
    NoStream,
    /// That this is its last one.
    Exact(Revision),
}

/// Where an append ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Outcome {
    /// Events were appended, now or by the same append before.
    Appended(Appended),
    /// There was nothing to append; the stream ends here.
    Nothing { last: Option<Revision> },
}

/// An event that a client proposes, from either way of appending.
pub(super) struct Proposal {
    id: Option<shared::Uuid>,
    metadata: HashMap<String, String>,
    custom_metadata: Vec<u8>,
    data: Vec<u8>,
}

impl From<append_req::ProposedMessage> for Proposal {
    fn from(message: append_req::ProposedMessage) -> Self {
        Self {
            id: message.id,
            metadata: message.metadata,
            custom_metadata: message.custom_metadata,
            data: message.data,
        }
    }
}

impl From<batch_append_req::ProposedMessage> for Proposal {
    fn from(message: batch_append_req::ProposedMessage) -> Self {
        Self {
            id: message.id,
            metadata: message.metadata,
            custom_metadata: message.custom_metadata,
            data: message.data,
        }
    }
}

/// Proposals of one append, within the bounds of the store.
#[derive(Default)]
pub(super) struct Proposals {
    list: Vec<Proposal>,
    bytes: usize,
}

impl Proposals {
    /// Adds one, unless there are too many or they are too large.
    pub(super) fn push(&mut self, proposal: Proposal) -> Result<(), Refusal> {
        let bytes = self.bytes + proposal.data.len() + proposal.custom_metadata.len();
        if bytes > limits::APPEND_BYTES_MAX {
            return Err(LogError::TooLarge {
                max: limits::APPEND_BYTES_MAX,
                actual: bytes,
            }
            .into());
        }
        if self.list.len() == limits::EVENTS_PER_APPEND_MAX {
            return Err(Refusal::BadRequest(format!(
                "one append has at most {} events",
                limits::EVENTS_PER_APPEND_MAX
            )));
        }
        self.bytes = bytes;
        self.list.push(proposal);
        Ok(())
    }

    /// How many bytes they have.
    pub(super) fn bytes(&self) -> usize {
        self.bytes
    }
}

/// Appends to a store for clients.
#[derive(Clone)]
pub(super) struct Appender {
    pub(super) store: Arc<dyn EventStore>,
    pub(super) meaning: Arc<dyn Meaning>,
    pub(super) clock: Option<Arc<dyn Clock>>,
}

impl Appender {
    /// Appends `proposals` to `stream`.
    pub(super) async fn append(
        &self,
        stream: StreamId,
        expected: ExpectedState,
        proposals: Proposals,
    ) -> Result<Outcome, Refusal> {
        let proposals = proposals.list.into_iter();
        let events = proposals
            .map(|proposal| self.event(proposal))
            .collect::<Result<Vec<_>, _>>()?;
        if events.is_empty() {
            let last = self.last(&stream).await?;
            check(expected, last)?;
            return Ok(Outcome::Nothing { last });
        }
        let exact = match expected {
            ExpectedState::NoStream => Some(Expected::NoStream),
            ExpectedState::Exact(revision) => Some(Expected::Exact(revision)),
            ExpectedState::Any | ExpectedState::StreamExists => None,
        };
        let appended = match exact {
            Some(exact) => self.store.append(&stream, exact, events, Vec::new()).await,
            None => self.append_anywhere(&stream, expected, events).await?,
        };
        match appended {
            Ok(appended) => Ok(Outcome::Appended(appended)),
            Err(LogError::Conflict { actual }) => Err(Refusal::WrongVersion { expected, actual }),
            Err(error) => Err(error.into()),
        }
    }

    /// The store knows exact expectations only, so the end of the stream is looked up first. A repeat
    /// of the last append is recognised by its ids, one that came before others is not: that is
    /// what "any" gives away, here as in EventStoreDB.
    async fn append_anywhere(
        &self,
        stream: &StreamId,
        expected: ExpectedState,
        events: Vec<NewStoredEvent>,
    ) -> Result<Result<Appended, LogError>, Refusal> {
        let mut tries = 1;
        loop {
            let tail = self
                .store
                .read_stream_back(stream, None, events.len())
                .await?;
            let last = tail.events.first();
            let ids = events.iter().rev().map(|event| event.id);
            if let Some(last) = last
                && tail.events.iter().map(|event| event.id).eq(ids)
            {
                return Ok(Ok(Appended {
                    revision: last.revision,
                    position: last.position,
                }));
            }
            let last = last.map(|event| event.revision);
            check(expected, last)?;
            let exact = last.map_or(Expected::NoStream, Expected::Exact);
            let appended = self
                .store
                .append(stream, exact, events.clone(), Vec::new())
                .await;
            match appended {
                Err(LogError::Conflict { .. }) if tries < TRIES_MAX => tries += 1,
                Err(LogError::Conflict { .. }) => {
                    return Err(Refusal::Exhausted(
                        "other writers of this stream were faster every time",
                    ));
                }
                appended => return Ok(appended),
            }
        }
    }

    async fn last(&self, stream: &StreamId) -> Result<Option<Revision>, LogError> {
        let page = self.store.read_stream_back(stream, None, 1).await?;
        Ok(page.events.first().map(|event| event.revision))
    }

    fn event(&self, proposal: Proposal) -> Result<NewStoredEvent, Refusal> {
        let bad = |sentence: &str| Refusal::BadRequest(sentence.to_owned());
        let id = uuid_bytes(proposal.id.as_ref()).ok_or_else(|| bad("an event has no id"))?;
        let mut metadata = proposal.metadata;
        let kind = metadata
            .remove("type")
            .filter(|kind| (1..=limits::EVENT_KIND_BYTES_MAX).contains(&kind.len()))
            .ok_or_else(|| bad("an event has a type of 1 to 255 bytes"))?;
        let content_type = metadata
            .remove("content-type")
            .unwrap_or_else(|| wire_event::CONTENT_TYPE.to_owned());
        let (schema, metadata) = match ours(&content_type, &proposal.custom_metadata) {
            Some(ours) => (ours.schema, ours.metadata),
            None => (
                foreign::SCHEMA,
                self.foreign(&content_type, &proposal.custom_metadata)
                    .ok_or_else(|| bad("an event has a content type of at most 65535 bytes"))?,
            ),
        };
        let event = NewStoredEvent {
            id: EventId::new(id),
            kind: Cow::Owned(kind),
            schema,
            body: proposal.data,
            metadata,
            payload: None,
        };
        self.meaning.admit(&event).map_err(Refusal::BadRequest)?;
        Ok(event)
    }

    fn foreign(&self, content_type: &str, custom_metadata: &[u8]) -> Option<Vec<u8>> {
        let now = self.clock.as_ref().map(|clock| clock.now());
        let foreign = ForeignMetadata {
            recorded_at: now.unwrap_or_default(),
            content_type,
            custom_metadata,
        };
        foreign.encode()
    }
}

/// The custom metadata of an event of ours that lies in a store as what it is. One that names
/// payloads does not: their bytes do not come over the wire. Neither does one that is spelled in
/// another way, or it would not come back byte for byte.
fn ours(content_type: &str, custom_metadata: &[u8]) -> Option<CustomMetadata> {
    let ours = CustomMetadata::decode(custom_metadata).ok()?;
    let as_it_is = content_type == wire_event::CONTENT_TYPE
        && ours.payload.is_none()
        && ours.erases.is_empty()
        && ours.encode() == custom_metadata;
    as_it_is.then_some(ours)
}

fn check(expected: ExpectedState, last: Option<Revision>) -> Result<(), Refusal> {
    let as_expected = match expected {
        ExpectedState::Any => true,
        ExpectedState::StreamExists => last.is_some(),
        ExpectedState::NoStream => last.is_none(),
        ExpectedState::Exact(revision) => last == Some(revision),
    };
    if as_expected {
        Ok(())
    } else {
        Err(Refusal::WrongVersion {
            expected,
            actual: last,
        })
    }
}
