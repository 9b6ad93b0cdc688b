//! Lets go of messages that their recipient has stored.

use satpost_domain::ids::ChainHash;
use satpost_domain::mailbox::MailboxError;
use satpost_domain::{MessageId, MessagingKey, Position};

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
    /// How many bodies were forgotten; 0 for a repeat.
    pub deleted: u64,
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
    let _ = (handler, context, mailbox, acknowledgement);
    todo!()
}
