//! Firebase Cloud Messaging, API v1: one request per push, with an access token that Google gives for
//! the claims of a service account.
//!
//! A push is a data message: it has no text, and the app decides what it shows.

mod access_token;
mod answer;
mod service_account;

use std::sync::Arc;

use async_trait::async_trait;
use reqwest::Client;
use reqwest::header::CONTENT_TYPE;
use satpost_commands::ports::{Clock, Notifier, PushOutcome, PushPayload};
use satpost_domain::Timestamp;
use satpost_domain::limits::PUSH_TTL;
use satpost_domain::push::PushTarget;
use url::Url;

use crate::system::SystemIds;

use super::http::{self, Reply, below};
use super::payload::field;
use access_token::{AccessTokens, Token};
use answer::Answer;

pub use service_account::{ServiceAccount, ServiceAccountError};

/// Sends pushes to Google.
pub struct Fcm {
    client: Client,
    messages: Url,
    tokens: AccessTokens,
    clock: Arc<dyn Clock>,
}

impl Fcm {
    /// Pushes in the name of `account` to the service at `base`.
    ///
    /// # Errors
    /// When an HTTP client cannot be built.
    pub fn new(
        account: ServiceAccount,
        base: &Url,
        clock: Arc<dyn Clock>,
        random: SystemIds,
    ) -> Result<Self, reqwest::Error> {
        let project = account.project_id();
        Ok(Self {
            client: http::client(base)?,
            messages: below(base, &["v1", "projects", project, "messages:send"]),
            tokens: AccessTokens::new(account, random)?,
            clock,
        })
    }

    async fn push_to(&self, body: &str) -> PushOutcome {
        let now = self.clock.now();
        let token = match self.tokens.current(now).await {
            Ok(token) => token,
            Err(outcome) => return outcome,
        };
        match self.send(body, &token, now).await {
            Answer::Final(outcome) => outcome,
            // Google may take a token back before its time.
            Answer::TokenRefused => match self.tokens.renew(&token, now).await {
                Ok(token) => match self.send(body, &token, now).await {
                    Answer::Final(outcome) => outcome,
                    Answer::TokenRefused => {
                        tracing::error!("Google refuses the access tokens that it gives us");
                        PushOutcome::Misconfigured
                    }
                },
                Err(outcome) => outcome,
            },
        }
    }

    async fn send(&self, body: &str, token: &Token, now: Timestamp) -> Answer {
        let request = self
            .client
            .post(self.messages.clone())
            .bearer_auth(token.reveal())
            .header(CONTENT_TYPE, "application/json")
            .body(body.to_owned());
        match request.send().await {
            Ok(response) => {
                let reply = Reply::read(response, now).await;
                answer::meaning(reply.status, reply.after, &reply.body)
            }
            Err(_) => Answer::Final(PushOutcome::Unavailable(None)),
        }
    }
}

/// The same bytes for every wake-up of a phone, and as many for a code. No character of a token needs an
/// escape; [`PushTarget::fcm`] saw to that.
fn body(token: &str, payload: &PushPayload) -> String {
    format!(
        r#"{{"message":{{"token":"{token}","data":{{{}}},"android":{{"priority":"high","ttl":"{}s","collapse_key":"satpost"}}}}}}"#,
        field(payload),
        PUSH_TTL.as_secs()
    )
}

#[async_trait]
impl Notifier for Fcm {
    async fn push(&self, target: &PushTarget, payload: PushPayload) -> PushOutcome {
        let PushTarget::Fcm { token } = target else {
            return PushOutcome::Misconfigured;
        };
        self.push_to(&body(token, &payload)).await
    }
}
