//! What requests to Apple and Google have in common: the client, and how answers are read.

use std::time::{Duration, SystemTime};

use reqwest::header::{HeaderMap, RETRY_AFTER};
use reqwest::{Client, Response, redirect};
use satpost_domain::Timestamp;
use satpost_domain::limits::{PUSH_CONNECT_TIMEOUT, PUSH_RETRY_AFTER_MAX, PUSH_TIMEOUT};
use url::{Host, Url};

/// How often an idle connection is asked whether it is still there: both providers want
/// connections to stay open.
const KEEP_ALIVE_INTERVAL: Duration = Duration::from_secs(60);
/// How much of an answer is read. The longest are access tokens.
const ANSWER_BYTES_MAX: usize = 16 * 1024;

/// A base URL that credentials must not be sent to.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{0} is no https URL with a host; plain http is for loopback only")]
pub struct BaseUrlError(String);

/// Reads the base URL of a provider. Plain HTTP is for tests: it reaches loopback only.
///
/// # Errors
/// [`BaseUrlError`].
pub fn base_url(text: &str) -> Result<Url, BaseUrlError> {
    let refused = || BaseUrlError(text.to_owned());
    let url = Url::parse(text).map_err(|_| refused())?;
    let on_loopback = match url.host() {
        Some(Host::Ipv4(address)) => address.is_loopback(),
        Some(Host::Ipv6(address)) => address.is_loopback(),
        Some(Host::Domain(_)) | None => false,
    };
    let usable = match url.scheme() {
        "https" => url.has_host(),
        "http" => on_loopback,
        _ => false,
    };
    if usable && url.username().is_empty() && url.password().is_none() && url.query().is_none() {
        Ok(url)
    } else {
        Err(refused())
    }
}

/// The URL below `base` with these path segments, each escaped.
pub(super) fn below(base: &Url, segments: &[&str]) -> Url {
    let mut url = base.clone();
    url.path_segments_mut()
        .expect("a URL with a host can have a path")
        .pop_if_empty()
        .extend(segments);
    url
}

/// A client for one provider: HTTP/2 by negotiation, or from the first byte where there is no TLS.
/// It follows no redirect, because the request carries credentials.
pub(super) fn client(base: &Url) -> Result<Client, reqwest::Error> {
    // Another part of the process may have chosen the same one before.
    drop(rustls::crypto::ring::default_provider().install_default());
    let builder = Client::builder()
        .redirect(redirect::Policy::none())
        .no_proxy()
        .referer(false)
        .user_agent("satpost")
        .connect_timeout(PUSH_CONNECT_TIMEOUT)
        .timeout(PUSH_TIMEOUT)
        .http2_keep_alive_interval(KEEP_ALIVE_INTERVAL)
        .http2_keep_alive_while_idle(true);
    match base.scheme() {
        "http" => builder.http2_prior_knowledge().build(),
        _ => builder.build(),
    }
}

/// Reads `Retry-After` in both its forms, and waits no longer than we bear.
pub(super) fn retry_after(headers: &HeaderMap, now: Timestamp) -> Option<Duration> {
    let value = headers.get(RETRY_AFTER)?.to_str().ok()?.trim();
    let after = match value.parse() {
        Ok(seconds) => Duration::from_secs(seconds),
        Err(_) => {
            let at = httpdate::parse_http_date(value).ok()?;
            let at = at.duration_since(SystemTime::UNIX_EPOCH).ok()?;
            at.saturating_sub(Duration::from_millis(now.as_millis()))
        }
    };
    Some(after.min(PUSH_RETRY_AFTER_MAX))
}

/// What a provider has said.
pub(super) struct Reply {
    pub(super) status: u16,
    /// `Retry-After`, when it says so.
    pub(super) after: Option<Duration>,
    /// Nothing when it is too long or breaks off.
    pub(super) body: Vec<u8>,
}

impl Reply {
    /// Reads an answer that came at `now`.
    pub(super) async fn read(response: Response, now: Timestamp) -> Self {
        Self {
            status: response.status().as_u16(),
            after: retry_after(response.headers(), now),
            body: body(response).await,
        }
    }
}

async fn body(mut response: Response) -> Vec<u8> {
    let mut body = Vec::new();
    while let Ok(Some(chunk)) = response.chunk().await {
        body.extend_from_slice(&chunk);
        if body.len() > ANSWER_BYTES_MAX {
            return Vec::new();
        }
    }
    body
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sends_credentials_over_tls_or_to_loopback_only() {
        for good in [
            "https://api.push.apple.com",
            "https://push.example:2197/below/",
            "http://127.0.0.1:8080",
            "http://[::1]:8080",
        ] {
            assert!(base_url(good).is_ok(), "{good}");
        }
        for bad in [
            "http://api.push.apple.com",
            "http://localhost:8080",
            "http://10.0.0.1",
            "https://user:secret@push.example",
            "https://push.example?x",
            "ftp://127.0.0.1",
            "push.example",
            "",
        ] {
            assert_eq!(base_url(bad), Err(BaseUrlError(bad.to_owned())));
        }
    }

    #[test]
    fn escapes_what_stands_below_a_base() {
        let base = base_url("https://push.example/v2/").unwrap();
        let url = below(&base, &["3", "a/../b?c"]);
        assert_eq!(url.as_str(), "https://push.example/v2/3/a%2F..%2Fb%3Fc");
    }
}
