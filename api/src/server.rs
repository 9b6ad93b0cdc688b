//! Listeners, limits of connections, and a stop that lets requests end.

use std::future::Future;
use std::net::TcpListener;
use std::sync::Arc;
use std::time::Duration;

use actix_web::dev::{Server, ServerHandle};
use actix_web::middleware::from_fn;
use actix_web::web::{Data, ServiceConfig};
use actix_web::{App, HttpServer};

use crate::config::ApiConfig;
use crate::connections;
use crate::esplora;
use crate::observe::observe;
use crate::rate_limit::FORGET_EVERY;
use crate::routes::{configure_operator, configure_public};
use crate::state::ApiState;

/// How long a request head may take to arrive.
const HEAD_TIMEOUT: Duration = Duration::from_secs(5);
/// How often connections are looked for whose next head does not come.
const STALLED_EVERY: Duration = Duration::from_secs(2);
/// How long a closing connection may linger.
const DISCONNECT_TIMEOUT: Duration = Duration::from_secs(2);
/// Threads and connections of the operator's listener.
const OPERATOR_WORKERS: usize = 1;
const OPERATOR_CONNECTIONS_MAX: usize = 64;

/// Where the API listens.
pub struct Listeners {
    /// For clients.
    pub public: TcpListener,
    /// For the operator, loopback only; there is no access control on it.
    pub operator: Option<TcpListener>,
}

/// Serves until `stop` is ready, then ends every wait, lets requests in flight finish and returns.
///
/// # Errors
/// When a listener cannot be used, or a server ends with an error.
pub async fn run(
    state: Arc<ApiState>,
    listeners: Listeners,
    stop: impl Future<Output = ()> + Send,
) -> std::io::Result<()> {
    let public = server(&state, listeners.public, Surface::Public)?;
    let operator = listeners
        .operator
        .map(|listener| server(&state, listener, Surface::Operator))
        .transpose()?;
    let mut handles = vec![public.handle()];
    handles.extend(operator.as_ref().map(Server::handle));
    let servers = async {
        match operator {
            Some(operator) => tokio::try_join!(public, operator).map(|_| ()),
            None => public.await,
        }
    };
    let mut servers = std::pin::pin!(servers);
    tokio::select! {
        ended = &mut servers => ended,
        () = stopped(&state, stop, handles) => servers.await,
    }
}

/// Waits for the stop signal, doing the housekeeping meanwhile, then asks the servers to stop.
async fn stopped(
    state: &ApiState,
    stop: impl Future<Output = ()> + Send,
    handles: Vec<ServerHandle>,
) {
    // An idle connection is closed by the framework; one that is older has begun a head.
    let quiet_max = state.config.keep_alive + HEAD_TIMEOUT;
    let housekeeping = async {
        let mut forget = tokio::time::interval(FORGET_EVERY);
        let mut stalled = tokio::time::interval(STALLED_EVERY);
        loop {
            tokio::select! {
                _ = forget.tick() => state.rate_limiters.forget_idle(),
                _ = stalled.tick() => state.connections.close_stalled(quiet_max),
            }
        }
    };
    tokio::select! {
        () = stop => {}
        () = housekeeping => {}
    }
    state.stop();
    for handle in handles {
        // The command is sent when `stop` is called; what it returns waits for the end.
        drop(handle.stop(true));
    }
}

/// One of the two faces of the API.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Surface {
    /// For clients, limited by peer.
    Public,
    /// For the operator, on loopback, without a limiter.
    Operator,
}

impl Surface {
    fn routes(self) -> fn(&mut ServiceConfig) {
        match self {
            Self::Public => |config| {
                crate::spotbit::configure(config);
                configure_public(config);
            },
            Self::Operator => configure_operator,
        }
    }

    /// Threads, and connections of each of them.
    fn workers(self, config: &ApiConfig) -> (usize, usize) {
        match self {
            Self::Public => (config.workers, config.connections_per_worker_max),
            Self::Operator => (OPERATOR_WORKERS, OPERATOR_CONNECTIONS_MAX),
        }
    }
}

fn server(
    state: &Arc<ApiState>,
    listener: TcpListener,
    surface: Surface,
) -> std::io::Result<Server> {
    let (workers, connections) = surface.workers(&state.config);
    let shutdown_secs = state.config.shutdown_timeout.as_secs();
    let stall_ms = u32::try_from(state.config.reader_stall_max.as_millis()).unwrap_or(u32::MAX);
    let keep_alive = state.config.keep_alive;
    let state = state.clone();
    let counted = (surface == Surface::Public).then(|| Arc::clone(&state.connections));
    let server = HttpServer::new(move || {
        let esplora = state.esplora.clone().filter(|_| surface == Surface::Public);
        App::new()
            .app_data(Data::from(state.clone()))
            .app_data(surface)
            .wrap(from_fn(observe))
            .configure(|config| {
                if let Some(esplora) = esplora {
                    config.app_data(Data::from(esplora));
                    esplora::configure_public(config);
                }
            })
            .configure(surface.routes())
    })
    // Who has gone gets no answer: an event stream would stay until its next heartbeat.
    .h1_allow_half_closed(false)
    .on_connect(move |connection, kept| {
        end_when_stalled(connection, stall_ms);
        if let Some(connections) = &counted {
            connections::take_in(connections, connection, kept);
        }
    })
    .workers(workers)
    .max_connections(connections)
    .client_request_timeout(HEAD_TIMEOUT)
    .client_disconnect_timeout(DISCONNECT_TIMEOUT)
    .keep_alive(keep_alive)
    .shutdown_timeout(shutdown_secs)
    .disable_signals()
    .listen(listener)?;
    Ok(server.run())
}

/// Lets the system end a connection whose peer takes nothing for `stall_ms`: whoever only reads
/// slowly is held back, and who does not read at all, or has gone without a word, must not stay.
fn end_when_stalled(connection: &dyn std::any::Any, stall_ms: u32) {
    #[cfg(target_os = "linux")]
    if let Some(stream) = connection.downcast_ref::<actix_web::rt::net::TcpStream>()
        && let Err(error) = rustix::net::sockopt::set_tcp_user_timeout(stream, stall_ms)
    {
        tracing::debug!(error = %error, "a connection keeps the system's idea of when its peer is gone");
    }
    #[cfg(not(target_os = "linux"))]
    let _ = (connection, stall_ms);
}
