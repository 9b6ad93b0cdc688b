//! Our log as a contender: in this process, on a disk that counts its syncs.

use std::path::Path;
use std::sync::Arc;

use async_trait::async_trait;
use satpost_commands::ports::{Expected, LogError};
use satpost_domain::{EventId, PayloadId, Revision, StreamId};
use satpost_event_store::embedded::{EmbeddedEventStore, EmbeddedOptions};
use satpost_event_store::{EventStore, NewStoredEvent};

use super::BenchError;
use super::contender::{Answer, Contender, Running, Writer};
use super::counting_storage::CountingStorage;

/// The type of the events.
const KIND: &str = "message_accepted";
/// What the metadata of our own events have, about.
const METADATA_BYTES: usize = 40;
/// What is left in an event whose body lies beside the log.
const BODY_BESIDE_PAYLOAD_BYTES: usize = 100;

/// The embedded log with some options.
pub struct Embedded {
    name: String,
    segment_bytes: Option<u64>,
    bodies: Bodies,
}

/// Where the bytes of an event go.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Bodies {
    /// Into the event.
    Within,
    /// Beside the log, encrypted.
    Beside,
    /// The same, and each append erases those of the one before.
    BesideAndErased,
}

impl Embedded {
    /// As the server opens it.
    #[must_use]
    pub fn new() -> Self {
        Self {
            name: "satpost".to_owned(),
            segment_bytes: None,
            bodies: Bodies::Within,
        }
    }

    /// With files of the log of another size, in bytes.
    #[must_use]
    pub fn with_segments_of(segment_bytes: u64) -> Self {
        Self {
            name: format!("satpost, {} MiB segments", segment_bytes >> 20),
            segment_bytes: Some(segment_bytes),
            bodies: Bodies::Within,
        }
    }

    /// The bytes lie beside the log, encrypted, and each append erases those of the one before.
    #[must_use]
    pub fn with_payloads() -> Self {
        Self {
            name: "satpost, payload and erasure".to_owned(),
            segment_bytes: None,
            bodies: Bodies::BesideAndErased,
        }
    }

    /// The bytes lie beside the log, encrypted, as those of messages that wait.
    #[must_use]
    pub fn with_payloads_that_stay() -> Self {
        Self {
            name: "satpost log, payload".to_owned(),
            segment_bytes: None,
            bodies: Bodies::Beside,
        }
    }

    fn options(&self, folder: &Path) -> EmbeddedOptions {
        let mut options = EmbeddedOptions::new(folder);
        if let Some(segment_bytes) = self.segment_bytes {
            options.segment_bytes = segment_bytes;
        }
        options
    }
}

impl Default for Embedded {
    fn default() -> Self {
        Self::new()
    }
}

#[async_trait]
impl Contender for Embedded {
    fn name(&self) -> &str {
        &self.name
    }

    async fn start(&self, folder: &Path) -> Result<Box<dyn Running>, BenchError> {
        let disk = CountingStorage::default();
        let (storage, options) = (Arc::new(disk.clone()), self.options(folder));
        let store = blocking(move || EmbeddedEventStore::open_on(storage, &options)).await??;
        Ok(Box::new(RunningEmbedded {
            store: Arc::new(store),
            disk,
            bodies: self.bodies,
        }))
    }
}

/// Opening and closing wait for the disk.
pub(super) async fn blocking<T: Send + 'static>(
    work: impl FnOnce() -> T + Send + 'static,
) -> Result<T, BenchError> {
    let ended = tokio::task::spawn_blocking(work).await;
    ended.map_err(BenchError::of("a thread of the benchmark"))
}

struct RunningEmbedded {
    store: Arc<EmbeddedEventStore>,
    disk: CountingStorage,
    bodies: Bodies,
}

#[async_trait]
impl Running for RunningEmbedded {
    async fn writer(&self) -> Result<Box<dyn Writer>, BenchError> {
        let store: Arc<dyn EventStore> = Arc::clone(&self.store) as _;
        Ok(Box::new(StoreWriter::new(store, self.bodies)))
    }

    fn syncs(&self) -> Option<u64> {
        Some(self.disk.syncs())
    }

    async fn stop(self: Box<Self>) -> Result<(), BenchError> {
        blocking(move || drop(self)).await
    }
}

/// Appends to a log.
pub(super) struct StoreWriter {
    store: Arc<dyn EventStore>,
    stream: Option<StreamId>,
    bodies: Bodies,
    last_payload: Option<PayloadId>,
}

impl StoreWriter {
    pub(super) fn new(store: Arc<dyn EventStore>, bodies: Bodies) -> Self {
        Self {
            store,
            stream: None,
            bodies,
            last_payload: None,
        }
    }

    fn stream(&mut self, name: &str) -> Result<StreamId, BenchError> {
        match &self.stream {
            Some(stream) if stream.as_str() == name => Ok(stream.clone()),
            _ => {
                let stream: StreamId = name.parse().map_err(BenchError::of("satpost"))?;
                self.stream = Some(stream.clone());
                Ok(stream)
            }
        }
    }
}

/// An event as the benchmark stores it.
pub(super) fn event(id: [u8; 16], body: Vec<u8>) -> NewStoredEvent {
    NewStoredEvent {
        id: EventId::new(id),
        kind: KIND.into(),
        schema: 1,
        body,
        metadata: vec![0; METADATA_BYTES],
        payload: None,
    }
}

#[async_trait]
impl Writer for StoreWriter {
    async fn append(
        &mut self,
        stream: &str,
        expected: Option<u64>,
        id: [u8; 16],
        body: Vec<u8>,
    ) -> Result<Answer, BenchError> {
        let stream = self.stream(stream)?;
        let expected = match expected {
            None => Expected::NoStream,
            Some(revision) => Expected::Exact(Revision(revision)),
        };
        let mut event = event(id, body);
        let mut erase = Vec::new();
        if self.bodies != Bodies::Within {
            let body = std::mem::replace(&mut event.body, vec![0; BODY_BESIDE_PAYLOAD_BYTES]);
            let payload = PayloadId::new(id);
            event.payload = Some((payload, body.into()));
            if self.bodies == Bodies::BesideAndErased {
                erase.extend(self.last_payload.replace(payload));
            }
        }
        let appended = self.store.append(&stream, expected, vec![event], erase);
        match appended.await {
            Ok(_) => Ok(Answer::Appended),
            Err(LogError::Conflict { .. }) => Ok(Answer::Conflict),
            Err(error) => Err(error.into()),
        }
    }
}
