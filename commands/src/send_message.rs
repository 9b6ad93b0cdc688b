//! Takes a message for a mailbox: durable before it is acknowledged, without its sender.

#[cfg(test)]
mod tests;

use std::sync::Arc;
use std::time::Duration;

use satpost_domain::hash::sha256;
use satpost_domain::ids::Digest;
use satpost_domain::mailbox::{Mailbox, MailboxCommand, MailboxError, MailboxEvent};
use satpost_domain::{MessageId, MessagingKey, Position, StreamId, Timestamp};

use crate::error::CommandError;
use crate::handler::{CommandContext, Handler};
use crate::ports::NewPayload;

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
    let id = handler.ids().message_id();
    let command = MailboxCommand::Accept {
        id,
        digest: sha256(&body),
        size: body.len(),
        ttl,
        at: handler.now(),
    };
    let payload = NewPayload {
        id: id.into(),
        bytes: body,
    };
    let stream = StreamId::mailbox(recipient);
    let outcome = handler
        .handle::<Mailbox>(&stream, context, &command, Some(payload))
        .await?;
    // A repeat gives back the first event, so the id in it, and not the one drawn above, is the
    // message's.
    match outcome.events.as_slice() {
        [
            MailboxEvent::MessageAccepted {
                id,
                digest,
                at,
                expires_at,
                ..
            },
        ] => Ok(AcceptedMessage {
            id: *id,
            digest: *digest,
            accepted_at: *at,
            expires_at: *expires_at,
            position: outcome.position,
            repeated: outcome.repeated,
        }),
        // Only a command that was no send gives anything else, and then the id was used for it.
        _ => Err(CommandError::IdempotencyMismatch),
    }
}
