//! The Web Push adapter against a push service.

use std::sync::Arc;
use std::time::Duration;

use p256::SecretKey;
use satpost_api_types::push::{PUSH_KIND_VERIFICATION, PUSH_KIND_WAKE, PUSH_PLAINTEXT_BYTES};
use satpost_commands::ports::{Notifier, PushOutcome, PushPayload};
use satpost_domain::limits::{PUSH_REPLY_BYTES_MAX, PUSH_RETRY_AFTER_MAX, PUSH_TIMEOUT};
use satpost_domain::push::{PushTarget, VerificationCode};
use satpost_infra::push::{Guard, Vapid, WebPush};
use satpost_infra::system::{SystemClock, SystemIds};
use satpost_tests::push_receiver::PushReceiver;
use satpost_tests::push_service::{Answer, HeadersSeen, PushService};

struct Setup {
    service: PushService,
    phone: PushReceiver,
    notifier: WebPush,
}

impl Setup {
    async fn new() -> Self {
        let vapid = vapid(7);
        let service = PushService::start();
        let phone = PushReceiver::subscribe(&service.url(), vapid.public_key(), 1).await;
        Self {
            service,
            phone,
            notifier: notifier(vapid, Guard::allowing(["127.0.0.1"])),
        }
    }

    async fn wake(&self) -> PushOutcome {
        self.notifier
            .push(&self.phone.target(), PushPayload::Wake)
            .await
    }

    async fn outcome_of(&self, answer: Answer) -> PushOutcome {
        self.service.answer_with(answer);
        self.wake().await
    }
}

fn vapid(seed: u8) -> Vapid {
    let key = SecretKey::from_slice(&[seed; 32]).unwrap();
    Vapid::new(&key, "mailto:operator@wallet.example").unwrap()
}

fn notifier(vapid: Vapid, guard: Guard) -> WebPush {
    WebPush::new(
        guard,
        Arc::new(vapid),
        Arc::new(SystemClock),
        SystemIds::new(),
    )
    .unwrap()
}

#[tokio::test]
async fn a_wake_arrives_and_opens_to_the_constant_payload() {
    let setup = Setup::new().await;
    assert_eq!(setup.wake().await, PushOutcome::Accepted);

    let mut expected = vec![0; PUSH_PLAINTEXT_BYTES];
    expected[0] = PUSH_KIND_WAKE;
    let received = setup.phone.receive(Duration::from_secs(5)).await;
    assert_eq!(received, [expected]);
    assert_eq!(
        setup.service.stored(),
        [HeadersSeen {
            ttl: 24 * 3600,
            urgency: Some("high".to_owned()),
            topic: Some("satpost".to_owned()),
        }]
    );
}

#[tokio::test]
async fn a_verification_arrives_with_its_code_and_has_the_size_of_a_wake() {
    let setup = Setup::new().await;
    let code = PushPayload::Verification(VerificationCode::new([0xab; 16]));
    let target = setup.phone.target();
    assert_eq!(
        setup.notifier.push(&target, code.clone()).await,
        PushOutcome::Accepted
    );
    let received = setup.phone.receive(Duration::from_secs(5)).await;
    assert_eq!(received[0][0], PUSH_KIND_VERIFICATION);
    assert_eq!(received[0][1..17], [0xab; 16]);

    setup.notifier.push(&target, code).await;
    let verification = setup.phone.receive_sealed(Duration::from_secs(5)).await;
    setup.wake().await;
    let wake = setup.phone.receive_sealed(Duration::from_secs(5)).await;
    assert_eq!(verification[0].len(), wake[0].len());
}

#[tokio::test]
async fn two_wakes_for_a_phone_that_is_away_become_one() {
    let setup = Setup::new().await;
    assert_eq!(setup.wake().await, PushOutcome::Accepted);
    assert_eq!(setup.wake().await, PushOutcome::Accepted);
    assert_eq!(setup.service.pushes(), 2);
    assert_eq!(setup.phone.receive(Duration::ZERO).await.len(), 1);
}

#[tokio::test]
async fn a_phone_that_waits_gets_the_wake_when_it_comes() {
    let setup = Setup::new().await;
    let (received, outcome) = tokio::join!(setup.phone.receive(Duration::from_secs(10)), async {
        tokio::time::sleep(Duration::from_millis(50)).await;
        setup.wake().await
    });
    assert_eq!((received.len(), outcome), (1, PushOutcome::Accepted));
}

