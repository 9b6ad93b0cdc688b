//! The whole server in this process, on threads and a runtime of its own, on free ports of loopback.

use std::io;
use std::net::{SocketAddr, TcpListener};
use std::path::Path;
use std::sync::Arc;
use std::thread::JoinHandle;
use std::time::Duration;

use satpost_api::Listeners;
use tokio_util::sync::CancellationToken;

use super::connection::Connection;
use crate::bench::BenchError;
use crate::bench::embedded::blocking;
use crate::config::Config;
use crate::wiring::{self, ServeError};

const NAME: &str = "the server";
/// How long it may take to answer for the first time.
const PATIENCE: Duration = Duration::from_secs(120);
/// Requests a second and at once that nobody makes: the limiter works and never refuses.
const NO_LIMIT: u32 = 1_000_000;

/// A server that is ready.
pub(super) struct BenchServer {
    /// Where clients are served.
    pub(super) address: SocketAddr,
    /// The same, as requests are signed for it.
    pub(super) authority: Arc<str>,
    operator: SocketAddr,
    stop: CancellationToken,
    thread: Option<JoinHandle<Result<(), ServeError>>>,
}

impl BenchServer {
    /// Starts it on the data in `folder` and waits for its first answer. It is the server of
    /// `satpostd serve` with its defaults, but for limits of requests.
    pub(super) async fn start(folder: &Path) -> Result<Self, BenchError> {
        let listen = || TcpListener::bind(("127.0.0.1", 0)).map_err(BenchError::of("loopback"));
        let (public, operator) = (listen()?, listen()?);
        let [address, operators] = [&public, &operator].map(TcpListener::local_addr);
        let address = address.map_err(BenchError::of("loopback"))?;
        let operators = operators.map_err(BenchError::of("loopback"))?;
        let mut config = Config::default();
        folder.clone_into(&mut config.data_dir);
        config.server.listen = address;
        config.server.operator_listen = operators;
        config.server.requests_per_second = NO_LIMIT;
        config.server.requests_burst = NO_LIMIT;
        config.server.limit_peers = false;
        let listeners = Listeners {
            public,
            operator: Some(operator),
        };
        let stop = CancellationToken::new();
        let stopped = stop.clone();
        let thread = std::thread::Builder::new()
            .name("bench-server".to_owned())
            .spawn(move || serve(config, listeners, stopped))
            .map_err(BenchError::of(NAME))?;
        let mut server = Self {
            address,
            authority: address.to_string().into(),
            operator: operators,
            stop,
            thread: Some(thread),
        };
        server.wait_until_ready().await?;
        Ok(server)
    }

    async fn wait_until_ready(&mut self) -> Result<(), BenchError> {
        let answered = tokio::time::timeout(PATIENCE, get(self.address, "/v1/info"));
        tokio::select! {
            answer = answered => match answer {
                Ok(Ok(_)) => return Ok(()),
                Ok(Err(error)) if self.is_running() => return Err(BenchError::of(NAME)(error)),
                Ok(Err(_)) => {}
                Err(_) => return Err(BenchError::of(NAME)("it does not answer")),
            },
            () = self.ended() => {}
        }
        match self.join() {
            Some(Err(error)) => Err(BenchError::of(NAME)(format!("{error:?}"))),
            _ => Err(BenchError::of(NAME)("it has ended")),
        }
    }

    /// How many fetches wait for a message.
    pub(super) async fn waiting(&self) -> Result<u64, BenchError> {
        let metrics = get(self.operator, "/metrics").await;
        let metrics = metrics.map_err(BenchError::of(NAME))?;
        let waiting = metrics
            .lines()
            .find_map(|line| line.strip_prefix("satpost_http_fetches_waiting "))
            .and_then(|count| count.trim().parse().ok());
        waiting.ok_or_else(|| BenchError::of(NAME)("it does not tell how many fetches wait"))
    }

    fn is_running(&self) -> bool {
        self.thread
            .as_ref()
            .is_some_and(|thread| !thread.is_finished())
    }

    async fn ended(&self) {
        while self.is_running() {
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    }

    /// Stops it in good order.
    pub(super) async fn stop(mut self) -> Result<(), BenchError> {
        self.stop.cancel();
        let ended = blocking(move || self.join()).await?;
        match ended {
            Some(Err(error)) => Err(BenchError::of(NAME)(error)),
            _ => Ok(()),
        }
    }

    fn join(&mut self) -> Option<Result<(), ServeError>> {
        self.thread.take()?.join().ok()
    }
}

impl Drop for BenchServer {
    /// Its files are removed next, so it must not write any more.
    fn drop(&mut self) {
        self.stop.cancel();
        drop(self.join());
    }
}

fn serve(config: Config, listeners: Listeners, stop: CancellationToken) -> Result<(), ServeError> {
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .build()
        .map_err(anyhow::Error::from)?;
    runtime.block_on(wiring::serve_on(config, listeners, stop))
}

/// An unsigned request on a connection of its own. A listener that is not served yet keeps it.
async fn get(address: SocketAddr, path: &str) -> io::Result<String> {
    let mut connection = Connection::open(address).await?;
    let request = format!("GET {path} HTTP/1.1\r\nhost: {address}\r\nconnection: close\r\n\r\n");
    let answer = connection.ask(request.as_bytes()).await?;
    if answer.status != 200 {
        return Err(io::Error::other(format!(
            "{path} is answered with {}",
            answer.status
        )));
    }
    Ok(String::from_utf8_lossy(answer.body).into_owned())
}
