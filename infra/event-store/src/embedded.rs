//! The embedded log: the default store of events, in files of our own.
//!
//! ```text
//! <data>/format   what the folder is, and the id of its log
//! <data>/lock     held by the process that writes
//! <data>/log/     <number>.log: segments of batch frames, the truth
//!                 <number>.idx: where in a full segment events are
//!                 clean: where the log ended when it was closed in good order
//! <data>/payloads/ ciphertexts and keys of what can be erased
//! ```
//!
//! - `data_folder`: format, lock, making a new folder.
//! - `record`, `frame`, `segment`: the form of an event, of a batch, of a file.
//! - `writer`, `gathering`: the one thread that writes, and when it begins a batch.
//! - `index`, `stream_key`, `stream_history`, `recent`: where events are.
//! - `index_file`, `index_folder`, `full_segment`: the same of a full segment, as a file.
//! - `reader`, `window`: reading events there.
//! - `recovery`, `loading`, `scan`, `last_segment`, `clean_mark`: what happens when the log is opened.
//! - [`verify`], [`statistics`]: reading all of it with tools, by way of `walk`, `side_by_side` and
//!   `by_name`.
//! - [`erasure`]: what a proof needs that closed payloads are gone.
//! - [`backup`], [`restore`]: a copy through one position, and a data folder made of it.
//!
//! # Architecture invariants
//! - An append is answered only when its events, its payloads and its erasures are durable.
//! - What was read once is never changed: files are written behind the end of the log only.
//! - The log decides what payloads are alive; the payload store follows it.
//! - An index file never decides anything: it is made from its segment, and made again when in doubt.

use std::future::Future;
use std::path::PathBuf;
use std::sync::{Arc, PoisonError, RwLock, RwLockWriteGuard};
use std::thread::JoinHandle;
use std::time::Duration;

use async_trait::async_trait;
use futures_util::stream::BoxStream;
use satpost_commands::ports::{Appended, Expected, LogError};
use satpost_domain::{PayloadId, Position, Revision, StreamId, limits};
use tokio::sync::{mpsc, oneshot, watch};

use self::data_folder::LogId;
use self::frame::ChainHash;
use self::index::{Index, StreamKey};
use self::reader::{Reader, WantedStream};
use self::writer::Request;
use super::follow::{self, Chunks, Tail, TailState};
use super::{
    Capabilities, EventStore, Filter, LogIdentity, NewStoredEvent, RecordedEvent, RecordedPage,
    StoredItem, check_bounds,
};
use crate::payload_store::index::PayloadIndex;
use crate::payload_store::index::reading::ReadPayloadError;
use crate::payload_store::keeper::SCRUB_EVERY;
use crate::payload_store::{blob_segment, seal};

pub use crate::storage::OpenError;

pub mod backup;
mod by_name;
mod clean_mark;
pub(crate) mod data_folder;
pub mod erasure;
pub(crate) mod frame;
mod full_segment;
mod gathering;
mod index;
mod index_file;
mod index_folder;
mod last_segment;
mod loading;
mod lost_payloads;
pub(crate) mod open;
mod reader;
mod recent;
mod record;
mod recovery;
pub mod restore;
mod scan;
mod segment;
mod side_by_side;
pub mod statistics;
mod stream_history;
pub(crate) mod stream_key;
#[cfg(test)]
mod tests;
pub mod verify;
mod walk;
mod window;
mod writer;

/// How many events a follower reads at a time.
const FOLLOW_EVENTS: usize = 256;

/// How the embedded log is opened.
#[derive(Debug, Clone)]
pub struct EmbeddedOptions {
    /// The data folder. Made when it is not there.
    pub folder: PathBuf,
    /// How long a file of the log is, in bytes: 256 KiB to 1 GiB. Two of them are there from the
    /// start, zeroed. The last one is held in memory while the log is opened.
    pub segment_bytes: u64,
    /// How long a file of payloads is, in bytes: 256 KiB to 1 GiB.
    pub blob_segment_bytes: u64,
    /// How many appends wait for the writer before callers do.
    pub queue_appends: usize,
    /// How often what is left of erased payloads is overwritten.
    pub scrub_every: Duration,
}

impl EmbeddedOptions {
    /// The defaults: 64 MiB for files of the log and 16 MiB for files of payloads, since those are
    /// removed as a whole; 1,024 waiting appends; erased payloads are overwritten every 5 seconds.
    #[must_use]
    pub fn new(folder: impl Into<PathBuf>) -> Self {
        Self {
            folder: folder.into(),
            segment_bytes: 64 * 1024 * 1024,
            blob_segment_bytes: 16 * 1024 * 1024,
            queue_appends: 1_024,
            scrub_every: SCRUB_EVERY,
        }
    }
}

