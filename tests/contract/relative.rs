//! A log whose positions are whatever they are, seen as one that counts 1, 2, 3 …, so that the
//! cases can say what they expect; and a used server, seen as an empty one.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use async_trait::async_trait;
use futures_util::stream::{self, BoxStream, StreamExt as _};
use satpost_commands::ports::{Appended, Expected, LogError};
use satpost_domain::{PayloadId, Position, Revision, StreamId};
use satpost_event_store::{
    Capabilities, EventStore, Filter, LogIdentity, NewStoredEvent, RecordedEvent, RecordedPage,
    StoredItem,
};
use tokio::sync::{Mutex, OnceCell};

/// The numbers of the events of one run.
#[derive(Default)]
pub(crate) struct Numbers {
    /// What streams of this run have in their names.
    pub(crate) run: String,
    base: OnceCell<Position>,
    known: Mutex<Known>,
}

#[derive(Default)]
struct Known {
    positions: Vec<Position>,
    looked_through: Position,
}

/// The log below, renumbered.
pub(crate) struct Relative {
    pub(crate) below: Arc<dyn EventStore>,
    pub(crate) numbers: Arc<Numbers>,
}

impl Numbers {
    /// The numbers of a run whose streams have `run` in their names; empty on a log of one's own.
    pub(crate) fn of(run: String) -> Self {
        Self {
            run,
            ..Self::default()
        }
    }

    fn to_below(&self, name: &str) -> String {
        let (category, rest) = name.split_once('-').unwrap();
        format!("{category}-{}{rest}", self.run)
    }

    fn to_above(&self, stream: &StreamId) -> Option<StreamId> {
        let rest = stream.name().strip_prefix(&self.run)?;
        format!("{}-{rest}", stream.category()).parse().ok()
    }

    async fn base(&self, below: &dyn EventStore) -> Position {
        let read = || async {
            if self.run.is_empty() {
                Position::START
            } else {
                below.head().await.unwrap()
            }
        };
        *self.base.get_or_init(read).await
    }

    /// How many events of this run are at or before `position`, and whether one is exactly there.
    async fn number(&self, below: &dyn EventStore, position: Position) -> (u64, bool) {
        let base = self.base(below).await;
        let mut known = self.known.lock().await;
        known.looked_through = known.looked_through.max(base);
        while known.looked_through < position {
            let after = known.looked_through;
            let events = below.read_all(after, 512).await.unwrap();
            let Some(last) = events.last() else { break };
            known.looked_through = last.position;
            for event in &events {
                if self.to_above(&event.stream).is_some() {
                    known.positions.push(event.position);
                }
            }
        }
        let count = known.positions.partition_point(|at| *at <= position);
        let exact = count > 0 && known.positions[count - 1] == position;
        (count as u64, exact)
    }

    /// Where event `number` is, or the end of what there is.
    async fn position(&self, below: &dyn EventStore, number: u64) -> Position {
        let base = self.base(below).await;
        self.number(below, Position::new(u64::MAX, 0)).await;
        let known = self.known.lock().await;
        let index = usize::try_from(number).unwrap().min(known.positions.len());
        match index.checked_sub(1) {
            Some(index) => known.positions[index],
            None => base,
        }
    }
}

impl Relative {
    async fn exact(&self, position: Position) -> Position {
        let (number, exact) = self.numbers.number(&*self.below, position).await;
        assert!(exact, "{position} is no place of the log");
        Position::new(number, 0)
    }

    async fn event(&self, mut event: RecordedEvent) -> RecordedEvent {
        event.stream = self.numbers.to_above(&event.stream).unwrap();
        event.position = self.exact(event.position).await;
        event
    }

    async fn page(&self, page: RecordedPage) -> RecordedPage {
        let mut events = Vec::new();
        for event in page.events {
            events.push(self.event(event).await);
        }
        RecordedPage { events, ..page }
    }

    fn stream(&self, stream: &StreamId) -> StreamId {
        self.numbers.to_below(stream.as_str()).parse().unwrap()
    }
}

