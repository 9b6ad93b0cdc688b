//! Puts adapters into ports and runs the server: the only place that knows all of them.

use std::fs;
use std::net::TcpListener;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use anyhow::Context as _;
use p256::SecretKey;
use satpost_api::ports::{ApiPorts, BlockProofs, NoBlockProofs};
use satpost_api::price_query::{NoPrices, PriceQuery};
use satpost_api::{ApiConfig, ApiState, Listeners, PushCredentials, Rate, RateLimits};
use satpost_commands::Handler;
use satpost_commands::ports::{Clock, EventLog, IdSource, Payloads};
use satpost_domain::limits::NODE_AUDIT;
use satpost_event_store::LogIdentity;
use satpost_projections::source::EventSource;
use satpost_projections::{ReadModel, runner};
use secrecy::{ExposeSecret as _, SecretString};
use tokio::sync::watch;
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;

use crate::bitcoind::backfill::{BackfillMetrics, Backfiller, LiveJoin};
use crate::bitcoind::doctor::{self, DoctorMetrics};
use crate::bitcoind::rpc::NodeRpc;
use crate::bitcoind::{self, CoreRpc, NodeAuth, NodeConfig, NodeMetrics, NodeProofs, NodeStatus};
use crate::config::Config;
use crate::event_log::StoredEventLog;
use crate::log_checkpoints::keeper::{CheckpointKeeper, CheckpointPolicy};
use crate::log_engine::LogEngine;
use crate::log_facade;
use crate::outbox::{Outbox, OutboxSettings};
use crate::price::Prices;
use crate::price::fetch::Fetcher;
use crate::processes::{self, Checkpoint};
use crate::push::http::base_url;
use crate::push::metrics::PushMetrics;
use crate::push::{Apns, ApnsKey, Fcm, Guard, PushServices, ServiceAccount, Vapid, WebPush};
use crate::server_keys::ServerKeys;
use crate::shutdown;
use crate::snapshots::{SnapshotPolicy, Snapshots};
use crate::status::{Node, Status};
use crate::system::{SystemClock, SystemIds};

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
    let server = match Server::open(config, &stop).await {
        Ok(server) => server,
        // Asked to stop before the log could be reached.
        Err(_) if stop.is_cancelled() => return Ok(()),
        Err(error) => return Err(error.into()),
    };
    server.run(listeners, stop).await
}

