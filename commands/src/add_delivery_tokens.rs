//! Lets the holders of delivery tokens write to a mailbox. Only the hashes of tokens ever come here.

use satpost_domain::mailbox::{DeliveryToken, Mailbox, MailboxCommand, MailboxError};
use satpost_domain::{MessagingKey, Position, StreamId};

use crate::error::CommandError;
use crate::handler::{CommandContext, Handler};

/// Adds `tokens` to `mailbox`; those it has already stay as they are.
///
/// # Errors
/// Refused when there are too many.
pub async fn add_delivery_tokens(
    handler: &Handler,
    context: CommandContext,
    mailbox: MessagingKey,
    tokens: Vec<DeliveryToken>,
) -> Result<Position, CommandError<MailboxError>> {
    let at = handler.now();
    let command = MailboxCommand::AddTokens { tokens, at };
    let stream = StreamId::mailbox(mailbox);
    let outcome = handler.handle::<Mailbox>(&stream, context, &command, None);
    Ok(outcome.await?.position)
}
