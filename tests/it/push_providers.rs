//! The adapters of Apple and Google against services that check what they are sent as strictly as those do.

use std::sync::Arc;
use std::time::Duration;

use satpost_api_types::push::PUSH_FIELD;
use satpost_client::web_push::{Push, read_push_field};
use satpost_commands::ports::{Clock as _, Notifier, PushOutcome, PushPayload};
use satpost_domain::Timestamp;
use satpost_domain::limits::PUSH_TTL;
use satpost_domain::push::{ApnsEnvironment, PushTarget, VerificationCode};
use satpost_infra::push::http::base_url;
use satpost_infra::push::{Apns, ApnsKey, Fcm, ServiceAccount};
use satpost_infra::system::SystemIds;
use satpost_tests::apns_service::{self, ApnsService, KEY_ID, TEAM_ID, TOPIC};
use satpost_tests::fcm_service::{self, FcmService};
use satpost_tests::http_server::SettableClock;
use satpost_tests::http2_service::{Reply, Seen};
use serde_json::Value;

const CODE: [u8; 16] = [0xab; 16];

fn code() -> PushPayload {
    PushPayload::Verification(VerificationCode::new(CODE))
}

fn iphone(environment: ApnsEnvironment) -> PushTarget {
    PushTarget::apns(vec![0x5a; 32], TOPIC.to_owned(), environment).unwrap()
}

fn android() -> PushTarget {
    PushTarget::fcm("cX9_-k:APA91bH".to_owned()).unwrap()
}

/// What the app reads of a push.
fn read(content: &Value) -> Push {
    read_push_field(content[PUSH_FIELD].as_str().unwrap()).unwrap()
}

struct Apple {
    production: ApnsService,
    sandbox: ApnsService,
    clock: Arc<SettableClock>,
    notifier: Apns,
}

impl Apple {
    async fn new() -> Self {
        let (production, sandbox) = (ApnsService::start().await, ApnsService::start().await);
        let clock = Arc::new(SettableClock::default());
        let key = ApnsKey::new(&apns_service::key_pem(), KEY_ID, TEAM_ID).unwrap();
        let urls = [&production, &sandbox].map(|service| base_url(&service.url()).unwrap());
        let [at_production, at_sandbox] = urls;
        let notifier = Apns::new(key, at_production, at_sandbox, clock.clone()).unwrap();
        Self {
            production,
            sandbox,
            clock,
            notifier,
        }
    }

    async fn wake(&self) -> PushOutcome {
        let target = iphone(ApnsEnvironment::Production);
        self.notifier.push(&target, PushPayload::Wake).await
    }

    async fn outcome_of(&self, reply: Reply) -> PushOutcome {
        self.production.answer_next_with(reply);
        self.wake().await
    }

    fn tokens(&self) -> Vec<String> {
        let token = |seen: &Seen| seen.header("authorization").unwrap().to_owned();
        self.production.seen().iter().map(token).collect()
    }
}

#[tokio::test]
async fn apple_takes_a_wake_up_that_says_nothing() {
    let apple = Apple::new().await;
    assert_eq!(apple.wake().await, PushOutcome::Accepted);
    let seen = &apple.production.seen()[0];
    let header = |name| seen.header(name).unwrap();
    assert_eq!(seen.path, format!("/3/device/{}", "5a".repeat(32)));
    assert_eq!(header("apns-topic"), TOPIC);
    assert_eq!(
        (header("apns-push-type"), header("apns-priority")),
        ("alert", "10")
    );
    assert_eq!(header("apns-collapse-id"), "satpost");
    let expires = header("apns-expiration").parse::<u64>().unwrap();
    let expected = apple.clock.now().plus(PUSH_TTL).as_secs();
    assert!(expires.abs_diff(expected) < 60, "{expires}");
    let body: Value = serde_json::from_slice(&seen.body).unwrap();
    assert_eq!(body["aps"]["alert"]["loc-key"], "SATPOST_WAKE");
    assert_eq!(body["aps"]["mutable-content"], 1);
    assert_eq!(read(&body), Push::Wake);
}

