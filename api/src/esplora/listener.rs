//! The Esplora API on a port of its own, at the root and under `/api`.

use std::future::Future;
use std::net::TcpListener;
use std::sync::Arc;
use std::time::Duration;

use actix_web::middleware::from_fn;
use actix_web::web::Data;
use actix_web::{App, HttpServer};

use super::observe::observe;
use super::routes::configure_own;
use super::state::EsploraState;
use crate::rate_limit::FORGET_EVERY;

/// How long a request head may take to arrive.
const HEAD_TIMEOUT: Duration = Duration::from_secs(10);
/// How long an idle connection is kept.
const KEEP_ALIVE: Duration = Duration::from_secs(75);
/// How long a closing connection may linger.
const DISCONNECT_TIMEOUT: Duration = Duration::from_secs(2);
/// How many seconds requests in flight may go on after the stop signal.
const SHUTDOWN_SECS: u64 = 5;

/// Serves until `stop` is ready, then closes every WebSocket, lets requests in flight finish and
/// returns. Needs an actix system around it.
///
/// # Errors
/// When the listener cannot be used, or the server ends with an error.
pub async fn run(
    state: Arc<EsploraState>,
    listener: TcpListener,
    stop: impl Future<Output = ()> + Send,
) -> std::io::Result<()> {
    let config = &state.config;
    let (workers, connections) = (config.workers, config.connections_per_worker_max);
    let shared = Arc::clone(&state);
    let server = HttpServer::new(move || {
        App::new()
            .app_data(Data::from(Arc::clone(&shared)))
            .wrap(from_fn(observe))
            .configure(configure_own)
    })
    .workers(workers)
    .max_connections(connections)
    .client_request_timeout(HEAD_TIMEOUT)
    .client_disconnect_timeout(DISCONNECT_TIMEOUT)
    .keep_alive(KEEP_ALIVE)
    .shutdown_timeout(SHUTDOWN_SECS)
    .disable_signals()
    .listen(listener)?
    .run();
    let handle = server.handle();
    let housekeeping = async {
        let mut ticks = tokio::time::interval(FORGET_EVERY);
        loop {
            ticks.tick().await;
            state.peers.forget_idle();
        }
    };
    let mut server = std::pin::pin!(server);
    tokio::select! {
        ended = &mut server => return ended,
        () = stop => {}
        () = housekeeping => {}
    }
    state.stop();
    // The command is sent when `stop` is called; what it returns waits for the end.
    drop(handle.stop(true));
    server.await
}
