//! Serves an event store over the gRPC protocol of EventStoreDB (KurrentDB), so that its clients in
//! any language can browse the log, follow it and, when that is switched on, append to it.
//!
//! There is no authentication: whoever reaches the listener reads the whole log, so it belongs on
//! loopback. Payloads are never served. Deleting is refused: one hash chain proves the whole log, and
//! what must be forgotten is forgotten by its key (docs/adr/0010-eventstoredb-facade.md).

mod append;
mod batch;
mod bounds;
mod filter;
mod foreign;
mod incoming;
mod node;
mod read_all;
mod read_request;
mod read_stream;
mod refusal;
mod render;
mod service;
mod subscription;
#[cfg(test)]
mod tests;

use std::fmt;
use std::io;
use std::sync::Arc;
use std::time::Duration;

use satpost_commands::ports::{Clock, LogError};
use satpost_domain::{Timestamp, limits};
use satpost_event_store::{EventStore, NewStoredEvent, RecordedEvent};
use tokio::net::TcpListener;
use tokio_util::sync::CancellationToken;
use tonic::transport::Server;

use crate::protocol::gossip::gossip_server::GossipServer;
use crate::protocol::server_features::server_features_server::ServerFeaturesServer;
use crate::protocol::streams::streams_server::StreamsServer;
use node::Node;
use service::Service;

/// How many calls one connection may have open.
const CALLS_PER_CONNECTION_MAX: u32 = 512;
/// How often a silent connection is asked whether it is alive, and how long it has for its answer.
const KEEP_ALIVE: Duration = Duration::from_secs(20);
/// How long calls may take to end when the facade stops.
const STOP_DEADLINE: Duration = Duration::from_secs(5);
/// The largest request when nothing is appended.
const REQUEST_BYTES_MAX: usize = 64 * 1024;
/// What a request with the largest append has beside bodies and metadata.
const APPEND_OVERHEAD_BYTES: usize = 1024 * 1024;

/// What the events of the served log mean, for an owner who knows. The facade itself knows nothing
/// but bytes: `()` is the meaning of those.
pub trait Meaning: Send + Sync + 'static {
    /// What happened, for people who browse; it becomes `event` in the custom metadata.
    fn to_json(&self, event: &RecordedEvent) -> Option<serde_json::Value> {
        let _ = event;
        None
    }

    /// When the event was recorded.
    fn recorded_at(&self, event: &RecordedEvent) -> Option<Timestamp> {
        let _ = event;
        None
    }

    /// Whether the log can live with this event.
    ///
    /// # Errors
    /// A sentence for the writer when it cannot.
    fn admit(&self, event: &NewStoredEvent) -> Result<(), String> {
        let _ = event;
        Ok(())
    }
}

impl Meaning for () {}

/// How a facade behaves.
#[derive(Clone)]
pub struct FacadeOptions {
    /// Whether clients may append. The owner of a log is not asked before it: whoever reaches the
    /// listener can then write history.
    pub append: bool,
    /// What the events mean.
    pub meaning: Arc<dyn Meaning>,
    /// Dates the events of other clients, and what subscriptions are told. Without it there are no dates.
    pub clock: Option<Arc<dyn Clock>>,
    /// How many subscriptions are served at a time.
    pub subscriptions_max: usize,
    /// How many connections are open at a time; further ones wait.
    pub connections_max: usize,
}

impl Default for FacadeOptions {
    fn default() -> Self {
        Self {
            append: false,
            meaning: Arc::new(()),
            clock: None,
            subscriptions_max: bounds::SUBSCRIPTIONS_MAX,
            connections_max: bounds::CONNECTIONS_MAX,
        }
    }
}

impl fmt::Debug for FacadeOptions {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("FacadeOptions")
            .field("append", &self.append)
            .field("subscriptions_max", &self.subscriptions_max)
            .field("connections_max", &self.connections_max)
            .finish_non_exhaustive()
    }
}

/// Why a facade ended before it was asked to.
#[derive(Debug, thiserror::Error)]
pub enum FacadeError {
    /// The store does not say which log it is.
    #[error(transparent)]
    Log(#[from] LogError),
    /// The listener has no address.
    #[error("the listener of the EventStoreDB facade cannot be used: {0}")]
    Listener(#[from] io::Error),
    /// The server failed.
    #[error("the EventStoreDB facade failed: {0}")]
    Server(#[from] tonic::transport::Error),
}

/// Serves `store` on `listener` until `stop`. Then no call is taken any more, subscriptions end with
/// UNAVAILABLE, and appends that have begun are answered.
///
/// # Errors
/// [`FacadeError`] when it cannot begin or go on.
pub async fn serve(
    listener: TcpListener,
    store: Arc<dyn EventStore>,
    options: FacadeOptions,
    stop: CancellationToken,
) -> Result<(), FacadeError> {
    let address = listener.local_addr()?;
    let identity = store.identity().await?;
    let node = Node::new(identity, address, options.clock.clone());
    let connections = incoming::connections(listener, options.connections_max);
    let request_bytes_max = if options.append {
        limits::APPEND_BYTES_MAX + APPEND_OVERHEAD_BYTES
    } else {
        REQUEST_BYTES_MAX
    };
    let service = Service::new(store, options, identity, stop.clone());
    let serving = Server::builder()
        .max_concurrent_streams(CALLS_PER_CONNECTION_MAX)
        .http2_keepalive_interval(Some(KEEP_ALIVE))
        .http2_keepalive_timeout(Some(KEEP_ALIVE))
        .add_service(StreamsServer::new(service).max_decoding_message_size(request_bytes_max))
        .add_service(GossipServer::new(node.clone()))
        .add_service(ServerFeaturesServer::new(node))
        .serve_with_incoming_shutdown(connections, stop.clone().cancelled_owned());
    tracing::info!(facade.address = %address, "serving the log over the protocol of EventStoreDB");
    tokio::select! {
        served = serving => Ok(served?),
        () = stopped_for_too_long(&stop) => Ok(()),
    }
}

/// A client that does not read what it asked for must not keep the process alive.
async fn stopped_for_too_long(stop: &CancellationToken) {
    stop.cancelled().await;
    tokio::time::sleep(STOP_DEADLINE).await;
    tracing::warn!("some clients of the EventStoreDB facade did not let go in time");
}
