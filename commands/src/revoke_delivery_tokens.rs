//! Takes no more messages with some delivery tokens.

use satpost_domain::ids::TokenHash;
use satpost_domain::mailbox::{Mailbox, MailboxCommand, MailboxError};
use satpost_domain::{MessagingKey, Position, StreamId};

use crate::error::CommandError;
use crate::handler::{CommandContext, Handler};

/// Revokes the tokens with these hashes; those that `mailbox` does not have are passed over.
///
/// # Errors
/// Refused when too many are named at once.
pub async fn revoke_delivery_tokens(
    handler: &Handler,
    context: CommandContext,
    mailbox: MessagingKey,
    hashes: Vec<TokenHash>,
) -> Result<Position, CommandError<MailboxError>> {
    let at = handler.now();
    let command = MailboxCommand::RevokeTokens { hashes, at };
    let stream = StreamId::mailbox(mailbox);
    let outcome = handler.handle::<Mailbox>(&stream, context, &command, None);
    Ok(outcome.await?.position)
}

/// Revokes every token that `mailbox` has.
///
/// # Errors
/// The aggregate's refusal.
pub async fn revoke_all_delivery_tokens(
    handler: &Handler,
    context: CommandContext,
    mailbox: MessagingKey,
) -> Result<Position, CommandError<MailboxError>> {
    let at = handler.now();
    let command = MailboxCommand::RevokeAllTokens { at };
    let stream = StreamId::mailbox(mailbox);
    let outcome = handler.handle::<Mailbox>(&stream, context, &command, None);
    Ok(outcome.await?.position)
}
