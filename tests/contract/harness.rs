//! The engines under test.

use std::net::SocketAddr;
use std::path::Path;
use std::sync::Arc;

use satpost_domain::limits;
use satpost_event_store::EventStore;
use satpost_event_store::embedded::{EmbeddedEventStore, EmbeddedOptions};
use satpost_event_store::memory::MemoryEventStore;
use satpost_event_store::storage::fault_storage::FaultStorage;
use satpost_tests::hooked_store::HookedStore;
use tempfile::TempDir;

pub(crate) use crate::lost_answers::Lost;
use crate::lost_answers::LostAnswers;
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
    /// What the embedded log lies on: only what its writer does can fail.
    disk: FaultStorage,
    /// What loses answers of other logs, and the log in memory behind it.
    losing: Arc<LostAnswers>,
    memory: Arc<dyn EventStore>,
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
            disk: FaultStorage::in_thread("event-log-writer"),
            losing: Arc::default(),
            memory: Arc::new(MemoryEventStore::new()),
        };
        match engine {
            Engine::Memory => {
                harness.store = Some(harness.with_losses(Arc::clone(&harness.memory)));
            }
            Engine::Embedded | Engine::Reopened => harness.open_embedded(),
            Engine::OverTheWire => {
                harness.serve_memory(ANY);
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
            None => self.open_embedded(),
            Some(server) => {
                let address = server.stop();
                self.serve_embedded(address);
                self.connect();
            }
        }
    }

    /// Whether answers can be lost on purpose.
    pub(crate) fn loses_answers(&self) -> bool {
        self.engine != Engine::RealServer
    }

    /// Has the next append lose its answer.
    pub(crate) fn lose_next(&self, lost: Lost) {
        match (self.engine, lost) {
            (Engine::Embedded | Engine::Reopened, Lost::Request) => self.disk.fail_write_after(0),
            (Engine::Embedded | Engine::Reopened, Lost::Answer) => self.disk.fail_sync_after(0),
            _ => self.losing.lose_next(lost),
        }
    }

    /// Does what is done after an unknown outcome: the embedded log has stopped, and is opened again.
    pub(crate) fn recover(&mut self) {
        if matches!(self.engine, Engine::Embedded | Engine::Reopened) {
            assert!(!self.disk.is_armed(), "the disk has not failed");
            self.store = None;
            self.open_embedded();
        }
    }

    /// Breaks what connects those who append with their log, and lets it come back: a server is
    /// stopped and started below an adapter that knows nothing of it, an embedded log is opened anew.
    pub(crate) fn reconnect(&mut self) {
        match self.engine {
            Engine::Memory => {}
            Engine::Embedded | Engine::Reopened => {
                self.store = None;
                self.open_embedded();
            }
            Engine::OverTheWire => {
                let address = self.server.take().unwrap().stop();
                self.serve_memory(address);
            }
            Engine::OverTheWireReopened => {
                let address = self.server.take().unwrap().stop();
                self.serve_embedded(address);
            }
            Engine::RealServer => {
                self.store = None;
                self.connect();
            }
        }
    }

    fn with_losses(&self, store: Arc<dyn EventStore>) -> Arc<dyn EventStore> {
        Arc::new(HookedStore::<LostAnswers>::with(
            store,
            Arc::clone(&self.losing),
        ))
    }

    fn open_embedded(&mut self) {
        let disk = Arc::new(self.disk.clone());
        let opened = EmbeddedEventStore::open_on(disk, &options(self.folder.path()));
        self.store = Some(Arc::new(opened.unwrap()));
    }

    fn serve_memory(&mut self, address: SocketAddr) {
        let store = self.with_losses(Arc::clone(&self.memory));
        self.server = Some(Server::start(store, address));
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
        let store = store.expect("the facade lets go of its log");
        let store = self.with_losses(Arc::new(store));
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
