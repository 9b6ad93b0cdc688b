//! One request to an exchange: bounded in time and size, without redirects.

use std::time::Duration;

use reqwest::header::RETRY_AFTER;
use reqwest::{Client, Response, StatusCode, redirect};
use satpost_domain::limits::{
    PRICE_CONNECT_TIMEOUT, PRICE_REPLY_BYTES_MAX, PRICE_RETRY_MAX, PRICE_TIMEOUT,
};
use satpost_domain::price::FeedFailure;
use url::Url;

/// Asks exchanges.
#[derive(Debug, Clone)]
pub struct Fetcher {
    client: Client,
}

/// Why there is no answer, and when the exchange wants to be asked again.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct NoAnswer {
    /// Why.
    pub failure: FeedFailure,
    /// What it said in `Retry-After`, at most [`PRICE_RETRY_MAX`].
    pub retry_after: Option<Duration>,
}

impl From<FeedFailure> for NoAnswer {
    fn from(failure: FeedFailure) -> Self {
        Self {
            failure,
            retry_after: None,
        }
    }
}

impl Fetcher {
    /// A client that follows no redirect and uses no proxy: what the operator has configured is what
    /// is asked.
    ///
    /// # Errors
    /// When the system's certificates cannot be read.
    pub fn new() -> Result<Self, reqwest::Error> {
        Self::with_timeout(PRICE_TIMEOUT)
    }

    /// As [`Self::new`] with another patience, for tests.
    ///
    /// # Errors
    /// When the system's certificates cannot be read.
    pub fn with_timeout(timeout: Duration) -> Result<Self, reqwest::Error> {
        // Another part of the process may have chosen the same one before.
        drop(rustls::crypto::ring::default_provider().install_default());
        let client = Client::builder()
            .redirect(redirect::Policy::none())
            .no_proxy()
            .referer(false)
            .user_agent("satpost")
            .connect_timeout(PRICE_CONNECT_TIMEOUT.min(timeout))
            .timeout(timeout)
            .pool_max_idle_per_host(1)
            .build()?;
        Ok(Self { client })
    }

    /// The body of a success.
    ///
    /// # Errors
    /// [`NoAnswer`].
    pub async fn fetch(&self, url: Url) -> Result<Vec<u8>, NoAnswer> {
        let response = self.client.get(url).send().await.map_err(broken)?;
        if response.status() != StatusCode::OK {
            return Err(NoAnswer {
                failure: FeedFailure::Refused,
                retry_after: retry_after(&response),
            });
        }
        read(response).await
    }
}

#[expect(
    clippy::needless_pass_by_value,
    reason = "the signature that map_err asks for"
)]
fn broken(error: reqwest::Error) -> NoAnswer {
    if error.is_timeout() {
        FeedFailure::TimedOut.into()
    } else {
        FeedFailure::Unreachable.into()
    }
}

fn retry_after(response: &Response) -> Option<Duration> {
    let seconds = response.headers().get(RETRY_AFTER)?.to_str().ok()?;
    let after = Duration::from_secs(seconds.trim().parse().ok()?);
    Some(after.min(PRICE_RETRY_MAX))
}

/// Stops reading, and closes the connection, as soon as there is too much.
async fn read(mut response: Response) -> Result<Vec<u8>, NoAnswer> {
    let announced = response.content_length();
    if announced.is_some_and(|length| length > PRICE_REPLY_BYTES_MAX as u64) {
        return Err(FeedFailure::TooLarge.into());
    }
    let mut body = Vec::new();
    while let Some(chunk) = response.chunk().await.map_err(broken)? {
        if body.len() + chunk.len() > PRICE_REPLY_BYTES_MAX {
            return Err(FeedFailure::TooLarge.into());
        }
        body.extend_from_slice(&chunk);
    }
    Ok(body)
}
