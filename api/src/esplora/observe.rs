//! What surrounds every request of the own listener: the peer's limit, one line in the log, metrics.

use actix_web::body::BoxBody;
use actix_web::dev::{ServiceRequest, ServiceResponse};
use actix_web::http::header::{HeaderValue, X_CONTENT_TYPE_OPTIONS};
use actix_web::middleware::Next;
use satpost_domain::limits::REQUEST_HEAD_BYTES_MAX;
use tokio::time::Instant;

use super::call::state;
use super::error::EsploraError;
use super::routes::operation_name;
use crate::extract::peer;
use crate::problem::ApiError;
use crate::rate_limit::network_of;
use crate::unread_body;

/// The code of a refusal in the metrics: Esplora has texts, no codes.
pub(crate) const REFUSED: &str = "esplora";

/// The middleware.
pub(super) async fn observe(
    mut request: ServiceRequest,
    next: Next<BoxBody>,
) -> Result<ServiceResponse, actix_web::Error> {
    let started = Instant::now();
    let state = state(request.request());
    let in_flight = state.metrics.in_flight();
    let method = request.method().clone();
    let admitted = admit(&request);
    let body = unread_body::share(&mut request);
    let mut response = match admitted {
        Ok(()) => next.call(request).await?,
        Err(error) => request.into_response(EsploraError::from(&error).response()),
    };
    // What the framework refuses by itself has no text of ours.
    if response.response().error().is_some() {
        let error = EsploraError::bad(response.status().canonical_reason().unwrap_or_default());
        response = response.into_response(error.response());
    }
    let pattern = response.request().match_pattern();
    let operation = operation_name(&method, pattern.as_deref());
    let status = response.status();
    let code = if status.is_client_error() || status.is_server_error() {
        REFUSED
    } else {
        "ok"
    };
    let seconds = started.elapsed().as_secs_f64();
    state
        .metrics
        .answered(operation, status.as_str(), code, seconds);
    tracing::debug!(
        http.operation = operation,
        http.status = status.as_u16(),
        http.duration_ms = (seconds * 1_000.0).round() as u64,
        "Esplora request answered"
    );
    let headers = response.headers_mut();
    headers.insert(X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff"));
    drop(in_flight);
    Ok(unread_body::hold(response, body))
}

/// Checks what can be checked before anything is read or routed.
fn admit(request: &ServiceRequest) -> Result<(), ApiError> {
    let state = state(request.request());
    state.peers.check(&network_of(peer(request.request())))?;
    let line = request.uri().path().len() + request.query_string().len();
    let headers = request.headers().iter();
    let headers: usize = headers
        .map(|(name, value)| name.as_str().len() + value.len() + ": \r\n".len())
        .sum();
    // A transaction may stand in the query of `/broadcast`; the framework bounds the head as well.
    if line + headers > 8 * REQUEST_HEAD_BYTES_MAX {
        return Err(ApiError::head_too_large());
    }
    Ok(())
}
