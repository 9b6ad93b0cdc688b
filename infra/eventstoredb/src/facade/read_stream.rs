//! Reads a stream: pages of the store, one after the other, as fast as the client takes them.

use std::sync::Arc;

use futures_util::stream::{self, BoxStream, StreamExt as _, TryStreamExt as _};
use satpost_commands::ports::LogError;
use satpost_domain::{Revision, StreamId};
use satpost_event_store::{EventStore, Filter, RecordedPage, StoredItem};
use tonic::Status;

use super::bounds;
use super::read_request::{Direction, Start};
use super::refusal::Refusal;
use super::render::{Render, answer};
use crate::protocol::shared;
use crate::protocol::streams::ReadResp;
use crate::protocol::streams::read_resp::{self, StreamNotFound};

/// The answer when there is no stream of this name.
pub(super) fn not_found(name: Vec<u8>) -> ReadResp {
    answer(read_resp::Content::StreamNotFound(StreamNotFound {
        stream_identifier: Some(shared::StreamIdentifier { stream_name: name }),
    }))
}

/// Where a read of a stream is.
struct Cursor {
    store: Arc<dyn EventStore>,
    stream: StreamId,
    direction: Direction,
    /// The next revision; nothing when that is the end of the stream.
    next: Option<Revision>,
    left: u64,
    begun: bool,
    ended: bool,
}

/// Up to `max` events of `stream`, the one at `start` included.
pub(super) fn read(
    store: Arc<dyn EventStore>,
    stream: StreamId,
    start: Start<Revision>,
    direction: Direction,
    max: u64,
    render: Render,
) -> BoxStream<'static, Result<ReadResp, Status>> {
    let cursor = Cursor {
        store,
        stream,
        direction,
        next: match start {
            Start::Beginning => Some(Revision(0)),
            Start::At(revision) => Some(revision),
            Start::End => None,
        },
        left: max,
        begun: false,
        ended: false,
    };
    stream::try_unfold((cursor, render), |(mut cursor, render)| async move {
        let answers = cursor.answers(&render).await?;
        Ok::<_, LogError>(answers.map(|answers| (answers, (cursor, render))))
    })
    .map_err(|error| Refusal::Log(error).into_status())
    .map_ok(|answers| stream::iter(answers.into_iter().map(Ok)))
    .try_flatten()
    .boxed()
}

impl Cursor {
    async fn answers(&mut self, render: &Render) -> Result<Option<Vec<ReadResp>>, LogError> {
        if self.ended {
            return Ok(None);
        }
        let page = self.page().await?;
        if !self.begun && page.events.is_empty() && !self.exists().await? {
            self.ended = true;
            let name = self.stream.as_str().as_bytes().to_vec();
            return Ok(Some(vec![not_found(name)]));
        }
        self.begun = true;
        self.left = self.left.saturating_sub(page.events.len() as u64);
        self.next = match (page.events.last(), self.direction) {
            (Some(last), Direction::Forwards) => Some(last.revision.next()),
            (Some(last), Direction::Backwards) => last.revision.0.checked_sub(1).map(Revision),
            (None, _) => None,
        };
        self.ended = page.end_of_stream || self.left == 0 || self.next.is_none();
        Ok(Some(
            page.events
                .into_iter()
                .map(|event| render.event(event))
                .collect(),
        ))
    }

    async fn page(&self) -> Result<RecordedPage, LogError> {
        let max = usize::try_from(self.left)
            .unwrap_or(usize::MAX)
            .min(bounds::PAGE_EVENTS);
        match (self.direction, self.next) {
            (Direction::Forwards, Some(from)) => {
                self.store.read_stream(&self.stream, from, max).await
            }
            (Direction::Forwards, None) => Ok(RecordedPage {
                events: Vec::new(),
                end_of_stream: true,
            }),
            (Direction::Backwards, from) => {
                self.store.read_stream_back(&self.stream, from, max).await
            }
        }
    }

    async fn exists(&self) -> Result<bool, LogError> {
        let last = self.store.read_stream_back(&self.stream, None, 1).await?;
        Ok(!last.events.is_empty())
    }
}

/// Where a follower of a stream is.
struct Follower {
    store: Arc<dyn EventStore>,
    stream: StreamId,
    next: Revision,
    /// What comes after the history, once that is read.
    live: Option<BoxStream<'static, Result<StoredItem, LogError>>>,
}

/// Every event of `stream` strictly after `start`: the history by the index of the stream, then live.
/// Checkpoints are not part of it.
pub(super) async fn follow(
    store: Arc<dyn EventStore>,
    stream: StreamId,
    start: Start<Revision>,
) -> Result<BoxStream<'static, Result<StoredItem, LogError>>, LogError> {
    let next = match start {
        Start::Beginning => Revision(0),
        Start::At(revision) => Revision(revision.0.saturating_add(1)),
        Start::End => {
            let last = store.read_stream_back(&stream, None, 1).await?;
            last.events
                .first()
                .map_or(Revision(0), |last| last.revision.next())
        }
    };
    let follower = Follower {
        store,
        stream,
        next,
        live: None,
    };
    let items = stream::try_unfold(follower, |mut follower| async move {
        let items = follower.items().await?;
        Ok(items.map(|items| (items, follower)))
    })
    .map_ok(|items| stream::iter(items.into_iter().map(Ok)))
    .try_flatten();
    Ok(items.boxed())
}

impl Follower {
    async fn items(&mut self) -> Result<Option<Vec<StoredItem>>, LogError> {
        if self.live.is_some() {
            return Ok(self.live_item().await?.map(|item| vec![item]));
        }
        // Asked before reading: what comes meanwhile is after it, or among what is read.
        let head = self.store.head().await?;
        let page = self
            .store
            .read_stream(&self.stream, self.next, bounds::PAGE_EVENTS)
            .await?;
        if let Some(last) = page.events.last() {
            self.next = last.revision.next();
        }
        if page.end_of_stream {
            let filter = Filter {
                streams: vec![self.stream.as_str().to_owned()],
                kinds: Vec::new(),
            };
            self.live = Some(self.store.follow(head, filter));
        }
        let events = page.events.into_iter();
        Ok(Some(
            events
                .map(|event| StoredItem::Event(Box::new(event)))
                .collect(),
        ))
    }

    /// The next live item; a stream whose name only begins the same is not followed, and what the
    /// history had already is not given twice.
    async fn live_item(&mut self) -> Result<Option<StoredItem>, LogError> {
        let Some(live) = self.live.as_mut() else {
            return Ok(None);
        };
        while let Some(item) = live.next().await {
            match item? {
                StoredItem::Event(event)
                    if event.stream == self.stream && event.revision >= self.next =>
                {
                    return Ok(Some(StoredItem::Event(event)));
                }
                StoredItem::CaughtUp => return Ok(Some(StoredItem::CaughtUp)),
                StoredItem::Event(_) | StoredItem::CheckpointAt(_) => {}
            }
        }
        Ok(None)
    }
}
