//! What surrounds every request: its id, the peer's limiter, one line in the log, metrics, the form of
//! errors, and the headers that every answer carries.

use actix_web::body::BoxBody;
use actix_web::dev::{ServiceRequest, ServiceResponse};
use actix_web::http::header::{CACHE_CONTROL, HeaderName, HeaderValue, X_CONTENT_TYPE_OPTIONS};
use actix_web::http::{Method, StatusCode};
use actix_web::middleware::Next;
use actix_web::{HttpMessage as _, HttpRequest};
use satpost_api_types::header::REQUEST_ID;
use satpost_api_types::problem::ProblemCode;
use satpost_domain::limits::REQUEST_HEAD_BYTES_MAX;
use tokio::time::Instant;
use tracing::{Instrument as _, Level, info_span};

use crate::connections::{Busy, Ticket};
use crate::esplora::{self, EsploraError};
use crate::extract::{State, peer, state};
use crate::form::Form;
use crate::problem::{ApiError, log_level, render};
use crate::routes::operation_name;
use crate::server::Surface;
use crate::unread_body;

/// The path on which registrations have a limiter of their own.
const CLIENTS_PATH: &str = "/v1/clients";

/// The middleware of both listeners.
pub(crate) async fn observe(
    mut request: ServiceRequest,
    next: Next<BoxBody>,
) -> Result<ServiceResponse, actix_web::Error> {
    let admitted = match request.app_data::<Surface>() {
        Some(Surface::Operator) => Ok(None),
        Some(Surface::Public) | None => admit(&request),
    };
    let (admitted, busy) = match admitted {
        Ok(busy) => (Ok(()), busy),
        Err(error) => (Err(error), None),
    };
    let state = state(request.request()).clone();
    let started = Instant::now();
    let id = request_id(&request, &state);
    request.extensions_mut().insert(RequestId(id.clone()));
    let method = request.method().clone();
    let is_v1 = request.path().starts_with("/v1/");
    let is_esplora = state.esplora.is_some() && is_esplora(request.path());
    let span = info_span!("request", request.id = %id);
    let in_flight = state.metrics.in_flight();
    let body = unread_body::share(&mut request);
    let response = async {
        let response = match admitted {
            Ok(()) => next.call(request).await?,
            Err(error) => request.error_response(error),
        };
        let pattern = response.request().match_pattern();
        let operation = if is_esplora {
            esplora::operation_name(&method, pattern.as_deref())
        } else {
            operation_name(&method, pattern.as_deref())
        };
        let failure = failure(&response);
        let seconds = started.elapsed().as_secs_f64();
        let status = failure
            .as_ref()
            .map_or_else(|| response.status(), actix_web::ResponseError::status_code);
        let code = failure.as_ref().map_or("ok", |error| error.code.as_str());
        state
            .metrics
            .answered(operation, status.as_str(), code, seconds);
        log(operation, status, seconds, failure.as_ref());
        let response = match &failure {
            Some(error) if is_esplora => {
                response.into_response(EsploraError::from(error).response())
            }
            _ => response,
        };
        let failure = failure.filter(|_| !is_esplora);
        let response = finish(response, failure.as_ref(), &id, is_v1);
        let response = unread_body::hold(response, body);
        Ok::<_, actix_web::Error>(unread_body::hold(response, busy))
    }
    .instrument(span)
    .await;
    drop(in_flight);
    response
}

/// True for the paths of the Esplora API, which has its own form of errors.
fn is_esplora(path: &str) -> bool {
    path.strip_prefix(esplora::PUBLIC_PREFIX)
        .is_some_and(|rest| rest.is_empty() || rest.starts_with('/'))
}

/// Checks what can be checked before anything is read or routed. Gives what counts the request.
fn admit(request: &ServiceRequest) -> Result<Option<Busy>, ApiError> {
    let state = state(request.request());
    let ticket = request.request().conn_data::<Ticket>();
    let busy = ticket.map(Ticket::begin).transpose()?;
    let peer = peer(request.request());
    state.rate_limiters.check_peer(peer)?;
    if request.method() == Method::POST && request.path() == CLIENTS_PATH {
        state.rate_limiters.check_registration(peer)?;
    }
    let line = request.uri().path().len() + request.query_string().len();
    let headers = request.headers().iter();
    let headers: usize = headers
        .map(|(name, value)| name.as_str().len() + value.len() + ": \r\n".len())
        .sum();
    if line + headers > REQUEST_HEAD_BYTES_MAX {
        return Err(ApiError::head_too_large());
    }
    Ok(busy)
}

