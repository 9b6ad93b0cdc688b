//! A log in front of another one that passes everything on, but for what a test takes a hand in.

use std::sync::Arc;

use async_trait::async_trait;
use futures_util::stream::BoxStream;
use satpost_commands::ports::{Appended, Expected, LogError};
use satpost_domain::{PayloadId, Position, Revision, StreamId};
use satpost_event_store::{
    Capabilities, EventStore, Filter, LogIdentity, NewStoredEvent, RecordedEvent, RecordedPage,
    StoredItem,
};

/// An append as it was asked for.
#[derive(Debug, Clone)]
pub struct Append {
    /// Where to.
    pub stream: StreamId,
    /// Where the stream should end.
    pub expected: Expected,
    /// What is appended.
    pub events: Vec<NewStoredEvent>,
    /// What is erased.
    pub erase: Vec<PayloadId>,
}

impl Append {
    /// Has `store` carry it out.
    ///
    /// # Errors
    /// Those of the store.
    pub async fn to(self, store: &dyn EventStore) -> Result<Appended, LogError> {
        store
            .append(&self.stream, self.expected, self.events, self.erase)
            .await
    }
}

/// What a test takes a hand in. By itself it does nothing.
#[async_trait]
pub trait Hook: Send + Sync + 'static {
    /// Carries an append out on `store`, or does something else.
    ///
    /// # Errors
    /// Whatever the one who appends shall see.
    async fn append(&self, store: &dyn EventStore, append: Append) -> Result<Appended, LogError> {
        append.to(store).await
    }

    /// Reads a payload of `store`, or does something else.
    ///
    /// # Errors
    /// Whatever the one who reads shall see.
    async fn payload(
        &self,
        store: &dyn EventStore,
        id: PayloadId,
    ) -> Result<Option<Vec<u8>>, LogError> {
        store.payload(id).await
    }
}

/// The store in front. Clones share the hook.
pub struct HookedStore<H> {
    inner: Arc<dyn EventStore>,
    hook: Arc<H>,
}

impl<H> Clone for HookedStore<H> {
    fn clone(&self) -> Self {
        Self {
            inner: Arc::clone(&self.inner),
            hook: Arc::clone(&self.hook),
        }
    }
}

impl<H> HookedStore<H> {
    /// Puts itself before `inner`.
    #[must_use]
    pub fn with(inner: Arc<dyn EventStore>, hook: impl Into<Arc<H>>) -> Self {
        Self {
            inner,
            hook: hook.into(),
        }
    }

    /// What takes a hand.
    #[must_use]
    pub fn hook(&self) -> &H {
        &self.hook
    }
}

#[async_trait]
impl<H: Hook> EventStore for HookedStore<H> {
    async fn append(
        &self,
        stream: &StreamId,
        expected: Expected,
        events: Vec<NewStoredEvent>,
        erase: Vec<PayloadId>,
    ) -> Result<Appended, LogError> {
        let append = Append {
            stream: stream.clone(),
            expected,
            events,
            erase,
        };
        self.hook.append(&*self.inner, append).await
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
        self.hook.payload(&*self.inner, id).await
    }

    fn capabilities(&self) -> Capabilities {
        self.inner.capabilities()
    }
}