#[tokio::test]
async fn a_phone_that_has_unsubscribed_is_gone() {
    let setup = Setup::new().await;
    setup.phone.unsubscribe().await;
    assert_eq!(setup.wake().await, PushOutcome::Invalid(None));
    assert_eq!(
        setup.outcome_of(Answer::Status(404)).await,
        PushOutcome::Invalid(None)
    );
}

#[tokio::test]
async fn a_phone_that_subscribed_with_another_servers_key_is_refused() {
    let setup = Setup::new().await;
    let stranger = notifier(vapid(8), Guard::allowing(["127.0.0.1"]));
    let outcome = stranger
        .push(&setup.phone.target(), PushPayload::Wake)
        .await;
    assert_eq!(outcome, PushOutcome::Refused);
    assert_eq!(setup.service.stored(), []);
}

#[tokio::test]
async fn a_busy_push_service_says_when_to_try_again() {
    let setup = Setup::new().await;
    for (answer, expected) in [
        (
            Answer::RetryAfter(429, "17".to_owned()),
            Some(Duration::from_secs(17)),
        ),
        (Answer::Status(429), None),
        (Answer::Status(507), None),
    ] {
        assert_eq!(
            setup.outcome_of(answer.clone()).await,
            PushOutcome::Retry(expected),
            "{answer:?}"
        );
    }
    for (answer, expected) in [
        (
            Answer::RetryAfter(503, "999999".to_owned()),
            Some(PUSH_RETRY_AFTER_MAX),
        ),
        (Answer::Status(500), None),
    ] {
        assert_eq!(
            setup.outcome_of(answer.clone()).await,
            PushOutcome::Unavailable(expected),
            "{answer:?}"
        );
    }
}

#[tokio::test]
async fn a_refusal_is_final() {
    let setup = Setup::new().await;
    for status in [400, 401, 403, 413] {
        assert_eq!(
            setup.outcome_of(Answer::Status(status)).await,
            PushOutcome::Refused,
            "{status}"
        );
    }
}

#[tokio::test]
async fn a_redirect_is_refused_and_not_followed() {
    let setup = Setup::new().await;
    let elsewhere = PushService::start();
    let answer = Answer::Redirect(format!("{}/push/1", elsewhere.url()));
    assert_eq!(setup.outcome_of(answer).await, PushOutcome::Refused);
    assert_eq!(elsewhere.pushes(), 0);
}

#[tokio::test]
async fn loopback_is_not_connected_to_unless_it_is_allowed() {
    let setup = Setup::new().await;
    let strict = notifier(vapid(7), Guard::default());
    let outcome = strict.push(&setup.phone.target(), PushPayload::Wake).await;
    assert_eq!(outcome, PushOutcome::Forbidden);
    assert_eq!(setup.service.pushes(), 0);
}

#[tokio::test]
async fn a_push_service_that_does_not_answer_is_left_in_bounded_time() {
    let setup = Setup::new().await;
    setup.service.answer_with(Answer::Stall);
    let outcome = tokio::time::timeout(PUSH_TIMEOUT + Duration::from_secs(5), setup.wake()).await;
    assert_eq!(outcome, Ok(PushOutcome::Unavailable(None)));
}

#[tokio::test]
async fn a_push_service_that_is_down_is_tried_again() {
    let setup = Setup::new().await;
    // Nothing listens on a port that was free a moment ago.
    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let endpoint = format!("http://{}/push/1", listener.local_addr().unwrap());
    drop(listener);
    let PushTarget::WebPush { p256dh, auth, .. } = setup.phone.target() else {
        panic!("the phone's target is one of Web Push");
    };
    let target = PushTarget::web_push(endpoint, p256dh, auth).unwrap();
    let outcome = setup.notifier.push(&target, PushPayload::Wake).await;
    assert_eq!(outcome, PushOutcome::Unavailable(None));
}

#[tokio::test]
async fn a_long_answer_is_cut_off() {
    let setup = Setup::new().await;
    let answer = Answer::Talk(1_000 * PUSH_REPLY_BYTES_MAX);
    assert_eq!(setup.outcome_of(answer).await, PushOutcome::Accepted);
}