fn listen(config: &Config) -> anyhow::Result<Listeners> {
    let bind = |address| {
        TcpListener::bind(address)
            .with_context(|| format!("cannot listen on {address}; is another server running?"))
    };
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

    async fn run(self, listeners: Listeners, stop: CancellationToken) -> Result<(), ServeError> {
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

    fn start_watcher(
        &self,
        background: &mut JoinSet<()>,
        stop: &CancellationToken,
    ) -> anyhow::Result<Node> {
        if !self.config.has_node() {
            tracing::warn!(
                "no Bitcoin node is configured: addresses cannot be watched; messages and pushes work. Set node.rpc_url to change that"
            );
            return Ok(Node::None);
        }
        let config = node_config(&self.config)?;
        let rpc = Arc::new(CoreRpc::new(
            config.rpc_url.clone(),
            config.rpc_auth.clone(),
        ));
        let (sender, receiver) = watch::channel(NodeStatus::Connecting);
        self.start_doctor(Arc::clone(&rpc) as _, receiver.clone(), background, stop)?;
        let join = Arc::new(LiveJoin::default());
        let backfiller = Backfiller {
            rpc: Arc::new(CoreRpc::for_history(
                config.rpc_url.clone(),
                config.rpc_auth.clone(),
            )),
            handler: self.handler.clone(),
            network: config.network,
            read_model: Arc::clone(&self.read_model),
            join: Arc::clone(&join),
            metrics: BackfillMetrics::register(&self.registry)?,
        };
        background.spawn(backfiller.run(stop.clone()));
        background.spawn(bitcoind::run(
            config,
            rpc,
            self.handler.clone(),
            Arc::clone(&self.read_model),
            (sender, NodeMetrics::register(&self.registry)?),
            join,
            stop.clone(),
        ));
        Ok(Node::Followed(receiver))
    }

    fn start_doctor(
        &self,
        rpc: Arc<dyn NodeRpc>,
        status: watch::Receiver<NodeStatus>,
        background: &mut JoinSet<()>,
        stop: &CancellationToken,
    ) -> anyhow::Result<()> {
        let metrics = DoctorMetrics::register(&self.registry)?;
        background.spawn(doctor::keep(
            rpc,
            self.config.network(),
            self.config.data_dir.clone(),
            status,
            metrics,
            stop.clone(),
        ));
        Ok(())
    }

    fn start_processes(
        &self,
        background: &mut JoinSet<()>,
        stop: &CancellationToken,
    ) -> anyhow::Result<()> {
        let folder = self.config.data_dir.join("processes");
        let checkpoint = Checkpoint::load(&folder, "retirement")
            .with_context(|| format!("{} cannot be used", folder.display()))?;
        let source: Arc<dyn EventSource> = Arc::new(self.log.clone());
        background.spawn(processes::run_retirement(
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

    /// Returns the public key that phones subscribe with.
    fn start_outbox(
        &self,
        background: &mut JoinSet<()>,
        stop: &CancellationToken,
    ) -> anyhow::Result<String> {
        let key = SecretKey::from_slice(self.keys.vapid_secret())
            .context("the Web Push key cannot be used")?;
        let vapid =
            Vapid::new(&key, &self.config.push.contact).context("push.contact cannot be used")?;
        let vapid = Arc::new(vapid);
        let public_key = vapid.public_key().to_owned();
        let guard = Guard::allowing(&self.config.push.allow);
        let services = PushServices {
            web_push: WebPush::new(guard, vapid, Arc::new(SystemClock), self.random.clone())
                .context("pushes cannot be sent")?,
            apns: apns(&self.config).context("push.apns cannot be used")?,
            fcm: fcm(&self.config, &self.random).context("push.fcm cannot be used")?,
        };
        let heartbeat = self.config.push.heartbeat_seconds;
        let outbox = Outbox {
            handler: self.handler.clone(),
            read_model: Arc::clone(&self.read_model),
            notifier: Arc::new(services),
            chance: Arc::new(self.random.clone()),
            metrics: PushMetrics::register(&self.registry)?,
            settings: OutboxSettings {
                heartbeat: (heartbeat > 0).then(|| Duration::from_secs(heartbeat)),
                ..OutboxSettings::default()
            },
        };
        background.spawn(outbox.run(stop.clone()));
        Ok(public_key)
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
        config.push = push_credentials(&self.config);
        config.rate_limits = rate_limits(&self.config);
        config.watched_addresses_max = self.config.watching.addresses_max;
        Ok(ApiState::new(config, ports)?)
    }

    /// Proofs have a connection of their own, so that the watcher never waits for them.
    fn proofs(&self) -> anyhow::Result<Arc<dyn BlockProofs>> {
        if !self.config.has_node() {
            return Ok(Arc::new(NoBlockProofs));
        }
        let config = node_config(&self.config)?;
        let rpc = CoreRpc::new(config.rpc_url, config.rpc_auth);
        Ok(Arc::new(NodeProofs::new(Arc::new(rpc))))
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

/// What clients may register: the same conditions as in [`apns`] and [`fcm`].
fn push_credentials(config: &Config) -> PushCredentials {
    let apns = &config.push.apns;
    PushCredentials {
        apns_topics: apns
            .key_file
            .as_ref()
            .map_or_else(Vec::new, |_| apns.topics.clone()),
        fcm: config.push.fcm.credentials_file.is_some(),
    }
}

fn apns(config: &Config) -> anyhow::Result<Option<Apns>> {
    let apns = &config.push.apns;
    let Some(file) = &apns.key_file else {
        return Ok(None);
    };
    let key = ApnsKey::new(
        read_secret(file)?.expose_secret(),
        &apns.key_id,
        &apns.team_id,
    )
    .with_context(|| format!("{} cannot be used", file.display()))?;
    let production = base_url(&apns.production_url)?;
    let sandbox = base_url(&apns.sandbox_url)?;
    Ok(Some(Apns::new(
        key,
        production,
        sandbox,
        Arc::new(SystemClock),
    )?))
}

fn fcm(config: &Config, random: &SystemIds) -> anyhow::Result<Option<Fcm>> {
    let Some(file) = &config.push.fcm.credentials_file else {
        return Ok(None);
    };
    let account = ServiceAccount::parse(read_secret(file)?.expose_secret())
        .with_context(|| format!("{} cannot be used", file.display()))?;
    let base = base_url(&config.push.fcm.url)?;
    Ok(Some(Fcm::new(
        account,
        &base,
        Arc::new(SystemClock),
        random.clone(),
    )?))
}

/// How the node of a configuration is reached.
pub(crate) fn node_config(config: &Config) -> anyhow::Result<NodeConfig> {
    let node = &config.node;
    let rpc_auth = match (&node.rpc_cookie, &node.rpc_user, &node.rpc_password_file) {
        (Some(cookie), ..) => NodeAuth::Cookie(cookie.clone()),
        (None, Some(user), Some(file)) => NodeAuth::Password {
            user: user.clone(),
            password: read_secret(file)?,
        },
        _ => anyhow::bail!(
            "node.rpc_cookie, or node.rpc_user and node.rpc_password_file, are needed"
        ),
    };
    Ok(NodeConfig {
        network: config.network(),
        rpc_url: node.rpc_url.clone(),
        rpc_auth,
        zmq_sequence: Some(node.zmq_sequence.clone()).filter(|address| !address.is_empty()),
        zmq_rawtx: Some(node.zmq_rawtx.clone()).filter(|address| !address.is_empty()),
        final_depth: node.final_depth,
        audit_every: NODE_AUDIT,
    })
}

fn read_secret(file: &Path) -> anyhow::Result<SecretString> {
    let text =
        fs::read_to_string(file).with_context(|| format!("cannot read {}", file.display()))?;
    Ok(SecretString::from(text.trim_end().to_owned()))
}