#[tokio::test]
async fn apple_carries_a_code_in_as_many_bytes_as_a_wake_up() {
    let apple = Apple::new().await;
    let target = iphone(ApnsEnvironment::Sandbox);
    assert_eq!(
        apple.notifier.push(&target, code()).await,
        PushOutcome::Accepted
    );
    assert_eq!(
        apple.notifier.push(&target, PushPayload::Wake).await,
        PushOutcome::Accepted
    );
    assert_eq!(
        apple.production.seen(),
        [],
        "the sandbox is another service"
    );
    let seen = apple.sandbox.seen();
    let body: Value = serde_json::from_slice(&seen[0].body).unwrap();
    assert_eq!(read(&body), Push::Verification { code: CODE });
    assert_eq!(seen[0].body.len(), seen[1].body.len());
}

#[tokio::test]
async fn apple_sees_one_connection_and_one_token_for_many_pushes() {
    let apple = Apple::new().await;
    for _ in 0..5 {
        assert_eq!(apple.wake().await, PushOutcome::Accepted);
    }
    let tokens = apple.tokens();
    assert!(tokens.iter().all(|token| *token == tokens[0]));
    assert!(
        apple
            .production
            .seen()
            .iter()
            .all(|seen| seen.connection == 0)
    );
    apple.clock.set_offset_ms(49 * 60_000);
    apple.wake().await;
    assert_eq!(apple.tokens()[5], tokens[0]);
    apple.clock.set_offset_ms(51 * 60_000);
    assert_eq!(apple.wake().await, PushOutcome::Accepted);
    assert_ne!(
        apple.tokens()[6],
        tokens[0],
        "Apple takes none older than an hour"
    );
}

#[tokio::test]
async fn an_expired_token_at_apple_is_signed_anew_once() {
    let apple = Apple::new().await;
    let expired = || apns_service::refusal(403, "ExpiredProviderToken");
    apple.wake().await;
    apple.clock.set_offset_ms(21 * 60_000);
    assert_eq!(apple.outcome_of(expired()).await, PushOutcome::Accepted);
    let tokens = apple.tokens();
    assert_eq!((tokens.len(), &tokens[0]), (3, &tokens[1]));
    assert_ne!(tokens[1], tokens[2]);
    assert_eq!(
        apple.outcome_of(expired()).await,
        PushOutcome::Misconfigured,
        "Apple takes no more than one token in 20 minutes"
    );
    assert_eq!(apple.tokens().len(), 4);
}

