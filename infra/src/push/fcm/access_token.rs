//! Access tokens: asked for with signed claims, kept until shortly before they expire, and asked for by
//! one push at a time.

use std::time::Duration;

use reqwest::Client;
use reqwest::header::CONTENT_TYPE;
use satpost_commands::ports::PushOutcome;
use satpost_domain::Timestamp;
use secrecy::{ExposeSecret as _, SecretString};
use serde::Deserialize;
use tokio::sync::Mutex;
use url::form_urlencoded;

use crate::push::http::{self, Reply};
use crate::system::SystemIds;

use super::service_account::ServiceAccount;

/// The grant of RFC 7523, section 2.1.
const GRANT: &str = "urn:ietf:params:oauth:grant-type:jwt-bearer";
/// How long before its end a token is not used any more.
const EARLY: Duration = Duration::from_secs(5 * 60);

/// A token that Google gave us; never shown.
#[derive(Debug, Clone)]
pub(super) struct Token(SecretString);

impl Token {
    /// For the header of a request only.
    pub(super) fn reveal(&self) -> &str {
        self.0.expose_secret()
    }
}

/// The token in use.
pub(super) struct AccessTokens {
    account: ServiceAccount,
    client: Client,
    random: SystemIds,
    /// Held while a token is asked for, so that the others wait for that one.
    given: Mutex<Option<Given>>,
}

struct Given {
    token: Token,
    at: Timestamp,
    used_for: Duration,
}

impl Given {
    /// A token from the future was given before the clock was put right.
    fn is_good(&self, now: Timestamp) -> bool {
        self.at <= now && now.since(self.at) < self.used_for
    }
}

#[derive(Deserialize)]
struct Answer {
    access_token: String,
    /// In seconds.
    expires_in: u64,
}

/// What is said when no token is given (RFC 6749, section 5.2).
#[derive(Default, Deserialize)]
#[serde(default)]
struct Refusal {
    error: String,
}

impl AccessTokens {
    pub(super) fn new(account: ServiceAccount, random: SystemIds) -> Result<Self, reqwest::Error> {
        Ok(Self {
            client: http::client(account.token_url())?,
            account,
            random,
            given: Mutex::new(None),
        })
    }

    /// The token for now; what to do about the push when there is none.
    pub(super) async fn current(&self, now: Timestamp) -> Result<Token, PushOutcome> {
        self.token(now, |given| given.is_good(now)).await
    }

    /// Another token than `refused`.
    pub(super) async fn renew(
        &self,
        refused: &Token,
        now: Timestamp,
    ) -> Result<Token, PushOutcome> {
        let keep = |given: &Given| given.token.reveal() != refused.reveal() && given.is_good(now);
        self.token(now, keep).await
    }

    async fn token(
        &self,
        now: Timestamp,
        keep: impl Fn(&Given) -> bool,
    ) -> Result<Token, PushOutcome> {
        let mut given = self.given.lock().await;
        if let Some(given) = given.as_ref().filter(|given| keep(given)) {
            return Ok(given.token.clone());
        }
        *given = None;
        let fresh = self.ask(now).await?;
        let token = fresh.token.clone();
        *given = Some(fresh);
        Ok(token)
    }

    async fn ask(&self, now: Timestamp) -> Result<Given, PushOutcome> {
        let assertion = self.account.assertion(self.random.generator(), now);
        let form = form_urlencoded::Serializer::new(String::new())
            .append_pair("grant_type", GRANT)
            .append_pair("assertion", &assertion)
            .finish();
        let response = self
            .client
            .post(self.account.token_url().clone())
            .header(CONTENT_TYPE, "application/x-www-form-urlencoded")
            .body(form)
            .send()
            .await
            .map_err(|_| PushOutcome::Unavailable(None))?;
        let Reply {
            status,
            after,
            body,
        } = Reply::read(response, now).await;
        match status {
            200 => {
                let answer: Answer =
                    serde_json::from_slice(&body).map_err(|_| PushOutcome::Unavailable(None))?;
                Ok(given(answer, now))
            }
            408 | 429 | 500..=599 => Err(PushOutcome::Unavailable(after)),
            _ => Err(refused(status, &body)),
        }
    }
}

/// A token that lives shorter than our margin is used for half its life.
fn given(answer: Answer, now: Timestamp) -> Given {
    let lifetime = Duration::from_secs(answer.expires_in);
    Given {
        token: Token(SecretString::from(answer.access_token)),
        at: now,
        used_for: lifetime.saturating_sub(EARLY).max(lifetime / 2),
    }
}

fn refused(status: u16, body: &[u8]) -> PushOutcome {
    let refusal: Refusal = serde_json::from_slice(body).unwrap_or_default();
    let reason = match refusal.error.as_str() {
        known @ ("invalid_grant" | "invalid_client" | "unauthorized_client" | "invalid_scope") => {
            known
        }
        _ => "unknown",
    };
    tracing::error!(
        push.status = status,
        push.reason = reason,
        "Google gives this server no access token: look at push.fcm.credentials_file and at the clock"
    );
    PushOutcome::Misconfigured
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_token_is_used_until_five_minutes_before_its_end() {
        let now = Timestamp::from_millis(1_800_000_000_000);
        let used_for = |expires_in| {
            let answer = Answer {
                access_token: "secret".to_owned(),
                expires_in,
            };
            given(answer, now).used_for.as_secs()
        };
        assert_eq!(used_for(3_600), 3_300);
        assert_eq!(used_for(400), 200);
        assert_eq!(used_for(0), 0);
    }

    #[test]
    fn a_token_from_the_future_is_not_used() {
        let now = Timestamp::from_millis(1_800_000_000_000);
        let answer = Answer {
            access_token: "secret".to_owned(),
            expires_in: 3_600,
        };
        let given = given(answer, now);
        assert!(given.is_good(now));
        assert!(!given.is_good(Timestamp::from_millis(now.as_millis() - 1)));
    }
}
