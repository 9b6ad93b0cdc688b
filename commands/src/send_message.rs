//! Takes a message for a mailbox: durable before it is acknowledged, without its sender.

use std::sync::Arc;
use std::time::Duration;

use satpost_domain::ids::Digest;
use satpost_domain::mailbox::MailboxError;
use satpost_domain::{MessageId, MessagingKey, Position, Timestamp};

use crate::error::CommandError;
use crate::handler::{CommandContext, Handler};

/// A message that is durable.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct AcceptedMessage {
    /// Its id.
    pub id: MessageId,
    /// SHA-256 of its body.
    pub digest: Digest,
    /// When it was taken.
    pub accepted_at: Timestamp,
    /// When it stops waiting.
    pub expires_at: Timestamp,
    /// A reader at this position sees it.
    pub position: Position,
    /// True when it was taken before and this is the first answer again.
    pub repeated: bool,
}

/// Puts `body` into the mailbox of `recipient`.
///
/// # Errors
/// Refused when the mailbox is not open or full, or the body or its time to live is out of bounds.
pub async fn send_message(
    handler: &Handler,
    context: CommandContext,
    recipient: MessagingKey,
    body: Arc<[u8]>,
    ttl: Option<Duration>,
) -> Result<AcceptedMessage, CommandError<MailboxError>> {
    let _ = (handler, context, recipient, body, ttl);
    todo!()
}
