//! Where a log is, as a tool is told: a data folder, or a URL.

use std::path::PathBuf;
use std::sync::Arc;

use anyhow::Context as _;
use satpost_event_store::EventStore;
use satpost_event_store::embedded::{EmbeddedEventStore, EmbeddedOptions};

use super::DataFolder;

/// How many appends the embedded log is given at a time: its one queue keeps their order, and they
/// share its syncs.
const EMBEDDED_APPENDS_IN_FLIGHT: usize = 64;

/// Which log a tool works on.
#[derive(Debug, clap::Args)]
pub(super) struct LogLocation {
    #[command(flatten)]
    folder: DataFolder,
    /// The log, instead of the one in --data-dir: `file:///DIR` for that of a data folder.
    #[arg(long, value_name = "URL")]
    log: Option<String>,
}

/// A log that is open.
pub(super) struct OpenedLog {
    pub(super) store: Arc<dyn EventStore>,
    /// How many appends may wait at a time without changing places.
    pub(super) appends_in_flight: usize,
}

impl LogLocation {
    /// To be read only; its server may be running.
    pub(super) fn open_to_read(&self) -> anyhow::Result<OpenedLog> {
        let folder = self.folder()?;
        let store = EmbeddedEventStore::open_read_only(&EmbeddedOptions::new(&folder))
            .with_context(|| format!("cannot read the log in {}", folder.display()))?;
        Ok(embedded(store))
    }

    /// To be written by nobody else. A data folder that is not there is made.
    pub(super) fn open_to_write(&self) -> anyhow::Result<OpenedLog> {
        let folder = self.folder()?;
        let store = EmbeddedEventStore::open(&EmbeddedOptions::new(&folder))
            .with_context(|| format!("cannot write the log in {}", folder.display()))?;
        Ok(embedded(store))
    }

    /// Other engines join here: one arm for their scheme in each of the two functions above.
    fn folder(&self) -> anyhow::Result<PathBuf> {
        let Some(log) = &self.log else {
            return Ok(self.folder.data_dir.clone());
        };
        let url = url::Url::parse(log).with_context(|| format!("{log} is no URL of a log"))?;
        let folder = (url.scheme() == "file")
            .then(|| url.to_file_path().ok())
            .flatten();
        folder.with_context(|| format!("no log is at {log}; use file:///DIR or --data-dir DIR"))
    }
}

fn embedded(store: EmbeddedEventStore) -> OpenedLog {
    OpenedLog {
        store: Arc::new(store),
        appends_in_flight: EMBEDDED_APPENDS_IN_FLIGHT,
    }
}
