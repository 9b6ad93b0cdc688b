//! What an answer means, and what is never connected to. The requests themselves are tested
//! against a push service in the tests crate.

use std::io;
use std::net::SocketAddr;
use std::time::Duration;

use reqwest::header::{HeaderValue, RETRY_AFTER};
use satpost_domain::limits::PUSH_RETRY_AFTER_MAX;

use super::*;

const NOW: Timestamp = Timestamp::from_millis(784_111_777_000);

struct FixedClock;

impl Clock for FixedClock {
    fn now(&self) -> Timestamp {
        NOW
    }
}

/// A resolver in the hands of an attacker: every name is the server itself.
struct Rebinding;

#[async_trait]
impl Lookup for Rebinding {
    async fn lookup(&self, _name: &str) -> io::Result<Vec<SocketAddr>> {
        Ok(vec![SocketAddr::from(([127, 0, 0, 1], 0))])
    }
}

/// A resolver that finds nothing.
struct Unreachable;

#[async_trait]
impl Lookup for Unreachable {
    async fn lookup(&self, _name: &str) -> io::Result<Vec<SocketAddr>> {
        Err(io::Error::from(io::ErrorKind::HostUnreachable))
    }
}

fn web_push(lookup: impl Lookup) -> WebPush {
    let vapid = Vapid::new(
        &SecretKey::from_slice(&[7; 32]).unwrap(),
        "mailto:operator@wallet.example",
    )
    .unwrap();
    WebPush::with_lookup(
        Guard::default(),
        Arc::new(vapid),
        Arc::new(FixedClock),
        SystemIds::new(),
        Arc::new(lookup),
    )
    .unwrap()
}

fn target(endpoint: &str) -> PushTarget {
    let key = SecretKey::from_slice(&[9; 32]).unwrap();
    let p256dh = key
        .public_key()
        .to_sec1_bytes()
        .as_ref()
        .try_into()
        .unwrap();
    PushTarget::web_push(endpoint.to_owned(), p256dh, [1; 16]).unwrap()
}

fn retry_after_of(value: &str) -> Option<Duration> {
    let mut headers = HeaderMap::new();
    headers.insert(RETRY_AFTER, HeaderValue::from_str(value).unwrap());
    retry_after(&headers, NOW)
}

#[tokio::test]
async fn does_not_connect_to_a_name_that_resolves_to_the_server_itself() {
    let outcome = web_push(Rebinding)
        .push(&target("https://push.example/x"), PushPayload::Wake)
        .await;
    assert_eq!(outcome, PushOutcome::Forbidden);
}

#[tokio::test]
async fn does_not_connect_to_a_local_address() {
    let outcome = web_push(Rebinding)
        .push(&target("https://127.0.0.1/x"), PushPayload::Wake)
        .await;
    assert_eq!(outcome, PushOutcome::Forbidden);
}

#[tokio::test]
async fn a_name_that_cannot_be_resolved_is_tried_again() {
    let outcome = web_push(Unreachable)
        .push(&target("https://push.example/x"), PushPayload::Wake)
        .await;
    assert_eq!(outcome, PushOutcome::Unavailable(None));
}

#[tokio::test]
async fn a_phone_key_that_is_no_point_is_refused() {
    let target = PushTarget::web_push("https://push.example/x".to_owned(), [4; 65], [1; 16]);
    let outcome = web_push(Unreachable)
        .push(&target.unwrap(), PushPayload::Wake)
        .await;
    assert_eq!(outcome, PushOutcome::Refused);
}

#[test]
fn every_status_has_its_outcome() {
    let none = HeaderMap::new();
    for (statuses, expected) in [
        (&[200, 201, 202][..], PushOutcome::Accepted),
        (&[404, 410], PushOutcome::Invalid(None)),
        (&[408, 425, 429, 507], PushOutcome::Retry(None)),
        (&[500, 502, 503, 504], PushOutcome::Unavailable(None)),
        (
            &[204, 301, 302, 307, 308, 400, 401, 403, 413],
            PushOutcome::Refused,
        ),
    ] {
        for status in statuses {
            let status = StatusCode::from_u16(*status).unwrap();
            assert_eq!(outcome(status, &none, NOW), expected, "{status}");
        }
    }
}

#[test]
fn reads_retry_after_as_seconds_and_as_a_date() {
    assert_eq!(retry_after_of("120"), Some(Duration::from_secs(120)));
    assert_eq!(
        retry_after_of("Sun, 06 Nov 1994 08:50:07 GMT"),
        Some(Duration::from_secs(30))
    );
}

#[test]
fn waits_no_longer_than_the_bound_and_not_for_the_past_or_for_nonsense() {
    assert_eq!(retry_after_of("86400000"), Some(PUSH_RETRY_AFTER_MAX));
    assert_eq!(
        retry_after_of("Sat, 06 Nov 2094 08:50:07 GMT"),
        Some(PUSH_RETRY_AFTER_MAX)
    );
    assert_eq!(
        retry_after_of("Sat, 06 Nov 1993 08:50:07 GMT"),
        Some(Duration::ZERO)
    );
    assert_eq!(retry_after_of("soon"), None);
}
