//! What can happen to a mailbox.

use crate::ids::{ChainHash, Digest, MessageId, TokenHash};
use crate::keys::{ClientId, MessagingKey};
use crate::limits::MESSAGE_SIZE_BUCKETS;
use crate::mailbox::{DeliveryToken, StrangerPolicy};
use crate::time::Timestamp;

/// Why the recipient set a message aside.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum ParkReason {
    /// It does not decrypt.
    Decrypt,
    /// It decrypts to something this version does not know.
    Format,
    /// Anything else.
    Other,
}

/// Why a message is gone without an acknowledgement.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum GoneReason {
    /// Its time ran out.
    Expired,
    /// The recipient wiped the mailbox, or was retired.
    Wiped,
}

/// A message size the server may know: an index into [`MESSAGE_SIZE_BUCKETS`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct SizeBucket(u8);

impl SizeBucket {
    /// The bucket of a body that has exactly its size.
    #[must_use]
    pub fn of(size: usize) -> Option<Self> {
        let index = MESSAGE_SIZE_BUCKETS
            .iter()
            .position(|&bucket| bucket == size)?;
        u8::try_from(index).ok().map(Self)
    }

    /// The bucket with this index, as it is stored.
    #[must_use]
    pub fn from_index(index: u8) -> Option<Self> {
        (usize::from(index) < MESSAGE_SIZE_BUCKETS.len()).then_some(Self(index))
    }

    /// The index into [`MESSAGE_SIZE_BUCKETS`].
    #[must_use]
    pub const fn index(self) -> u8 {
        self.0
    }

    /// The size in bytes.
    #[must_use]
    pub fn bytes(self) -> usize {
        MESSAGE_SIZE_BUCKETS[usize::from(self.0)]
    }
}

/// An event of one mailbox.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum MailboxEvent {
    /// The mailbox exists.
    MailboxOpened {
        /// Its key.
        key: MessagingKey,
        /// Who owns it.
        owner: ClientId,
        /// When.
        at: Timestamp,
    },
    /// Its key has another one in its place: messages are passed on.
    MailboxForwarded {
        /// The key that its owner uses now.
        to: MessagingKey,
        /// Until when.
        until: Timestamp,
        /// When.
        at: Timestamp,
    },
    /// Its key is in use again.
    MailboxReopened {
        /// When.
        at: Timestamp,
    },
    /// Its owner has said what becomes of messages of strangers.
    StrangerPolicyChanged {
        /// What becomes of them.
        policy: StrangerPolicy,
        /// When.
        at: Timestamp,
    },
    /// Whoever shows one of these may write.
    DeliveryTokensAdded {
        /// Which.
        tokens: Vec<DeliveryToken>,
        /// When.
        at: Timestamp,
    },
    /// Nobody may write with these any more.
    DeliveryTokensRevoked {
        /// Which.
        hashes: Vec<TokenHash>,
        /// When.
        at: Timestamp,
    },
    /// A token that was good for one message was shown for it.
    DeliveryTokenSpent {
        /// Which.
        hash: TokenHash,
        /// When.
        at: Timestamp,
    },
    /// A message was taken. Neither its body nor its sender is here, nor the token it came with.
    MessageAccepted {
        /// Its place in the queue, from 1, without gaps.
        seq: u64,
        /// Its id, also of its payload.
        id: MessageId,
        /// The size of its body.
        size: SizeBucket,
        /// SHA-256 of its body.
        digest: Digest,
        /// The chain after it.
        chain: ChainHash,
        /// True when a stranger has sent it.
        knock: bool,
        /// When.
        at: Timestamp,
        /// When it stops waiting.
        expires_at: Timestamp,
    },
    /// A message found no room, the first since there was some.
    MailboxFilled {
        /// When.
        at: Timestamp,
    },
    /// There is room again, after a message found none.
    MailboxHasRoom {
        /// When.
        at: Timestamp,
    },
    /// A message was set aside by its recipient; it waits outside the line until it expires.
    MessageParked {
        /// Which.
        seq: u64,
        /// Why.
        reason: ParkReason,
        /// When.
        at: Timestamp,
    },
    /// The recipient has stored every message up to one; parked ones stay.
    MessagesAcknowledged {
        /// The last acknowledged message.
        through: u64,
        /// How many messages ended by this acknowledgement.
        count: u64,
        /// When.
        at: Timestamp,
    },
    /// The recipient is done with parked messages.
    ParkedMessagesAcknowledged {
        /// Which, ascending.
        seqs: Vec<u64>,
        /// When.
        at: Timestamp,
    },
    /// A message ended without an acknowledgement; its tombstone keeps its place in the line.
    MessageGone {
        /// Which.
        seq: u64,
        /// Why.
        reason: GoneReason,
        /// When.
        at: Timestamp,
    },
    /// The mailbox takes no more messages.
    MailboxClosed {
        /// When.
        at: Timestamp,
    },
}