#[async_trait]
impl EventStore for Relative {
    async fn append(
        &self,
        stream: &StreamId,
        expected: Expected,
        events: Vec<NewStoredEvent>,
        erase: Vec<PayloadId>,
    ) -> Result<Appended, LogError> {
        self.numbers.base(&*self.below).await;
        let stream = self.stream(stream);
        let appended = self.below.append(&stream, expected, events, erase).await?;
        Ok(Appended {
            position: self.exact(appended.position).await,
            ..appended
        })
    }

    async fn read_stream(
        &self,
        stream: &StreamId,
        from: Revision,
        max: usize,
    ) -> Result<RecordedPage, LogError> {
        let stream = self.stream(stream);
        let page = self.below.read_stream(&stream, from, max).await?;
        Ok(self.page(page).await)
    }

    async fn read_stream_back(
        &self,
        stream: &StreamId,
        from: Option<Revision>,
        max: usize,
    ) -> Result<RecordedPage, LogError> {
        let stream = self.stream(stream);
        let page = self.below.read_stream_back(&stream, from, max).await?;
        Ok(self.page(page).await)
    }

    async fn read_all(&self, after: Position, max: usize) -> Result<Vec<RecordedEvent>, LogError> {
        let mut at = self.numbers.position(&*self.below, after.major()).await;
        loop {
            let read = self.below.read_all(at, max).await?;
            let Some(last) = read.last() else {
                return Ok(Vec::new());
            };
            at = last.position;
            let mut events = Vec::new();
            for event in read {
                if self.numbers.to_above(&event.stream).is_some() {
                    events.push(self.event(event).await);
                }
            }
            if !events.is_empty() {
                return Ok(events);
            }
        }
    }

    async fn head(&self) -> Result<Position, LogError> {
        let head = self.below.head().await?;
        let (number, _) = self.numbers.number(&*self.below, head).await;
        Ok(Position::new(number, 0))
    }

    fn follow(
        &self,
        after: Position,
        filter: Filter,
    ) -> BoxStream<'static, Result<StoredItem, LogError>> {
        let this = Arc::new(Self {
            below: Arc::clone(&self.below),
            numbers: Arc::clone(&self.numbers),
        });
        let filter = Filter {
            streams: filter
                .streams
                .iter()
                .map(|name| this.numbers.to_below(name))
                .collect(),
            kinds: filter.kinds,
        };
        let begin = {
            let this = Arc::clone(&this);
            async move {
                let from = this.numbers.position(&*this.below, after.major()).await;
                this.below.follow(from, filter)
            }
        };
        let told = Arc::new(AtomicU64::new(after.major()));
        stream::once(begin)
            .flatten()
            .filter_map(move |item| {
                let (this, told) = (Arc::clone(&this), Arc::clone(&told));
                async move { this.item(item, &told).await }
            })
            .boxed()
    }

    async fn identity(&self) -> Result<LogIdentity, LogError> {
        self.below.identity().await
    }

    async fn payload(&self, id: PayloadId) -> Result<Option<Vec<u8>>, LogError> {
        self.below.payload(id).await
    }

    fn capabilities(&self) -> Capabilities {
        self.below.capabilities()
    }
}

impl Relative {
    /// What a follower of this run is given of an item of the log.
    async fn item(
        &self,
        item: Result<StoredItem, LogError>,
        told: &AtomicU64,
    ) -> Option<Result<StoredItem, LogError>> {
        let item = match item {
            Ok(StoredItem::Event(event)) => {
                self.numbers.to_above(&event.stream)?;
                let event = self.event(*event).await;
                let number = event.position.major();
                let before = told.fetch_max(number, Ordering::Relaxed);
                (number > before).then(|| StoredItem::Event(Box::new(event)))?
            }
            Ok(StoredItem::CheckpointAt(position)) => {
                let (number, _) = self.numbers.number(&*self.below, position).await;
                let before = told.fetch_max(number, Ordering::Relaxed);
                (number > before).then(|| StoredItem::CheckpointAt(Position::new(number, 0)))?
            }
            other => return Some(other),
        };
        Some(Ok(item))
    }
}
