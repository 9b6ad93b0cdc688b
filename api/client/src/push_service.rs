//! Subscribing at a push service (RFC 8030) and waiting there, for wallets that are no phone.
//!
//! `POST <service>/subscribe` answers 201 with the subscription as `Location` and the push resource as
//! `Link: <…>; rel="urn:ietf:params:push"` (RFC 8030, section 4). Where the RFC delivers by HTTP/2 server
//! push, which hardly any client library can receive any more, messages come by long poll here:
//! `GET <subscription>` with `Prefer: wait=N` gives a JSON list of `{"body": "<base64url>"}`.

use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use reqwest::header::{HeaderMap, LINK, LOCATION};
use reqwest::{StatusCode, Url};
use serde::{Deserialize, Serialize};

/// How long an answer may take beside what is asked to be waited.
const TIMEOUT: Duration = Duration::from_secs(15);
/// The largest answer that is read.
const ANSWER_BYTES_MAX: usize = 1024 * 1024;
const RELATION: &str = "urn:ietf:params:push";

/// A push service cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum PushServiceError {
    /// It cannot be reached.
    #[error("the push service could not be reached")]
    Unreachable(#[from] reqwest::Error),
    /// It refused.
    #[error("the push service answered {status}")]
    Refused {
        /// The HTTP status.
        status: u16,
    },
    /// The subscription is gone; subscribe again.
    #[error("the push service does not know the subscription any more; subscribe again")]
    Gone,
    /// Its answer is not what the RFC says.
    #[error("the push service's answer has no usable {what}")]
    Answer {
        /// What is missing.
        what: &'static str,
    },
}

/// Where a subscription is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Subscription {
    /// Where the server pushes to.
    pub endpoint: String,
    /// Where this wallet waits. Whoever knows it can take the pushes.
    pub receive: String,
}

/// Talks to push services.
#[derive(Debug, Clone)]
pub struct PushService {
    http: reqwest::Client,
}

#[derive(Serialize)]
struct SubscribeRequest<'a> {
    vapid: &'a str,
}

#[derive(Deserialize)]
struct DeliveredPush {
    body: String,
}

impl PushService {
    /// Talks through `http`.
    #[must_use]
    pub const fn new(http: reqwest::Client) -> Self {
        Self { http }
    }

    /// Subscribes for the pushes of the server whose key is `vapid_key` (RFC 8292, base64url).
    ///
    /// # Errors
    /// [`PushServiceError`].
    pub async fn subscribe(
        &self,
        service: &str,
        vapid_key: &str,
    ) -> Result<Subscription, PushServiceError> {
        let url = Url::parse(&format!("{}/subscribe", service.trim_end_matches('/')))
            .map_err(|_| PushServiceError::Answer { what: "address" })?;
        let response = self
            .http
            .post(url.clone())
            .timeout(TIMEOUT)
            .json(&SubscribeRequest { vapid: vapid_key })
            .send()
            .await?;
        if response.status() != StatusCode::CREATED {
            return Err(PushServiceError::Refused {
                status: response.status().as_u16(),
            });
        }
        let headers = response.headers();
        let endpoint = linked(headers, RELATION)
            .and_then(|link| url.join(link).ok())
            .ok_or(PushServiceError::Answer { what: "Link" })?;
        let receive = headers
            .get(LOCATION)
            .and_then(|value| value.to_str().ok())
            .and_then(|location| url.join(location).ok())
            .ok_or(PushServiceError::Answer { what: "Location" })?;
        Ok(Subscription {
            endpoint: endpoint.to_string(),
            receive: receive.to_string(),
        })
    }

    /// Waits up to `wait` for pushes and gives their bodies; the service forgets them. A body that
    /// does not decode is left out: nobody can use it.
    ///
    /// # Errors
    /// [`PushServiceError`].
    pub async fn receive(
        &self,
        subscription: &str,
        wait: Duration,
    ) -> Result<Vec<Vec<u8>>, PushServiceError> {
        let mut response = self
            .http
            .get(subscription)
            .header("prefer", format!("wait={}", wait.as_secs()))
            .timeout(wait + TIMEOUT)
            .send()
            .await?;
        match response.status() {
            StatusCode::OK => {}
            StatusCode::NO_CONTENT => return Ok(Vec::new()),
            StatusCode::NOT_FOUND | StatusCode::GONE => return Err(PushServiceError::Gone),
            status => {
                return Err(PushServiceError::Refused {
                    status: status.as_u16(),
                });
            }
        }
        let mut answer = Vec::new();
        while let Some(chunk) = response.chunk().await? {
            answer.extend_from_slice(&chunk);
            if answer.len() > ANSWER_BYTES_MAX {
                return Err(PushServiceError::Answer { what: "size" });
            }
        }
        let pushes: Vec<DeliveredPush> = serde_json::from_slice(&answer)
            .map_err(|_| PushServiceError::Answer { what: "list" })?;
        Ok(pushes
            .iter()
            .filter_map(|push| URL_SAFE_NO_PAD.decode(&push.body).ok())
            .collect())
    }

    /// Ends a subscription; one that is gone already is as good.
    ///
    /// # Errors
    /// [`PushServiceError`].
    pub async fn unsubscribe(&self, subscription: &str) -> Result<(), PushServiceError> {
        let request = self.http.delete(subscription).timeout(TIMEOUT);
        let status = request.send().await?.status();
        let gone = matches!(status, StatusCode::NOT_FOUND | StatusCode::GONE);
        if status.is_success() || gone {
            return Ok(());
        }
        Err(PushServiceError::Refused {
            status: status.as_u16(),
        })
    }
}

/// The target of the link with this relation (RFC 8288).
fn linked<'h>(headers: &'h HeaderMap, relation: &str) -> Option<&'h str> {
    let wanted = [format!("rel=\"{relation}\""), format!("rel={relation}")];
    headers
        .get_all(LINK)
        .iter()
        .filter_map(|value| value.to_str().ok())
        .flat_map(|value| value.split(','))
        .find_map(|link| {
            let (target, parameters) = link.trim().strip_prefix('<')?.split_once('>')?;
            parameters
                .split(';')
                .any(|parameter| wanted.iter().any(|wanted| parameter.trim() == wanted))
                .then_some(target)
        })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn finds_the_link_with_the_relation() {
        let mut headers = HeaderMap::new();
        headers.append(LINK, "</other>; rel=\"next\"".parse().unwrap());
        headers.append(
            LINK,
            "</set>; rel=\"urn:ietf:params:push:set\", </push/1>; rel=\"urn:ietf:params:push\""
                .parse()
                .unwrap(),
        );
        assert_eq!(linked(&headers, RELATION), Some("/push/1"));
        assert_eq!(linked(&HeaderMap::new(), RELATION), None);
    }
}
