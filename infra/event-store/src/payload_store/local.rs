//! The payload store on its own: payloads of a log that is elsewhere.
//!
//! ```text
//! <folder>/format    what the folder is, and the id of its store
//! <folder>/lock      held by the process that writes
//! <folder>/payloads/ ciphertexts and keys
//! ```
//!
//! No log says here what is alive, so the keys do: a payload is alive when its key and its whole
//! ciphertext are there. Of two payloads with one id (one was replaced when the process ended) the
//! later one is alive; each has a number of its own, where beside a log the position of its event
//! is.

use std::future::Future;
use std::path::PathBuf;
use std::sync::Arc;
use std::thread::JoinHandle;
use std::time::Duration;

use async_trait::async_trait;
use satpost_commands::ports::LogError;
use satpost_domain::{PayloadId, limits};
use tokio::sync::{mpsc, oneshot, watch};

use self::writer::{Request, Writer};
use super::index::PayloadIndex;
use super::keeper::SCRUB_EVERY;
use super::recovery::WriteOptions;
use super::{PayloadStore, blob_segment, recovery, seal};
use crate::embedded::blocking;
use crate::embedded::data_folder::{self, FolderKind, FolderLock, LogId};
use crate::embedded::open::{BLOB_SEGMENT_BYTES_MIN, FILE_BYTES_MAX};
use crate::storage::{Disk, OpenError, Storage};

#[cfg(test)]
mod tests;
mod writer;

/// How many calls wait for the writer before callers do.
const QUEUE_REQUESTS: usize = 1_024;

/// How the store is opened.
#[derive(Debug, Clone)]
pub struct LocalPayloadStoreOptions {
    /// Its folder. Made when it is not there.
    pub folder: PathBuf,
    /// How long a file of payloads is, in bytes: 256 KiB to 1 GiB. The payloads of one call have
    /// to fit into one file.
    pub blob_segment_bytes: u64,
    /// How often what is left of erased payloads is overwritten.
    pub scrub_every: Duration,
}

impl LocalPayloadStoreOptions {
    /// The defaults: files of 16 MiB, and 5 seconds.
    #[must_use]
    pub fn new(folder: impl Into<PathBuf>) -> Self {
        Self {
            folder: folder.into(),
            blob_segment_bytes: 16 * 1024 * 1024,
            scrub_every: SCRUB_EVERY,
        }
    }
}

/// Payloads in a folder of their own, written by one thread that makes all calls that wait one
/// batch. Fails as the embedded log does: after a write or sync that failed nothing is accepted
/// any more. Dropping it waits until what was accepted is written, and lets go of the folder.
pub struct LocalPayloadStore {
    index: PayloadIndex,
    /// How many bytes the frames of one call have at most.
    payloads_max: usize,
    queue: Option<mpsc::Sender<Request>>,
    stopped: watch::Receiver<Option<String>>,
    writer: Option<JoinHandle<()>>,
    /// Dropped last.
    _lock: FolderLock,
}

impl LocalPayloadStore {
    /// Opens the store, and makes the folder when it is not there. Reads all payloads, so call it
    /// where it may block.
    ///
    /// # Errors
    /// [`OpenError`]; a second process is refused.
    pub fn open(options: &LocalPayloadStoreOptions) -> Result<Self, OpenError> {
        Self::open_on(Arc::new(Disk), options)
    }

    /// Opens the store on any storage.
    ///
    /// # Errors
    /// As [`Self::open`].
    pub fn open_on(
        storage: Arc<dyn Storage>,
        options: &LocalPayloadStoreOptions,
    ) -> Result<Self, OpenError> {
        let segment_bytes = options.blob_segment_bytes;
        if !(BLOB_SEGMENT_BYTES_MIN..=FILE_BYTES_MAX).contains(&segment_bytes) {
            let range = format!("{BLOB_SEGMENT_BYTES_MIN} to {FILE_BYTES_MAX}");
            return Err(OpenError::Options {
                reason: format!("blob_segment_bytes is {segment_bytes}, and may be {range}"),
            });
        }
        let folder = options.folder.as_path();
        let lock = data_folder::lock(folder)?;
        let store_id = match data_folder::read_format(&*storage, folder, FolderKind::Payloads)? {
            Some(store_id) => store_id,
            None => make_folder(&*storage, options)?,
        };
        let inner = folder.join(super::FOLDER);
        let write = WriteOptions {
            segment_bytes,
            scrub_every: options.scrub_every,
        };
        let (payloads, index, next_position) =
            recovery::open_by_keys(storage, &inner, store_id, write)?;
        tracing::info!(payloads.alive = index.len(), "opened the payload store");
        let (queue, requests) = mpsc::channel(QUEUE_REQUESTS);
        let (stop, stopped) = watch::channel(None);
        let stop_at_once = stop.clone();
        payloads.when_failed(Box::new(move |reason| {
            stop_at_once.send_replace(Some(reason.to_owned()));
        }));
        let writer = Writer {
            queue: requests,
            payloads,
            next_position,
            stop,
        };
        let thread = std::thread::Builder::new()
            .name("payload-writer".to_owned())
            .spawn(move || writer.run())
            .map_err(OpenError::io("start the writer of", folder))?;
        let payloads_max = usize::try_from(segment_bytes).unwrap_or(usize::MAX)
            - blob_segment::SEGMENT_HEADER_BYTES;
        Ok(Self {
            index,
            payloads_max,
            queue: Some(queue),
            stopped,
            writer: Some(thread),
            _lock: lock,
        })
    }

