//! Takes a message for a mailbox: durable before it is acknowledged, without its sender.

#[cfg(test)]
mod tests;

use std::sync::Arc;
use std::time::Duration;

use satpost_domain::hash::sha256;
use satpost_domain::ids::Digest;
use satpost_domain::limits::MAILBOX_HOPS_MAX;
use satpost_domain::mailbox::{Introduction, Mailbox, MailboxCommand, MailboxError, MailboxEvent};
use satpost_domain::{CommandId, MessageId, MessagingKey, Position, StreamId, Timestamp};

use crate::error::CommandError;
use crate::handler::{CommandContext, Handler};
use crate::ports::NewPayload;

/// A message on its way in.
#[derive(Debug, Clone)]
pub struct Posting {
    /// Whose mailbox it is for, as its sender knows it.
    pub recipient: MessagingKey,
    /// The sealed body.
    pub body: Arc<[u8]>,
    /// How long it may wait; the default when the sender did not say.
    pub ttl: Option<Duration>,
    /// What its sender has shown.
    pub introduction: Introduction,
}

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
    /// True when it waits as the message of a stranger.
    pub knock: bool,
    /// True when it took a token with it that was good for one message.
    pub spent_token: bool,
    /// A reader at this position sees it.
    pub position: Position,
    /// True when it was taken before and this is the first answer again.
    pub repeated: bool,
}

/// Puts a message into the mailbox of its recipient, or into the one that took its place.
///
/// # Errors
/// Refused when the mailbox is not open or full, its sender is not admitted, or the body or its time
/// to live is out of bounds. A mailbox that refuses for lack of room notes that.
pub async fn send_message(
    handler: &Handler,
    context: CommandContext,
    posting: &Posting,
) -> Result<AcceptedMessage, CommandError<MailboxError>> {
    let digest = sha256(&posting.body);
    let mut mailbox = posting.recipient;
    for _ in 0..MAILBOX_HOPS_MAX {
        match accept(handler, context, mailbox, posting, digest).await {
            Err(CommandError::Rejected(MailboxError::Forwarded { to })) => mailbox = to,
            Err(CommandError::Rejected(MailboxError::Full)) => {
                note_full(handler, context, mailbox).await?;
                return Err(CommandError::Rejected(MailboxError::Full));
            }
            answer => return answer,
        }
    }
    Err(CommandError::Rejected(MailboxError::NotOpen))
}

async fn accept(
    handler: &Handler,
    context: CommandContext,
    mailbox: MessagingKey,
    posting: &Posting,
    digest: Digest,
) -> Result<AcceptedMessage, CommandError<MailboxError>> {
    let id = handler.ids().message_id();
    let command = MailboxCommand::Accept {
        id,
        digest,
        size: posting.body.len(),
        ttl: posting.ttl,
        introduction: posting.introduction,
        at: handler.now(),
    };
    let payload = NewPayload {
        id: id.into(),
        bytes: Arc::clone(&posting.body),
    };
    let stream = StreamId::mailbox(mailbox);
    let outcome = handler
        .handle::<Mailbox>(&stream, context, &command, Some(payload))
        .await?;
    // A repeat gives back the first events, so the id in them, and not the one drawn above, is the
    // message's.
    match outcome.events.first() {
        Some(MailboxEvent::MessageAccepted {
            id,
            digest,
            knock,
            at,
            expires_at,
            ..
        }) => Ok(AcceptedMessage {
            id: *id,
            digest: *digest,
            accepted_at: *at,
            expires_at: *expires_at,
            knock: *knock,
            spent_token: outcome.events.iter().any(is_spending),
            position: outcome.position,
            repeated: outcome.repeated,
        }),
        // Only a command that was no send gives anything else, and then the id was used for it.
        _ => Err(CommandError::IdempotencyMismatch),
    }
}

const fn is_spending(event: &MailboxEvent) -> bool {
    matches!(event, MailboxEvent::DeliveryTokenSpent { .. })
}

/// Lets the owner know that somebody was turned away: it cannot be told in the full mailbox.
async fn note_full(
    handler: &Handler,
    context: CommandContext,
    mailbox: MessagingKey,
) -> Result<(), CommandError<MailboxError>> {
    // Never the same one: the same message may be refused again when the mailbox is full once more.
    let context = CommandContext {
        command_id: CommandId::new(*handler.ids().message_id().as_bytes()),
        ..context
    };
    let command = MailboxCommand::NoteFull { at: handler.now() };
    let stream = StreamId::mailbox(mailbox);
    handler
        .handle::<Mailbox>(&stream, context, &command, None)
        .await?;
    Ok(())
}
