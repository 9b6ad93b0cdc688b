//! Request to arguments. A handler that gets a [`Command`] or a [`Query`] has a request whose size,
//! signature, freshness and shape were checked, in that order.

mod authenticate;
mod body;
mod head;
mod parameters;
mod sender;
mod subject;

pub(crate) use body::{Batch, Coded, Json, Lines, NoBody, Octets, read_body};
pub(crate) use head::{frame_context, parse_idempotency_key, single as single_header};
pub(crate) use parameters::{NoParameters, PageSize, parse_parameters};
pub(crate) use sender::{Sender, Sending};
pub(crate) use subject::{OwnMailbox, Proven, Registered};

use std::net::IpAddr;

use actix_web::dev::Payload;
use actix_web::web::Data;
use actix_web::{FromRequest, HttpRequest};
use futures_util::future::LocalBoxFuture;
use satpost_commands::CommandContext;
use serde::de::DeserializeOwned;
use tokio::sync::OwnedSemaphorePermit;

use crate::problem::ApiError;
use crate::state::ApiState;

use authenticate::authenticate;
use body::Body;
use subject::Subject;

/// The state, as handlers get it.
pub(crate) type State = Data<ApiState>;

/// The state behind a request.
pub(crate) fn state(request: &HttpRequest) -> &State {
    request
        .app_data::<State>()
        .expect("the server puts its state into every app it builds")
}

/// The address of the peer, for the rate limiter only.
pub(crate) fn peer(request: &HttpRequest) -> IpAddr {
    // Only a Unix socket has no address; whoever may open that is one peer.
    request
        .peer_addr()
        .map_or(IpAddr::from([0, 0, 0, 0]), |address| address.ip())
}

/// A signed request that changes something: it has an idempotency key.
pub(crate) struct Command<S, B = NoBody> {
    /// Who asks.
    pub(crate) subject: S,
    /// Which command this is.
    pub(crate) context: CommandContext,
    /// What is asked.
    pub(crate) body: B,
    /// The room that a large body takes until it was carried out.
    _room: Option<OwnedSemaphorePermit>,
}

impl<S: Subject, B: Body> FromRequest for Command<S, B> {
    type Error = ApiError;
    type Future = LocalBoxFuture<'static, Result<Self, ApiError>>;

    fn from_request(request: &HttpRequest, payload: &mut Payload) -> Self::Future {
        let (request, payload) = (request.clone(), payload.take());
        Box::pin(async move {
            let authenticated = authenticate::<S, B>(&request, payload).await?;
            Ok(Self {
                context: authenticated.context.ok_or_else(|| {
                    ApiError::internal("a command is routed with a method of queries")
                })?,
                subject: authenticated.subject,
                body: authenticated.body,
                _room: authenticated.room,
            })
        })
    }
}

/// A signed request that changes nothing.
pub(crate) struct Query<S, P = NoParameters> {
    /// Who asks.
    pub(crate) subject: S,
    /// What is asked.
    pub(crate) parameters: P,
}

impl<S: Subject, P: DeserializeOwned + 'static> FromRequest for Query<S, P> {
    type Error = ApiError;
    type Future = LocalBoxFuture<'static, Result<Self, ApiError>>;

    fn from_request(request: &HttpRequest, payload: &mut Payload) -> Self::Future {
        let (request, payload) = (request.clone(), payload.take());
        Box::pin(async move {
            let authenticated = authenticate::<S, NoBody>(&request, payload).await?;
            Ok(Self {
                subject: authenticated.subject,
                parameters: parse_parameters(request.query_string())?,
            })
        })
    }
}

/// A signed query that turns its connection into something else: what follows its head is for the
/// handler.
pub(crate) struct Upgrade<S> {
    /// Who asks.
    pub(crate) subject: S,
}

impl<S: Subject> FromRequest for Upgrade<S> {
    type Error = ApiError;
    type Future = LocalBoxFuture<'static, Result<Self, ApiError>>;

    fn from_request(request: &HttpRequest, _payload: &mut Payload) -> Self::Future {
        let request = request.clone();
        Box::pin(async move {
            let authenticated = authenticate::<S, NoBody>(&request, Payload::None).await?;
            let NoParameters {} = parse_parameters(request.query_string())?;
            Ok(Self {
                subject: authenticated.subject,
            })
        })
    }
}