    /// Ends when the store has stopped for good, with the reason: the process should then exit
    /// with a failure. Never ends otherwise.
    pub fn fatal(&self) -> impl Future<Output = String> + Send + 'static {
        let mut stopped = self.stopped.clone();
        async move {
            loop {
                if let Some(reason) = stopped.borrow_and_update().clone() {
                    return reason;
                }
                if stopped.changed().await.is_err() {
                    // Closed in good order.
                    std::future::pending::<()>().await;
                }
            }
        }
    }

    fn check_fits(&self, payloads: &[(PayloadId, Arc<[u8]>)]) -> Result<(), LogError> {
        let largest = payloads.iter().map(|(_, bytes)| bytes.len()).max();
        let total = payloads
            .iter()
            .map(|(_, bytes)| bytes.len() + blob_segment::FRAME_HEADER_BYTES + seal::TAG_BYTES)
            .sum();
        let bounds = [
            (largest.unwrap_or(0), limits::PAYLOAD_BYTES_MAX),
            (total, self.payloads_max),
        ];
        for (actual, max) in bounds {
            if actual > max {
                return Err(LogError::TooLarge { max, actual });
            }
        }
        Ok(())
    }

    /// Why nothing is accepted any more.
    fn why_stopped(&self) -> LogError {
        let reason = self.stopped.borrow().clone();
        reason.map_or_else(
            || LogError::Unavailable {
                reason: "the payload store is closed".to_owned(),
            },
            |reason| LogError::Fatal { reason },
        )
    }

    async fn send(
        &self,
        store: Vec<(u32, seal::SealedPayload)>,
        erase: Vec<PayloadId>,
    ) -> Result<(), LogError> {
        let (answer, answered) = oneshot::channel();
        let request = Request {
            store,
            erase,
            answer,
        };
        let queue = self.queue.as_ref().expect("it is taken by drop only");
        if queue.send(request).await.is_err() {
            return Err(self.why_stopped());
        }
        answered.await.unwrap_or_else(|_| {
            Err(LogError::Unknown {
                reason: "the thread that writes payloads has ended".to_owned(),
            })
        })
    }
}

impl Drop for LocalPayloadStore {
    fn drop(&mut self) {
        self.queue = None;
        if let Some(writer) = self.writer.take()
            && writer.join().is_err()
        {
            tracing::error!("the thread that writes payloads panicked");
        }
    }
}

#[async_trait]
impl PayloadStore for LocalPayloadStore {
    async fn store(&self, payloads: Vec<(PayloadId, Arc<[u8]>)>) -> Result<(), LogError> {
        self.check_fits(&payloads)?;
        let sealed = payloads
            .iter()
            .map(|(id, bytes)| Ok((0, seal::seal(*id, bytes)?)))
            .collect::<Result<_, seal::NoRandomness>>();
        let sealed = sealed.map_err(|error| LogError::Unavailable {
            reason: error.to_string(),
        })?;
        self.send(sealed, Vec::new()).await
    }

    async fn erase(&self, ids: Vec<PayloadId>) -> Result<(), LogError> {
        self.send(Vec::new(), ids).await
    }

    async fn read(&self, id: PayloadId) -> Result<Option<Vec<u8>>, LogError> {
        let index = self.index.clone();
        blocking(move || {
            index.read(id).map_err(|error| LogError::Fatal {
                reason: error.to_string(),
            })
        })
        .await
    }

    async fn alive(&self) -> Result<Vec<PayloadId>, LogError> {
        let index = self.index.clone();
        blocking(move || Ok(index.ids())).await
    }
}

/// Makes a new folder with an empty store.
fn make_folder(
    storage: &dyn Storage,
    options: &LocalPayloadStoreOptions,
) -> Result<LogId, OpenError> {
    let folder = options.folder.as_path();
    let store_id = data_folder::begin(storage, folder, FolderKind::Payloads)?;
    data_folder::make_inner(storage, &folder.join(super::FOLDER))?;
    data_folder::finish(storage, folder)?;
    Ok(store_id)
}
