//! Lets go of messages whose time has run out.
//!
//! No event says that time has passed: whoever runs this asks the mailbox queues, from time to
//! time, which mailboxes hold such messages, and names them here.

#[cfg(test)]
mod tests;

use satpost_domain::mailbox::{Mailbox, MailboxCommand, MailboxError};
use satpost_domain::{MessagingKey, StreamId};

use crate::error::CommandError;
use crate::handler::Handler;

use super::follow_up;

/// Lets go of every message in `mailboxes` whose time has run out by now, and says how many there
/// were. Mailboxes that hold none are left as they are.
///
/// # Errors
/// The first failure; the mailboxes after it were not looked at. Asking again is safe.
pub async fn expire_mailboxes(
    handler: &Handler,
    mailboxes: Vec<MessagingKey>,
) -> Result<usize, CommandError<MailboxError>> {
    let mut gone = 0;
    for mailbox in mailboxes {
        let at = handler.now();
        let context = follow_up("expiry", &[&at.as_millis().to_be_bytes()]);
        let command = MailboxCommand::Expire { at };
        let stream = StreamId::mailbox(mailbox);
        let outcome = handler.handle::<Mailbox>(&stream, context, &command, None);
        gone += outcome.await?.events.len();
    }
    Ok(gone)
}
