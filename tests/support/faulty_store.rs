//! An event store that fails when a test says so.

use std::sync::Arc;
use std::sync::atomic::{AtomicU8, Ordering};

use async_trait::async_trait;
use futures_util::stream::BoxStream;
use satpost_commands::ports::{Appended, Expected, LogError};
use satpost_domain::{PayloadId, Position, Revision, StreamId};
use satpost_event_store::{
    Capabilities, EventStore, Filter, LogIdentity, NewStoredEvent, RecordedEvent, RecordedPage,
    StoredItem,
};

/// What goes wrong.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(u8)]
pub enum Fault {
    /// Nothing.
    None,
    /// Appends are refused.
    Unavailable,
    /// The disk is full.
    Full,
    /// Another writer is always faster.
    Conflict,
    /// Payloads are lost.
    LostPayloads,
}

/// A store that behaves like the one below it until a fault is set. Clones share the fault.
#[derive(Clone)]
pub struct FaultyStore {
    inner: Arc<dyn EventStore>,
    fault: Arc<AtomicU8>,
}

impl FaultyStore {
    /// Puts itself before `inner`.
    #[must_use]
    pub fn new(inner: Arc<dyn EventStore>) -> Self {
        Self {
            inner,
            fault: Arc::new(AtomicU8::new(Fault::None as u8)),
        }
    }

    /// From now on this goes wrong.
    pub fn set(&self, fault: Fault) {
        self.fault.store(fault as u8, Ordering::SeqCst);
    }

    fn is(&self, fault: Fault) -> bool {
        self.fault.load(Ordering::SeqCst) == fault as u8
    }
}

#[async_trait]
impl EventStore for FaultyStore {
    async fn append(
        &self,
        stream: &StreamId,
        expected: Expected,
        events: Vec<NewStoredEvent>,
        erase: Vec<PayloadId>,
    ) -> Result<Appended, LogError> {
        if self.is(Fault::Unavailable) {
            let reason = "not now: /secret/path".to_owned();
            return Err(LogError::Unavailable { reason });
        }
        if self.is(Fault::Full) {
            let reason = "no room in /secret/path".to_owned();
            return Err(LogError::StorageFull { reason });
        }
        if self.is(Fault::Conflict) {
            return Err(LogError::Conflict { actual: None });
        }
        self.inner.append(stream, expected, events, erase).await
    }

    async fn read_stream(
        &self,
        stream: &StreamId,
        from: Revision,
        max: usize,
    ) -> Result<RecordedPage, LogError> {
        self.inner.read_stream(stream, from, max).await
    }

    async fn read_stream_back(
        &self,
        stream: &StreamId,
        from: Option<Revision>,
        max: usize,
    ) -> Result<RecordedPage, LogError> {
        self.inner.read_stream_back(stream, from, max).await
    }

    async fn read_all(&self, after: Position, max: usize) -> Result<Vec<RecordedEvent>, LogError> {
        self.inner.read_all(after, max).await
    }

    async fn head(&self) -> Result<Position, LogError> {
        self.inner.head().await
    }

    fn follow(
        &self,
        after: Position,
        filter: Filter,
    ) -> BoxStream<'static, Result<StoredItem, LogError>> {
        self.inner.follow(after, filter)
    }

    async fn identity(&self) -> Result<LogIdentity, LogError> {
        self.inner.identity().await
    }

    async fn payload(&self, id: PayloadId) -> Result<Option<Vec<u8>>, LogError> {
        if self.is(Fault::LostPayloads) {
            return Ok(None);
        }
        self.inner.payload(id).await
    }

    fn capabilities(&self) -> Capabilities {
        self.inner.capabilities()
    }
}
