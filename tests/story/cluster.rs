//! A server of the EventStoreDB protocol for the story: our facade over an embedded log of its own.

use std::net::{SocketAddr, TcpListener};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use satpost_event_store::embedded::{EmbeddedEventStore, EmbeddedOptions};
use satpost_eventstoredb::facade::{self, FacadeOptions};
use tokio::runtime::Runtime;
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;

/// The server. It outlives every kill of `satpostd`, as a cluster does.
pub(crate) struct Cluster {
    address: SocketAddr,
    /// Where its log lies.
    pub(crate) folder: PathBuf,
    stop: CancellationToken,
    serving: JoinHandle<()>,
    runtime: Runtime,
}

impl Cluster {
    /// Serves a new log in `folder`.
    pub(crate) fn start(folder: &Path) -> Self {
        let runtime = Runtime::new().unwrap();
        let store = EmbeddedEventStore::open(&EmbeddedOptions::new(folder)).unwrap();
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        listener.set_nonblocking(true).unwrap();
        let stop = CancellationToken::new();
        let stopped = stop.clone();
        let serving = runtime.spawn(async move {
            let listener = tokio::net::TcpListener::from_std(listener).unwrap();
            let options = FacadeOptions {
                append: true,
                ..FacadeOptions::default()
            };
            let served = facade::serve(listener, Arc::new(store), options, stopped);
            served.await.unwrap();
        });
        Self {
            address,
            folder: folder.to_owned(),
            stop,
            serving,
            runtime,
        }
    }

    /// What `--log` is given.
    pub(crate) fn connection(&self) -> String {
        format!("esdb://{}?tls=false", self.address)
    }

    /// Ends the server in good order: everything it has is on the disk then.
    pub(crate) fn stop(self) {
        self.stop.cancel();
        self.runtime.block_on(self.serving).unwrap();
    }
}
