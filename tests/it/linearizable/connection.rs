//! The way to a server that ends and comes back, and the clock of the history.

use std::net::SocketAddr;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use reqwest::{Method, StatusCode};
use satpost_api_types::clients::RegisterClientRequest;
use satpost_api_types::mailboxes::StrangerPolicy;
use satpost_api_types::service::InfoResponse;
use satpost_domain::ids::parse_hex;
use satpost_domain::{ClientId, Position};
use satpost_tests::random::Random;
use satpost_tests::signed_request::{Answer, Request, RequestKey};
use tokio::time::{Instant, sleep, timeout};

use super::history::{Span, Time};

/// How long to wait before a server that does not answer is asked again.
const PAUSE: Duration = Duration::from_millis(10);
/// How long all of it may take that happens by itself.
const DEADLINE: Duration = Duration::from_secs(60);

/// What all clients share.
pub(super) struct Connection {
    http: reqwest::Client,
    server: SocketAddr,
    /// The key of receipts and heads.
    server_key: ClientId,
    started: Instant,
    /// The latest place in the log that anybody was told of.
    seen: Mutex<Position>,
    accepted: AtomicU64,
    stopped: AtomicBool,
}

impl Connection {
    pub(super) async fn open(server: SocketAddr) -> Self {
        // Fails when another test of this process was faster, which is as good.
        drop(rustls::crypto::ring::default_provider().install_default());
        let http = reqwest::Client::builder().tls_certs_only([]).build();
        let http = http.unwrap();
        let info = http.get(format!("http://{server}/v1/info")).send().await;
        let info: InfoResponse = info.unwrap().json().await.unwrap();
        let server_key = ClientId::new(parse_hex(&info.server_key).unwrap()).unwrap();
        Self {
            http,
            server,
            server_key,
            started: Instant::now(),
            seen: Mutex::new(Position::START),
            accepted: AtomicU64::new(0),
            stopped: AtomicBool::new(false),
        }
    }

    pub(super) async fn register(&self, identity: &RequestKey, messaging: &RequestKey) {
        let request = Request::command(Method::POST, "/v1/clients", identity)
            .json(&RegisterClientRequest {
                client_id: identity.hex(),
                messaging_key: messaging.hex(),
            })
            .proven_by(messaging);
        let (_, answer) = self.ask_until_known(&request).await;
        assert_eq!(answer.status.as_u16(), 201, "{}", answer.text());
        let open = Request::stranger_policy(messaging, StrangerPolicy::Open);
        let (_, answer) = self.ask_until_known(&open).await;
        answer.expect_empty(204);
    }

    /// The time of the history.
    pub(super) fn now(&self) -> Time {
        Time::try_from(self.started.elapsed().as_nanos()).expect("a test is short")
    }

    /// Asks once. There is no answer when nobody can know what the server did.
    pub(super) async fn ask(&self, request: &Request<'_>) -> (Span, Option<Answer>) {
        let asked = self.now();
        let answer = self.http_answer(request).await;
        let answered = answer.as_ref().map(|_| self.now());
        (Span { asked, answered }, answer)
    }

    /// Asks until the server says something.
    pub(super) async fn ask_until_known(&self, request: &Request<'_>) -> (Span, Answer) {
        let asked = self.now();
        loop {
            if let Some(answer) = self.http_answer(request).await {
                let answered = Some(self.now());
                return (Span { asked, answered }, answer);
            }
            let waited = Duration::from_nanos(self.now() - asked);
            assert!(waited < DEADLINE, "{} is never answered", request.path);
            self.pause().await;
        }
    }

    /// A server in trouble has said nothing about the request, nor has one that was started after the
    /// request was signed.
    async fn http_answer(&self, request: &Request<'_>) -> Option<Answer> {
        let answer = request.try_send(&self.http, self.server).await.ok()?;
        if answer.status.is_server_error() || answer.status == StatusCode::UNAUTHORIZED {
            return None;
        }
        if let Some(position) = answer.header("satpost-position") {
            let position = position.parse().unwrap();
            let mut seen = self.seen.lock().unwrap_or_else(PoisonError::into_inner);
            *seen = (*seen).max(position);
        }
        Some(answer)
    }

    /// The latest place in the log that anybody was told of.
    pub(super) fn seen(&self) -> Position {
        *self.seen.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// True when the server has signed `message`.
    pub(super) fn holds(&self, message: &[u8], signature: &str) -> bool {
        let signature = parse_hex(signature);
        signature.is_ok_and(|signature| self.server_key.verify(message, &signature).is_ok())
    }

    pub(super) async fn pause(&self) {
        sleep(PAUSE).await;
    }

    pub(super) fn note_accepted(&self) {
        self.accepted.fetch_add(1, Ordering::SeqCst);
    }

    /// Waits until this many messages were accepted.
    pub(super) async fn accepted(&self, count: u64) {
        let enough = async {
            while self.accepted.load(Ordering::SeqCst) < count {
                sleep(Duration::from_millis(1)).await;
            }
        };
        let waited = timeout(DEADLINE, enough).await;
        assert!(waited.is_ok(), "{count} messages are never accepted");
    }

    pub(super) fn stop(&self) {
        self.stopped.store(true, Ordering::SeqCst);
    }

    pub(super) fn is_stopped(&self) -> bool {
        self.stopped.load(Ordering::SeqCst)
    }
}

/// What a client does in a round comes from this.
pub(super) fn dice(round: u64, client: u64) -> Random {
    Random::new((round << 32) | (client << 16))
}
