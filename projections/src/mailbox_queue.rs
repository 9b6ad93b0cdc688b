//! What waits in each mailbox, in the order in which it is delivered.

use satpost_domain::ids::{ChainHash, Digest};
use satpost_domain::mailbox::{GoneReason, ParkReason, SizeBucket};
use satpost_domain::{ClientId, Envelope, MessageId, MessagingKey, Timestamp};

use crate::projection::{Projection, SnapshotError};

/// A place in the line.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct QueuedMessage {
    /// Its place in the queue.
    pub seq: u64,
    /// Its id, also of its payload.
    pub id: MessageId,
    /// The size of its body.
    pub size: SizeBucket,
    /// SHA-256 of its body.
    pub digest: Digest,
    /// The chain after it.
    pub chain: ChainHash,
    /// When it was taken.
    pub accepted_at: Timestamp,
    /// When it stops waiting.
    pub expires_at: Timestamp,
    /// Why only its tombstone is left, if so.
    pub gone: Option<GoneReason>,
    /// Why its recipient set it aside, if so.
    pub parked: Option<ParkReason>,
}

/// The end of a mailbox, or of a part of it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct QueueHead {
    /// The last message.
    pub seq: u64,
    /// The chain after it.
    pub chain: ChainHash,
}

/// A part of the line.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct QueuePage {
    /// Messages and tombstones by ascending seq, parked ones left out.
    pub messages: Vec<QueuedMessage>,
    /// True when more waits behind the last one.
    pub more: bool,
    /// The end of what this page delivers. Never beyond it: whoever knows the chain at a message
    /// may acknowledge through it.
    pub head: QueueHead,
}

/// What a recipient may know about its own queue.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct QueueSummary {
    /// How many messages have a body, parked ones included.
    pub messages: usize,
    /// How many bytes they count.
    pub bytes: usize,
    /// How many of them are parked.
    pub parked: usize,
    /// When the oldest of them was taken.
    pub oldest: Option<Timestamp>,
    /// The last acknowledged message.
    pub acknowledged: u64,
}

/// The projection.
#[derive(Debug, Default)]
pub struct MailboxQueue {}

impl MailboxQueue {
    /// Up to `max_messages` and `max_bytes` (at least one message) after the message `after`, or
    /// after the last acknowledged one when that is later. Nothing when the mailbox never existed.
    #[must_use]
    pub fn page(
        &self,
        mailbox: &MessagingKey,
        after: u64,
        max_messages: usize,
        max_bytes: usize,
    ) -> Option<QueuePage> {
        let _ = (mailbox, after, max_messages, max_bytes);
        todo!()
    }

    /// Parked messages by ascending seq.
    #[must_use]
    pub fn parked(&self, mailbox: &MessagingKey) -> Option<Vec<QueuedMessage>> {
        let _ = mailbox;
        todo!()
    }

    /// Depth, bytes and age of a queue.
    #[must_use]
    pub fn summary(&self, mailbox: &MessagingKey) -> Option<QueueSummary> {
        let _ = mailbox;
        todo!()
    }

    /// Who owns the mailbox, while it takes messages.
    #[must_use]
    pub fn owner(&self, mailbox: &MessagingKey) -> Option<ClientId> {
        let _ = mailbox;
        todo!()
    }

    /// Up to `max` mailboxes that hold a message whose time has run out.
    #[must_use]
    pub fn expired(&self, now: Timestamp, max: usize) -> Vec<MessagingKey> {
        let _ = (now, max);
        todo!()
    }
}

impl Projection for MailboxQueue {
    const NAME: &'static str = "mailbox_queue";
    const VERSION: u32 = 1;

    fn apply(&mut self, _envelope: &Envelope) {
        todo!()
    }

    fn snapshot(&self) -> Vec<u8> {
        todo!()
    }

    fn restore(_bytes: &[u8]) -> Result<Self, SnapshotError> {
        todo!()
    }
}
