//! Puts adapters into ports and runs the server: the only place that knows all of them.

use std::fs;
use std::net::{SocketAddr, TcpListener};
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use anyhow::Context as _;
use satpost_api::ports::ApiPorts;
use satpost_api::price_query::{NoPrices, PriceQuery};
use satpost_api::{ApiConfig, ApiState, ConnectionLimits, Listeners, Rate, RateLimits};
use satpost_commands::Handler;
use satpost_commands::ports::{Clock, EventLog, IdSource, Payloads};
use satpost_event_store::LogIdentity;
use satpost_projections::source::EventSource;
use satpost_projections::{ReadModel, runner};
use secrecy::SecretString;
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;

use crate::config::Config;
use crate::esplora;
use crate::event_log::StoredEventLog;
use crate::log_checkpoints::keeper::{CheckpointKeeper, CheckpointPolicy};
use crate::log_engine::LogEngine;
use crate::log_facade;
use crate::price::Prices;
use crate::price::fetch::Fetcher;
use crate::processes::{self, Checkpoint};
use crate::server_keys::ServerKeys;
use crate::shutdown;
use crate::snapshots::{SnapshotPolicy, Snapshots};
use crate::status::{Node, Status};
use crate::system::{SystemClock, SystemIds};

mod node;
mod push;

pub(crate) use node::node_config;

/// How long background work may take to end.
const STOP_DEADLINE: Duration = Duration::from_secs(10);

/// Why the server ended.
#[derive(Debug, thiserror::Error)]
pub enum ServeError {
    /// The event log can no longer be trusted; nothing was acknowledged after that.
    #[error("the event log has stopped: {reason}")]
    LogStopped {
        /// What happened to it.
        reason: String,
    },
    /// The configuration, the data folder or a port cannot be used.
    #[error(transparent)]
    Unusable(#[from] anyhow::Error),
}

/// Runs the server until a signal, or until its log has stopped for good.
///
/// # Errors
/// [`ServeError`].
pub async fn serve(config: Config) -> Result<(), ServeError> {
    let stop = CancellationToken::new();
    shutdown::on_signals(stop.clone()).context("signals cannot be handled")?;
    let listeners = listen(&config)?;
    serve_on(config, listeners, stop).await
}

/// Runs the server on listeners that are open already, until `stop`, or until its log has stopped
/// for good.
pub(crate) async fn serve_on(
    config: Config,
    listeners: Listeners,
    stop: CancellationToken,
) -> Result<(), ServeError> {
    let esplora_listener = config.esplora.listen.map(bind).transpose()?;
    let server = match Server::open(config, &stop).await {
        Ok(server) => server,
        // Asked to stop before the log could be reached.
        Err(_) if stop.is_cancelled() => return Ok(()),
        Err(error) => return Err(error.into()),
    };
    server.run(listeners, esplora_listener, stop).await
}

fn bind(address: SocketAddr) -> anyhow::Result<TcpListener> {
    TcpListener::bind(address)
        .with_context(|| format!("cannot listen on {address}; is another server running?"))
}

fn listen(config: &Config) -> anyhow::Result<Listeners> {
    Ok(Listeners {
        public: bind(config.server.listen)?,
        operator: Some(bind(config.server.operator_listen)?),
    })
}

/// Everything that is open while the server runs.
struct Server {
    config: Config,
    engine: LogEngine,
    log: StoredEventLog,
    handler: Handler,
    read_model: Arc<ReadModel>,
    snapshots: Snapshots,
    log_identity: LogIdentity,
    keys: Arc<ServerKeys>,
    random: SystemIds,
    /// Every metric of the server.
    registry: prometheus::Registry,
}

impl Server {
    async fn open(config: Config, stop: &CancellationToken) -> anyhow::Result<Self> {
        let folder = config.data_dir.as_path();
        let engine = LogEngine::open(folder, &config.log, stop).await?;
        let random = SystemIds::new();
        let keys = Arc::new(ServerKeys::load_or_create(&folder.join("keys"), &random)?);
        let log = StoredEventLog::new(engine.store());
        let clock: Arc<dyn Clock> = Arc::new(SystemClock);
        let ids: Arc<dyn IdSource> = Arc::new(random.clone());
        let handler = Handler::new(Arc::new(log.clone()) as Arc<dyn EventLog>, clock, ids);
        let snapshots = Snapshots::new(folder);
        let log_identity = engine.store().identity().await?;
        let read_model = snapshots.read().restore(log_identity, log.head().await?);
        let read_model = Arc::new(read_model);
        Ok(Self {
            config,
            engine,
            log,
            handler,
            read_model,
            snapshots,
            log_identity,
            keys,
            random,
            registry: prometheus::Registry::new(),
        })
    }

