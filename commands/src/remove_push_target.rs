//! Forgets a client's push target.

use satpost_domain::client::{Client, ClientCommand, ClientError};
use satpost_domain::{ClientId, Position, StreamId};

use crate::error::CommandError;
use crate::handler::{CommandContext, Handler};

/// Forgets the push target of `client`. Nothing happens when it has none.
///
/// # Errors
/// Refused when the client is unknown or retired.
pub async fn remove_push_target(
    handler: &Handler,
    context: CommandContext,
    client: ClientId,
) -> Result<Position, CommandError<ClientError>> {
    let command = ClientCommand::RemovePushTarget { at: handler.now() };
    let stream = StreamId::client(client);
    let outcome = handler.handle::<Client>(&stream, context, &command, None);
    Ok(outcome.await?.position)
}
