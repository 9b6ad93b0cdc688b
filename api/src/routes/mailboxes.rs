//! Who may write to a mailbox. Every route here is signed by the messaging key, which names the mailbox.

use actix_web::HttpResponse;
use satpost_api_types::mailboxes::{
    AddDeliveryTokensRequest, DeliveryTokenUse, NewDeliveryToken, RevokeDeliveryTokensRequest,
    SetStrangerPolicyRequest, StrangerPolicy,
};
use satpost_commands::{
    add_delivery_tokens as add, revoke_delivery_tokens as revoke, set_stranger_policy as set,
};
use satpost_domain::ids::{TokenHash, parse_hex};
use satpost_domain::mailbox::{self, DeliveryToken, TokenUse};

use crate::extract::{Command, Json, OwnMailbox, State};
use crate::problem::ApiError;
use crate::respond::done_without_content;

/// Says what becomes of messages of strangers.
///
/// Signed by the messaging key. Messages that wait already are not touched.
#[utoipa::path(
    put, path = "/v1/policy", tag = "messages", security(("signature" = [])),
    request_body = SetStrangerPolicyRequest,
    responses((status = 204, description = "It holds from now on"))
)]
pub(crate) async fn set_stranger_policy(
    state: State,
    command: Command<OwnMailbox, Json<SetStrangerPolicyRequest>>,
) -> Result<HttpResponse, ApiError> {
    let policy = match command.body.0.strangers {
        StrangerPolicy::Refuse => mailbox::StrangerPolicy::Refuse,
        StrangerPolicy::Knock => mailbox::StrangerPolicy::Knock,
        StrangerPolicy::Open => mailbox::StrangerPolicy::Open,
    };
    let mailbox = command.subject.0;
    let position = set::set_stranger_policy(&state.handler, command.context, mailbox, policy);
    Ok(done_without_content(position.await?))
}

/// A policy as the API tells it.
pub(crate) const fn told_policy(policy: mailbox::StrangerPolicy) -> StrangerPolicy {
    match policy {
        mailbox::StrangerPolicy::Refuse => StrangerPolicy::Refuse,
        mailbox::StrangerPolicy::Knock => StrangerPolicy::Knock,
        mailbox::StrangerPolicy::Open => StrangerPolicy::Open,
    }
}

/// Lets the holders of delivery tokens write.
///
/// Signed by the messaging key. The server is told hashes only: `tagged("satpost/delivery-token/1",
/// token)` of 32 random bytes. How a token can be used does not change once it is there.
#[utoipa::path(
    post, path = "/v1/delivery-tokens", tag = "messages", security(("signature" = [])),
    request_body = AddDeliveryTokensRequest,
    responses((status = 204, description = "Their holders can write"))
)]
pub(crate) async fn add_delivery_tokens(
    state: State,
    command: Command<OwnMailbox, Json<AddDeliveryTokensRequest>>,
) -> Result<HttpResponse, ApiError> {
    let tokens = command.body.0.tokens.iter().map(delivery_token);
    let tokens = tokens.collect::<Result<_, _>>()?;
    let mailbox = command.subject.0;
    let position = add::add_delivery_tokens(&state.handler, command.context, mailbox, tokens);
    Ok(done_without_content(position.await?))
}

fn delivery_token(token: &NewDeliveryToken) -> Result<DeliveryToken, ApiError> {
    Ok(DeliveryToken {
        hash: token_hash(&token.hash)?,
        uses: match token.uses {
            DeliveryTokenUse::Lasting => TokenUse::Lasting,
            DeliveryTokenUse::Once => TokenUse::Once,
        },
    })
}

fn token_hash(text: &str) -> Result<TokenHash, ApiError> {
    let hash = parse_hex(text);
    let hash = hash.map_err(|error| {
        ApiError::malformed(format_args!("the hash of a delivery token has {error}"))
    })?;
    Ok(TokenHash::new(hash))
}

/// Takes no more messages with some delivery tokens, or with any.
///
/// Signed by the messaging key. Messages that came with them stay.
#[utoipa::path(
    delete, path = "/v1/delivery-tokens", tag = "messages", security(("signature" = [])),
    request_body = RevokeDeliveryTokensRequest,
    responses((status = 204, description = "They are good for nothing any more"))
)]
pub(crate) async fn revoke_delivery_tokens(
    state: State,
    command: Command<OwnMailbox, Json<RevokeDeliveryTokensRequest>>,
) -> Result<HttpResponse, ApiError> {
    let (handler, context) = (&state.handler, command.context);
    let mailbox = command.subject.0;
    let position = match command.body.0 {
        RevokeDeliveryTokensRequest::Some(tokens) => {
            let hashes = tokens.hashes.iter().map(|hash| token_hash(hash));
            let hashes = hashes.collect::<Result<_, _>>()?;
            revoke::revoke_delivery_tokens(handler, context, mailbox, hashes).await?
        }
        RevokeDeliveryTokensRequest::All(tokens) if tokens.all => {
            revoke::revoke_all_delivery_tokens(handler, context, mailbox).await?
        }
        RevokeDeliveryTokensRequest::All(_) => {
            return Err(ApiError::malformed(
                "name hashes, or say \"all\": true; nothing was revoked",
            ));
        }
    };
    Ok(done_without_content(position))
}
