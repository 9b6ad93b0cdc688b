//! Why a command to a mailbox is refused.

use crate::ids::ChainHash;
use crate::keys::MessagingKey;
use crate::limits::{
    DELIVERY_TOKENS_MAX, DELIVERY_TOKENS_PER_REQUEST_MAX, MAILBOX_BYTES_MAX, MAILBOX_LINE_MAX,
    MAILBOX_MESSAGES_MAX, MESSAGE_TTL_MAX, MESSAGE_TTL_MIN, PARK_MESSAGES_MAX,
};

/// A refusal; nothing was changed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum MailboxError {
    /// The key belongs to another client.
    #[error("the messaging key belongs to another client")]
    OwnedByAnother,
    /// No client opened this mailbox, or it is closed.
    #[error("the mailbox takes no messages")]
    NotOpen,
    /// It passes messages on: the message is to be put there.
    #[error("the mailbox passes messages on")]
    Forwarded {
        /// To the mailbox of this key.
        to: MessagingKey,
    },
    /// The sender shows nothing that lets it in, or strangers find no room. A sender is told no more
    /// than that the mailbox takes no such message.
    #[error("the mailbox takes no such message from a stranger")]
    StrangerRefused,
    /// A request names more delivery tokens than it may, or none.
    #[error("a request names 1 to {DELIVERY_TOKENS_PER_REQUEST_MAX} delivery tokens, got {actual}")]
    TokenCount {
        /// How many were named.
        actual: usize,
    },
    /// The mailbox would have more delivery tokens than it may.
    #[error("a mailbox has at most {DELIVERY_TOKENS_MAX} delivery tokens; revoke some first")]
    TooManyTokens,
    /// The body has no size of the list.
    #[error("a message body has exactly 512, 2048, 8192 or 16384 bytes, got {actual}; pad it")]
    NotPadded {
        /// The size given.
        actual: usize,
    },
    /// The time to live is out of bounds.
    #[error(
        "a message waits {min} to {max} seconds, got {actual}",
        min = MESSAGE_TTL_MIN.as_secs(),
        max = MESSAGE_TTL_MAX.as_secs()
    )]
    TtlOutOfBounds {
        /// The time to live asked for, in seconds.
        actual: u64,
    },
    /// Too many messages or bytes wait already, or too many tombstones stand in line.
    #[error(
        "the mailbox is full ({MAILBOX_MESSAGES_MAX} messages, {MAILBOX_BYTES_MAX} bytes, or {MAILBOX_LINE_MAX} places in line); try again when its owner has fetched"
    )]
    Full,
    /// The acknowledgement names a message that was never accepted.
    #[error("acknowledged through {through}, but the last message is {last}")]
    AckAheadOfDelivery {
        /// What was acknowledged.
        through: u64,
        /// The last accepted message.
        last: u64,
    },
    /// The chain given is not the one at that message.
    #[error(
        "the chain at message {through} is not the one given; client and server disagree about the queue"
    )]
    ChainMismatch {
        /// Where.
        through: u64,
        /// What the server has there; kept out of the answer, it would be a proof of delivery.
        expected: ChainHash,
    },
    /// A message to be parked does not wait in the line, or one to be closed is not parked.
    #[error("a named message is not there any more")]
    UnknownMessage,
    /// Too many messages in one command.
    #[error("at most {PARK_MESSAGES_MAX} messages can be named at once, got {actual}")]
    TooMany {
        /// How many were named.
        actual: usize,
    },
}
