//! A log that breaks its word in one chosen way, to show that the checks notice.

use std::sync::Arc;

use async_trait::async_trait;
use futures_util::stream::BoxStream;
use satpost_commands::ports::{Appended, Expected, LogError};
use satpost_domain::{PayloadId, Position, Revision, StreamId};
use satpost_event_store::{
    Capabilities, EventStore, Filter, LogIdentity, NewStoredEvent, RecordedEvent, RecordedPage,
    StoredItem,
};

/// Which word is broken.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Store {
    /// None.
    Plain,
    /// What is sent again is appended again.
    AppendsRepeats,
    /// What an append erases stays.
    KeepsErased,
}

/// The store in front of the log.
pub struct BrokenStore {
    inner: Arc<dyn EventStore>,
    broken: Store,
}

impl BrokenStore {
    /// Puts itself before `inner`.
    #[must_use]
    pub fn new(inner: Arc<dyn EventStore>, broken: Store) -> Self {
        Self { inner, broken }
    }
}

#[async_trait]
impl EventStore for BrokenStore {
    async fn append(
        &self,
        stream: &StreamId,
        mut expected: Expected,
        events: Vec<NewStoredEvent>,
        mut erase: Vec<PayloadId>,
    ) -> Result<Appended, LogError> {
        match self.broken {
            Store::AppendsRepeats => {
                let end = self.inner.read_stream_back(stream, None, 1).await?;
                if let Some(last) = end.events.first() {
                    expected = Expected::Exact(last.revision);
                }
            }
            Store::KeepsErased if !events.is_empty() => erase.clear(),
            Store::KeepsErased | Store::Plain => {}
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
        self.inner.payload(id).await
    }

    fn capabilities(&self) -> Capabilities {
        self.inner.capabilities()
    }
}
