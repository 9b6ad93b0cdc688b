//! Takes back the code that came through a push target; from then on the target is used.

use satpost_domain::client::ClientError;
use satpost_domain::push::VerificationCode;
use satpost_domain::{ClientId, Position};

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
    let _ = (handler, context, client, code);
    todo!()
}
