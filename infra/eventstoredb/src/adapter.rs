//! [`EventStoreDb`]: the event store on a cluster of EventStoreDB (KurrentDB), for when one machine
//! is outgrown. Built on the crate `eventstore`, and around its traps.
//!
//! The cluster holds the events. Payloads lie beside this process, in a `PayloadStore`, so that
//! erasing one never depends on the cluster, which cannot erase a single event. One append touches
//! both, in this order: **payloads are durable, then the events are appended, then what is to be
//! erased is erased.** What a crash leaves behind at each point:
//!
//! | the process ends | what is there | what happens at the next start |
//! |---|---|---|
//! | before the payloads are stored | nothing | nothing |
//! | after that, before the append is sent | payloads that no event names | destroyed in the background |
//! | after that, before the answer | either, depending on the server | if it landed: erased what its event says; if not: as above. A repeat with the same ids finds out by reading |
//! | after the answer, before the erasure | the event says what is erased | erased again from the event |
//! | after the erasure | everything | erasing again changes nothing |
//!
//! The same holds for an append that was not answered while the process lives: its outcome is
//! looked up before the next append to its stream.
//!
//! - `connection_string`, `connection`: where the cluster is, and a client that recovers.
//! - `append`, `batch_session`, `stream_ends`, `finished_anyway`: appending fast, and exactly once.
//! - `reads`, `follow`, `subscription_guard`: reading, and following without end.
//! - `payloads_in_line`: the table above.
//! - `identity`: which log the cluster holds.
//! - `failure`, `convert`: the crate's errors and events in our words.

use std::path::{Path, PathBuf};
use std::sync::{Arc, OnceLock, Weak};
use std::time::Duration;

use async_trait::async_trait;
use futures_util::stream::BoxStream;
use satpost_commands::ports::{Appended, Expected, LogError};
use satpost_domain::{PayloadId, Position, Revision, StreamId};
use satpost_event_store::payload_store::PayloadStore;
use satpost_event_store::{
    Capabilities, EventStore, Filter, LogIdentity, NewStoredEvent, RecordedEvent, RecordedPage,
    StoredItem,
};
use tokio::sync::OnceCell;
use tokio::time::sleep;

mod append;
mod batch_session;
mod connection;
mod connection_string;
mod convert;
mod failure;
mod finished_anyway;
mod follow;
mod identity;
mod payloads_in_line;
mod reads;
mod stream_ends;
mod subscription_guard;
#[cfg(test)]
mod tests;

pub use self::connection_string::{ConnectionString, ConnectionStringError, hide_credentials};

use self::batch_session::BatchSessions;
use self::connection::Connection;
use self::finished_anyway::FinishedAnyway;
use self::payloads_in_line::PayloadsInLine;
use self::reads::From;
use self::stream_ends::StreamEnds;

/// How often the checkpoint of the payloads is written.
const CHECKPOINT_EVERY: Duration = Duration::from_secs(30);
/// How long after the start orphans are looked for: the last request of the process before, and a
/// repeat of it, have arrived by then.
const ORPHANS_AFTER: Duration = Duration::from_secs(60);

/// How the adapter is opened.
#[derive(Debug, Clone)]
pub struct EventStoreDbOptions {
    /// Where the cluster is.
    pub connection: ConnectionString,
    /// Where the checkpoint of the payloads lies. Made when it is not there. It and the payload
    /// store belong together and to one log.
    pub folder: PathBuf,
    /// How long after the start payloads that no event names are looked for; one minute unless a
    /// test cannot wait.
    pub orphans_after: Duration,
}

impl EventStoreDbOptions {
    /// The defaults for a cluster.
    #[must_use]
    pub fn new(connection: ConnectionString, folder: impl Into<PathBuf>) -> Self {
        Self {
            connection,
            folder: folder.into(),
            orphans_after: ORPHANS_AFTER,
        }
    }
}

/// The adapter cannot be opened.
#[derive(Debug, thiserror::Error)]
pub enum OpenEventStoreDbError {
    /// The folder cannot be made.
    #[error("cannot make the folder {folder}")]
    Folder {
        /// Which one.
        folder: PathBuf,
        /// Why.
        source: std::io::Error,
    },
    /// The crate insists on choosing the TLS provider of the process, and something was faster.
    #[error(
        "the TLS provider of this process is chosen already; the event log must be opened before anything else that uses TLS"
    )]
    TlsProvider,
}

/// The event store on a cluster. Opening it does not connect: the cluster may be away, also at the
/// start.
pub struct EventStoreDb {
    inner: Arc<Inner>,
}

struct Inner {
    connection: Connection,
    sessions: BatchSessions,
    ends: StreamEnds,
    payloads: PayloadsInLine,
    identity: OnceCell<LogIdentity>,
}

impl EventStoreDb {
    /// Opens the adapter; `payloads` keeps the payloads of this process. Call it in a runtime.
    ///
    /// # Errors
    /// [`OpenEventStoreDbError`].
    pub fn open(
        options: &EventStoreDbOptions,
        payloads: Arc<dyn PayloadStore>,
    ) -> Result<Self, OpenEventStoreDbError> {
        make_folder(&options.folder)?;
        check_tls_provider()?;
        let inner = Inner {
            connection: Connection::new(options.connection.clone()),
            sessions: BatchSessions::new(),
            ends: StreamEnds::new(),
            payloads: PayloadsInLine::new(payloads, &options.folder),
            identity: OnceCell::new(),
        };
        let inner = Arc::new(inner);
        tokio::spawn(keep_up(Arc::downgrade(&inner), options.orphans_after));
        Ok(Self { inner })
    }

