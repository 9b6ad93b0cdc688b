//! What goes with a code: status, headers, body, log level.

use actix_web::HttpResponse;
use actix_web::http::{StatusCode, header};
use satpost_api_types::problem::{Problem, ProblemCode};
use tracing::Level;

use super::ApiError;
use crate::form::Form;

/// The status of a code.
pub(crate) fn status(code: ProblemCode) -> StatusCode {
    StatusCode::from_u16(code.status()).expect("every problem code has a status of three digits")
}

/// How long to wait before a repeat, in whole seconds. Rounded up: a client that comes back at that
/// second finds room.
pub(crate) fn retry_after_secs(error: &ApiError) -> Option<u64> {
    let after = error.retry_after?;
    Some((after.as_secs() + u64::from(after.subsec_nanos() > 0)).max(1))
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
        limit_name: error.limit_name.map(|name| name.as_str().to_owned()),
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

/// The answer to a request that failed.
pub(crate) fn render(error: &ApiError, request_id: &str, form: Form) -> HttpResponse {
    let body = problem(error, request_id);
    let mut response = HttpResponse::build(status(error.code));
    if let Some(seconds) = retry_after_secs(error) {
        response.insert_header((header::RETRY_AFTER, seconds));
    }
    if let Some(allow) = &error.allow {
        response.insert_header((header::ALLOW, allow.as_ref()));
    }
    if error.code == ProblemCode::UpgradeRequired {
        // RFC 9110, section 15.5.22.
        response.insert_header((header::UPGRADE, "websocket"));
        response.insert_header((header::SEC_WEBSOCKET_VERSION, "13"));
    }
    if error.close {
        response.force_close();
    }
    response
        .insert_header((header::CONTENT_TYPE, form.problem_type()))
        .body(form.write(&body))
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
        | Code::TooManyConnections
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
        | Code::UpgradeRequired
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

impl ApiError {
    /// Says in the log that `what` happened, where no request is answered with this error.
    pub(crate) fn log(&self, what: &str) {
        macro_rules! line {
            ($level:expr) => {
                tracing::event!(
                    $level,
                    problem.code = self.code.as_str(),
                    problem.cause = self.cause.as_deref(),
                    "{what}"
                )
            };
        }
        match log_level(self.code) {
            Level::ERROR => line!(Level::ERROR),
            Level::WARN => line!(Level::WARN),
            Level::INFO => line!(Level::INFO),
            _ => line!(Level::DEBUG),
        }
    }
}