    async fn run(
        self,
        listeners: Listeners,
        esplora_listener: Option<TcpListener>,
        stop: CancellationToken,
    ) -> Result<(), ServeError> {
        let mut background = JoinSet::new();
        let checkpoints = self.start_checkpoints(&mut background, &stop).await?;
        self.start_projections(&mut background, &stop);
        self.wait_until_live(&stop).await?;
        let node = self.start_watcher(&mut background, &stop)?;
        self.start_processes(&mut background, &stop)?;
        let vapid_key = self.start_outbox(&mut background, &stop)?;
        log_facade::start(&self.config, self.engine.store(), &mut background, &stop)?;
        let prices = self.start_prices(&mut background, &stop)?;
        let api = self.api(node, vapid_key, prices)?;
        let api = self
            .start_esplora(api, esplora_listener, &mut background, &stop)
            .await?;
        self.announce();

        let fatal = self.engine.fatal();
        let serving = satpost_api::run(Arc::new(api), listeners, stop.clone().cancelled_owned());
        let outcome = tokio::select! {
            reason = fatal => Err(ServeError::LogStopped { reason }),
            served = serving => served.context("the HTTP server failed").map_err(ServeError::from),
        };
        stop.cancel();
        let ended = tokio::time::timeout(STOP_DEADLINE, async {
            while background.join_next().await.is_some() {}
        });
        if ended.await.is_err() {
            tracing::warn!("background work did not end in time; it goes on at the next start");
        }
        if let (Ok(()), Some(checkpoints)) = (&outcome, checkpoints) {
            checkpoints.sign_aside().await;
        }
        tracing::info!("stopped");
        outcome
    }

    /// Signs the log from time to time; the last signature is made when everything else has ended.
    /// A cluster has no hash chain to sign.
    async fn start_checkpoints(
        &self,
        background: &mut JoinSet<()>,
        stop: &CancellationToken,
    ) -> anyhow::Result<Option<Arc<CheckpointKeeper>>> {
        let Some(store) = self.engine.embedded() else {
            return Ok(None);
        };
        let keys = Arc::clone(&self.keys);
        let policy = CheckpointPolicy::default();
        let keeper = CheckpointKeeper::open(&self.config.data_dir, store, keys, policy)
            .await
            .context("the checkpoints of the event log cannot be used")?;
        let keeper = Arc::new(keeper);
        background.spawn(Arc::clone(&keeper).keep(stop.clone()));
        Ok(Some(keeper))
    }

    fn start_projections(&self, background: &mut JoinSet<()>, stop: &CancellationToken) {
        let read_model = Arc::clone(&self.read_model);
        let source = self.log.clone();
        let stopped = stop.clone().cancelled_owned();
        background.spawn(async move { runner::run(&read_model, &source, |_| (), stopped).await });

        let read_model = Arc::clone(&self.read_model);
        let policy = SnapshotPolicy::default();
        background.spawn(self.snapshots.clone().keep(
            self.log_identity,
            read_model,
            policy,
            stop.clone(),
        ));
    }

    /// Queries would answer from the past while history is applied, so nobody is let in before.
    async fn wait_until_live(&self, stop: &CancellationToken) -> Result<(), ServeError> {
        let mut progress = self.read_model.positions();
        tokio::select! {
            live = progress.wait_for(|progress| progress.live) => {
                live.context("the projections have ended")?;
                Ok(())
            }
            () = stop.cancelled() => Ok(()),
            reason = self.engine.fatal() => Err(ServeError::LogStopped { reason }),
        }
    }

    fn start_processes(
        &self,
        background: &mut JoinSet<()>,
        stop: &CancellationToken,
    ) -> anyhow::Result<()> {
        let folder = self.config.data_dir.join("processes");
        let checkpoint = Checkpoint::load(&folder, "clients")
            .with_context(|| format!("{} cannot be used", folder.display()))?;
        let source: Arc<dyn EventSource> = Arc::new(self.log.clone());
        background.spawn(processes::run_client_processes(
            self.handler.clone(),
            source,
            checkpoint,
            stop.clone(),
        ));
        background.spawn(processes::run_expiry(
            self.handler.clone(),
            Arc::clone(&self.read_model),
            stop.clone(),
        ));
        Ok(())
    }