/// The embedded log. Dropping it waits until what was accepted is written, and lets go of the
/// folder.
pub struct EmbeddedEventStore {
    shared: Arc<Shared>,
    log_id: LogId,
    /// The largest record part and the largest payload part of an append, in bytes.
    records_max: usize,
    payloads_max: usize,
    /// Nothing when opened read-only.
    queue: Option<mpsc::Sender<Request>>,
    writer: Option<JoinHandle<()>>,
    /// Dropped last.
    _lock: Option<data_folder::FolderLock>,
}

/// What writer, readers and followers share.
struct Shared {
    reader: Reader,
    payloads: PayloadIndex,
    tail: watch::Sender<Tail>,
}

impl Shared {
    fn new(index: Index, payloads: PayloadIndex, chain: ChainHash, state: TailState) -> Self {
        let head = Position::new(index.head(), 0);
        let (tail, _) = watch::channel(Tail { head, chain, state });
        Self {
            reader: Reader {
                index: Arc::new(RwLock::new(index)),
            },
            payloads,
            tail,
        }
    }

    fn index_mut(&self) -> RwLockWriteGuard<'_, Index> {
        let index = &self.reader.index;
        index.write().unwrap_or_else(PoisonError::into_inner)
    }

    /// Why nothing can be appended any more.
    fn stopped(&self) -> LogError {
        match &self.tail.borrow().state {
            TailState::Stopped(error) => error.clone(),
            TailState::Live | TailState::ReadOnly => LogError::Unavailable {
                reason: "the event log is closed".to_owned(),
            },
        }
    }
}

impl EmbeddedEventStore {
    /// Ends when the log has stopped for good, with the reason: the process should then exit with
    /// a failure, so that the log is read anew. Never ends otherwise.
    pub fn fatal(&self) -> impl Future<Output = String> + Send + 'static {
        let mut tail = self.shared.tail.subscribe();
        async move {
            loop {
                if let TailState::Stopped(error @ LogError::Fatal { .. }) =
                    &tail.borrow_and_update().state
                {
                    return error.to_string();
                }
                if tail.changed().await.is_err() {
                    // Closed in good order.
                    std::future::pending::<()>().await;
                }
            }
        }
    }

    /// The position of the last event and the hash that stands for the whole log through it, both
    /// of the same moment. What they tell of is durable.
    #[must_use]
    pub fn chain_head(&self) -> (Position, [u8; 32]) {
        let tail = self.shared.tail.borrow();
        (tail.head, tail.chain)
    }

    /// How many payloads are alive.
    #[must_use]
    pub fn payloads_alive(&self) -> usize {
        self.shared.payloads.len()
    }

    fn key(&self, stream: &StreamId) -> StreamKey {
        StreamKey::new(&self.log_id, stream.as_str())
    }

    fn wanted(&self, stream: &StreamId) -> WantedStream {
        WantedStream {
            key: self.key(stream),
            name: stream.clone(),
        }
    }

    /// Encodes an append. All of it that can be done before its turn is done here, on the caller's
    /// thread: encoding, checksums, encryption.
    fn request(
        &self,
        stream: &StreamId,
        expected: Expected,
        events: &[NewStoredEvent],
        erase: Vec<PayloadId>,
    ) -> Result<(Request, oneshot::Receiver<Result<Appended, LogError>>), LogError> {
        let mut revision = match expected {
            Expected::NoStream => Revision(0),
            Expected::Exact(revision) => Revision(revision.0.saturating_add(1)),
        };
        let bytes = events
            .iter()
            .map(|event| record::encoded_bytes(stream, event))
            .sum();
        self.check_fits(bytes, events)?;
        let mut records = Vec::with_capacity(bytes);
        let mut payloads = Vec::new();
        for (number, event) in (0..).zip(events) {
            record::encode(&mut records, stream, revision, event);
            revision = Revision(revision.0.saturating_add(1));
            if let Some((id, payload)) = &event.payload {
                let sealed = seal::seal(*id, payload).map_err(|error| LogError::Unavailable {
                    reason: error.to_string(),
                })?;
                payloads.push((number, sealed));
            }
        }
        let (answer, answered) = oneshot::channel();
        let request = Request {
            key: self.key(stream),
            expected,
            events: u32::try_from(events.len()).expect("the number of events was checked"),
            records,
            payloads,
            erase,
            answer,
        };
        Ok((request, answered))
    }

    /// An append must fit into one segment, and its payloads into one blob segment.
    fn check_fits(&self, records: usize, events: &[NewStoredEvent]) -> Result<(), LogError> {
        let payloads = events
            .iter()
            .filter_map(|event| event.payload.as_ref())
            .map(|(_, bytes)| bytes.len() + blob_segment::FRAME_HEADER_BYTES + seal::TAG_BYTES)
            .sum();
        for (actual, max) in [(records, self.records_max), (payloads, self.payloads_max)] {
            if actual > max {
                return Err(LogError::TooLarge { max, actual });
            }
        }
        Ok(())
    }

    /// After a conflict: the first answer, if this append was carried out before. Done here and
    /// not by the writer, which never reads.
    async fn first_answer(
        &self,
        stream: &StreamId,
        expected: Expected,
        events: &[NewStoredEvent],
    ) -> Result<Option<Appended>, LogError> {
        if events.is_empty() {
            return Ok(None);
        }
        let (reader, key) = (self.shared.reader.clone(), self.key(stream));
        let ids: Vec<_> = events.iter().map(|event| event.id).collect();
        let answer = blocking(move || reader.first_answer(&key, expected, &ids)).await?;
        Ok(answer.map(|(revision, position)| Appended { revision, position }))
    }
}

