//! Gives a client another messaging key; the old mailbox stays open until it is drained.

use satpost_domain::client::ClientCommand;
use satpost_domain::{ClientId, MessagingKey, Position};

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
    let outcome = use_messaging_key(handler, context, client, messaging_key, &rotate);
    Ok(outcome.await?.position)
}
