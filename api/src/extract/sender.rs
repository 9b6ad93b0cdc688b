//! Who sends a message: a registered client that signs, or somebody whose name the server is not told.

use std::net::IpAddr;

use actix_web::dev::Payload;
use actix_web::{FromRequest, HttpRequest};
use futures_util::future::LocalBoxFuture;
use satpost_api_types::signature::content_digest;
use satpost_domain::ClientId;
use tokio::sync::OwnedSemaphorePermit;

use crate::problem::ApiError;
use crate::signature::Labels;

use super::authenticate::{Arrived, arrive, signature_headers, verify, wait_until_visible};
use super::body::Body;
use super::subject::{Registered, Subject};
use super::{head, peer, state};

/// Who sends. It is known while a message is taken, and never written down.
#[derive(Clone, Copy)]
pub(crate) enum Sender {
    /// A registered client has signed.
    Registered(ClientId),
    /// Nobody has; the peer is for the rate limiter only.
    Unnamed(IpAddr),
}

/// A request that sends something, signed or not.
pub(crate) struct Sending<B> {
    /// Who sends.
    pub(crate) sender: Sender,
    /// Its `Idempotency-Key`.
    pub(crate) idempotency_key: [u8; 16],
    /// What is sent.
    pub(crate) body: B,
    /// The room that a large body takes until it was carried out.
    _room: Option<OwnedSemaphorePermit>,
}

impl<B: Body> FromRequest for Sending<B> {
    type Error = ApiError;
    type Future = LocalBoxFuture<'static, Result<Self, ApiError>>;

    fn from_request(request: &HttpRequest, payload: &mut Payload) -> Self::Future {
        let (request, payload) = (request.clone(), payload.take());
        Box::pin(async move {
            let Arrived { body, parse, room } = arrive::<B>(&request, payload).await?;
            let signature = signature_headers(&request)?;
            let (_, idempotency_key) = head::idempotency_key(&request)?
                .ok_or_else(|| ApiError::internal("a send is routed with a method of queries"))?;
            let keys = signature
                .map(|headers| verify(&request, &headers, Labels::Subject, &body))
                .transpose()?;
            wait_until_visible(&request).await?;
            let sender = match keys {
                Some(keys) => Sender::Registered(Registered::take(state(&request), keys)?.0),
                None => {
                    check_digest(&request, &body)?;
                    Sender::Unnamed(peer(&request))
                }
            };
            Ok(Self {
                sender,
                idempotency_key,
                body: parse(body)?,
                _room: room,
            })
        })
    }
}

/// A digest that nobody has signed is still a promise about the body.
fn check_digest(request: &HttpRequest, body: &[u8]) -> Result<(), ApiError> {
    match head::single(request, "content-digest")? {
        Some(digest) if digest != content_digest(body) => Err(ApiError::malformed(
            "Content-Digest is not sha-256=:…: of the body",
        )),
        Some(_) | None => Ok(()),
    }
}
