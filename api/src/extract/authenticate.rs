//! The way of a signed request: size and deadline → parse → window → signature → digest → limiter →
//! nonce → subject → shape. The peer's limiter came before all of it.

use actix_web::HttpRequest;
use actix_web::dev::Payload;
use bytes::Bytes;
use satpost_api_types::signature::CoveredRequest;
use satpost_commands::CommandContext;
use satpost_domain::hash::sha256;
use tokio::sync::OwnedSemaphorePermit;

use crate::problem::ApiError;
use crate::signature::{Labels, ProvenKeys, SignatureError, SignedRequest};

use super::body::{Body, Parse, check_content_type, read_body};
use super::subject::Subject;
use super::{head, state};

/// A request that is what it says it is.
pub(super) struct Authenticated<S, B> {
    pub(super) subject: S,
    /// There for every method but GET.
    pub(super) context: Option<CommandContext>,
    pub(super) body: B,
    pub(super) room: Option<OwnedSemaphorePermit>,
}

/// A body that has arrived, how it is read, and the room it takes.
pub(super) struct Arrived<B> {
    pub(super) body: Bytes,
    pub(super) parse: Parse<B>,
    pub(super) room: Option<OwnedSemaphorePermit>,
}

/// The two headers of a signature.
pub(super) struct SignatureHeaders {
    input: String,
    signature: String,
}

/// Reads, verifies and parses a request.
pub(super) async fn authenticate<S: Subject, B: Body>(
    request: &HttpRequest,
    payload: Payload,
) -> Result<Authenticated<S, B>, ApiError> {
    let state = state(request);
    let Arrived { body, parse, room } = arrive::<B>(request, payload).await?;
    // A request that nobody signed is told so before anything else is asked of it.
    let headers = signature_headers(request)?.ok_or(SignatureError::Missing)?;
    let idempotency_key = head::idempotency_key(request)?;
    let keys = verify(request, &headers, S::LABELS, &body)?;
    let context = idempotency_key
        .map(|(_, key)| head::command_context(request, &keys.subject, key, &sha256(&body)));
    wait_until_visible(request).await?;
    Ok(Authenticated {
        subject: S::take(state, keys)?,
        context,
        body: parse(body)?,
        room,
    })
}

/// Reads the body, if it is of the kind and size that the route takes.
pub(super) async fn arrive<B: Body>(
    request: &HttpRequest,
    payload: Payload,
) -> Result<Arrived<B>, ApiError> {
    let parse = check_content_type::<B>(request)?;
    let room = B::room(state(request))?;
    let body = read_body(request, payload, B::BYTES_MAX).await?;
    Ok(Arrived { body, room, parse })
}

/// The headers of a signature; nothing when there is neither.
///
/// # Errors
/// `signature-missing` when there is only one of them.
pub(super) fn signature_headers(
    request: &HttpRequest,
) -> Result<Option<SignatureHeaders>, ApiError> {
    let input = head::joined(request, "signature-input")?;
    let signature = head::joined(request, "signature")?;
    match (input, signature) {
        (Some(input), Some(signature)) => Ok(Some(SignatureHeaders { input, signature })),
        (None, None) => Ok(None),
        (Some(_), None) | (None, Some(_)) => Err(SignatureError::Missing.into()),
    }
}

/// Verifies the signatures, counts the request for its key, and remembers its nonces.
pub(super) fn verify(
    request: &HttpRequest,
    headers: &SignatureHeaders,
    labels: Labels,
    body: &[u8],
) -> Result<ProvenKeys, ApiError> {
    let state = state(request);
    let authority = head::authority(request)?;
    let signed = SignedRequest {
        covered: CoveredRequest {
            method: request.method().as_str(),
            authority: &authority,
            path: request.uri().path(),
            query: request.query_string(),
            content_digest: head::single(request, "content-digest")?,
            idempotency_key: head::idempotency_key(request)?.map(|(text, _)| text),
        },
        signature_input: &headers.input,
        signature: &headers.signature,
        body,
    };
    let now = state.clock.now();
    let verified = state.verifier.verify(&signed, labels, now)?;
    state.rate_limiters.check_key(&verified.keys().subject)?;
    Ok(state.verifier.record_nonces(&verified, now)?)
}

/// Waits until the projections have reached the position that the client wants to see.
pub(super) async fn wait_until_visible(request: &HttpRequest) -> Result<(), ApiError> {
    match head::min_position(request)? {
        Some(position) => state(request).wait_until_visible(position).await,
        None => Ok(()),
    }
}
