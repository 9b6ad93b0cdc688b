//! What waits in each mailbox, in the order in which it is delivered.
//!
//! It is an index: a queue knows where in its stream its messages were accepted, when they run out and
//! what has become of them. Ids, digests and chains stay in the log until somebody fetches, so very
//! many queues and messages fit into memory.

use std::collections::BTreeSet;

use satpost_domain::mailbox::{MailboxEvent, StrangerPolicy};
use satpost_domain::{Envelope, Event, MessagingKey, Timestamp};

use crate::projection::{Projection, SnapshotError};
use crate::stream_owner::mailbox_of;

mod places;
mod queue;
mod stored;
mod table;
#[cfg(test)]
mod tests;

pub use places::{Place, Places, QueueHead, QueuePage, QueuedMessage};

use queue::{Queue, Waiting};
use table::QueueTable;

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
    queues: QueueTable,
    /// When the first message of each mailbox that holds any runs out of time.
    deadlines: BTreeSet<(Timestamp, MessagingKey)>,
}

impl MailboxQueue {
    /// Up to `max_messages` and `max_bytes` (at least one message) after the message `after`, or
    /// after the last acknowledged one when that is later; parked ones are left out. Nothing when
    /// the mailbox never existed.
    #[must_use]
    pub fn page(
        &self,
        mailbox: &MessagingKey,
        after: u64,
        max_messages: usize,
        max_bytes: usize,
    ) -> Option<Places> {
        let queue = self.queues.get(mailbox)?;
        Some(queue.page(after, max_messages, max_bytes))
    }

    /// The same of parked messages.
    #[must_use]
    pub fn parked(
        &self,
        mailbox: &MessagingKey,
        after: u64,
        max_messages: usize,
        max_bytes: usize,
    ) -> Option<Places> {
        let queue = self.queues.get(mailbox)?;
        Some(queue.parked(after, max_messages, max_bytes))
    }

    /// True when the mailbox exists, closed or not.
    #[must_use]
    pub fn contains(&self, mailbox: &MessagingKey) -> bool {
        self.queues.get(mailbox).is_some()
    }

    /// The last acknowledged message, 0 before the first. Nothing when there is no such mailbox.
    #[must_use]
    pub fn acknowledged(&self, mailbox: &MessagingKey) -> Option<u64> {
        let queue = self.queues.get(mailbox)?;
        Some(queue.acknowledged().0)
    }

    /// Since when messages of contacts find no room, if they find none; told with every fetch, so it
    /// does not look through the line as [`Self::summary`] does.
    #[must_use]
    pub fn full_since(&self, mailbox: &MessagingKey) -> Option<Timestamp> {
        self.queues.get(mailbox)?.full_since()
    }

    /// Depth, bytes and age of a queue.
    #[must_use]
    pub fn summary(&self, mailbox: &MessagingKey) -> Option<QueueSummary> {
        self.queues.get(mailbox).map(Queue::summary)
    }

    /// True while the mailbox takes messages.
    #[must_use]
    pub fn is_open(&self, mailbox: &MessagingKey) -> bool {
        self.queues
            .get(mailbox)
            .is_some_and(|queue| !queue.is_closed())
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
        self.queues.len() == 0
    }

    /// Changes a mailbox, then brings the index of deadlines in line with it.
    fn change(&mut self, mailbox: MessagingKey, change: impl FnOnce(&mut Queue)) {
        let Some(slot) = self.queues.find(&mailbox) else {
            return;
        };
        let queue = self.queues.at_mut(slot);
        let before = queue.deadline();
        change(queue);
        let after = queue.deadline();
        if queue.is_closed() && queue.is_drained() {
            self.queues.remove(slot);
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
    const VERSION: u32 = 2;

    fn apply(&mut self, envelope: &Envelope) {
        let Event::Mailbox(event) = &envelope.event else {
            return;
        };
        let Some(mailbox) = mailbox_of(&envelope.stream) else {
            return;
        };
        match *event {
            MailboxEvent::MailboxOpened { .. } => self.queues.insert(Queue::new(mailbox)),
            MailboxEvent::MessageAccepted {
                seq,
                size,
                knock,
                at,
                expires_at,
                ..
            } => {
                let waiting = Waiting::new(envelope.revision, (size, knock), at, expires_at);
                self.change(mailbox, |queue| queue.accept(seq, waiting));
            }
            MailboxEvent::StrangerPolicyChanged { policy, .. } => {
                self.change(mailbox, |queue| queue.policy = policy);
            }
            MailboxEvent::DeliveryTokensAdded { ref tokens, .. } => {
                self.change(mailbox, |queue| queue.add_tokens(tokens.len()));
            }
            MailboxEvent::DeliveryTokensRevoked { ref hashes, .. } => {
                self.change(mailbox, |queue| queue.drop_tokens(hashes.len()));
            }
            MailboxEvent::DeliveryTokenSpent { .. } => {
                self.change(mailbox, |queue| queue.drop_tokens(1));
            }
            MailboxEvent::MailboxFilled { at } => {
                self.change(mailbox, |queue| queue.fill(at));
            }
            MailboxEvent::MailboxHasRoom { .. } => {
                self.change(mailbox, Queue::has_room);
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
                self.change(mailbox, Queue::close);
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
            .filter_map(|(_, queue)| Some((queue.deadline()?, queue.mailbox)))
            .collect();
        Ok(Self { queues, deadlines })
    }

    fn tree(bytes: &[u8]) -> Result<serde_json::Value, SnapshotError> {
        stored::tree(bytes)
    }
}
