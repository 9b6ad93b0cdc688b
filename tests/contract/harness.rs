//! The engines under test.

use std::net::SocketAddr;
use std::path::Path;
use std::sync::Arc;

use satpost_domain::limits;
use satpost_event_store::EventStore;
use satpost_event_store::embedded::{EmbeddedEventStore, EmbeddedOptions};
use satpost_event_store::memory::MemoryEventStore;
use tempfile::TempDir;

use crate::over_the_wire::{Server, adapter};
use crate::relative::{Numbers, Relative};

/// Any port.
const ANY: SocketAddr = SocketAddr::new(std::net::IpAddr::V4(std::net::Ipv4Addr::LOCALHOST), 0);

/// Which engine is under test.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Engine {
    Memory,
    Embedded,
    /// The embedded log, closed and opened between writing and looking.
    Reopened,
    /// The adapter, over the facade of a log in memory.
    OverTheWire,
    /// The adapter over the facade of an embedded log; adapter, facade and log are closed and
    /// opened between writing and looking.
    OverTheWireReopened,
    /// The adapter on the server that `SATPOST_TEST_EVENTSTORE` names.
    #[cfg_attr(not(real_eventstore), allow(dead_code, reason = "no server was given"))]
    RealServer,
}

/// One engine with one log.
pub(crate) struct Harness {
    engine: Engine,
    store: Option<Arc<dyn EventStore>>,
    /// What the log of a facade lies in.
    folder: TempDir,
    /// What the payloads of the adapter lie in.
    beside: TempDir,
    numbers: Arc<Numbers>,
    server: Option<Server>,
}

/// Small files, so that tests cross from one to the next.
pub(crate) fn options(folder: &Path) -> EmbeddedOptions {
    EmbeddedOptions {
        segment_bytes: 256 * 1024,
        blob_segment_bytes: 256 * 1024,
        ..EmbeddedOptions::new(folder)
    }
}

/// Opens the embedded log in `folder`.
pub(crate) fn open(folder: &Path) -> EmbeddedEventStore {
    EmbeddedEventStore::open(&options(folder)).unwrap()
}

impl Harness {
    pub(crate) fn new(engine: Engine) -> Self {
        let run = match engine {
            Engine::RealServer => format!("{}.", uuid::Uuid::new_v4().simple()),
            _ => String::new(),
        };
        let mut harness = Self {
            engine,
            store: None,
            folder: tempfile::tempdir().unwrap(),
            beside: tempfile::tempdir().unwrap(),
            numbers: Arc::new(Numbers::of(run)),
            server: None,
        };
        let memory: Arc<dyn EventStore> = Arc::new(MemoryEventStore::new());
        match engine {
            Engine::Memory => harness.store = Some(memory),
            Engine::Embedded | Engine::Reopened => {
                harness.store = Some(Arc::new(open(harness.folder.path())));
            }
            Engine::OverTheWire => {
                harness.server = Some(Server::start(memory, ANY));
                harness.connect();
            }
            Engine::OverTheWireReopened => {
                harness.serve_embedded(ANY);
                harness.connect();
            }
            Engine::RealServer => harness.connect(),
        }
        harness
    }

    /// The log.
    pub(crate) fn store(&self) -> Arc<dyn EventStore> {
        Arc::clone(self.store.as_ref().unwrap())
    }

    /// How to make another one of the same kind.
    pub(crate) fn maker(&self) -> impl Fn() -> Self + Send + 'static + use<> {
        let engine = self.engine;
        move || Self::new(engine)
    }

    /// Whether another harness of this kind has the same log.
    pub(crate) fn shares_its_log(&self) -> bool {
        self.engine == Engine::RealServer
    }

    /// How many bytes the body and metadata of the largest event have. The facade keeps what the
    /// adapter says about an event as part of it.
    pub(crate) fn event_bytes_max(&self) -> usize {
        match self.engine {
            Engine::OverTheWire | Engine::OverTheWireReopened => limits::EVENT_BYTES_MAX - 512,
            _ => limits::EVENT_BYTES_MAX,
        }
    }

    /// How long the longest name of a stream may be after its category, in characters.
    pub(crate) fn name_max(&self) -> usize {
        192 - self.numbers.run.len()
    }

    /// Closes the log and opens it again, where that is what is tested. Nobody else may hold it.
    pub(crate) fn settle(&mut self) {
        if !matches!(self.engine, Engine::Reopened | Engine::OverTheWireReopened) {
            return;
        }
        let store = self.store.take().unwrap();
        assert_eq!(Arc::strong_count(&store), 1, "the log is still in use");
        drop(store);
        match self.server.take() {
            None => self.store = Some(Arc::new(open(self.folder.path()))),
            Some(server) => {
                let address = server.stop();
                self.serve_embedded(address);
                self.connect();
            }
        }
    }

    fn serve_embedded(&mut self, address: SocketAddr) {
        // The calls of the facade before may take a moment to let go of the log.
        let store = (0..200).find_map(|_| {
            let opened = EmbeddedEventStore::open(&options(self.folder.path()));
            if opened.is_err() {
                std::thread::sleep(std::time::Duration::from_millis(10));
            }
            opened.ok()
        });
        let store = Arc::new(store.expect("the facade lets go of its log"));
        self.server = Some(Server::start(store, address));
    }

    fn connect(&mut self) {
        let connection = match &self.server {
            Some(server) => format!("esdb://{}?tls=false", server.address),
            None => std::env::var("SATPOST_TEST_EVENTSTORE").unwrap(),
        };
        self.store = Some(Arc::new(Relative {
            below: Arc::new(adapter(&connection, self.beside.path())),
            numbers: Arc::clone(&self.numbers),
        }));
    }
}
