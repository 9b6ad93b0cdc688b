//! Headers that must be there at most once, and the names they give to a command.

use actix_web::HttpRequest;
use actix_web::http::Method;
use actix_web::http::header::HeaderName;
use satpost_api_types::header::{IDEMPOTENCY_KEY, MIN_POSITION};
use satpost_api_types::problem::ProblemCode;
use satpost_commands::CommandContext;
use satpost_domain::hash::{sha256, tagged_16};
use satpost_domain::ids::{Digest, parse_hex};
use satpost_domain::{CommandId, Position, RequestDigest};

use crate::problem::ApiError;

/// The value of a header; a repeated one, or one that is no visible ASCII, is malformed.
pub(crate) fn single<'a>(
    request: &'a HttpRequest,
    name: &'static str,
) -> Result<Option<&'a str>, ApiError> {
    let mut values = request.headers().get_all(HeaderName::from_static(name));
    let Some(value) = values.next() else {
        return Ok(None);
    };
    if values.next().is_some() {
        return Err(ApiError::malformed(format_args!(
            "the header {name} stands there twice"
        )));
    }
    value.to_str().map(Some).map_err(|_| {
        ApiError::malformed(format_args!("the header {name} is no visible ASCII text"))
    })
}

/// A header that may come in several lines, as one list (RFC 9110, 5.3).
pub(super) fn joined(
    request: &HttpRequest,
    name: &'static str,
) -> Result<Option<String>, ApiError> {
    let mut lines = Vec::new();
    for value in request.headers().get_all(HeaderName::from_static(name)) {
        lines.push(value.to_str().map_err(|_| {
            ApiError::malformed(format_args!("the header {name} is no visible ASCII text"))
        })?);
    }
    Ok((!lines.is_empty()).then(|| lines.join(", ")))
}

/// The host the client meant, lower case. A request line with another one is malformed.
pub(super) fn authority(request: &HttpRequest) -> Result<String, ApiError> {
    let host = single(request, "host")?.map(str::to_ascii_lowercase);
    let target = request
        .uri()
        .authority()
        .map(|authority| authority.as_str().to_ascii_lowercase());
    match (host, target) {
        (Some(host), Some(target)) if host != target => Err(ApiError::malformed(
            "the request line and the Host header name different servers",
        )),
        (Some(host), _) | (None, Some(host)) => Ok(host),
        (None, None) => Err(ApiError::malformed("the Host header is missing")),
    }
}

/// The idempotency key of a command; queries have none.
///
/// # Errors
/// `idempotency-key-missing`, or `malformed` when it is neither a UUID nor 32 hexadecimal characters.
pub(super) fn idempotency_key(request: &HttpRequest) -> Result<Option<(&str, [u8; 16])>, ApiError> {
    if request.method() == Method::GET {
        return Ok(None);
    }
    let text = single(request, IDEMPOTENCY_KEY)?
        .ok_or_else(|| ApiError::new(ProblemCode::IdempotencyKeyMissing))?;
    Ok(Some((text, parse_idempotency_key(text)?)))
}

/// The bytes of an idempotency key.
///
/// # Errors
/// `malformed` when it is neither a UUID nor 32 hexadecimal characters.
pub(crate) fn parse_idempotency_key(text: &str) -> Result<[u8; 16], ApiError> {
    command_key(text).ok_or_else(|| {
        ApiError::malformed("an Idempotency-Key is a UUID with dashes or 32 hexadecimal characters")
    })
}

/// The name of a command: a UUID or 32 hexadecimal characters.
fn command_key(text: &str) -> Option<[u8; 16]> {
    match text.len() {
        32 => parse_hex(text).ok(),
        36 => uuid::Uuid::try_parse(text).ok().map(uuid::Uuid::into_bytes),
        _ => None,
    }
}

/// The position a reader wants to see.
pub(super) fn min_position(request: &HttpRequest) -> Result<Option<Position>, ApiError> {
    single(request, MIN_POSITION)?
        .map(|text| text.parse().map_err(ApiError::malformed))
        .transpose()
}

/// Which command this is. The id is bound to the subject: two clients that choose the same key
/// neither collide nor learn of each other. The digest covers everything that changes what the
/// command does. Messages have names of their own, because they come alone or in batches.
pub(super) fn command_context(
    request: &HttpRequest,
    subject: &[u8; 32],
    key: [u8; 16],
    body_digest: &Digest,
) -> CommandContext {
    let method = request.method().as_str();
    let (path, query) = (request.uri().path(), request.query_string());
    let mut parts: Vec<u8> = Vec::new();
    for part in [method, path, query] {
        parts.extend_from_slice(&(part.len() as u64).to_be_bytes());
        parts.extend_from_slice(part.as_bytes());
    }
    context(subject, key, &parts, body_digest)
}

/// Which command a frame of a socket is. `what` is its kind, `body` what it asks for.
///
/// # Errors
/// `malformed` when `id` is neither a UUID nor 32 hexadecimal characters.
pub(crate) fn frame_context(
    subject: &[u8; 32],
    id: &str,
    what: &str,
    body: &[u8],
) -> Result<CommandContext, ApiError> {
    let key = command_key(id).ok_or_else(|| {
        ApiError::malformed("an id is a UUID with dashes or 32 hexadecimal characters")
    })?;
    Ok(context(subject, key, what.as_bytes(), &sha256(body)))
}

fn context(subject: &[u8; 32], key: [u8; 16], what: &[u8], body: &Digest) -> CommandContext {
    let command_id = tagged_16("satpost/command-id/1", &[subject, &key]);
    let digest = tagged_16("satpost/request/1", &[what, body.as_bytes()]);
    CommandContext {
        command_id: CommandId::new(command_id),
        request_digest: RequestDigest::new(digest),
    }
}
