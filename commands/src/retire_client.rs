//! Retires a client for ever; mailboxes, addresses and push target follow by a process manager.

use satpost_domain::client::ClientError;
use satpost_domain::{ClientId, Position};

use crate::error::CommandError;
use crate::handler::{CommandContext, Handler};

/// Retires a client for ever; mailboxes, addresses and push target follow by a process manager.
///
/// # Errors
/// The aggregate's refusal.
pub async fn retire_client(
    handler: &Handler,
    context: CommandContext,
    client: ClientId,
) -> Result<Position, CommandError<ClientError>> {
    let _ = (handler, context, client);
    todo!()
}
