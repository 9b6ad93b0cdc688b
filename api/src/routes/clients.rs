//! Registration, key rotation, retirement.

use actix_web::HttpResponse;
use actix_web::http::StatusCode;
use satpost_api_types::clients::{
    ClientResponse, RegisterClientRequest, RegisterClientResponse, RotateMessagingKeyRequest,
};
use satpost_api_types::problem::ProblemCode;
use satpost_api_types::push;
use satpost_commands::rotate_messaging_key as rotate;
use satpost_commands::{register_client as register, retire_client as retire};
use satpost_domain::ClientId;
use satpost_projections::client_directory::{ClientRecord, PushStatus};

use crate::extract::{Command, Json, Proven, Query, State};
use crate::problem::ApiError;
use crate::respond::{done, done_without_content, found};

/// Registers a client.
///
/// Signed by the identity key (`sig1`) and the messaging key (`sig2`); the body names both. Answers
/// once queries see the client. Repeating it with the same keys is harmless.
#[utoipa::path(
    post, path = "/v1/clients", tag = "clients", security(("signature" = [], "proof" = [])),
    request_body = RegisterClientRequest,
    responses((status = 201, description = "The client is registered", body = RegisterClientResponse))
)]
pub(crate) async fn register_client(
    state: State,
    command: Command<Proven, Json<RegisterClientRequest>>,
) -> Result<HttpResponse, ApiError> {
    let Json(body) = command.body;
    let (client, messaging_key) = command
        .subject
        .named_as(&body.client_id, &body.messaging_key)?;
    let registered =
        register::register_client(&state.handler, command.context, client, messaging_key).await?;
    state.wait_until_visible(registered.position).await?;
    Ok(
        done(StatusCode::CREATED, registered.position).json(RegisterClientResponse {
            client_id: client.to_string(),
            messaging_key: messaging_key.to_string(),
            registered_at: registered.registered_at.as_millis(),
        }),
    )
}

/// Tells a client what the server knows of it.
///
/// Signed by the identity key.
#[utoipa::path(
    get, path = "/v1/clients/self", tag = "clients", security(("signature" = [])),
    responses((status = 200, description = "The client", body = ClientResponse))
)]
pub(crate) async fn get_client(
    state: State,
    query: Query<ClientId>,
) -> Result<HttpResponse, ApiError> {
    let directory = state.read_model.client_directory();
    let record = directory
        .client(&query.subject)
        .ok_or_else(|| ApiError::new(ProblemCode::NotRegistered))?;
    Ok(found(client_response(query.subject, record)))
}

fn client_response(client: ClientId, record: &ClientRecord) -> ClientResponse {
    let push = match record.push.as_ref().map(|push| push.status) {
        None => push::PushStatus::None,
        Some(PushStatus::Pending) => push::PushStatus::Pending,
        Some(PushStatus::Active) => push::PushStatus::Active,
    };
    ClientResponse {
        client_id: client.to_string(),
        messaging_key: record.messaging_key.to_string(),
        registered_at: record.registered_at.as_millis(),
        push,
    }
}

/// Gives the client another messaging key.
///
/// Signed by the identity key (`sig1`) and the new messaging key (`sig2`); the body names both. The
/// old mailbox can still be drained with the old key.
#[utoipa::path(
    put, path = "/v1/clients/self/messaging-key", tag = "clients",
    security(("signature" = [], "proof" = [])),
    request_body = RotateMessagingKeyRequest,
    responses((status = 204, description = "The new key is in use"))
)]
pub(crate) async fn rotate_messaging_key(
    state: State,
    command: Command<Proven, Json<RotateMessagingKeyRequest>>,
) -> Result<HttpResponse, ApiError> {
    let Json(body) = command.body;
    let (client, messaging_key) = command
        .subject
        .named_as(&body.client_id, &body.messaging_key)?;
    let position =
        rotate::rotate_messaging_key(&state.handler, command.context, client, messaging_key)
            .await?;
    state.wait_until_visible(position).await?;
    Ok(done_without_content(position))
}

/// Retires the client for ever.
///
/// Signed by the identity key. Its mailboxes, addresses and push target follow.
#[utoipa::path(
    delete, path = "/v1/clients/self", tag = "clients", security(("signature" = [])),
    responses((status = 204, description = "The client is retired"))
)]
pub(crate) async fn retire_client(
    state: State,
    command: Command<ClientId>,
) -> Result<HttpResponse, ApiError> {
    let position = retire::retire_client(&state.handler, command.context, command.subject).await?;
    state.wait_until_visible(position).await?;
    Ok(done_without_content(position))
}
