//! Registers a client: opens the mailbox of its messaging key, then the client itself.
//!
//! The mailbox comes first: whoever opened it owns the key, so two clients can never share one. A
//! crash between the two appends leaves an empty mailbox that the repeat of the command finds its own.

#[cfg(test)]
mod tests;

use satpost_domain::client::{Client, ClientCommand, ClientError, ClientEvent};
use satpost_domain::mailbox::{
    DeliveryToken, Mailbox, MailboxCommand, MailboxError, StrangerPolicy,
};
use satpost_domain::{ClientId, MessagingKey, Position, StreamId, Timestamp};

use crate::error::CommandError;
use crate::handler::{CommandContext, Handler, Outcome};

/// Why a registration is refused.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum RegisterClientError {
    /// By the rules of the client.
    #[error(transparent)]
    Client(#[from] ClientError),
    /// By the rules of the mailbox.
    #[error(transparent)]
    Mailbox(#[from] MailboxError),
}

/// A registered client.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct RegisteredClient {
    /// When it was registered.
    pub registered_at: Timestamp,
    /// A reader at this position sees it.
    pub position: Position,
}

/// Registers `client` with `messaging_key`; the caller has proven possession of both.
///
/// # Errors
/// Refused when either key is in use otherwise.
pub async fn register_client(
    handler: &Handler,
    context: CommandContext,
    client: ClientId,
    messaging_key: MessagingKey,
) -> Result<RegisteredClient, CommandError<RegisterClientError>> {
    let at = handler.now();
    let register = ClientCommand::Register {
        client,
        messaging_key,
        at,
    };
    let outcome =
        use_messaging_key(handler, context, messaging_key, None, (client, &register)).await?;
    let registered_at = match outcome.events.as_slice() {
        [ClientEvent::ClientRegistered { at, .. }] => *at,
        _ => registered_before(handler, client).await?,
    };
    Ok(RegisteredClient {
        registered_at,
        position: outcome.position,
    })
}

/// Opens the mailbox of `messaging_key` for `client` and then carries out `command`, which makes
/// it the client's key. The mailbox takes over what is `inherited`. A command that the client refuses
/// opens no mailbox.
pub(crate) async fn use_messaging_key(
    handler: &Handler,
    context: CommandContext,
    messaging_key: MessagingKey,
    inherited: Option<(StrangerPolicy, Vec<DeliveryToken>)>,
    (client, command): (ClientId, &ClientCommand),
) -> Result<Outcome<ClientEvent>, CommandError<RegisterClientError>> {
    let client_stream = StreamId::client(client);
    handler
        .rehearse::<Client>(&client_stream, context, command)
        .await
        .map_err(by_client)?;
    let open = MailboxCommand::Open {
        key: messaging_key,
        owner: client,
        inherited,
        at: handler.now(),
    };
    handler
        .handle::<Mailbox>(&StreamId::mailbox(messaging_key), context, &open, None)
        .await
        .map_err(|error| error.map_rejected(RegisterClientError::Mailbox))?;
    handler
        .handle::<Client>(&client_stream, context, command, None)
        .await
        .map_err(by_client)
}

async fn registered_before(
    handler: &Handler,
    client: ClientId,
) -> Result<Timestamp, CommandError<RegisterClientError>> {
    let state = handler.state::<Client>(&StreamId::client(client)).await;
    let state = state.map_err(by_client)?;
    // Nothing was to be done and nothing was refused, so the client is registered; otherwise the
    // command id was used for something else.
    state
        .registered_at()
        .ok_or(CommandError::IdempotencyMismatch)
}

fn by_client(error: CommandError<ClientError>) -> CommandError<RegisterClientError> {
    error.map_rejected(RegisterClientError::Client)
}
