//! What waits in each mailbox, in the order in which it is delivered.

use std::collections::{BTreeSet, HashMap};

use satpost_domain::ids::{ChainHash, Digest};
use satpost_domain::mailbox::{GoneReason, MailboxEvent, ParkReason, SizeBucket, StrangerPolicy};
use satpost_domain::{ClientId, Envelope, Event, MessageId, MessagingKey, Timestamp};

use crate::projection::{Projection, SnapshotError};
use crate::stream_owner::mailbox_of;

mod queue;
mod stored;
#[cfg(test)]
mod tests;

use queue::Queue;

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
    /// True when a stranger has sent it.
    pub knock: bool,
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
    /// The end of what this page delivers; of what is acknowledged when it delivers nothing. Never
    /// beyond it: whoever knows the chain at a message may acknowledge through it.
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
    /// How many of them strangers have sent.
    pub knocks: usize,
    /// The last acknowledged message.
    pub acknowledged: u64,
    /// What becomes of messages of strangers.
    pub policy: StrangerPolicy,
    /// How many delivery tokens it has.
    pub delivery_tokens: usize,
    /// Since when messages of contacts find no room, if they find none.
    pub full_since: Option<Timestamp>,
}

/// The projection. A mailbox that is closed and holds nothing is forgotten: its owner is retired,
/// so nobody can ask for what is left of it.
#[derive(Debug, Default)]
pub struct MailboxQueue {
    queues: HashMap<MessagingKey, Queue>,
    /// When the first message of each mailbox that holds any runs out of time.
    deadlines: BTreeSet<(Timestamp, MessagingKey)>,
}

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
        let queue = self.queues.get(mailbox)?;
        Some(queue.page(after, max_messages, max_bytes))
    }

    /// Parked messages by ascending seq.
    #[must_use]
    pub fn parked(&self, mailbox: &MessagingKey) -> Option<Vec<QueuedMessage>> {
        let queue = self.queues.get(mailbox)?;
        Some(queue.parked().cloned().collect())
    }

    /// Depth, bytes and age of a queue.
    #[must_use]
    pub fn summary(&self, mailbox: &MessagingKey) -> Option<QueueSummary> {
        self.queues.get(mailbox).map(Queue::summary)
    }

    /// Who owns the mailbox, while it takes messages.
    #[must_use]
    pub fn owner(&self, mailbox: &MessagingKey) -> Option<ClientId> {
        let queue = self.queues.get(mailbox)?;
        (!queue.closed).then_some(queue.owner)
    }

    /// Up to `max` mailboxes that hold a message whose time has run out, the longest overdue first.
    #[must_use]
    pub fn expired(&self, now: Timestamp, max: usize) -> Vec<MessagingKey> {
        self.deadlines
            .iter()
            .take_while(|(deadline, _)| *deadline <= now)
            .take(max)
            .map(|(_, mailbox)| *mailbox)
            .collect()
    }

    /// How many mailboxes there are.
    #[must_use]
    pub fn len(&self) -> usize {
        self.queues.len()
    }

    /// True when there is no mailbox.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.queues.is_empty()
    }

    /// Changes a mailbox, then brings the index of deadlines in line with it.
    fn change(&mut self, mailbox: MessagingKey, change: impl FnOnce(&mut Queue)) {
        let Some(queue) = self.queues.get_mut(&mailbox) else {
            return;
        };
        let before = queue.deadline();
        change(queue);
        let after = queue.deadline();
        if queue.closed && queue.is_drained() {
            self.queues.remove(&mailbox);
        }
        if before != after {
            if let Some(deadline) = before {
                self.deadlines.remove(&(deadline, mailbox));
            }
            if let Some(deadline) = after {
                self.deadlines.insert((deadline, mailbox));
            }
        }
    }
}

impl Projection for MailboxQueue {
    const NAME: &'static str = "mailbox_queue";
    const VERSION: u32 = 1;

    fn apply(&mut self, envelope: &Envelope) {
        let Event::Mailbox(event) = &envelope.event else {
            return;
        };
        let Some(mailbox) = mailbox_of(&envelope.stream) else {
            return;
        };
        match *event {
            MailboxEvent::MailboxOpened { owner, .. } => {
                self.queues
                    .entry(mailbox)
                    .or_insert_with(|| Queue::new(owner, mailbox));
            }
            MailboxEvent::MessageAccepted {
                seq,
                id,
                size,
                digest,
                chain,
                knock,
                at,
                expires_at,
            } => {
                let message = QueuedMessage {
                    seq,
                    id,
                    size,
                    digest,
                    chain,
                    knock,
                    accepted_at: at,
                    expires_at,
                    gone: None,
                    parked: None,
                };
                self.change(mailbox, |queue| queue.accept(message));
            }
            MailboxEvent::StrangerPolicyChanged { policy, .. } => {
                self.change(mailbox, |queue| queue.policy = policy);
            }
            MailboxEvent::DeliveryTokensAdded { ref tokens, .. } => {
                self.change(mailbox, |queue| queue.delivery_tokens += tokens.len());
            }
            MailboxEvent::DeliveryTokensRevoked { ref hashes, .. } => {
                self.change(mailbox, |queue| queue.drop_tokens(hashes.len()));
            }
            MailboxEvent::DeliveryTokenSpent { .. } => {
                self.change(mailbox, |queue| queue.drop_tokens(1));
            }
            MailboxEvent::MailboxFilled { at } => {
                self.change(mailbox, |queue| queue.full_since = Some(at));
            }
            MailboxEvent::MailboxHasRoom { .. } => {
                self.change(mailbox, |queue| queue.full_since = None);
            }
            MailboxEvent::MailboxForwarded { .. } | MailboxEvent::MailboxReopened { .. } => {}
            MailboxEvent::MessageParked { seq, reason, .. } => {
                self.change(mailbox, |queue| queue.park(seq, reason));
            }
            MailboxEvent::MessagesAcknowledged { through, .. } => {
                self.change(mailbox, |queue| queue.acknowledge(through));
            }
            MailboxEvent::ParkedMessagesAcknowledged { ref seqs, .. } => {
                self.change(mailbox, |queue| queue.acknowledge_parked(seqs));
            }
            MailboxEvent::MessageGone { seq, reason, .. } => {
                self.change(mailbox, |queue| queue.lose(seq, reason));
            }
            MailboxEvent::MailboxClosed { .. } => {
                self.change(mailbox, |queue| queue.closed = true);
            }
        }
    }

    fn snapshot(&self) -> Vec<u8> {
        stored::snapshot(&self.queues)
    }

    fn restore(bytes: &[u8]) -> Result<Self, SnapshotError> {
        let queues = stored::restore(bytes)?;
        let deadlines = queues
            .iter()
            .filter_map(|(mailbox, queue)| Some((queue.deadline()?, *mailbox)))
            .collect();
        Ok(Self { queues, deadlines })
    }

    fn tree(bytes: &[u8]) -> Result<serde_json::Value, SnapshotError> {
        stored::tree(bytes)
    }
}
