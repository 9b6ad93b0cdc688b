//! What every request sees: the ports, the settings, and what must be remembered between requests.

use std::ops::Deref;
use std::sync::Arc;

use satpost_domain::Position;
use satpost_domain::limits::{
    BATCHES_AT_ONCE_MAX, FETCHES_WAITING_MAX, IMPORTS_AT_ONCE_MAX, MIN_POSITION_WAIT_MAX,
    SIGNATURE_NONCES_MAX,
};
use tokio::sync::{Semaphore, watch};

use crate::config::ApiConfig;
use crate::connections::Connections;
use crate::esplora::EsploraState;
use crate::events::EventStreams;
use crate::live::LiveReaders;
use crate::metrics::HttpMetrics;
use crate::ports::ApiPorts;
use crate::problem::ApiError;
use crate::rate_limit::RateLimiters;
use crate::signature::{NonceMemory, Verifier};

/// The state of the API, shared by all workers.
pub struct ApiState {
    /// The settings.
    pub config: ApiConfig,
    ports: ApiPorts,
    pub(crate) verifier: Verifier,
    pub(crate) rate_limiters: RateLimiters,
    pub(crate) metrics: HttpMetrics,
    /// The open connections of clients.
    pub(crate) connections: Arc<Connections>,
    /// Room for fetches that wait.
    pub(crate) waiting_fetches: Semaphore,
    /// Room for event streams.
    pub(crate) event_streams: Arc<EventStreams>,
    /// Who reads which mailbox live.
    pub(crate) live_readers: Arc<LiveReaders>,
    /// Room for imports.
    pub(crate) imports: Arc<Semaphore>,
    /// Room for batches of messages.
    pub(crate) batches: Arc<Semaphore>,
    /// The Esplora API, where the public listener serves it.
    pub(crate) esplora: Option<Arc<EsploraState>>,
    stopping: watch::Sender<bool>,
}

impl Deref for ApiState {
    type Target = ApiPorts;

    fn deref(&self) -> &ApiPorts {
        &self.ports
    }
}

impl ApiState {
    /// Puts the API together. Signatures created before this moment are refused.
    ///
    /// # Errors
    /// When the metrics of the API are in the registry already.
    pub fn new(config: ApiConfig, ports: ApiPorts) -> Result<Self, prometheus::Error> {
        let started_at = ports.clock.now();
        let nonces = NonceMemory::new(started_at.as_secs(), SIGNATURE_NONCES_MAX);
        let metrics = HttpMetrics::register(&ports.registry)?;
        Ok(Self {
            verifier: Verifier::new(config.authorities.clone(), nonces),
            rate_limiters: RateLimiters::new(&config.rate_limits),
            connections: Arc::new(Connections::new(config.connections, metrics.clone())),
            metrics,
            waiting_fetches: Semaphore::new(FETCHES_WAITING_MAX),
            event_streams: Arc::new(EventStreams::new(config.event_streams_max)),
            live_readers: Arc::new(LiveReaders::new(config.live.readers_max)),
            imports: Arc::new(Semaphore::new(IMPORTS_AT_ONCE_MAX)),
            batches: Arc::new(Semaphore::new(BATCHES_AT_ONCE_MAX)),
            esplora: None,
            stopping: watch::Sender::new(false),
            config,
            ports,
        })
    }

    /// Serves the Esplora API on the public listener as well, under `/esplora`.
    #[must_use]
    pub fn with_esplora(mut self, esplora: Arc<EsploraState>) -> Self {
        self.esplora = Some(esplora);
        self
    }

    /// The metrics of requests, for listeners that stand beside this API.
    #[must_use]
    pub fn http_metrics(&self) -> HttpMetrics {
        self.metrics.clone()
    }

    /// Waits until queries see what happened up to `position`.
    ///
    /// # Errors
    /// `behind` when that takes longer than [`MIN_POSITION_WAIT_MAX`].
    pub(crate) async fn wait_until_visible(&self, position: Position) -> Result<(), ApiError> {
        if self.read_model.position() >= position
            || self
                .read_model
                .wait_for(position, MIN_POSITION_WAIT_MAX)
                .await
        {
            Ok(())
        } else {
            Err(ApiError::behind())
        }
    }

    /// Like [`Self::wait_until_visible`], for an import: waits as long as the projections move on.
    ///
    /// # Errors
    /// `behind` when they stand still for [`MIN_POSITION_WAIT_MAX`].
    pub(crate) async fn wait_while_moving(&self, position: Position) -> Result<(), ApiError> {
        loop {
            let before = self.read_model.position();
            match self.wait_until_visible(position).await {
                Err(_) if self.read_model.position() > before && !self.is_stopping() => {}
                answer => return answer,
            }
        }
    }

    /// Ends every wait: the server is about to stop.
    pub(crate) fn stop(&self) {
        self.stopping.send_replace(true);
        if let Some(esplora) = &self.esplora {
            esplora.stop();
        }
    }

    /// True once the server is about to stop.
    pub(crate) fn is_stopping(&self) -> bool {
        *self.stopping.borrow()
    }

    /// Returns when the server is about to stop.
    pub(crate) async fn stopped(&self) {
        let mut stopping = self.stopping.subscribe();
        stopping
            .wait_for(|stopping| *stopping)
            .await
            .expect("the sender lives as long as the state");
    }
}
