//! A push service (RFC 8030) on loopback, for tests and for `make run`: phones subscribe and wait,
//! the server pushes. It checks every push as strictly as the RFCs let it, and it can be told to
//! misbehave.
//!
//! Two things are simpler than in the RFC: a waiting phone is answered with JSON instead of an
//! HTTP/2 push, and a message is acknowledged by being delivered.

mod store;
mod vapid;

use std::io;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use actix_web::dev::ServerHandle;
use actix_web::http::StatusCode;
use actix_web::http::header::{HeaderMap, LINK, LOCATION, RETRY_AFTER};
use actix_web::{App, HttpRequest, HttpResponse, HttpServer, web};
use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde::{Deserialize, Serialize};
use tokio::sync::Notify;

use store::{Message, Store, StoreError};

/// The largest push (RFC 8030, section 7.2).
const PUSH_BYTES_MAX: usize = 4_096;
/// The longest that a phone may wait for a message.
const WAIT_MAX: Duration = Duration::from_secs(60);

/// What the service does with a push.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub enum Answer {
    /// Checks it and stores it for the phone: 201.
    #[default]
    Store,
    /// Answers with this status and no more.
    Status(u16),
    /// Answers with this status and this `Retry-After`.
    RetryAfter(u16, String),
    /// Sends the caller elsewhere: 307 with this `Location`.
    Redirect(String),
    /// Takes the request and never answers.
    Stall,
    /// Takes the push, and answers 201 with this many bytes.
    Talk(usize),
}

/// A running push service; it ends when this is dropped.
pub struct PushService {
    address: SocketAddr,
    shared: Arc<Shared>,
    server: ServerHandle,
}

#[derive(Default)]
struct Shared {
    state: Mutex<State>,
    arrived: Notify,
}

#[derive(Default)]
struct State {
    store: Store,
    answer: Answer,
    pushes: usize,
    stored: Vec<HeadersSeen>,
}

/// What a push that was stored said about itself.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct HeadersSeen {
    /// How long to keep it, in seconds.
    pub ttl: u64,
    /// How urgent it is.
    pub urgency: Option<String>,
    /// What it replaces.
    pub topic: Option<String>,
}

/// The body of a subscription (RFC 8292, section 4.1).
#[derive(Debug, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct SubscribeRequest {
    /// The only key whose pushes are taken, base64url; any key when absent.
    pub vapid: Option<String>,
}

/// Where a subscription is. The RFC's headers say the same: `Location`, and `Link` for the push resource.
#[derive(Debug, Serialize, Deserialize)]
pub struct SubscribeResponse {
    /// Where the server pushes to.
    pub endpoint: String,
    /// Where the phone waits.
    pub subscription: String,
}

/// One message, as a phone gets it.
#[derive(Debug, Serialize, Deserialize)]
pub struct DeliveredMessage {
    /// The encrypted push, base64url.
    pub body: String,
}

impl PushService {
    /// Starts on a free port of loopback, inside a Tokio runtime.
    #[must_use]
    pub fn start() -> Self {
        Self::start_on(SocketAddr::from(([127, 0, 0, 1], 0))).expect("loopback has a free port")
    }

    /// Starts on `address`, inside a Tokio runtime.
    ///
    /// # Errors
    /// When the address cannot be bound.
    pub fn start_on(address: SocketAddr) -> io::Result<Self> {
        let shared = Arc::new(Shared::default());
        let data = web::Data::from(Arc::clone(&shared));
        let http = HttpServer::new(move || {
            App::new()
                .app_data(data.clone())
                .app_data(web::PayloadConfig::new(PUSH_BYTES_MAX))
                .route("/subscribe", web::post().to(subscribe))
                .route("/push/{id}", web::post().to(push))
                .route("/subscription/{id}", web::get().to(receive))
                .route("/subscription/{id}", web::delete().to(unsubscribe))
        })
        .workers(1)
        .disable_signals()
        .shutdown_timeout(0)
        .bind(address)?;
        let address = http.addrs()[0];
        let running = http.run();
        let server = running.handle();
        tokio::spawn(running);
        Ok(Self {
            address,
            shared,
            server,
        })
    }

    /// Where it listens.
    #[must_use]
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// Its base URL, without a slash at the end.
    #[must_use]
    pub fn url(&self) -> String {
        format!("http://{}", self.address)
    }

    /// Says what happens to pushes from now on.
    pub fn answer_with(&self, answer: Answer) {
        self.shared.lock().answer = answer;
    }

    /// How many requests to push there were, whatever became of them.
    #[must_use]
    pub fn pushes(&self) -> usize {
        self.shared.lock().pushes
    }

    /// What the pushes said that were stored, in order.
    #[must_use]
    pub fn stored(&self) -> Vec<HeadersSeen> {
        self.shared.lock().stored.clone()
    }
}

impl Drop for PushService {
    fn drop(&mut self) {
        // The command is sent by the call; the future would only wait for the end.
        drop(self.server.stop(false));
    }
}

