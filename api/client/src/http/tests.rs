//! What the client sends, and how it takes answers, against a server that is scripted.

use satpost_api_types::problem::ProblemCode;
use satpost_domain::{CommandId, Timestamp};
use serde_json::{Value, json};

use super::*;
use crate::base_url;
use crate::keys::MessagingSecret;
use crate::seed::Seed;
use crate::testing::listener::{Response, listen};
use crate::testing::{Counting, Double, Fault, Fixed};

const NOW: u64 = 1_700_000_000_000;

fn options(now: u64) -> HttpOptions {
    HttpOptions {
        clock: Arc::new(Fixed(Timestamp::from_millis(now))),
        entropy: Arc::new(Counting::default()),
        ..HttpOptions::default()
    }
}

fn client(double: &Double, now: u64) -> HttpClient {
    HttpClient::new(base_url::parse(&double.url).unwrap(), options(now)).unwrap()
}

fn keys() -> (crate::keys::IdentitySecret, MessagingSecret) {
    let seed = Seed::from_entropy(&[1; 16]).unwrap();
    (
        crate::keys::IdentitySecret::derive(&seed),
        MessagingSecret::derive(&seed, 0),
    )
}

#[tokio::test]
async fn a_cut_connection_is_repeated_with_the_same_idempotency_key_and_another_nonce() {
    let double = Double::start(NOW).await;
    let (identity, messaging) = keys();
    double.fail("/v1/clients", Fault::CutAfter);
    double.fail("/v1/clients", Fault::CutBefore);
    let http = client(&double, NOW);
    http.register_client(&identity, &messaging).await.unwrap();

    let requests = double.requests("/v1/clients");
    assert_eq!(requests.len(), 3);
    for later in &requests[1..] {
        let (first, name) = (&requests[0], "idempotency-key");
        assert_eq!(later.header(name), first.header(name));
        assert_ne!(later.header("signature"), first.header("signature"));
    }
}

#[tokio::test]
async fn gives_up_after_a_bounded_number_of_attempts() {
    let double = Double::start(NOW).await;
    for _ in 0..10 {
        double.fail("/v1/info", Fault::Problem(ProblemCode::Unavailable, None));
    }
    let error = client(&double, NOW).get_info().await.unwrap_err();
    assert_eq!(error.code(), Some(ProblemCode::Unavailable));
    let attempts = u32::try_from(double.requests("/v1/info").len()).unwrap();
    assert_eq!(attempts, ATTEMPTS_MAX);
}

#[tokio::test]
async fn waits_as_long_as_a_rate_limit_asks() {
    let double = Double::start(NOW).await;
    double.fail(
        "/v1/info",
        Fault::Problem(ProblemCode::RateLimited, Some(1)),
    );
    let before = tokio::time::Instant::now();
    client(&double, NOW).get_info().await.unwrap();
    assert!(before.elapsed() >= Duration::from_secs(1));
}

#[tokio::test]
async fn a_wrong_clock_is_corrected_once_from_the_servers() {
    let double = Double::start(NOW).await;
    let (identity, messaging) = keys();
    // A phone that believes it is an hour later.
    let http = client(&double, NOW + 3_600_000);
    http.register_client(&identity, &messaging).await.unwrap();
    assert_eq!(double.requests("/v1/clients").len(), 2);
    // The correction holds for later calls.
    http.get_client(&identity).await.unwrap();
    assert_eq!(double.requests("/v1/clients/self").len(), 1);

    for _ in 0..2 {
        double.fail(
            "/v1/clients/self",
            Fault::Problem(ProblemCode::ClockSkew, None),
        );
    }
    let error = http.get_client(&identity).await.unwrap_err();
    assert_eq!(error.code(), Some(ProblemCode::ClockSkew));
}

#[tokio::test]
async fn queries_wait_for_the_position_of_earlier_answers() {
    let double = Double::start(NOW).await;
    let (identity, messaging) = keys();
    let http = client(&double, NOW);
    http.register_client(&identity, &messaging).await.unwrap();
    assert_eq!(http.position(), Some(Position::new(7, 0)));
    http.remember_position(Position::new(3, 0));
    http.get_client(&identity).await.unwrap();
    let query = double.requests("/v1/clients/self").remove(0);
    assert_eq!(query.header("satpost-min-position"), Some("7"));
    let command = double.requests("/v1/clients").remove(0);
    assert_eq!(command.header("satpost-min-position"), None);
}

#[tokio::test]
async fn a_server_that_is_not_there_is_unreachable() {
    let base = base_url::parse("http://127.0.0.1:1").unwrap();
    let error = HttpClient::new(base, options(NOW))
        .unwrap()
        .get_info()
        .await
        .unwrap_err();
    assert!(matches!(
        error,
        CallError::Unreachable {
            attempts: ATTEMPTS_MAX,
            ..
        }
    ));
    assert!(error.is_temporary());
}

#[test]
fn plain_http_to_another_machine_needs_permission() {
    let base = base_url::parse("http://post.example").unwrap();
    assert!(matches!(
        HttpClient::new(base.clone(), options(NOW)),
        Err(HttpSetupError::NotPrivate { .. })
    ));
    let allowed = HttpOptions {
        allow_plain_http: true,
        ..options(NOW)
    };
    assert!(HttpClient::new(base, allowed).is_ok());
}

/// Sends two messages in one request to a server that answers with `results`.
async fn send_two(results: Value) -> Result<Vec<Result<String, CallError>>, CallError> {
    let url = listen(move |request| {
        assert_eq!(request.path, "/v1/messages:batch");
        assert_eq!(request.header("signature"), None);
        let body: Value = serde_json::from_slice(&request.body).unwrap();
        assert_eq!(body["messages"][1]["body"], "AgI=");
        assert_eq!(body["messages"][1]["idempotency_key"], "02".repeat(16));
        Some(Response {
            status: 200,
            headers: Vec::new(),
            body: json!({ "results": results }).to_string().into_bytes(),
        })
    })
    .await;
    let http = HttpClient::new(base_url::parse(&url).unwrap(), options(NOW)).unwrap();
    let recipient = keys().1.public();
    let bodies = [[1_u8; 2], [2; 2]];
    let postings = bodies.each_ref().map(|body| Posting {
        recipient: &recipient,
        body,
        ttl: None,
        command: CommandId::new([body[0]; 16]),
        token: None,
        work: None,
    });
    let sent = http.send_messages(None, &postings).await?;
    let ids = sent.into_iter().map(|one| one.map(|message| message.id));
    Ok(ids.collect())
}

#[tokio::test]
async fn each_message_of_a_batch_has_an_outcome_of_its_own() {
    let message = json!({ "id": "aa", "accepted_at": 1, "expires_at": 2, "receipt": "" });
    let problem = json!({
        "type": "urn:satpost:problem:queue-full", "title": "", "status": 507,
        "code": "queue-full", "request_id": "r", "retry_after": 9,
    });
    let results = json!([{ "message": message }, { "problem": problem }]);
    let sent = send_two(results).await.unwrap();
    assert_eq!(sent[0].as_ref().unwrap(), "aa");
    let Err(CallError::Refused(refusal)) = &sent[1] else {
        panic!("{sent:?}");
    };
    assert_eq!(refusal.code, ProblemCode::QueueFull);
    assert_eq!(refusal.retry_after, Some(Duration::from_secs(9)));
    // A server that loses count is not believed.
    let short = send_two(json!([{ "message": message }])).await;
    assert!(matches!(short, Err(CallError::UnexpectedAnswer { .. })));
}
