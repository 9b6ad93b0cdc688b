//! Forgets a client's push target.

use satpost_domain::client::ClientError;
use satpost_domain::{ClientId, Position};

use crate::error::CommandError;
use crate::handler::{CommandContext, Handler};

/// Forgets a client's push target.
///
/// # Errors
/// The aggregate's refusal.
pub async fn remove_push_target(
    handler: &Handler,
    context: CommandContext,
    client: ClientId,
) -> Result<Position, CommandError<ClientError>> {
    let _ = (handler, context, client);
    todo!()
}
