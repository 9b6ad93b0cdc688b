//! The way of a signed request: size and deadline → parse → window → signature → digest → limiter →
//! nonce → subject → shape. The peer's limiter came before all of it.

use actix_web::HttpRequest;
use actix_web::dev::Payload;
use satpost_api_types::signature::CoveredRequest;
use satpost_commands::CommandContext;
use satpost_domain::hash::sha256;
use tokio::sync::OwnedSemaphorePermit;

use crate::problem::ApiError;
use crate::signature::{SignatureError, SignedRequest};

use super::body::{Body, check_content_type, read_body};
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

/// Reads, verifies and parses a request.
pub(super) async fn authenticate<S: Subject, B: Body>(
    request: &HttpRequest,
    payload: Payload,
) -> Result<Authenticated<S, B>, ApiError> {
    let state = state(request);
    let parse = check_content_type::<B>(request)?;
    let room = B::room(state)?;
    let body = read_body(request, payload, B::BYTES_MAX).await?;
    // A request that nobody signed is told so before anything else is asked of it.
    let missing = || SignatureError::Missing;
    let signature_input = head::joined(request, "signature-input")?.ok_or_else(missing)?;
    let signature = head::joined(request, "signature")?.ok_or_else(missing)?;
    let idempotency_key = head::idempotency_key(request)?;
    let authority = head::authority(request)?;
    let signed = SignedRequest {
        covered: CoveredRequest {
            method: request.method().as_str(),
            authority: &authority,
            path: request.uri().path(),
            query: request.query_string(),
            content_digest: head::single(request, "content-digest")?,
            idempotency_key: idempotency_key.map(|(text, _)| text),
        },
        signature_input: &signature_input,
        signature: &signature,
        body: &body,
    };
    let now = state.clock.now();
    let verified = state.verifier.verify(&signed, S::LABELS, now)?;
    state.rate_limiters.check_key(&verified.keys().subject)?;
    let keys = state.verifier.record_nonces(&verified, now)?;
    let context = idempotency_key
        .map(|(_, key)| head::command_context(request, &keys.subject, key, &sha256(&body)))
        .transpose()?;
    if let Some(position) = head::min_position(request)? {
        state.wait_until_visible(position).await?;
    }
    Ok(Authenticated {
        subject: S::take(state, keys)?,
        context,
        body: parse(body)?,
        room,
    })
}
