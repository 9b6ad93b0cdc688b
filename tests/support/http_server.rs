//! The API in this process, on a port of its own, over a log that the test chooses: with a clock
//! that can be set, a log that can fail and projections that can stand still.

use std::net::{SocketAddr, TcpListener};
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicI64, Ordering};
use std::time::Duration;

use satpost_api::ports::{ApiPorts, BlockProofs, FEATURE_WATCHING, NoBlockProofs, ServiceStatus};
use satpost_api::price_query::{NoPrices, PriceQuery};
use satpost_api::{ApiConfig, ApiState, ConnectionLimits, Listeners, LiveConfig, RateLimits, run};
use satpost_api_types::service::Feature;
use satpost_commands::Handler;
use satpost_commands::ports::Clock;
use satpost_domain::Timestamp;
use satpost_domain::limits::{EVENT_STREAMS_MAX, READER_STALL_MAX, REFUSAL_TIME};
use satpost_domain::network::Network;
use satpost_event_store::EventStore;
use satpost_event_store::memory::MemoryEventStore;
use satpost_infra::event_log::StoredEventLog;
use satpost_infra::processes::{Checkpoint, run_client_processes};
use satpost_infra::server_keys::ServerKeys;
use satpost_infra::system::{SystemClock, SystemIds};
use satpost_projections::{ReadModel, runner};
use tokio::sync::watch;
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;

use crate::faulty_store::FaultyStore;

/// How long a server may take to stop; longer than a request may take, shorter than a wait.
const STOP_TIMEOUT: Duration = Duration::from_secs(20);

/// The work for a stranger's message: a moment for a test, and more than chance gives.
pub const KNOCK_WORK_BITS: u32 = 10;

/// The system's clock with a hand that a test can move.
#[derive(Default)]
pub struct SettableClock {
    offset_ms: AtomicI64,
}

impl SettableClock {
    /// Moves the clock by `millis` from the system's time.
    pub fn set_offset_ms(&self, millis: i64) {
        self.offset_ms.store(millis, Ordering::SeqCst);
    }
}

impl Clock for SettableClock {
    fn now(&self) -> Timestamp {
        let offset = self.offset_ms.load(Ordering::SeqCst);
        let now = SystemClock.now().as_millis().saturating_add_signed(offset);
        Timestamp::from_millis(now)
    }
}

/// What a server is started with.
pub struct ServerOptions {
    /// Where events and payloads are.
    pub store: Arc<dyn EventStore>,
    /// How often who may ask.
    pub rate_limits: RateLimits,
    /// How many connections may be open.
    pub connections: ConnectionLimits,
    /// How long an idle one is kept.
    pub keep_alive: Duration,
    /// Whether the projections follow the log.
    pub follow: bool,
    /// Whether there is a node.
    pub watching: bool,
    /// Prices.
    pub prices: Arc<dyn PriceQuery>,
    /// Proofs that transactions are in blocks.
    pub proofs: Arc<dyn BlockProofs>,
    /// How many event streams are open at once.
    pub event_streams_max: usize,
    /// How long a reader may take nothing.
    pub reader_stall_max: Duration,
    /// Who reads messages live.
    pub live: LiveConfig,
    /// How many addresses one client may watch.
    pub watched_addresses_max: usize,
    /// Whether what follows from events is done: cleaning up after clients, passing messages on.
    pub processes: bool,
    /// How much work a stranger's message needs.
    pub knock_work_bits: u32,
    /// How long a refused message is kept waiting for its answer.
    pub refusal_time: Duration,
}