/// The name of a request, for answers that tell of several failures.
struct RequestId(String);

/// The name that a request was given.
pub(crate) fn request_id_of(request: &HttpRequest) -> String {
    let extensions = request.extensions();
    let id = extensions.get::<RequestId>();
    id.map_or_else(String::new, |id| id.0.clone())
}

/// Tells of a part of a request that failed while the answer is a success; its level is that of its code.
pub(crate) fn log_part(error: &ApiError) {
    macro_rules! line {
        ($level:expr) => {
            tracing::event!(
                $level,
                problem.code = error.code.as_str(),
                problem.cause = error.cause.as_deref(),
                "a part of the request refused"
            )
        };
    }
    match log_level(error.code) {
        Level::ERROR => line!(Level::ERROR),
        Level::WARN => line!(Level::WARN),
        Level::INFO => line!(Level::INFO),
        _ => line!(Level::DEBUG),
    }
}

/// The client's own name for the request when it is harmless in a log, else a fresh one.
fn request_id(request: &ServiceRequest, state: &State) -> String {
    let harmless = |text: &&str| {
        (1..=64).contains(&text.len())
            && text
                .bytes()
                .all(|byte| byte.is_ascii_alphanumeric() || byte == b'-' || byte == b'_')
    };
    let given = request.headers().get(REQUEST_ID);
    given
        .and_then(|value| value.to_str().ok())
        .filter(harmless)
        .map_or_else(
            || hex::encode(state.request_ids.request_id()),
            str::to_owned,
        )
}

/// Why an answer is no success, in our terms whoever made it.
fn failure(response: &ServiceResponse) -> Option<ApiError> {
    let error = response.response().error()?;
    Some(error.as_error::<ApiError>().cloned().unwrap_or_else(|| {
        let status = response.status();
        if status.is_client_error() {
            ApiError::new(ProblemCode::Malformed).with_cause(error)
        } else {
            ApiError::internal(error)
        }
    }))
}

/// One line for each request; the level of a failure is that of its code.
fn log(operation: &str, status: StatusCode, seconds: f64, failure: Option<&ApiError>) {
    let status = status.as_u16();
    let duration_ms = (seconds * 1_000.0).round() as u64;
    macro_rules! line {
        ($level:expr, $error:expr) => {
            tracing::event!(
                $level,
                http.operation = operation,
                http.status = status,
                http.duration_ms = duration_ms,
                problem.code = $error.code.as_str(),
                problem.cause = $error.cause.as_deref(),
                "request refused"
            )
        };
    }
    let Some(error) = failure else {
        tracing::debug!(
            http.operation = operation,
            http.status = status,
            http.duration_ms = duration_ms,
            "request answered"
        );
        return;
    };
    match log_level(error.code) {
        Level::ERROR => line!(Level::ERROR, error),
        Level::WARN => line!(Level::WARN, error),
        Level::INFO => line!(Level::INFO, error),
        _ => line!(Level::DEBUG, error),
    }
}

/// Gives an answer its last form.
fn finish(
    response: ServiceResponse,
    failure: Option<&ApiError>,
    id: &str,
    is_v1: bool,
) -> ServiceResponse {
    let (request, answer) = response.into_parts();
    let mut answer = failure.map_or(answer, |error| {
        render(error, id, Form::of_problem(request.headers()))
    });
    let headers = answer.headers_mut();
    let id = HeaderValue::from_str(id).expect("a request id is letters, digits, dashes");
    headers.insert(HeaderName::from_static(REQUEST_ID), id);
    headers.insert(X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff"));
    if is_v1 {
        headers.insert(CACHE_CONTROL, HeaderValue::from_static("no-store"));
    }
    ServiceResponse::new(request, answer)
}
