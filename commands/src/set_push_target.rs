//! Names the place where a client's phone is woken; a code is sent through it by the outbox.

use satpost_domain::client::ClientError;
use satpost_domain::push::PushTarget;
use satpost_domain::{ClientId, Position, PushTargetId, Timestamp};

use crate::error::CommandError;
use crate::handler::{CommandContext, Handler};

/// A push target that waits for its code.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct PendingPushTarget {
    /// The registration.
    pub id: PushTargetId,
    /// When the code stops being good.
    pub code_expires_at: Timestamp,
    /// A reader at this position sees it.
    pub position: Position,
}

/// Sets the push target of `client`, replacing an earlier one.
///
/// # Errors
/// Refused when the client is unknown or retired.
pub async fn set_push_target(
    handler: &Handler,
    context: CommandContext,
    client: ClientId,
    target: PushTarget,
) -> Result<PendingPushTarget, CommandError<ClientError>> {
    let _ = (handler, context, client, target);
    todo!()
}
