//! Following a log: history first, then live. One implementation for every engine that can read a
//! chunk after a position and announces its end.

use std::collections::VecDeque;
use std::sync::Arc;

use async_trait::async_trait;
use futures_util::stream::{self, BoxStream, StreamExt as _};
use satpost_commands::ports::LogError;
use satpost_domain::Position;
use tokio::sync::watch;

use super::{Filter, RecordedEvent, StoredItem};

/// Where a log ends, and whether it goes on.
#[derive(Debug, Clone)]
pub(super) struct Tail {
    /// The last event that may be read.
    pub(super) head: Position,
    /// The hash that stands for the log through `head`; zeros where an engine has none.
    pub(super) chain: [u8; 32],
    /// Whether more can come.
    pub(super) state: TailState,
}

/// Whether more can come.
#[derive(Debug, Clone)]
pub(super) enum TailState {
    /// More can come.
    Live,
    /// The log was opened to be read only: followers end when they have caught up.
    ReadOnly,
    /// The log has stopped for good.
    Stopped(LogError),
}

/// Reads a bounded number of events.
#[async_trait]
pub(super) trait Chunks: Send + Sync + 'static {
    /// Some events strictly after `after`, at least one when `after` is before the announced head.
    async fn chunk(&self, after: Position) -> Result<Vec<RecordedEvent>, LogError>;
}

/// What a follower remembers between two items.
struct Follower {
    source: Arc<dyn Chunks>,
    tail: watch::Receiver<Tail>,
    filter: Filter,
    after: Position,
    /// The last event that was left out, unless one was given or told of since.
    left_out: Option<Position>,
    read_ahead: VecDeque<RecordedEvent>,
    caught_up: bool,
    ended: bool,
}

/// Follows `source` from `after` on and gives what `filter` accepts; at most one chunk is held in memory.
pub(super) fn follow(
    source: Arc<dyn Chunks>,
    tail: watch::Receiver<Tail>,
    after: Position,
    filter: Filter,
) -> BoxStream<'static, Result<StoredItem, LogError>> {
    let follower = Follower {
        source,
        tail,
        filter,
        after,
        left_out: None,
        read_ahead: VecDeque::new(),
        caught_up: false,
        ended: false,
    };
    stream::unfold(follower, |mut follower| async move {
        let item = follower.next().await?;
        follower.ended = item.is_err();
        Some((item, follower))
    })
    .boxed()
}

impl Follower {
    async fn next(&mut self) -> Option<Result<StoredItem, LogError>> {
        if self.ended {
            return None;
        }
        loop {
            while let Some(event) = self.read_ahead.pop_front() {
                self.after = event.position;
                if self.filter.accepts(event.stream.as_str(), &event.kind) {
                    self.left_out = None;
                    return Some(Ok(StoredItem::Event(Box::new(event))));
                }
                self.left_out = Some(event.position);
            }
            if let Some(position) = self.left_out.take() {
                return Some(Ok(StoredItem::CheckpointAt(position)));
            }
            // Marked as seen before reading, so that whatever comes meanwhile wakes us again.
            let tail = self.tail.borrow_and_update().clone();
            if self.after < tail.head {
                match self.source.chunk(self.after).await {
                    Ok(events) => self.read_ahead = events.into(),
                    Err(error) => return Some(Err(error)),
                }
                continue;
            }
            if !self.caught_up {
                self.caught_up = true;
                return Some(Ok(StoredItem::CaughtUp));
            }
            match tail.state {
                TailState::Live => {}
                TailState::ReadOnly => return None,
                TailState::Stopped(error) => return Some(Err(error)),
            }
            if self.tail.changed().await.is_err() {
                return Some(Err(LogError::Unavailable {
                    reason: "the event log was closed".to_owned(),
                }));
            }
        }
    }
}