impl Default for ServerOptions {
    fn default() -> Self {
        Self {
            store: Arc::new(MemoryEventStore::new()),
            rate_limits: RateLimits::off(),
            connections: ConnectionLimits {
                per_peer_max: None,
                ..ConnectionLimits::default()
            },
            keep_alive: Duration::from_secs(75),
            follow: true,
            watching: true,
            prices: Arc::new(NoPrices::default()),
            proofs: Arc::new(NoBlockProofs),
            event_streams_max: EVENT_STREAMS_MAX,
            reader_stall_max: READER_STALL_MAX,
            live: LiveConfig::default(),
            watched_addresses_max: satpost_domain::limits::WATCHED_ADDRESSES_MAX,
            processes: false,
            knock_work_bits: KNOCK_WORK_BITS,
            refusal_time: REFUSAL_TIME,
        }
    }
}

/// A running server; [`Self::stop`] ends it.
pub struct HttpServer {
    address: SocketAddr,
    operator: SocketAddr,
    /// An HTTP client.
    pub http: reqwest::Client,
    /// The server's clock.
    pub clock: Arc<SettableClock>,
    /// The log, to be made fail.
    pub store: FaultyStore,
    /// The keys of receipts and heads.
    pub keys: Arc<ServerKeys>,
    /// The projections.
    pub read_model: Arc<ReadModel>,
    /// Carries out commands, and knows what is so.
    pub handler: Handler,
    stop: watch::Sender<bool>,
    served: JoinHandle<std::io::Result<()>>,
    followed: JoinHandle<()>,
    processed: JoinHandle<()>,
    _folder: tempfile::TempDir,
}

struct TestStatus {
    watching: AtomicBool,
}

impl ServiceStatus for TestStatus {
    fn features(&self) -> Vec<Feature> {
        vec![Feature {
            name: FEATURE_WATCHING.to_owned(),
            available: self.watching.load(Ordering::SeqCst),
            reason: None,
        }]
    }

    fn checks(&self) -> Vec<Feature> {
        Vec::new()
    }
}

impl HttpServer {
    /// A server over an empty log in memory, without rate limits.
    pub async fn start() -> Self {
        Self::start_with(ServerOptions::default()).await
    }

    /// A server over `store`.
    pub async fn start_over(store: Arc<dyn EventStore>) -> Self {
        let options = ServerOptions {
            store,
            ..ServerOptions::default()
        };
        Self::start_with(options).await
    }

    /// A server with `options`, ready for requests.
    pub async fn start_with(options: ServerOptions) -> Self {
        let (public, address) = listener();
        let (operator_listener, operator) = listener();
        let folder = tempfile::tempdir().expect("a temporary folder");
        let random = SystemIds::new();
        let keys =
            Arc::new(ServerKeys::load_or_create(folder.path(), &random).expect("fresh keys"));
        let clock = Arc::new(SettableClock::default());
        let store = FaultyStore::new(options.store);
        let log = Arc::new(StoredEventLog::new(Arc::new(store.clone())));
        let read_model = Arc::new(ReadModel::new());
        let (stop, stopped) = watch::channel(false);
        let followed = follow(&read_model, &log, options.follow, stopped.clone()).await;
        let status = Arc::new(TestStatus {
            watching: AtomicBool::new(options.watching),
        });
        let handler = Handler::new(log.clone(), clock.clone(), Arc::new(random.clone()));
        let processed = if options.processes {
            process(&handler, &log, folder.path(), stopped.clone())
        } else {
            tokio::spawn(async {})
        };
        let ports = ApiPorts {
            handler: handler.clone(),
            read_model: read_model.clone(),
            payloads: log,
            clock: clock.clone(),
            receipt_signer: keys.clone(),
            service: status,
            request_ids: Arc::new(random),
            registry: prometheus::Registry::new(),
            prices: options.prices,
            proofs: options.proofs,
        };
        let mut config = ApiConfig::new(Network::Regtest, vec![address.to_string()]);
        config.rate_limits = options.rate_limits;
        config.connections = options.connections;
        config.keep_alive = options.keep_alive;
        config.watched_addresses_max = options.watched_addresses_max;
        config.knock_work_bits = options.knock_work_bits;
        config.refusal_time = options.refusal_time;
        config.workers = 1;
        config.event_streams_max = options.event_streams_max;
        config.reader_stall_max = options.reader_stall_max;
        config.live = options.live;
        config.shutdown_timeout = Duration::from_secs(5);
        let state = Arc::new(ApiState::new(config, ports).expect("a fresh registry"));
        let listeners = Listeners {
            public,
            operator: Some(operator_listener),
        };
        let served = tokio::spawn(run(state, listeners, until(stopped)));
        Self {
            address,
            operator,
            http: plain_http_client(),
            clock,
            store,
            keys,
            read_model,
            handler,
            stop,
            served,
            followed,
            processed,
            _folder: folder,
        }
    }