    /// Serves the Esplora API where the configuration says, if it does.
    async fn start_esplora(
        &self,
        api: ApiState,
        listener: Option<TcpListener>,
        background: &mut JoinSet<()>,
        stop: &CancellationToken,
    ) -> anyhow::Result<ApiState> {
        if !self.config.esplora.is_on() {
            return Ok(api);
        }
        let parts = esplora::Esplora {
            config: &self.config,
            node: &node_config(&self.config)?,
            read_model: &self.read_model,
            handler: &self.handler,
            metrics: api.http_metrics(),
        };
        let state = esplora::open(parts, background, stop).await?;
        if let Some(listener) = listener {
            esplora::serve(Arc::clone(&state), listener, background, stop);
        }
        if self.config.esplora.enabled {
            return Ok(api.with_esplora(state));
        }
        Ok(api)
    }

    /// Exchanges are asked only when the operator names some.
    fn start_prices(
        &self,
        background: &mut JoinSet<()>,
        stop: &CancellationToken,
    ) -> anyhow::Result<Option<Arc<Prices>>> {
        if !self.config.price.is_on() {
            return Ok(None);
        }
        let file = self.config.data_dir.join("price.redb");
        let plan = self.config.price.plan()?;
        let prices = Prices::open(plan, &file, Arc::new(SystemClock)).with_context(|| {
            let file = file.display();
            format!("{file} cannot be used; move it away to begin without a history of prices")
        })?;
        let prices = Arc::new(prices);
        let fetcher = Fetcher::new().context("exchanges cannot be asked")?;
        background.spawn(Arc::clone(&prices).run(fetcher, stop.clone()));
        Ok(Some(prices))
    }

    fn api(
        &self,
        node: Node,
        vapid_key: String,
        prices: Option<Arc<Prices>>,
    ) -> anyhow::Result<ApiState> {
        let prices: Arc<dyn PriceQuery> = match prices {
            Some(prices) => {
                prices.metrics().register(&self.registry)?;
                prices
            }
            None => Arc::new(NoPrices::default()),
        };
        let status = Arc::new(Status::new(node));
        let ports = ApiPorts {
            handler: self.handler.clone(),
            read_model: Arc::clone(&self.read_model),
            payloads: Arc::new(self.log.clone()) as Arc<dyn Payloads>,
            clock: Arc::new(SystemClock),
            receipt_signer: Arc::clone(&self.keys) as _,
            service: status,
            request_ids: Arc::new(self.random.clone()),
            registry: self.registry.clone(),
            prices,
            proofs: self.proofs()?,
        };
        let mut config = ApiConfig::new(self.config.network(), self.config.authorities());
        config.vapid_key = vapid_key;
        config.push = push::push_credentials(&self.config);
        config.rate_limits = rate_limits(&self.config);
        config.connections = connection_limits(&self.config);
        // Whatever becomes of connections, one worker alone could have them all.
        config.connections_per_worker_max = config.connections.total_max + 1_024;
        config.watched_addresses_max = self.config.watching.addresses_max;
        Ok(ApiState::new(config, ports)?)
    }

    fn announce(&self) {
        tracing::info!(
            api = %self.config.server.listen,
            operators = %self.config.server.operator_listen,
            data = %self.config.data_dir.display(),
            log = %self.config.log,
            network = %self.config.network,
            log.position = %self.read_model.position(),
            "ready"
        );
    }
}

fn rate_limits(config: &Config) -> RateLimits {
    let refill = Duration::from_secs(1) / config.server.requests_per_second;
    let per_key = Rate::new(config.server.requests_burst, refill);
    let defaults = RateLimits::default();
    RateLimits {
        per_key: Some(per_key),
        per_peer: defaults.per_peer.filter(|_| config.server.limit_peers),
        registrations_per_peer: defaults
            .registrations_per_peer
            .filter(|_| config.server.limit_peers),
    }
}

fn connection_limits(config: &Config) -> ConnectionLimits {
    let per_peer_max = config.server.connections_per_peer_max;
    ConnectionLimits {
        total_max: config.server.connections_max,
        per_peer_max: config.server.limit_peers.then_some(per_peer_max),
    }
}

fn read_secret(file: &Path) -> anyhow::Result<SecretString> {
    let text =
        fs::read_to_string(file).with_context(|| format!("cannot read {}", file.display()))?;
    Ok(SecretString::from(text.trim_end().to_owned()))
}
