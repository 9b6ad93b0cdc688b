//! Lets go of messages that their recipient has stored.

#[cfg(test)]
mod tests;

use satpost_domain::ids::ChainHash;
use satpost_domain::mailbox::{Mailbox, MailboxCommand, MailboxError, MailboxEvent};
use satpost_domain::{MessageId, MessagingKey, Position, StreamId, Timestamp};

use crate::error::CommandError;
use crate::handler::{CommandContext, Handler};

/// What the recipient is done with.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Acknowledgement {
    /// Everything up to a message, proven by the chain there.
    Through {
        /// The last stored message.
        seq: u64,
        /// The chain at that message.
        chain: ChainHash,
    },
    /// These parked messages.
    Parked(Vec<MessageId>),
}

/// What an acknowledgement did.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct AcknowledgedMessages {
    /// How many bodies were forgotten; 0 when they were forgotten before by another command.
    pub deleted: u64,
    /// When they were. Nothing when this acknowledgement is behind another one, or names nothing: its
    /// chain was compared with none then, so there is nothing that the server could vouch for.
    pub at: Option<Timestamp>,
    /// A reader at this position sees it.
    pub position: Position,
}

/// Forgets the bodies that `acknowledgement` covers.
///
/// # Errors
/// Refused when it is ahead of delivery or the chain differs.
pub async fn acknowledge_messages(
    handler: &Handler,
    context: CommandContext,
    mailbox: MessagingKey,
    acknowledgement: Acknowledgement,
) -> Result<AcknowledgedMessages, CommandError<MailboxError>> {
    let at = handler.now();
    let through = match acknowledgement {
        Acknowledgement::Through { seq, .. } => Some(seq),
        Acknowledgement::Parked(_) => None,
    };
    let command = match acknowledgement {
        Acknowledgement::Through { seq, chain } => MailboxCommand::Acknowledge {
            through: seq,
            chain,
            at,
        },
        Acknowledgement::Parked(messages) => MailboxCommand::AcknowledgeParked { messages, at },
    };
    let stream = StreamId::mailbox(mailbox);
    let outcome = handler
        .handle::<Mailbox>(&stream, context, &command, None)
        .await?;
    let at = match (outcome.events.first(), through) {
        (Some(event), _) => acknowledged_at(event),
        (None, Some(through)) => {
            let state = handler.last_state::<Mailbox>(&stream).await?;
            state.acknowledged_at(through)
        }
        (None, None) => None,
    };
    Ok(AcknowledgedMessages {
        deleted: outcome.events.iter().map(deleted).sum(),
        at,
        position: outcome.position,
    })
}

/// Nothing for what is no acknowledgement: only a command that was none gives that, and then the id
/// was used for it.
fn acknowledged_at(event: &MailboxEvent) -> Option<Timestamp> {
    match event {
        MailboxEvent::MessagesAcknowledged { at, .. }
        | MailboxEvent::ParkedMessagesAcknowledged { at, .. } => Some(*at),
        _ => None,
    }
}

fn deleted(event: &MailboxEvent) -> u64 {
    match event {
        MailboxEvent::MessagesAcknowledged { count, .. } => *count,
        MailboxEvent::ParkedMessagesAcknowledged { seqs, .. } => seqs.len() as u64,
        _ => 0,
    }
}
