//! The event log that the configuration names: embedded in the data folder, or on a cluster of
//! EventStoreDB with the payloads in the data folder.

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context as _, bail};
use futures_util::future::{BoxFuture, FutureExt as _};
use satpost_commands::ports::LogError;
use satpost_event_store::EventStore;
use satpost_event_store::embedded::{EmbeddedEventStore, EmbeddedOptions};
use satpost_event_store::payload_store::{LocalPayloadStore, LocalPayloadStoreOptions};
use satpost_eventstoredb::adapter::{ConnectionString, EventStoreDb, EventStoreDbOptions};
use tokio_util::sync::CancellationToken;

use crate::config::LogLocation;

/// What of a cluster lies in the data folder: `<data>/eventstoredb`.
const CLUSTER_FOLDER: &str = "eventstoredb";
/// The file that the embedded log makes in a data folder.
const EMBEDDED_FORMAT_FILE: &str = "format";
/// The first wait after the cluster could not be used; it doubles.
const RETRY_MIN: Duration = Duration::from_millis(250);
/// The longest wait after the cluster could not be used.
const RETRY_MAX: Duration = Duration::from_secs(10);

/// The log, and what tells when it has stopped for good.
pub(crate) struct LogEngine {
    store: Arc<dyn EventStore>,
    stops: Stops,
}

/// What writes in this process, and after a failed write never again.
enum Stops {
    Embedded(Arc<EmbeddedEventStore>),
    Payloads(Arc<LocalPayloadStore>),
}

impl LogEngine {
    /// Opens the log. A cluster that is away is waited for until `stop`.
    pub(crate) async fn open(
        data: &Path,
        log: &LogLocation,
        stop: &CancellationToken,
    ) -> anyhow::Result<Self> {
        match log.cluster()? {
            None => Self::open_embedded(data),
            Some(connection) => Self::open_cluster(data, connection, stop).await,
        }
    }

    fn open_embedded(folder: &Path) -> anyhow::Result<Self> {
        let store = EmbeddedEventStore::open(&EmbeddedOptions::new(folder))
            .with_context(|| format!("the data folder {} cannot be used", folder.display()))?;
        let store = Arc::new(store);
        Ok(Self {
            stops: Stops::Embedded(Arc::clone(&store)),
            store,
        })
    }

    async fn open_cluster(
        data: &Path,
        connection: ConnectionString,
        stop: &CancellationToken,
    ) -> anyhow::Result<Self> {
        if data.join(EMBEDDED_FORMAT_FILE).exists() {
            bail!(
                "the data folder {} holds an embedded log; a cluster needs a data folder of its own",
                data.display()
            );
        }
        let folder = data.join(CLUSTER_FOLDER);
        let payloads = LocalPayloadStoreOptions::new(folder.join("payload-store"));
        let payloads = LocalPayloadStore::open(&payloads)
            .with_context(|| format!("the data folder {} cannot be used", data.display()))?;
        let payloads = Arc::new(payloads);
        let options = EventStoreDbOptions::new(connection, folder);
        let store = EventStoreDb::open(&options, Arc::clone(&payloads) as _)?;
        wait_until_ready(&store, stop).await?;
        Ok(Self {
            store: Arc::new(store),
            stops: Stops::Payloads(payloads),
        })
    }

    /// The log.
    pub(crate) fn store(&self) -> Arc<dyn EventStore> {
        Arc::clone(&self.store)
    }

    /// The embedded log, if it is one.
    pub(crate) fn embedded(&self) -> Option<Arc<EmbeddedEventStore>> {
        match &self.stops {
            Stops::Embedded(store) => Some(Arc::clone(store)),
            Stops::Payloads(_) => None,
        }
    }

    /// Ends when the log has stopped for good, with the reason. Never ends otherwise.
    pub(crate) fn fatal(&self) -> BoxFuture<'static, String> {
        match &self.stops {
            Stops::Embedded(store) => store.fatal().boxed(),
            Stops::Payloads(store) => store.fatal().boxed(),
        }
    }
}

async fn wait_until_ready(store: &EventStoreDb, stop: &CancellationToken) -> anyhow::Result<()> {
    let mut wait = RETRY_MIN;
    loop {
        let error = match store.ready().await {
            Ok(identity) => {
                tracing::info!(log.identity = %identity, "reached the cluster of the event log");
                return Ok(());
            }
            Err(error) => error,
        };
        if matches!(error, LogError::Fatal { .. }) {
            return Err(error).context("the event log cannot be used");
        }
        tracing::warn!(
            error = %error,
            retry_ms = wait.as_millis(),
            "the event log cannot be used yet and will be tried again"
        );
        tokio::select! {
            () = tokio::time::sleep(wait) => {}
            () = stop.cancelled() => bail!("stopped while waiting for the event log: {error}"),
        }
        wait = (wait * 2).min(RETRY_MAX);
    }
}