    /// Where clients connect to.
    #[must_use]
    pub const fn address(&self) -> SocketAddr {
        self.address
    }

    /// The server's name in signatures.
    #[must_use]
    pub fn authority(&self) -> String {
        self.address.to_string()
    }

    /// The URL of the public listener, without a slash at its end.
    #[must_use]
    pub fn base(&self) -> String {
        format!("http://{}", self.address)
    }

    /// The URL of the operator's listener, without a slash at its end.
    #[must_use]
    pub fn operator_base(&self) -> String {
        format!("http://{}", self.operator)
    }

    /// The server's time.
    #[must_use]
    pub fn now(&self) -> Timestamp {
        self.clock.now()
    }

    /// Sends the stop signal and waits until everything has ended; tells how long that took.
    pub async fn stop(self) -> Duration {
        let started = tokio::time::Instant::now();
        self.stop.send_replace(true);
        let ended = async {
            self.served
                .await
                .expect("the server does not panic")
                .expect("no I/O error");
            self.followed.await.expect("the projections do not panic");
            self.processed.await.expect("the processes do not panic");
        };
        tokio::time::timeout(STOP_TIMEOUT, ended)
            .await
            .expect("the server stops in time");
        started.elapsed()
    }
}

/// A client that opens a connection for each request, so that a stop waits for none.
pub(crate) fn plain_http_client() -> reqwest::Client {
    // Fails when another test of this process was faster, which is as good.
    rustls::crypto::ring::default_provider()
        .install_default()
        .ok();
    reqwest::Client::builder()
        .tls_certs_only([])
        .pool_max_idle_per_host(0)
        .build()
        .expect("a client without certificates")
}

fn listener() -> (TcpListener, SocketAddr) {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a free port");
    let address = listener
        .local_addr()
        .expect("a bound listener has an address");
    (listener, address)
}

async fn until(mut stopped: watch::Receiver<bool>) {
    // A test that failed has dropped the sender, which is a reason to stop as well.
    drop(stopped.wait_for(|stopped| *stopped).await);
}

/// Lets `model` follow `log`; returns once the history is applied.
async fn follow(
    model: &Arc<ReadModel>,
    log: &Arc<StoredEventLog>,
    enabled: bool,
    stopped: watch::Receiver<bool>,
) -> JoinHandle<()> {
    if !enabled {
        return tokio::spawn(until(stopped));
    }
    let (follower, source) = (model.clone(), log.clone());
    let task = tokio::spawn(async move {
        runner::run(&follower, source.as_ref(), |_| {}, until(stopped)).await;
    });
    let mut progress = model.positions();
    progress
        .wait_for(|progress| progress.live)
        .await
        .expect("the model lives as long as the server");
    task
}

/// Runs the processes of clients over `log`, from its beginning.
fn process(
    handler: &Handler,
    log: &Arc<StoredEventLog>,
    folder: &Path,
    stopped: watch::Receiver<bool>,
) -> JoinHandle<()> {
    let checkpoint = Checkpoint::load(folder, "clients").expect("a temporary folder");
    let stop = CancellationToken::new();
    let processes = run_client_processes(handler.clone(), log.clone(), checkpoint, stop.clone());
    tokio::spawn(async move {
        let told = async {
            until(stopped).await;
            stop.cancel();
        };
        tokio::join!(processes, told);
    })
}