impl Drop for EmbeddedEventStore {
    fn drop(&mut self) {
        self.queue = None;
        if let Some(writer) = self.writer.take()
            && writer.join().is_err()
        {
            tracing::error!("the thread that writes the event log panicked");
        }
        self.shared.tail.send_modify(|tail| {
            if matches!(tail.state, TailState::Live) {
                tail.state = TailState::Stopped(LogError::Unavailable {
                    reason: "the event log is closed".to_owned(),
                });
            }
        });
    }
}

/// Runs what waits for the disk where it holds up nobody.
pub(crate) async fn blocking<T: Send + 'static>(
    read: impl FnOnce() -> Result<T, LogError> + Send + 'static,
) -> Result<T, LogError> {
    let ended = tokio::task::spawn_blocking(read).await;
    ended.unwrap_or_else(|error| {
        Err(LogError::Unavailable {
            reason: format!("a read did not end: {error}"),
        })
    })
}

#[async_trait]
impl EventStore for EmbeddedEventStore {
    async fn append(
        &self,
        stream: &StreamId,
        expected: Expected,
        events: Vec<NewStoredEvent>,
        erase: Vec<PayloadId>,
    ) -> Result<Appended, LogError> {
        let Some(queue) = &self.queue else {
            return Err(LogError::Unavailable {
                reason: "the event log was opened to be read only".to_owned(),
            });
        };
        check_bounds(&events, &erase, limits::APPEND_BYTES_MAX)?;
        let (request, answered) = self.request(stream, expected, &events, erase)?;
        if queue.send(request).await.is_err() {
            return Err(self.shared.stopped());
        }
        let answer = answered.await.unwrap_or_else(|_| {
            Err(LogError::Unknown {
                reason: "the thread that writes the event log has ended".to_owned(),
            })
        });
        match answer {
            Err(LogError::Conflict { actual }) => self
                .first_answer(stream, expected, &events)
                .await?
                .ok_or(LogError::Conflict { actual }),
            answer => answer,
        }
    }

    async fn read_stream(
        &self,
        stream: &StreamId,
        from: Revision,
        max: usize,
    ) -> Result<RecordedPage, LogError> {
        let (reader, wanted) = (self.shared.reader.clone(), self.wanted(stream));
        blocking(move || reader.read_stream(&wanted, from, max)).await
    }

    async fn read_stream_back(
        &self,
        stream: &StreamId,
        from: Option<Revision>,
        max: usize,
    ) -> Result<RecordedPage, LogError> {
        let (reader, wanted) = (self.shared.reader.clone(), self.wanted(stream));
        blocking(move || reader.read_stream_back(&wanted, from, max)).await
    }

    async fn read_all(&self, after: Position, max: usize) -> Result<Vec<RecordedEvent>, LogError> {
        let reader = self.shared.reader.clone();
        blocking(move || reader.read_all(after.major(), max)).await
    }

    async fn head(&self) -> Result<Position, LogError> {
        Ok(self.shared.tail.borrow().head)
    }

    fn follow(
        &self,
        after: Position,
        filter: Filter,
    ) -> BoxStream<'static, Result<StoredItem, LogError>> {
        let source: Arc<dyn Chunks> = Arc::clone(&self.shared) as Arc<dyn Chunks>;
        follow::follow(source, self.shared.tail.subscribe(), after, filter)
    }

    async fn identity(&self) -> Result<LogIdentity, LogError> {
        Ok(self.log_id.identity())
    }

    async fn payload(&self, id: PayloadId) -> Result<Option<Vec<u8>>, LogError> {
        let payloads = self.shared.payloads.clone();
        blocking(move || {
            payloads.read(id).map_err(|error| {
                let reason = error.to_string();
                match error {
                    // The disk may answer the next time: nothing is known to be wrong.
                    ReadPayloadError::Io { .. } => LogError::Unavailable { reason },
                    ReadPayloadError::Damaged { .. } => LogError::Fatal { reason },
                }
            })
        })
        .await
    }

    fn capabilities(&self) -> Capabilities {
        Capabilities {
            durable: true,
            contiguous_positions: true,
            erases_at_once: true,
        }
    }
}

#[async_trait]
impl Chunks for Shared {
    async fn chunk(&self, after: Position) -> Result<Vec<RecordedEvent>, LogError> {
        let reader = self.reader.clone();
        blocking(move || reader.read_all(after.major(), FOLLOW_EVENTS)).await
    }
}
