//! Which log a tool works on: the one in a data folder, or one on a cluster of EventStoreDB.

use std::sync::Arc;
use std::time::Duration;

use anyhow::Context as _;
use satpost_event_store::EventStore;
use satpost_event_store::embedded::{EmbeddedEventStore, EmbeddedOptions};
use tokio_util::sync::CancellationToken;

use super::{DataFolder, runtime};
use crate::config::LogLocation;
use crate::log_engine::LogEngine;

/// How many appends the embedded log is given at a time: its one queue keeps their order, and they
/// share its syncs.
const EMBEDDED_APPENDS_IN_FLIGHT: usize = 64;
/// How many a cluster is given: appends to several streams at once may change places there.
const CLUSTER_APPENDS_IN_FLIGHT: usize = 1;
/// How long a tool waits for a cluster that does not answer.
const CLUSTER_WAIT_MAX: Duration = Duration::from_secs(10);

/// The data folder and the log that belongs to it.
#[derive(Debug, clap::Args)]
pub(super) struct LogArguments {
    #[command(flatten)]
    pub(super) folder: DataFolder,
    /// `embedded` for the log in the data folder, or a connection string of EventStoreDB
    /// (`esdb://…`). The payloads of such a log are in the data folder, so its server must be
    /// stopped.
    #[arg(
        long,
        env = "SATPOSTD_LOG",
        hide_env_values = true,
        default_value = "embedded",
        value_name = "LOG"
    )]
    log: LogLocation,
}

/// A log that is open.
pub(super) struct OpenedLog {
    pub(super) store: Arc<dyn EventStore>,
    /// How many appends may wait at a time without changing places.
    pub(super) appends_in_flight: usize,
}

impl LogArguments {
    /// To be read only; the server of an embedded log may be running.
    pub(super) fn open_to_read(&self) -> anyhow::Result<Arc<dyn EventStore>> {
        if self.log.cluster()?.is_some() {
            return self.open_cluster();
        }
        let folder = &self.folder.data_dir;
        let store = EmbeddedEventStore::open_read_only(&EmbeddedOptions::new(folder))
            .with_context(|| format!("cannot read the log in {}", folder.display()))?;
        Ok(Arc::new(store))
    }

    /// To be written by nobody else. A data folder that is not there is made.
    pub(super) fn open_to_write(&self) -> anyhow::Result<OpenedLog> {
        if self.log.cluster()?.is_some() {
            return Ok(OpenedLog {
                store: self.open_cluster()?,
                appends_in_flight: CLUSTER_APPENDS_IN_FLIGHT,
            });
        }
        let folder = &self.folder.data_dir;
        let store = EmbeddedEventStore::open(&EmbeddedOptions::new(folder))
            .with_context(|| format!("cannot write the log in {}", folder.display()))?;
        Ok(OpenedLog {
            store: Arc::new(store),
            appends_in_flight: EMBEDDED_APPENDS_IN_FLIGHT,
        })
    }

    fn open_cluster(&self) -> anyhow::Result<Arc<dyn EventStore>> {
        let stop = CancellationToken::new();
        let opened = runtime()?.block_on(async {
            let open = LogEngine::open(&self.folder.data_dir, &self.log, &stop);
            let mut open = std::pin::pin!(open);
            tokio::select! {
                opened = &mut open => opened,
                () = tokio::time::sleep(CLUSTER_WAIT_MAX) => {
                    stop.cancel();
                    open.await
                }
            }
        });
        let engine = opened.with_context(|| format!("cannot use the log at {}", self.log))?;
        Ok(engine.store())
    }
}
