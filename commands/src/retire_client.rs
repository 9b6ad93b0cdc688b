//! Retires a client for ever; its mailboxes and addresses follow by a process manager.

use satpost_domain::client::{Client, ClientCommand, ClientError};
use satpost_domain::{ClientId, Position, StreamId};

use crate::error::CommandError;
use crate::handler::{CommandContext, Handler};

/// Retires `client`. Nothing happens when it is retired already; what belongs to it is let go by
/// [`crate::processes::retirement`].
///
/// # Errors
/// Refused when the client is unknown.
pub async fn retire_client(
    handler: &Handler,
    context: CommandContext,
    client: ClientId,
) -> Result<Position, CommandError<ClientError>> {
    let command = ClientCommand::Retire { at: handler.now() };
    let stream = StreamId::client(client);
    let outcome = handler.handle::<Client>(&stream, context, &command, None);
    Ok(outcome.await?.position)
}
