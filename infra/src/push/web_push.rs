//! Web Push (RFC 8030): one request per push, encrypted for the phone and signed for its push
//! service. UnifiedPush distributors speak the same.

use std::error::Error;
use std::sync::Arc;

use async_trait::async_trait;
use p256::SecretKey;
use reqwest::header::{AUTHORIZATION, CONTENT_ENCODING, CONTENT_TYPE, HeaderMap};
use reqwest::{Client, Response, StatusCode, redirect};
use satpost_commands::ports::{Clock, Notifier, PushOutcome, PushPayload};
use satpost_domain::Timestamp;
use satpost_domain::limits::{PUSH_CONNECT_TIMEOUT, PUSH_REPLY_BYTES_MAX, PUSH_TIMEOUT, PUSH_TTL};
use satpost_domain::push::PushTarget;

use crate::system::SystemIds;

use super::encryption::{Fresh, ReceiverKeys, encrypt};
use super::guard::{Guard, GuardedResolver, Lookup, NoGlobalAddress, SystemLookup};
use super::http::retry_after;
use super::payload::plaintext;
use super::vapid::Vapid;

/// The same for every push, so that a newer one replaces an older one that still waits.
const TOPIC: &str = "satpost";

/// Sends pushes to Web Push services.
pub struct WebPush {
    client: Client,
    guard: Arc<Guard>,
    vapid: Arc<Vapid>,
    clock: Arc<dyn Clock>,
    random: SystemIds,
}

/// The HTTP client could not be built: the system's certificates cannot be read.
#[derive(Debug, thiserror::Error)]
#[error("the HTTP client for push cannot be built: {0}")]
pub struct WebPushError(#[from] reqwest::Error);

impl WebPush {
    /// Pushes to what `guard` lets pass, in the name of `vapid`.
    ///
    /// # Errors
    /// [`WebPushError`].
    pub fn new(
        guard: Guard,
        vapid: Arc<Vapid>,
        clock: Arc<dyn Clock>,
        random: SystemIds,
    ) -> Result<Self, WebPushError> {
        Self::with_lookup(guard, vapid, clock, random, Arc::new(SystemLookup))
    }

    /// As [`WebPush::new`], with another way to find the addresses of a name.
    ///
    /// # Errors
    /// [`WebPushError`].
    pub fn with_lookup(
        guard: Guard,
        vapid: Arc<Vapid>,
        clock: Arc<dyn Clock>,
        random: SystemIds,
        lookup: Arc<dyn Lookup>,
    ) -> Result<Self, WebPushError> {
        let guard = Arc::new(guard);
        Ok(Self {
            client: http_client(GuardedResolver::new(Arc::clone(&guard), lookup))?,
            guard,
            vapid,
            clock,
            random,
        })
    }

    fn fresh(&self) -> Fresh {
        let salt = self.random.bytes();
        loop {
            // Fails for one draw in 2^32: zero, or not below the order of the curve.
            if let Ok(key) = SecretKey::from_slice(&self.random.bytes::<32>()) {
                return Fresh { key, salt };
            }
        }
    }

    async fn push_to(
        &self,
        endpoint: &str,
        receiver: ReceiverKeys<'_>,
        payload: &PushPayload,
    ) -> PushOutcome {
        let Ok(url) = self.guard.check(endpoint) else {
            return PushOutcome::Forbidden;
        };
        let Ok(body) = encrypt(receiver, &self.fresh(), &plaintext(payload)) else {
            return PushOutcome::Refused;
        };
        let now = self.clock.now();
        let origin = url.origin().ascii_serialization();
        let request = self
            .client
            .post(url)
            .header(AUTHORIZATION, self.vapid.authorization(&origin, now))
            .header(CONTENT_ENCODING, "aes128gcm")
            .header(CONTENT_TYPE, "application/octet-stream")
            .header("ttl", PUSH_TTL.as_secs())
            .header("urgency", "high")
            .header("topic", TOPIC)
            .body(body);
        match request.send().await {
            Ok(response) => {
                let outcome = outcome(response.status(), response.headers(), now);
                drain(response).await;
                outcome
            }
            Err(error) if is_forbidden(&error) => PushOutcome::Forbidden,
            Err(_) => PushOutcome::Unavailable(None),
        }
    }
}

#[async_trait]
impl Notifier for WebPush {
    async fn push(&self, target: &PushTarget, payload: PushPayload) -> PushOutcome {
        let PushTarget::WebPush {
            endpoint,
            p256dh,
            auth,
        } = target
        else {
            return PushOutcome::Misconfigured;
        };
        let receiver = ReceiverKeys { p256dh, auth };
        self.push_to(endpoint, receiver, &payload).await
    }
}

/// A client that follows no redirect and uses no proxy: both would connect to a place that the
/// guard has not seen. The system's certificates decide, so that an operator can add those of a
/// push service of their own.
fn http_client(resolver: GuardedResolver) -> Result<Client, reqwest::Error> {
    // Another part of the process may have chosen the same one before.
    drop(rustls::crypto::ring::default_provider().install_default());
    Client::builder()
        .dns_resolver(resolver)
        .redirect(redirect::Policy::none())
        .no_proxy()
        .referer(false)
        .user_agent("satpost")
        .connect_timeout(PUSH_CONNECT_TIMEOUT)
        .timeout(PUSH_TIMEOUT)
        .pool_max_idle_per_host(4)
        .build()
}

/// What the status of the answer means for the target.
fn outcome(status: StatusCode, headers: &HeaderMap, now: Timestamp) -> PushOutcome {
    match status.as_u16() {
        200..=202 => PushOutcome::Accepted,
        404 | 410 => PushOutcome::Invalid(None),
        // 507 is what ntfy answers while the phone has not connected yet.
        408 | 425 | 429 | 507 => PushOutcome::Retry(retry_after(headers, now)),
        500..=599 => PushOutcome::Unavailable(retry_after(headers, now)),
        // The rest, redirects included, would be answered in the same way again.
        status => {
            tracing::debug!(push.status = status, "a push service refused a push");
            PushOutcome::Refused
        }
    }
}

/// Reads a short reply, so that the connection can be used again. A long one is cut off, and the
/// connection with it.
async fn drain(mut response: Response) {
    let mut read = 0;
    while let Ok(Some(chunk)) = response.chunk().await {
        read += chunk.len();
        if read > PUSH_REPLY_BYTES_MAX {
            return;
        }
    }
}

/// True when the guard refused every address of the name.
fn is_forbidden(error: &reqwest::Error) -> bool {
    let mut cause: Option<&(dyn Error + 'static)> = Some(error);
    while let Some(error) = cause {
        if error.is::<NoGlobalAddress>() {
            return true;
        }
        cause = error.source();
    }
    false
}

#[cfg(test)]
mod tests;
