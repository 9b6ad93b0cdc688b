//! The Apple Push Notification service: one HTTP/2 request per push, signed with a token that lasts
//! for an hour.
//!
//! A push is an alert whose text the app brings along, and which the app's notification extension
//! may change before it is shown. Silent pushes cost no text, but iOS delivers only a few of them an
//! hour, and none to an app that its user has closed (ADR 0021).

mod answer;
mod provider_token;

use std::sync::Arc;

use async_trait::async_trait;
use p256::SecretKey;
use reqwest::Client;
use reqwest::header::{AUTHORIZATION, CONTENT_TYPE};
use satpost_commands::ports::{Clock, Notifier, PushOutcome, PushPayload};
use satpost_domain::Timestamp;
use satpost_domain::limits::PUSH_TTL;
use satpost_domain::push::{ApnsEnvironment, PushTarget};
use url::Url;

use super::http::{self, Reply, below};
use super::payload::field;
use answer::Answer;
use provider_token::ProviderToken;

pub use provider_token::{ApnsKey, ApnsKeyError};

/// The same for every push, so that a newer one replaces an older one that still waits or stands on
/// the screen.
const COLLAPSE_ID: &str = "satpost";

/// Sends pushes to Apple.
pub struct Apns {
    production: Service,
    sandbox: Service,
    token: ProviderToken,
    clock: Arc<dyn Clock>,
}

/// One of Apple's two services.
struct Service {
    base: Url,
    client: Client,
}

impl Service {
    fn new(base: Url) -> Result<Self, reqwest::Error> {
        let client = http::client(&base)?;
        Ok(Self { base, client })
    }
}

/// What one push is made of beside the token of the server.
struct Push<'a> {
    service: &'a Service,
    device: String,
    topic: &'a str,
    body: String,
}

impl Apns {
    /// Pushes in the name of `key` to the services at these URLs.
    ///
    /// # Errors
    /// When the HTTP client cannot be built.
    pub fn new(
        key: ApnsKey,
        production: Url,
        sandbox: Url,
        clock: Arc<dyn Clock>,
    ) -> Result<Self, reqwest::Error> {
        Ok(Self {
            production: Service::new(production)?,
            sandbox: Service::new(sandbox)?,
            token: ProviderToken::new(key),
            clock,
        })
    }

    async fn push_to(&self, push: &Push<'_>) -> PushOutcome {
        let now = self.clock.now();
        let token = self.token.current(now);
        match send(push, &token, now).await {
            Answer::Final(outcome) => outcome,
            Answer::TokenExpired => match self.token.renew(&token, now) {
                Some(token) => match send(push, &token, now).await {
                    Answer::Final(outcome) => outcome,
                    Answer::TokenExpired => clock_is_wrong(),
                },
                None => clock_is_wrong(),
            },
        }
    }
}

fn clock_is_wrong() -> PushOutcome {
    tracing::error!("Apple takes fresh tokens for expired ones: the clock of this server is wrong");
    PushOutcome::Misconfigured
}

async fn send(push: &Push<'_>, token: &str, now: Timestamp) -> Answer {
    let request = push
        .service
        .client
        .post(below(&push.service.base, &["3", "device", &push.device]))
        .header(AUTHORIZATION, format!("bearer {token}"))
        .header(CONTENT_TYPE, "application/json")
        .header("apns-topic", push.topic)
        .header("apns-push-type", "alert")
        .header("apns-priority", "10")
        .header("apns-expiration", now.plus(PUSH_TTL).as_secs())
        .header("apns-collapse-id", COLLAPSE_ID)
        .body(push.body.clone());
    match request.send().await {
        Ok(response) => {
            let reply = Reply::read(response, now).await;
            answer::meaning(reply.status, reply.after, &reply.body)
        }
        Err(_) => Answer::Final(PushOutcome::Unavailable(None)),
    }
}

/// The same bytes for every wake-up, and as many for a code.
fn body(payload: &PushPayload) -> String {
    format!(
        r#"{{"aps":{{"alert":{{"loc-key":"SATPOST_WAKE"}},"mutable-content":1}},{}}}"#,
        field(payload)
    )
}

#[async_trait]
impl Notifier for Apns {
    async fn push(&self, target: &PushTarget, payload: PushPayload) -> PushOutcome {
        let PushTarget::Apns {
            token,
            topic,
            environment,
        } = target
        else {
            return PushOutcome::Misconfigured;
        };
        self.push_to(&Push {
            service: match environment {
                ApnsEnvironment::Production => &self.production,
                ApnsEnvironment::Sandbox => &self.sandbox,
            },
            device: hex::encode(token),
            topic,
            body: body(&payload),
        })
        .await
    }
}

/// Reads the key that Apple gave as a `.p8` file.
fn read_key(pem: &str) -> Option<SecretKey> {
    use p256::pkcs8::DecodePrivateKey as _;
    SecretKey::from_pkcs8_pem(pem.trim()).ok()
}