#[tokio::test]
async fn apples_refusals_have_their_meanings() {
    let apple = Apple::new().await;
    let since = Timestamp::from_millis(1_700_000_000_000);
    let gone = |reason| {
        Reply::new(
            410,
            format!(r#"{{"reason":"{reason}","timestamp":1700000000000}}"#),
        )
    };
    let later = Some(Duration::from_secs(17));
    for (reply, expected) in [
        (gone("Unregistered"), PushOutcome::Invalid(Some(since))),
        (gone("ExpiredToken"), PushOutcome::Invalid(Some(since))),
        (
            apns_service::refusal(400, "BadDeviceToken"),
            PushOutcome::Invalid(None),
        ),
        (
            apns_service::refusal(400, "DeviceTokenNotForTopic"),
            PushOutcome::Invalid(None),
        ),
        (
            apns_service::refusal(400, "TopicDisallowed"),
            PushOutcome::Misconfigured,
        ),
        (
            apns_service::refusal(403, "InvalidProviderToken"),
            PushOutcome::Misconfigured,
        ),
        (
            apns_service::refusal(429, "TooManyRequests"),
            PushOutcome::Retry(None),
        ),
        (
            apns_service::refusal(429, "TooManyRequests").with_header("retry-after", "17"),
            PushOutcome::Retry(later),
        ),
        (
            apns_service::refusal(429, "TooManyProviderTokenUpdates"),
            PushOutcome::Unavailable(None),
        ),
        (
            apns_service::refusal(500, "InternalServerError"),
            PushOutcome::Unavailable(None),
        ),
        (
            apns_service::refusal(503, "ServiceUnavailable").with_header("retry-after", "17"),
            PushOutcome::Unavailable(later),
        ),
        (
            Reply::new(410, "x".repeat(100_000)),
            PushOutcome::Invalid(None),
        ),
    ] {
        let name = format!("{} {:.60}", reply.status, reply.body);
        assert_eq!(apple.outcome_of(reply).await, expected, "{name}");
    }
}

#[tokio::test]
async fn credentials_are_not_carried_along_a_redirect() {
    let apple = Apple::new().await;
    let elsewhere = format!("{}/3/device/x", apple.sandbox.url());
    let redirect = Reply::new(307, "").with_header("location", elsewhere);
    assert_eq!(apple.outcome_of(redirect).await, PushOutcome::Misconfigured);
    assert_eq!(apple.sandbox.seen(), []);
}

#[tokio::test]
async fn apple_knows_no_key_but_its_own() {
    let apple = ApnsService::start().await;
    let key = ApnsKey::new(&apns_service::key_pem(), KEY_ID, "OTHERTEAM1").unwrap();
    let url = base_url(&apple.url()).unwrap();
    let clock = Arc::new(SettableClock::default());
    let stranger = Apns::new(key, url.clone(), url, clock).unwrap();
    let target = iphone(ApnsEnvironment::Production);
    assert_eq!(
        stranger.push(&target, PushPayload::Wake).await,
        PushOutcome::Misconfigured
    );
}

struct Google {
    service: FcmService,
    clock: Arc<SettableClock>,
    notifier: Fcm,
}

impl Google {
    async fn new() -> Self {
        let service = FcmService::start().await;
        let clock = Arc::new(SettableClock::default());
        let account = ServiceAccount::parse(&service.credentials()).unwrap();
        let base = base_url(&service.url()).unwrap();
        let notifier = Fcm::new(account, &base, clock.clone(), SystemIds::new()).unwrap();
        Self {
            service,
            clock,
            notifier,
        }
    }

    async fn wake(&self) -> PushOutcome {
        self.notifier.push(&android(), PushPayload::Wake).await
    }

    async fn outcome_of(&self, reply: Reply) -> PushOutcome {
        self.service.answer_next_with(reply);
        self.wake().await
    }
}

#[tokio::test]
async fn google_takes_a_wake_up_that_says_nothing() {
    let google = Google::new().await;
    assert_eq!(google.wake().await, PushOutcome::Accepted);
    assert_eq!(
        google.notifier.push(&android(), code()).await,
        PushOutcome::Accepted
    );
    let seen = google.service.messages();
    let message = |index: usize| -> Value {
        let body: Value = serde_json::from_slice(&seen[index].body).unwrap();
        body["message"].clone()
    };
    assert_eq!(message(0)["token"], "cX9_-k:APA91bH");
    let android = serde_json::json!({
        "priority": "high", "ttl": "86400s", "collapse_key": "satpost",
    });
    assert_eq!(message(0)["android"], android);
    assert_eq!(read(&message(0)["data"]), Push::Wake);
    assert_eq!(read(&message(1)["data"]), Push::Verification { code: CODE });
    assert_eq!(seen[0].body.len(), seen[1].body.len());
}

#[tokio::test]
async fn google_is_asked_for_one_token_by_many_pushes() {
    let google = Google::new().await;
    let pushes = (0..20).map(|_| google.wake());
    let outcomes = futures_util::future::join_all(pushes).await;
    assert!(
        outcomes
            .iter()
            .all(|outcome| *outcome == PushOutcome::Accepted)
    );
    assert_eq!(google.service.tokens(), 1);
    google.clock.set_offset_ms(54 * 60_000);
    google.wake().await;
    assert_eq!(google.service.tokens(), 1);
    google.clock.set_offset_ms(55 * 60_000);
    assert_eq!(google.wake().await, PushOutcome::Accepted);
    assert_eq!(google.service.tokens(), 2, "refreshed five minutes early");
}

#[tokio::test]
async fn a_token_that_google_took_back_is_replaced_once() {
    let google = Google::new().await;
    google.wake().await;
    google.service.take_token_back();
    assert_eq!(google.wake().await, PushOutcome::Accepted);
    assert_eq!(google.service.tokens(), 3);
    // The first 401 comes from a good token and the script, the second from the script alone.
    google.service.answer_next_with(Reply::new(401, "{}"));
    assert_eq!(
        google.outcome_of(Reply::new(401, "{}")).await,
        PushOutcome::Misconfigured
    );
}

#[tokio::test]
async fn googles_refusals_have_their_meanings() {
    let google = Google::new().await;
    let later = Some(Duration::from_secs(17));
    let minute = Some(Duration::from_secs(60));
    for (reply, expected) in [
        (
            fcm_service::refusal(404, "UNREGISTERED"),
            PushOutcome::Invalid(None),
        ),
        (Reply::new(404, "{}"), PushOutcome::Misconfigured),
        (
            fcm_service::refusal(400, "INVALID_ARGUMENT"),
            PushOutcome::Refused,
        ),
        (Reply::new(400, "{}"), PushOutcome::Misconfigured),
        (
            fcm_service::refusal(403, "SENDER_ID_MISMATCH"),
            PushOutcome::Refused,
        ),
        (Reply::new(403, "{}"), PushOutcome::Misconfigured),
        (
            fcm_service::refusal(401, "THIRD_PARTY_AUTH_ERROR"),
            PushOutcome::Misconfigured,
        ),
        (
            fcm_service::refusal(429, "QUOTA_EXCEEDED"),
            PushOutcome::Unavailable(minute),
        ),
        (
            fcm_service::refusal(429, "QUOTA_EXCEEDED").with_header("retry-after", "17"),
            PushOutcome::Unavailable(later),
        ),
        (
            fcm_service::refusal(503, "UNAVAILABLE").with_header("retry-after", "17"),
            PushOutcome::Unavailable(later),
        ),
        (
            fcm_service::refusal(500, "INTERNAL"),
            PushOutcome::Unavailable(None),
        ),
    ] {
        let name = format!("{} {:.200}", reply.status, reply.body);
        assert_eq!(google.outcome_of(reply).await, expected, "{name}");
    }
    assert_eq!(google.service.tokens(), 1);
}

#[tokio::test]
async fn without_an_access_token_nothing_is_sent_and_nobody_is_to_blame() {
    let google = Google::new().await;
    for (reply, expected) in [
        (
            Reply::new(503, "").with_header("retry-after", "17"),
            PushOutcome::Unavailable(Some(Duration::from_secs(17))),
        ),
        (Reply::new(200, "no json"), PushOutcome::Unavailable(None)),
        (
            Reply::new(400, r#"{"error":"invalid_grant"}"#),
            PushOutcome::Misconfigured,
        ),
        (Reply::new(401, ""), PushOutcome::Misconfigured),
    ] {
        google.service.answer_next_token_with(reply);
        assert_eq!(google.wake().await, expected);
    }
    assert_eq!(google.service.messages(), []);
    assert_eq!(google.wake().await, PushOutcome::Accepted);
}

#[tokio::test]
async fn a_token_that_hardly_lives_is_used_for_half_its_life() {
    let google = Google::new().await;
    google.service.set_token_lifetime(100);
    google.wake().await;
    google.clock.set_offset_ms(45_000);
    google.wake().await;
    assert_eq!(google.service.tokens(), 1);
    google.clock.set_offset_ms(51_000);
    google.wake().await;
    assert_eq!(google.service.tokens(), 2);
}

#[tokio::test]
async fn a_provider_that_is_down_is_tried_again() {
    let apple = Apple::new().await;
    let google = Google::new().await;
    let Apple {
        production,
        notifier,
        ..
    } = apple;
    drop(production);
    let target = iphone(ApnsEnvironment::Production);
    let outcome = notifier.push(&target, PushPayload::Wake).await;
    assert_eq!(outcome, PushOutcome::Unavailable(None));
    let Google {
        service, notifier, ..
    } = google;
    drop(service);
    let outcome = notifier.push(&android(), PushPayload::Wake).await;
    assert_eq!(outcome, PushOutcome::Unavailable(None));
}
