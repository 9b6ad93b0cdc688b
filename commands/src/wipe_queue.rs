//! Lets go of every message in a mailbox; tombstones stay.

use satpost_domain::mailbox::{Mailbox, MailboxCommand, MailboxError};
use satpost_domain::{MessagingKey, Position, StreamId};

use crate::error::CommandError;
use crate::handler::{CommandContext, Handler};

/// Lets go of every message in `mailbox`, parked ones too. Nothing happens when it holds none.
///
/// # Errors
/// The aggregate's refusal.
pub async fn wipe_queue(
    handler: &Handler,
    context: CommandContext,
    mailbox: MessagingKey,
) -> Result<Position, CommandError<MailboxError>> {
    let command = MailboxCommand::Wipe { at: handler.now() };
    let stream = StreamId::mailbox(mailbox);
    let outcome = handler.handle::<Mailbox>(&stream, context, &command, None);
    Ok(outcome.await?.position)
}
