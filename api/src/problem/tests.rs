//! The parts of the table that would be easy to get wrong.

use actix_web::body::to_bytes;
use actix_web::http::header;
use satpost_api_types::problem::{Problem, ProblemCode};
use satpost_commands::CommandError;
use satpost_commands::ports::LogError;
use satpost_domain::mailbox::MailboxError;

use super::{ApiError, delivery_refusal, render};
use crate::form::Form;

async fn problem(error: &ApiError) -> (Problem, String) {
    let body = to_bytes(render(error, "r-1", Form::Json).into_body())
        .await
        .unwrap();
    let text = String::from_utf8(body.to_vec()).unwrap();
    (serde_json::from_str(&text).unwrap(), text)
}

#[actix_web::test]
async fn writes_a_problem_with_its_request_id() {
    let (problem, _) = problem(&ApiError::clock_skew(1_700_000_000_123)).await;
    assert_eq!(problem.problem_type, "urn:satpost:problem:clock-skew");
    assert_eq!(problem.status, 401);
    assert_eq!(problem.request_id, "r-1");
    assert_eq!(problem.server_time, Some(1_700_000_000_123));
}

#[actix_web::test]
async fn keeps_what_the_log_says_from_the_client() {
    let error = ApiError::from(LogError::Fatal {
        reason: "secret path".into(),
    });
    assert_eq!(
        error.cause.as_deref(),
        Some("the event log has stopped: secret path")
    );
    let (problem, text) = problem(&error).await;
    assert_eq!(problem.code, "unavailable");
    assert!(!text.contains("secret"), "{text}");
}

#[actix_web::test]
async fn keeps_the_expected_chain_from_the_client() {
    let expected = satpost_domain::ids::ChainHash::new([0xcd; 32]);
    let error = ApiError::from(MailboxError::ChainMismatch {
        through: 3,
        expected,
    });
    let (problem, text) = problem(&error).await;
    assert_eq!(problem.code, "chain-mismatch");
    assert!(!text.contains(&expected.to_string()), "{text}");
}

#[test]
fn tells_a_sender_less_than_an_owner_about_a_closed_mailbox() {
    let rejected = || CommandError::Rejected(MailboxError::NotOpen);
    let refusal = delivery_refusal(rejected(), 20);
    assert_eq!(refusal.code, ProblemCode::DeliveryRefused);
    let stranger = CommandError::Rejected(MailboxError::StrangerRefused);
    assert_eq!(delivery_refusal(stranger, 20).detail, refusal.detail);
    assert_eq!(ApiError::from(rejected()).code, ProblemCode::NotRegistered);
}

#[test]
fn rounds_retry_after_up() {
    let wait = std::time::Duration::from_millis(1_001);
    let error = ApiError::rate_limited(crate::problem::LimitName::RequestsPerKey, wait);
    let response = render(&error, "r-1", Form::Json);
    assert_eq!(response.headers().get(header::RETRY_AFTER).unwrap(), "2");
}

#[test]
fn gives_every_code_its_own_text() {
    let mut codes: Vec<_> = ProblemCode::ALL.iter().map(|code| code.as_str()).collect();
    codes.sort_unstable();
    codes.dedup();
    assert_eq!(codes.len(), ProblemCode::ALL.len());
}
