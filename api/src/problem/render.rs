//! What goes with a code: status, headers, body, log level.

use actix_web::HttpResponse;
use actix_web::http::{StatusCode, header};
use satpost_api_types::problem::{Problem, ProblemCode};
use tracing::Level;

use super::ApiError;

/// The media type of problems (RFC 9457, section 6.1).
const PROBLEM_JSON: &str = "application/problem+json";

/// The status of a code.
pub(crate) fn status(code: ProblemCode) -> StatusCode {
    StatusCode::from_u16(code.status()).expect("every problem code has a status of three digits")
}

/// The body of an answer to a request that failed. Says nothing about the cause of a 5xx.
fn problem(error: &ApiError, request_id: &str) -> Problem {
    let code = error.code;
    Problem {
        problem_type: format!("urn:satpost:problem:{}", code.as_str()),
        title: code.title().to_owned(),
        status: code.status(),
        detail: error.detail.as_deref().map(str::to_owned),
        code: code.as_str().to_owned(),
        request_id: request_id.to_owned(),
        server_time: error.server_time,
        limit: error.limit,
        retry_after: None,
    }
}

/// The same as a part of an answer, where what else goes into headers has to stand in the body.
pub(crate) fn problem_in_batch(error: &ApiError, request_id: &str) -> Problem {
    Problem {
        retry_after: retry_after_secs(error),
        ..problem(error, request_id)
    }
}

/// Rounded up: a client that comes back at that second finds room.
fn retry_after_secs(error: &ApiError) -> Option<u64> {
    let after = error.retry_after?;
    let seconds = after.as_secs() + u64::from(after.subsec_nanos() > 0);
    Some(seconds.max(1))
}

/// The answer to a request that failed.
pub(crate) fn render(error: &ApiError, request_id: &str) -> HttpResponse {
    let body = problem(error, request_id);
    let mut response = HttpResponse::build(status(error.code));
    if let Some(seconds) = retry_after_secs(error) {
        response.insert_header((header::RETRY_AFTER, seconds));
    }
    if let Some(allow) = &error.allow {
        response.insert_header((header::ALLOW, allow.as_ref()));
    }
    if error.close {
        response.force_close();
    }
    response
        .insert_header((header::CONTENT_TYPE, PROBLEM_JSON))
        .body(serde_json::to_vec(&body).expect("a problem is text and numbers"))
}

/// How loud the server speaks of it: what an operator must repair is an error, what passes by
/// itself a warning, what only the client can change is told at debug level.
pub(crate) fn log_level(code: ProblemCode) -> Level {
    use ProblemCode as Code;
    match code {
        Code::Internal => Level::ERROR,
        Code::StorageFull | Code::Unavailable | Code::Behind | Code::NodeUnavailable => Level::WARN,
        Code::Conflict
        | Code::RateLimited
        | Code::TooManyStreams
        | Code::QueueFull
        | Code::PriceUnavailable => Level::INFO,
        Code::Malformed
        | Code::SignatureMalformed
        | Code::InvalidKey
        | Code::IdempotencyKeyMissing
        | Code::SignatureMissing
        | Code::SignatureInvalid
        | Code::SignatureReplayed
        | Code::ClockSkew
        | Code::WrongAuthority
        | Code::NotRegistered
        | Code::Retired
        | Code::DeliveryRefused
        | Code::NotFound
        | Code::NotWatched
        | Code::UnknownCurrency
        | Code::UnknownTransaction
        | Code::NotConfirmed
        | Code::BlockPruned
        | Code::NothingPending
        | Code::UnknownMessage
        | Code::MethodNotAllowed
        | Code::BodyTimeout
        | Code::AlreadyRegistered
        | Code::KeyInUse
        | Code::AckAheadOfDelivery
        | Code::ChainMismatch
        | Code::WrongPushCode
        | Code::TooLarge
        | Code::UnsupportedMediaType
        | Code::HeadTooLarge
        | Code::IdempotencyMismatch
        | Code::NotPadded
        | Code::TtlOutOfBounds
        | Code::InvalidAddress
        | Code::InvalidDepths
        | Code::InvalidBirthday
        | Code::InvalidPushTarget
        | Code::PushKindUnavailable
        | Code::LimitExceeded => Level::DEBUG,
    }
}
