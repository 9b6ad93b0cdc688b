//! Servers of the EventStoreDB protocol for the adapter: our facade, or the one that
//! `SATPOST_TEST_EVENTSTORE` names.

use std::net::{SocketAddr, TcpListener};
use std::path::Path;
use std::sync::{Arc, LazyLock, mpsc};

use satpost_event_store::EventStore;
use satpost_event_store::payload_store::{LocalPayloadStore, LocalPayloadStoreOptions};
use satpost_eventstoredb::adapter::{ConnectionString, EventStoreDb, EventStoreDbOptions};
use satpost_eventstoredb::facade::{self, FacadeOptions};
use tokio::runtime::Runtime;
use tokio_util::sync::CancellationToken;

/// Servers outlive the runtime of a test that talks to them.
static SERVERS: LazyLock<Runtime> = LazyLock::new(|| {
    tokio::runtime::Builder::new_multi_thread()
        .worker_threads(1)
        .enable_all()
        .build()
        .unwrap()
});

/// A facade that serves a store.
pub(crate) struct Server {
    pub(crate) address: SocketAddr,
    stop: CancellationToken,
    ended: mpsc::Receiver<()>,
}

impl Server {
    /// Serves `store` on `address`, where port 0 means any.
    pub(crate) fn start(store: Arc<dyn EventStore>, address: SocketAddr) -> Self {
        let listener = listen(address);
        let address = listener.local_addr().unwrap();
        listener.set_nonblocking(true).unwrap();
        let stop = CancellationToken::new();
        let (end, ended) = mpsc::channel();
        let stopped = stop.clone();
        SERVERS.spawn(async move {
            let listener = tokio::net::TcpListener::from_std(listener).unwrap();
            let options = FacadeOptions {
                append: true,
                ..FacadeOptions::default()
            };
            facade::serve(listener, store, options, stopped)
                .await
                .unwrap();
            drop(end);
        });
        Self {
            address,
            stop,
            ended,
        }
    }

    /// Ends the server and waits until it has let go of its store.
    pub(crate) fn stop(self) -> SocketAddr {
        self.stop.cancel();
        assert!(self.ended.recv().is_err(), "nothing is ever sent");
        self.address
    }
}

/// A port that was just let go of may take a moment.
fn listen(address: SocketAddr) -> TcpListener {
    for _ in 0..200 {
        if let Ok(listener) = TcpListener::bind(address) {
            return listener;
        }
        std::thread::sleep(std::time::Duration::from_millis(10));
    }
    panic!("{address} stays in use");
}

/// The adapter to a cluster, with its payloads in `folder`.
pub(crate) fn adapter(connection: &str, folder: &Path) -> EventStoreDb {
    let connection = ConnectionString::parse(connection).unwrap();
    let payloads = LocalPayloadStoreOptions {
        blob_segment_bytes: 256 * 1024,
        ..LocalPayloadStoreOptions::new(folder.join("payloads"))
    };
    let payloads = Arc::new(LocalPayloadStore::open(&payloads).unwrap());
    EventStoreDb::open(&EventStoreDbOptions::new(connection, folder), payloads).unwrap()
}
