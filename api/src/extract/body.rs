//! Reading a body: bounded in size, in time, and in how slowly it may come.
//!
//! The web framework has no deadline for bodies: without this one, a phone that sends a byte a second
//! keeps a connection for hours.

use std::sync::Arc;
use std::time::Duration;

use actix_web::HttpRequest;
use actix_web::dev::Payload;
use actix_web::http::header;
use bytes::{Bytes, BytesMut};
use futures_util::StreamExt as _;
use satpost_api_types::batch::SendMessagesRequest;
use satpost_domain::limits::{
    BATCH_BYTES_MAX, BATCH_MESSAGES_MAX, BODY_BYTES_PER_SEC_MIN, BODY_DEADLINE, BODY_GRACE,
    IMPORT_BYTES_MAX, JSON_BODY_BYTES_MAX, MESSAGE_BYTES_MAX,
};
use serde::de::DeserializeOwned;
use tokio::sync::OwnedSemaphorePermit;
use tokio::time::{Instant, timeout_at};

use super::head;
use crate::form::{self, Form};
use crate::problem::ApiError;
use crate::state::ApiState;

/// What a route takes as its body.
pub(crate) trait Body: Sized + 'static {
    /// The largest body in bytes.
    const BYTES_MAX: usize;
    /// The content type; none where there is no body.
    const CONTENT_TYPE: Option<&'static str>;
    /// A second content type, where there is one.
    const ALSO: Option<&'static str> = None;

    /// Takes the room for a body, where there is little.
    ///
    /// # Errors
    /// When there is none left.
    fn room(_state: &ApiState) -> Result<Option<OwnedSemaphorePermit>, ApiError> {
        Ok(None)
    }

    /// Takes the bytes.
    ///
    /// # Errors
    /// When they do not have the shape.
    fn parse(bytes: Bytes) -> Result<Self, ApiError>;

    /// Takes the bytes of the second content type.
    ///
    /// # Errors
    /// When they do not have the shape.
    fn parse_also(bytes: Bytes) -> Result<Self, ApiError> {
        Self::parse(bytes)
    }
}

/// No body.
pub(crate) struct NoBody;

impl Body for NoBody {
    const BYTES_MAX: usize = 0;
    const CONTENT_TYPE: Option<&'static str> = None;

    fn parse(_bytes: Bytes) -> Result<Self, ApiError> {
        Ok(Self)
    }
}

/// A JSON body without unknown members.
pub(crate) struct Json<T>(pub(crate) T);

impl<T: DeserializeOwned + 'static> Body for Json<T> {
    const BYTES_MAX: usize = JSON_BODY_BYTES_MAX;
    const CONTENT_TYPE: Option<&'static str> = Some("application/json");

    fn parse(bytes: Bytes) -> Result<Self, ApiError> {
        serde_json::from_slice(&bytes)
            .map(Self)
            .map_err(|error| ApiError::malformed(format_args!("the body does not parse: {error}")))
    }
}

/// A JSON or CBOR body without unknown members.
pub(crate) struct Coded<T>(pub(crate) T);

impl<T: DeserializeOwned> Coded<T> {
    fn read(form: Form, bytes: &Bytes) -> Result<Self, ApiError> {
        form.read(bytes)
            .map(Self)
            .map_err(|error| ApiError::malformed(format_args!("the body does not parse: {error}")))
    }
}

impl<T: DeserializeOwned + 'static> Body for Coded<T> {
    const BYTES_MAX: usize = JSON_BODY_BYTES_MAX;
    const CONTENT_TYPE: Option<&'static str> = Some(form::JSON);
    const ALSO: Option<&'static str> = Some(form::CBOR);

    fn parse(bytes: Bytes) -> Result<Self, ApiError> {
        Self::read(Form::Json, &bytes)
    }

    fn parse_also(bytes: Bytes) -> Result<Self, ApiError> {
        Self::read(Form::Cbor, &bytes)
    }
}

/// The JSON of a batch of messages, which may be larger.
pub(crate) struct Batch(pub(crate) SendMessagesRequest);

impl Body for Batch {
    const BYTES_MAX: usize = BATCH_BYTES_MAX;
    const CONTENT_TYPE: Option<&'static str> = Json::<SendMessagesRequest>::CONTENT_TYPE;

