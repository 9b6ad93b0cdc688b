//! Names the place where a client's phone is woken; a code is sent through it by the outbox.

use satpost_domain::client::{Client, ClientCommand, ClientError, ClientEvent};
use satpost_domain::push::{PushRegistration, PushTarget};
use satpost_domain::{ClientId, Position, PushTargetId, StreamId, Timestamp};

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
    let command = ClientCommand::SetPushTarget {
        id: handler.ids().push_target_id(),
        registration: PushRegistration {
            target,
            code: handler.ids().verification_code(),
        },
        at: handler.now(),
    };
    let stream = StreamId::client(client);
    let outcome = handler
        .handle::<Client>(&stream, context, &command, None)
        .await?;
    match outcome.events.as_slice() {
        [
            ClientEvent::PushTargetSet {
                id,
                code_expires_at,
                ..
            },
        ] => Ok(PendingPushTarget {
            id: *id,
            code_expires_at: *code_expires_at,
            position: outcome.position,
        }),
        // Setting a target always sets it, so the command id was used for something else.
        _ => Err(CommandError::IdempotencyMismatch),
    }
}
