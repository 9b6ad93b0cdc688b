//! The event log with a meaning: turns events into the bytes of an [`EventStore`] and back.

use std::sync::Arc;

use async_trait::async_trait;
use futures_util::stream::{self, BoxStream, StreamExt as _, TryStreamExt as _};
use satpost_commands::ports::{
    Appended, EventLog, Expected, LogError, NewEvent, NewPayload, Payloads, StreamPage,
};
use satpost_domain::{Envelope, PayloadId, Position, Revision, StreamId};
use satpost_projections::source::{EventSource, FollowError, Item};

use crate::stored_event::{
    self, DecodeError, Encoded, decode_metadata, encode_metadata, has_sealed_part,
};
use satpost_event_store::{EventStore, Filter, NewStoredEvent, RecordedEvent, StoredItem};

/// How many events are opened at the same time, so that sealed parts are read side by side.
const OPENED_AT_ONCE: usize = 32;

/// The event log over a store of bytes. Cheap to clone.
#[derive(Clone)]
pub struct StoredEventLog {
    store: Arc<dyn EventStore>,
}

impl StoredEventLog {
    /// Builds the log over `store`.
    #[must_use]
    pub fn new(store: Arc<dyn EventStore>) -> Self {
        Self { store }
    }

    /// The store below.
    #[must_use]
    pub fn store(&self) -> &Arc<dyn EventStore> {
        &self.store
    }
}

/// Why a recorded event could not be opened.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum OpenError {
    /// Its bytes are not understood. Reading on would fold a state with a hole in it.
    #[error("event {position} of the log, {revision} of {stream}, is not understood")]
    Decode {
        /// Its place in the log.
        position: Position,
        /// Its place in its stream.
        revision: Revision,
        /// Its stream.
        stream: StreamId,
        /// What is wrong with the bytes.
        source: DecodeError,
    },
    /// Its sealed part could not be read.
    #[error(transparent)]
    Log(#[from] LogError),
}

impl From<OpenError> for LogError {
    fn from(error: OpenError) -> Self {
        match error {
            OpenError::Log(error) => error,
            OpenError::Decode { ref source, .. } => Self::Fatal {
                reason: format!("{error}: {source}"),
            },
        }
    }
}

/// Decodes a recorded event and reads its sealed part, if it has one.
///
/// # Errors
/// [`OpenError`].
pub async fn open(store: &dyn EventStore, recorded: RecordedEvent) -> Result<Envelope, OpenError> {
    let sealed = match recorded.payload {
        Some(id) if has_sealed_part(&recorded.kind, recorded.schema) => store.payload(id).await?,
        _ => None,
    };
    decode(&recorded, sealed.as_deref()).map_err(|source| OpenError::Decode {
        position: recorded.position,
        revision: recorded.revision,
        stream: recorded.stream.clone(),
        source,
    })
}

fn decode(recorded: &RecordedEvent, sealed: Option<&[u8]>) -> Result<Envelope, DecodeError> {
    Ok(Envelope {
        stream: recorded.stream.clone(),
        revision: recorded.revision,
        position: recorded.position,
        event_id: recorded.id,
        metadata: decode_metadata(&recorded.metadata)?,
        event: stored_event::decode(&recorded.kind, recorded.schema, &recorded.body, sealed)?,
    })
}

/// The bytes of a new event.
///
/// # Panics
/// When a payload is given for an event that brings its own, a sealed part.
fn seal(event: NewEvent) -> NewStoredEvent {
    let Encoded {
        kind,
        schema,
        body,
        sealed,
    } = stored_event::encode(&event.event);
    let payload = event.payload.map(|NewPayload { id, bytes }| (id, bytes));
    assert!(
        sealed.is_none() || payload.is_none(),
        "a {kind} has a sealed part and can carry no other payload"
    );
    NewStoredEvent {
        id: event.id,
        kind: kind.into(),
        schema,
        body,
        metadata: encode_metadata(&event.metadata),
        payload: payload.or_else(|| sealed.map(|(id, bytes)| (id, bytes.into()))),
    }
}

#[async_trait]
impl EventLog for StoredEventLog {
    async fn append(
        &self,
        stream: &StreamId,
        expected: Expected,
        events: Vec<NewEvent>,
        erase: Vec<PayloadId>,
    ) -> Result<Appended, LogError> {
        let events = events.into_iter().map(seal).collect();
        self.store.append(stream, expected, events, erase).await
    }

    async fn read(
        &self,
        stream: &StreamId,
        from: Revision,
        max: usize,
    ) -> Result<StreamPage, LogError> {
        let page = self.store.read_stream(stream, from, max).await?;
        let events = stream::iter(page.events)
            .map(|recorded| open(self.store.as_ref(), recorded))
            .buffered(OPENED_AT_ONCE)
            .try_collect()
            .await?;
        Ok(StreamPage {
            events,
            end_of_stream: page.end_of_stream,
        })
    }

    async fn head(&self) -> Result<Position, LogError> {
        self.store.head().await
    }
}

#[async_trait]
impl Payloads for StoredEventLog {
    async fn read(&self, id: PayloadId) -> Result<Option<Vec<u8>>, LogError> {
        self.store.payload(id).await
    }
}

impl EventSource for StoredEventLog {
    fn follow_types(
        &self,
        after: Position,
        types: &[&'static str],
    ) -> BoxStream<'static, Result<Item, FollowError>> {
        let store = Arc::clone(&self.store);
        let filter = Filter {
            streams: Vec::new(),
            kinds: types.iter().map(|name| (*name).to_owned()).collect(),
        };
        self.store
            .follow(after, filter)
            .map(move |item| {
                let store = Arc::clone(&store);
                async move {
                    match item.map_err(follow_error)? {
                        StoredItem::CaughtUp => Ok(Item::CaughtUp),
                        StoredItem::CheckpointAt(position) => Ok(Item::CheckpointAt(position)),
                        StoredItem::Event(recorded) => open(store.as_ref(), *recorded)
                            .await
                            .map(|envelope| Item::Event(Box::new(envelope)))
                            .map_err(|error| follow_error(error.into())),
                    }
                }
            })
            .buffered(OPENED_AT_ONCE)
            .boxed()
    }
}

#[expect(
    clippy::needless_pass_by_value,
    reason = "used with map_err, which hands over the error"
)]
fn follow_error(error: LogError) -> FollowError {
    FollowError {
        reason: error.to_string(),
    }
}

#[cfg(test)]
mod tests;