    fn room(state: &ApiState) -> Result<Option<OwnedSemaphorePermit>, ApiError> {
        let room = Arc::clone(&state.batches).try_acquire_owned();
        room.map(Some).map_err(|_| ApiError::no_room())
    }

    fn parse(bytes: Bytes) -> Result<Self, ApiError> {
        let Json(request) = Json::<SendMessagesRequest>::parse(bytes)?;
        match request.messages.len() {
            1..=BATCH_MESSAGES_MAX => Ok(Self(request)),
            actual => Err(ApiError::count("messages", BATCH_MESSAGES_MAX, actual)),
        }
    }
}

/// A message body.
pub(crate) struct Octets(pub(crate) Bytes);

impl Body for Octets {
    const BYTES_MAX: usize = MESSAGE_BYTES_MAX;
    const CONTENT_TYPE: Option<&'static str> = Some("application/octet-stream");

    fn parse(bytes: Bytes) -> Result<Self, ApiError> {
        Ok(Self(bytes))
    }
}

/// One JSON value a line.
pub(crate) struct Lines(pub(crate) Bytes);

impl Body for Lines {
    const BYTES_MAX: usize = IMPORT_BYTES_MAX;
    const CONTENT_TYPE: Option<&'static str> = Some("application/x-ndjson");

    fn room(state: &ApiState) -> Result<Option<OwnedSemaphorePermit>, ApiError> {
        let room = Arc::clone(&state.imports).try_acquire_owned();
        room.map(Some).map_err(|_| ApiError::no_room())
    }

    fn parse(bytes: Bytes) -> Result<Self, ApiError> {
        Ok(Self(bytes))
    }
}

/// How the body of a request is read.
pub(super) type Parse<B> = fn(Bytes) -> Result<B, ApiError>;

/// Refuses another content type than the route's, and every encoding: nothing is decompressed.
pub(super) fn check_content_type<B: Body>(request: &HttpRequest) -> Result<Parse<B>, ApiError> {
    let Some(expected) = B::CONTENT_TYPE else {
        return Ok(B::parse);
    };
    let given = head::single(request, "content-type")?.unwrap_or_default();
    let essence = given.split(';').next().unwrap_or_default().trim();
    let is_encoded = request.headers().contains_key(header::CONTENT_ENCODING);
    let is = |name: &str| !is_encoded && essence.eq_ignore_ascii_case(name);
    if is(expected) {
        return Ok(B::parse);
    }
    match B::ALSO {
        Some(also) if is(also) => Ok(B::parse_also),
        Some(also) => Err(ApiError::unsupported_media_type(&format!(
            "{expected} or {also}"
        ))),
        None => Err(ApiError::unsupported_media_type(expected)),
    }
}

/// Reads the whole body.
pub(crate) async fn read_body(
    request: &HttpRequest,
    mut payload: Payload,
    max: usize,
) -> Result<Bytes, ApiError> {
    let announced = head::single(request, "content-length")?.and_then(|text| text.parse().ok());
    if announced.is_some_and(|length: u64| length > max as u64) {
        return Err(ApiError::too_large(max));
    }
    let started = Instant::now();
    let mut body = BytesMut::new();
    loop {
        let next = timeout_at(allowed_until(started, body.len()), payload.next()).await;
        match next {
            Err(_) => return Err(ApiError::body_timeout()),
            Ok(None) => return Ok(body.freeze()),
            Ok(Some(Err(_))) => {
                return Err(ApiError::malformed("the body ends before it is complete"));
            }
            Ok(Some(Ok(chunk))) if body.len() + chunk.len() > max => {
                return Err(ApiError::too_large(max));
            }
            Ok(Some(Ok(chunk))) => body.extend_from_slice(&chunk),
        }
    }
}

/// Until when the next bytes must come: every byte buys its share of a second after the grace.
fn allowed_until(started: Instant, received: usize) -> Instant {
    let earned = Duration::from_secs_f64(received as f64 / BODY_BYTES_PER_SEC_MIN as f64);
    started + BODY_DEADLINE.min(BODY_GRACE + earned)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lets_a_body_live_as_long_as_it_moves() {
        let started = Instant::now();
        let allowed = |received| allowed_until(started, received) - started;
        assert_eq!(allowed(0), BODY_GRACE);
        assert_eq!(allowed(1_024), BODY_GRACE + Duration::from_secs(2));
        assert_eq!(allowed(1_000_000), BODY_DEADLINE);
    }
}