    /// Reaches the cluster, learns which log it holds, and brings the payloads in line with it.
    /// Everything else does so by itself; a caller that wants to know when it is done asks here.
    ///
    /// # Errors
    /// [`LogError::Unavailable`] while the cluster cannot be used; [`LogError::Fatal`] when the
    /// payloads belong to another log.
    pub async fn ready(&self) -> Result<LogIdentity, LogError> {
        self.inner.ready().await
    }
}

fn make_folder(folder: &Path) -> Result<(), OpenEventStoreDbError> {
    std::fs::create_dir_all(folder).map_err(|source| OpenEventStoreDbError::Folder {
        folder: folder.to_owned(),
        source,
    })
}

/// The crate installs a provider with its first client, and panics in a task of its own when there
/// is one already; after that no client of it ever works. Better to say so.
fn check_tls_provider() -> Result<(), OpenEventStoreDbError> {
    static FREE: OnceLock<bool> = OnceLock::new();
    let free = FREE.get_or_init(|| rustls::crypto::CryptoProvider::get_default().is_none());
    if *free {
        Ok(())
    } else {
        Err(OpenEventStoreDbError::TlsProvider)
    }
}

impl Inner {
    /// Once in the life of the adapter: the payloads are brought in line with the log.
    async fn ready(&self) -> Result<LogIdentity, LogError> {
        let prepare = || async {
            let log = self.read_or_make_identity().await?;
            self.bring_payloads_in_line(log).await?;
            Ok(log)
        };
        self.identity.get_or_try_init(prepare).await.copied()
    }

    /// Writes the checkpoint of the payloads down.
    fn save_checkpoint(&self, closing: bool) {
        if let Err(error) = self.payloads.save(closing) {
            tracing::warn!(
                error = %error,
                "the checkpoint of the payloads cannot be written; the next start looks further back"
            );
        }
    }
}

impl Drop for Inner {
    fn drop(&mut self) {
        self.save_checkpoint(true);
    }
}

/// Saves checkpoints as long as the adapter is there, and looks for orphans once.
async fn keep_up(log: Weak<Inner>, orphans_after: Duration) {
    let mut waited = Duration::ZERO;
    let mut looked = false;
    let tick = CHECKPOINT_EVERY
        .min(orphans_after)
        .max(Duration::from_millis(10));
    loop {
        sleep(tick).await;
        let Some(log) = log.upgrade() else { return };
        if !log.identity.initialized() {
            continue;
        }
        waited += tick;
        if !looked && waited >= orphans_after {
            match log.destroy_orphans().await {
                Ok(0) => looked = true,
                Ok(count) => {
                    looked = true;
                    tracing::info!(
                        payloads.destroyed = count,
                        "payloads of appends that never happened were destroyed"
                    );
                }
                Err(error) => tracing::warn!(
                    error = %error,
                    "payloads of appends that never happened cannot be looked for now"
                ),
            }
        }
        let saving = tokio::task::spawn_blocking(move || log.save_checkpoint(false));
        if saving.await.is_err() {
            return;
        }
    }
}

#[async_trait]
impl EventStore for EventStoreDb {
    async fn append(
        &self,
        stream: &StreamId,
        expected: Expected,
        events: Vec<NewStoredEvent>,
        erase: Vec<PayloadId>,
    ) -> Result<Appended, LogError> {
        let (log, stream) = (Arc::clone(&self.inner), stream.clone());
        // A caller that goes away must not leave half an append behind.
        FinishedAnyway::new(async move { log.append(&stream, expected, events, erase).await }).await
    }

    async fn read_stream(
        &self,
        stream: &StreamId,
        from: Revision,
        max: usize,
    ) -> Result<RecordedPage, LogError> {
        self.inner
            .read_page(stream, From::Forwards(from.0), max)
            .await
    }

    async fn read_stream_back(
        &self,
        stream: &StreamId,
        from: Option<Revision>,
        max: usize,
    ) -> Result<RecordedPage, LogError> {
        let from = From::Backwards(from.map(|from| from.0));
        self.inner.read_page(stream, from, max).await
    }

    async fn read_all(&self, after: Position, max: usize) -> Result<Vec<RecordedEvent>, LogError> {
        let events = self.inner.read_log(after, max).await?;
        Ok(events.into_iter().map(|read| read.event).collect())
    }

    async fn head(&self) -> Result<Position, LogError> {
        self.inner.last_position().await
    }

    fn follow(
        &self,
        after: Position,
        filter: Filter,
    ) -> BoxStream<'static, Result<StoredItem, LogError>> {
        follow::follow(Arc::clone(&self.inner), after, filter)
    }

    async fn identity(&self) -> Result<LogIdentity, LogError> {
        self.inner.ready().await
    }

    async fn payload(&self, id: PayloadId) -> Result<Option<Vec<u8>>, LogError> {
        // Not before the payloads are in line: what was erased could still be there.
        self.inner.ready().await?;
        self.inner.payloads.store.read(id).await
    }

    fn capabilities(&self) -> Capabilities {
        Capabilities {
            durable: true,
            contiguous_positions: false,
            erases_at_once: true,
        }
    }
}
