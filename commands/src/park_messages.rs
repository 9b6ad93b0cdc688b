//! Sets messages aside that their recipient cannot use now, so that they do not block the rest.

use satpost_domain::mailbox::{Mailbox, MailboxCommand, MailboxError, ParkReason};
use satpost_domain::{MessageId, MessagingKey, Position, StreamId};

use crate::error::CommandError;
use crate::handler::{CommandContext, Handler};

/// Parks `messages`; those parked already stay as they are.
///
/// # Errors
/// Refused when a message is not there any more, or too many are named.
pub async fn park_messages(
    handler: &Handler,
    context: CommandContext,
    mailbox: MessagingKey,
    messages: Vec<(MessageId, ParkReason)>,
) -> Result<Position, CommandError<MailboxError>> {
    let at = handler.now();
    let command = MailboxCommand::Park { messages, at };
    let stream = StreamId::mailbox(mailbox);
    let outcome = handler.handle::<Mailbox>(&stream, context, &command, None);
    Ok(outcome.await?.position)
}
