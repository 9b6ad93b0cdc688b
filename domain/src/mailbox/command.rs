//! What can be asked of a mailbox.

use std::time::Duration;

use crate::ids::{ChainHash, Digest, MessageId, TokenHash};
use crate::keys::{ClientId, MessagingKey};
use crate::mailbox::{DeliveryToken, Introduction, ParkReason, StrangerPolicy};
use crate::time::Timestamp;

/// A command to one mailbox.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum MailboxCommand {
    /// Open it for the client that proved to hold its key; open it again when it passes messages on.
    Open {
        /// The key of this mailbox.
        key: MessagingKey,
        /// Who owns it.
        owner: ClientId,
        /// What it takes over from the mailbox whose place it takes: what its owner allows strangers,
        /// and the tokens of contacts. At most [`crate::limits::DELIVERY_TOKENS_MAX`].
        inherited: Option<(StrangerPolicy, Vec<DeliveryToken>)>,
        /// When.
        at: Timestamp,
    },
    /// Pass messages on to the mailbox of the key that took this one's place.
    Forward {
        /// The key that its owner uses now.
        to: MessagingKey,
        /// When.
        at: Timestamp,
    },
    /// Change what becomes of messages of strangers.
    SetStrangerPolicy {
        /// What becomes of them from now on.
        policy: StrangerPolicy,
        /// When.
        at: Timestamp,
    },
    /// Let those write who show one of these.
    AddTokens {
        /// Which; at most [`crate::limits::DELIVERY_TOKENS_PER_REQUEST_MAX`].
        tokens: Vec<DeliveryToken>,
        /// When.
        at: Timestamp,
    },
    /// Take no more messages with these.
    RevokeTokens {
        /// Which; at most [`crate::limits::DELIVERY_TOKENS_PER_REQUEST_MAX`].
        hashes: Vec<TokenHash>,
        /// When.
        at: Timestamp,
    },
    /// Take no more messages with any token.
    RevokeAllTokens {
        /// When.
        at: Timestamp,
    },
    /// Take a message.
    Accept {
        /// The id it will have.
        id: MessageId,
        /// SHA-256 of the body.
        digest: Digest,
        /// The size of the body in bytes; must be one of the buckets.
        size: usize,
        /// How long it may wait; the default when the sender did not say.
        ttl: Option<Duration>,
        /// What its sender has shown.
        introduction: Introduction,
        /// When.
        at: Timestamp,
    },
    /// A message that would have been admitted found no room.
    NoteFull {
        /// When.
        at: Timestamp,
    },
    /// The recipient has stored everything up to a message.
    Acknowledge {
        /// The last stored message.
        through: u64,
        /// The chain at that message: whoever knows it has been given all messages up to there.
        chain: ChainHash,
        /// When.
        at: Timestamp,
    },
    /// The recipient cannot use these messages now; they no longer stand in the way of the rest.
    Park {
        /// Which, and why; at most [`crate::limits::PARK_MESSAGES_MAX`].
        messages: Vec<(MessageId, ParkReason)>,
        /// When.
        at: Timestamp,
    },
    /// The recipient is done with these parked messages.
    AcknowledgeParked {
        /// Which; at most [`crate::limits::PARK_MESSAGES_MAX`].
        messages: Vec<MessageId>,
        /// When.
        at: Timestamp,
    },
    /// Let go of messages whose time has run out.
    Expire {
        /// The time now.
        at: Timestamp,
    },
    /// Let go of all messages.
    Wipe {
        /// When.
        at: Timestamp,
    },
    /// Wipe the mailbox and take no more messages: its owner is retired.
    Close {
        /// When.
        at: Timestamp,
    },
}
