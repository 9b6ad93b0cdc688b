//! Settings of the Esplora API, and what every one of its requests sees.

use std::sync::Arc;

use satpost_domain::limits::{ESPLORA_UNSPENT_DEFAULT_MAX, ESPLORA_WEBSOCKETS_MAX};
use satpost_domain::network::Network;
use std::net::IpAddr;
use tokio::sync::{Semaphore, watch};

use super::ports::ChainQuery;
use crate::config::Rate;
use crate::metrics::HttpMetrics;
use crate::problem::LimitName;
use crate::rate_limit::{Limiter, Uptime};

/// What the operator decides about the Esplora API.
#[derive(Debug, Clone)]
pub struct EsploraConfig {
    /// The network whose addresses are answered for.
    pub network: Network,
    /// What browsers of other sites are told (`Access-Control-Allow-Origin`), if anything.
    pub allow_origin: Option<String>,
    /// How many unspent outputs of one script are told.
    pub unspent_max: usize,
    /// True when `/block-template` may be asked.
    pub mining: bool,
    /// How often one peer of the own listener may ask; `None` switches the limit off.
    pub per_peer: Option<Rate>,
    /// Threads of the own listener.
    pub workers: usize,
    /// Connections that one of them keeps open.
    pub connections_per_worker_max: usize,
}

impl EsploraConfig {
    /// The defaults for `network`, without a limit on peers.
    #[must_use]
    pub const fn new(network: Network) -> Self {
        Self {
            network,
            allow_origin: None,
            unspent_max: ESPLORA_UNSPENT_DEFAULT_MAX,
            mining: false,
            per_peer: None,
            workers: 2,
            connections_per_worker_max: 1_000,
        }
    }
}

/// The state of the Esplora API, shared by all workers and both listeners.
pub struct EsploraState {
    /// The settings.
    pub config: EsploraConfig,
    /// What is asked.
    pub chain: Arc<dyn ChainQuery>,
    pub(super) peers: Limiter<IpAddr>,
    pub(super) metrics: HttpMetrics,
    /// Room for WebSockets.
    pub(super) websockets: Arc<Semaphore>,
    stopping: watch::Sender<bool>,
}

impl EsploraState {
    /// Puts it together. `metrics` are those of the whole server.
    #[must_use]
    pub fn new(config: EsploraConfig, chain: Arc<dyn ChainQuery>, metrics: HttpMetrics) -> Self {
        Self {
            peers: Limiter::new(LimitName::RequestsPerPeer, config.per_peer, Uptime::start()),
            websockets: Arc::new(Semaphore::new(ESPLORA_WEBSOCKETS_MAX)),
            stopping: watch::Sender::new(false),
            config,
            chain,
            metrics,
        }
    }

    /// Closes every WebSocket: the server is about to stop.
    pub fn stop(&self) {
        self.stopping.send_replace(true);
    }

    /// Tells when the server is about to stop.
    pub(super) fn stopping(&self) -> watch::Receiver<bool> {
        self.stopping.subscribe()
    }
}
