//! Signed HTTP calls with one method for each route, named as the command or query is.
//!
//! Each call is signed afresh at every attempt and repeats its `Idempotency-Key`, so that a retry can
//! never do a thing twice. The client remembers the highest position any answer named and asks
//! later queries to have reached it: it always reads its own writes.

mod admission;
mod call;
mod error;
mod event_feed;
mod listen;
mod message_stream;
mod retry;
mod routes;
mod sending;

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use satpost_domain::{Position, Timestamp};

use crate::base_url::BaseUrl;
use crate::ports::{Clock, Entropy};
use crate::system::{SystemClock, SystemEntropy};

pub use error::{CallError, Refusal};
pub use listen::Listening;
pub use message_stream::{MessageEvent, MessageStream};
pub use retry::{ATTEMPTS_MAX, RETRY_AFTER_MAX};
pub use routes::FetchMessages;
pub use sending::Posting;

/// How long a connection may take to be made.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(10);

/// How a client is built.
#[derive(Clone)]
pub struct HttpOptions {
    /// Allows http to other machines, for servers behind a private network.
    pub allow_plain_http: bool,
    /// PEM certificates that are trusted beside the system's.
    pub extra_root_certificates: Vec<Vec<u8>>,
    /// Where the time comes from.
    pub clock: Arc<dyn Clock>,
    /// Where nonces and command ids come from.
    pub entropy: Arc<dyn Entropy>,
}

impl Default for HttpOptions {
    fn default() -> Self {
        Self {
            allow_plain_http: false,
            extra_root_certificates: Vec::new(),
            clock: Arc::new(SystemClock),
            entropy: Arc::new(SystemEntropy::default()),
        }
    }
}

/// A client could not be built.
#[derive(Debug, thiserror::Error)]
pub enum HttpSetupError {
    /// Anyone on the way could read along.
    #[error(
        "{base} is reached over plain http, which is only allowed on this machine or to .onion"
    )]
    NotPrivate {
        /// The server's address.
        base: String,
    },
    /// The TLS client could not be built: a certificate does not parse, or the system has none.
    #[error("the HTTP client cannot be built")]
    Tls(#[source] reqwest::Error),
}

/// Calls one server.
pub struct HttpClient {
    base: BaseUrl,
    http: reqwest::Client,
    /// For what is sent without a name: each request on a connection of its own, so that the server
    /// cannot tell whose it is by what else came on it.
    unnamed: reqwest::Client,
    clock: Arc<dyn Clock>,
    entropy: Arc<dyn Entropy>,
    known: Mutex<Known>,
}

/// What earlier answers told.
#[derive(Debug, Clone, Copy, Default)]
struct Known {
    /// How far the server's clock is ahead of ours, in milliseconds.
    skew_ms: i64,
    /// The highest position.
    position: Option<Position>,
}

impl HttpClient {
    /// A client of the server at `base`. Nothing is sent yet.
    ///
    /// # Errors
    /// [`HttpSetupError`].
    pub fn new(base: BaseUrl, options: HttpOptions) -> Result<Self, HttpSetupError> {
        if !options.allow_plain_http && !base.is_private() {
            return Err(HttpSetupError::NotPrivate {
                base: base.to_string(),
            });
        }
        let build = |idle_connections| {
            build(&base, &options.extra_root_certificates, idle_connections)
                .map_err(HttpSetupError::Tls)
        };
        Ok(Self {
            http: build(usize::MAX)?,
            unnamed: build(0)?,
            base,
            clock: options.clock,
            entropy: options.entropy,
            known: Mutex::default(),
        })
    }

    /// The server's address.
    #[must_use]
    pub const fn base(&self) -> &BaseUrl {
        &self.base
    }

    /// The plain HTTP client below, for other services: nothing it sends is signed.
    #[must_use]
    pub fn plain(&self) -> reqwest::Client {
        self.http.clone()
    }

    /// The highest position any answer named.
    #[must_use]
    pub fn position(&self) -> Option<Position> {
        self.known().position
    }

    /// Lets the next queries wait for `position`, from an earlier run of the program.
    pub fn remember_position(&self, position: Position) {
        let mut known = self.known();
        known.position = known.position.max(Some(position));
    }

    /// The server's time, as far as it is known.
    pub(crate) fn server_now(&self) -> Timestamp {
        let now = self.clock.now().as_millis();
        Timestamp::from_millis(now.saturating_add_signed(self.known().skew_ms))
    }

    /// Takes over the server's clock. Returns by how much that changed ours.
    fn correct_clock(&self, server_time: Timestamp) -> Duration {
        let before = self.server_now();
        let ours = self.clock.now().as_millis();
        let skew = i128::from(server_time.as_millis()) - i128::from(ours);
        self.known().skew_ms = i64::try_from(skew).unwrap_or(0);
        before.since(server_time).max(server_time.since(before))
    }

    /// Nothing panics while this is held, so a poisoned lock still guards whole values.
    fn known(&self) -> MutexGuard<'_, Known> {
        self.known.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn build(
    base: &BaseUrl,
    extra_roots: &[Vec<u8>],
    idle_connections: usize,
) -> Result<reqwest::Client, reqwest::Error> {
    if rustls::crypto::CryptoProvider::get_default().is_none() {
        // Fails when another thread installed one in between, which is as good.
        rustls::crypto::ring::default_provider()
            .install_default()
            .ok();
    }
    let mut roots = Vec::new();
    for pem in extra_roots {
        roots.extend(reqwest::Certificate::from_pem_bundle(pem)?);
    }
    let builder = || {
        reqwest::Client::builder()
            .user_agent(concat!("satpost-client/", env!("CARGO_PKG_VERSION")))
            .connect_timeout(CONNECT_TIMEOUT)
            .pool_max_idle_per_host(idle_connections)
            .redirect(reqwest::redirect::Policy::none())
    };
    match builder().tls_certs_merge(roots.clone()).build() {
        // Without TLS no certificates are needed, so a machine without any is no obstacle.
        Err(_) if !base.is_tls() => builder().tls_certs_only(roots).build(),
        built => built,
    }
}

#[cfg(test)]
mod tests;