impl Shared {
    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

async fn subscribe(
    request: HttpRequest,
    shared: web::Data<Shared>,
    body: web::Bytes,
) -> HttpResponse {
    let subscribe: SubscribeRequest = if body.is_empty() {
        SubscribeRequest::default()
    } else {
        match serde_json::from_slice(&body) {
            Ok(subscribe) => subscribe,
            Err(error) => return HttpResponse::BadRequest().body(error.to_string()),
        }
    };
    let (subscription, push) = shared.lock().store.subscribe(subscribe.vapid);
    let origin = origin(&request);
    let response = SubscribeResponse {
        endpoint: format!("{origin}/push/{push}"),
        subscription: format!("{origin}/subscription/{subscription}"),
    };
    HttpResponse::Created()
        .insert_header((LOCATION, response.subscription.as_str()))
        .insert_header((
            LINK,
            format!(r#"<{}>; rel="urn:ietf:params:push""#, response.endpoint),
        ))
        .json(&response)
}

async fn push(
    request: HttpRequest,
    shared: web::Data<Shared>,
    id: web::Path<String>,
    body: web::Bytes,
) -> HttpResponse {
    let answer = {
        let mut state = shared.lock();
        state.pushes += 1;
        state.answer.clone()
    };
    match answer {
        Answer::Store => {}
        Answer::Talk(bytes) => return HttpResponse::Created().body(vec![b'.'; bytes]),
        Answer::Status(code) => return status(code).finish(),
        Answer::RetryAfter(code, after) => {
            return status(code).insert_header((RETRY_AFTER, after)).finish();
        }
        Answer::Redirect(to) => {
            return HttpResponse::TemporaryRedirect()
                .insert_header((LOCATION, to))
                .finish();
        }
        Answer::Stall => std::future::pending().await,
    }
    match store_push(&request, &shared, &id, body) {
        Ok(message) => HttpResponse::Created()
            .insert_header((LOCATION, format!("{}/message/{message}", origin(&request))))
            .finish(),
        Err((status, why)) => HttpResponse::build(status).body(why),
    }
}

/// Why a push is not taken.
type Refusal = (StatusCode, String);

/// Checks a push and stores it; gives the number of the message.
fn store_push(
    request: &HttpRequest,
    shared: &Shared,
    id: &str,
    body: web::Bytes,
) -> Result<u64, Refusal> {
    let headers = request.headers();
    let bad = |why: &str| (StatusCode::BAD_REQUEST, why.to_owned());
    let ttl = header(headers, "ttl")
        .and_then(|ttl| ttl.parse().ok())
        .ok_or_else(|| bad("a push needs a TTL in seconds"))?;
    if header(headers, "content-encoding") != Some("aes128gcm") {
        return Err(bad("a push is encrypted with aes128gcm"));
    }
    let topic = header(headers, "topic").map(ToOwned::to_owned);
    if topic.as_ref().is_some_and(|topic| topic.len() > 32) {
        return Err(bad("a topic has at most 32 characters"));
    }
    let authorization = header(headers, "authorization").ok_or_else(|| {
        let why = "a push is signed (RFC 8292)".to_owned();
        (StatusCode::UNAUTHORIZED, why)
    })?;
    let key = vapid::verify(authorization, &origin(request))
        .map_err(|error| (StatusCode::FORBIDDEN, error.to_string()))?;

    let message = Message::new(body, topic.clone(), Duration::from_secs(ttl));
    let mut state = shared.lock();
    let number = state.store.push(id, &key, message).map_err(|error| {
        let status = match error {
            StoreError::Unknown => StatusCode::NOT_FOUND,
            StoreError::Gone => StatusCode::GONE,
            StoreError::OtherKey => StatusCode::FORBIDDEN,
        };
        (status, error.to_string())
    })?;
    state.stored.push(HeadersSeen {
        ttl,
        urgency: header(headers, "urgency").map(ToOwned::to_owned),
        topic,
    });
    drop(state);
    shared.arrived.notify_waiters();
    Ok(number)
}

/// Gives the phone its messages and forgets them. Waits as long as `Prefer: wait=` says.
async fn receive(
    request: HttpRequest,
    shared: web::Data<Shared>,
    id: web::Path<String>,
) -> HttpResponse {
    let wait = header(request.headers(), "prefer")
        .and_then(|prefer| prefer.strip_prefix("wait="))
        .and_then(|seconds| seconds.parse().ok())
        .map_or(Duration::ZERO, Duration::from_secs)
        .min(WAIT_MAX);
    let deadline = tokio::time::Instant::now() + wait;
    loop {
        // Listens before it looks, so that a message in between is not missed.
        let arrived = shared.arrived.notified();
        tokio::pin!(arrived);
        arrived.as_mut().enable();
        let taken = shared.lock().store.take(&id);
        match taken {
            Err(_) => return HttpResponse::NotFound().finish(),
            Ok(bodies) if bodies.is_empty() => {
                if tokio::time::timeout_at(deadline, arrived).await.is_err() {
                    return HttpResponse::NoContent().finish();
                }
            }
            Ok(bodies) => return HttpResponse::Ok().json(delivered(&bodies)),
        }
    }
}

async fn unsubscribe(shared: web::Data<Shared>, id: web::Path<String>) -> HttpResponse {
    match shared.lock().store.unsubscribe(&id) {
        Ok(()) => HttpResponse::NoContent().finish(),
        Err(_) => HttpResponse::NotFound().finish(),
    }
}

fn delivered(bodies: &[web::Bytes]) -> Vec<DeliveredMessage> {
    bodies
        .iter()
        .map(|body| DeliveredMessage {
            body: URL_SAFE_NO_PAD.encode(body),
        })
        .collect()
}

fn status(code: u16) -> actix_web::HttpResponseBuilder {
    let code = StatusCode::from_u16(code).expect("a test names a real status");
    HttpResponse::build(code)
}

fn origin(request: &HttpRequest) -> String {
    let connection = request.connection_info();
    format!("{}://{}", connection.scheme(), connection.host())
}

fn header<'a>(headers: &'a HeaderMap, name: &str) -> Option<&'a str> {
    headers.get(name)?.to_str().ok()
}
