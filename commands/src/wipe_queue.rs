//! Lets go of every message in a mailbox; tombstones stay.

use satpost_domain::mailbox::MailboxError;
use satpost_domain::{MessagingKey, Position};

use crate::error::CommandError;
use crate::handler::{CommandContext, Handler};

/// Lets go of every message in a mailbox; tombstones stay.
///
/// # Errors
/// The aggregate's refusal.
pub async fn wipe_queue(
    handler: &Handler,
    context: CommandContext,
    mailbox: MessagingKey,
) -> Result<Position, CommandError<MailboxError>> {
    let _ = (handler, context, mailbox);
    todo!()
}
