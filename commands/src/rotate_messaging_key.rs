//! Gives a client another messaging key. The mailbox of the new one takes over who may write; the old one
//! stays open until it is drained, and passes on what comes for it (see [`crate::processes::forwarding`]).

use satpost_domain::client::{Client, ClientCommand};
use satpost_domain::mailbox::{DeliveryToken, Mailbox, StrangerPolicy};
use satpost_domain::{ClientId, MessagingKey, Position, StreamId};

use crate::error::CommandError;
use crate::handler::{CommandContext, Handler};
use crate::register_client::{RegisterClientError, use_messaging_key};

/// Rotates to `messaging_key`; the caller has proven possession of it.
///
/// # Errors
/// Refused when the client is unknown or retired, or the key is in use otherwise.
pub async fn rotate_messaging_key(
    handler: &Handler,
    context: CommandContext,
    client: ClientId,
    messaging_key: MessagingKey,
) -> Result<Position, CommandError<RegisterClientError>> {
    let at = handler.now();
    let rotate = ClientCommand::RotateMessagingKey { messaging_key, at };
    let inherited = inheritance(handler, client).await?;
    let command = (client, &rotate);
    let outcome = use_messaging_key(handler, context, messaging_key, inherited, command);
    Ok(outcome.await?.position)
}

/// Who may write to the present mailbox of `client`.
async fn inheritance(
    handler: &Handler,
    client: ClientId,
) -> Result<Option<(StrangerPolicy, Vec<DeliveryToken>)>, CommandError<RegisterClientError>> {
    let state = handler.state::<Client>(&StreamId::client(client)).await;
    let state = state.map_err(|error| error.map_rejected(RegisterClientError::Client))?;
    let Some(present) = state.messaging_key() else {
        return Ok(None);
    };
    let mailbox = handler.state::<Mailbox>(&StreamId::mailbox(present)).await;
    let mailbox = mailbox.map_err(|error| error.map_rejected(RegisterClientError::Mailbox))?;
    let tokens = mailbox.delivery_tokens().collect();
    Ok(Some((mailbox.stranger_policy(), tokens)))
}
