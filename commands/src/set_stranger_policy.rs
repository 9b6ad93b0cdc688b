//! Says what becomes of messages of strangers.

use satpost_domain::mailbox::{Mailbox, MailboxCommand, MailboxError, StrangerPolicy};
use satpost_domain::{MessagingKey, Position, StreamId};

use crate::error::CommandError;
use crate::handler::{CommandContext, Handler};

/// Makes `policy` the one of `mailbox` from now on. Messages that wait are not touched.
///
/// # Errors
/// The aggregate's refusal.
pub async fn set_stranger_policy(
    handler: &Handler,
    context: CommandContext,
    mailbox: MessagingKey,
    policy: StrangerPolicy,
) -> Result<Position, CommandError<MailboxError>> {
    let at = handler.now();
    let command = MailboxCommand::SetStrangerPolicy { policy, at };
    let stream = StreamId::mailbox(mailbox);
    let outcome = handler.handle::<Mailbox>(&stream, context, &command, None);
    Ok(outcome.await?.position)
}
