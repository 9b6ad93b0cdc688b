//! Takes back the code that came through a push target; from then on the target is used.

#[cfg(test)]
mod tests;

use satpost_domain::client::{Client, ClientCommand, ClientError, ClientEvent, PushState};
use satpost_domain::limits::PUSH_CODE_ATTEMPTS_MAX;
use satpost_domain::push::VerificationCode;
use satpost_domain::{ClientId, Position, PushTargetId, StreamId};

use crate::error::CommandError;
use crate::handler::{CommandContext, Handler};

/// Verifies the pending push target of `client`. A wrong code is recorded before it is refused.
///
/// # Errors
/// Refused when no target waits, or the code is wrong or spent.
pub async fn verify_push_target(
    handler: &Handler,
    context: CommandContext,
    client: ClientId,
    code: VerificationCode,
) -> Result<Position, CommandError<ClientError>> {
    let at = handler.now();
    let command = ClientCommand::VerifyPushTarget { code, at };
    let stream = StreamId::client(client);
    let outcome = handler
        .handle::<Client>(&stream, context, &command, None)
        .await?;
    match outcome.events.as_slice() {
        [ClientEvent::PushCodeRefused { id, .. }] => {
            let state = handler.state::<Client>(&stream).await?;
            let attempts_left = attempts_left(&state, *id);
            Err(CommandError::Rejected(ClientError::WrongPushCode {
                attempts_left,
            }))
        }
        _ => Ok(outcome.position),
    }
}

/// How many wrong codes the registration still bears; none once it is not pending any more.
fn attempts_left(client: &Client, registration: PushTargetId) -> u8 {
    match client.push() {
        Some(PushState::Pending { id, attempts, .. }) if id == registration => {
            PUSH_CODE_ATTEMPTS_MAX.saturating_sub(attempts)
        }
        _ => 0,
    }
}
