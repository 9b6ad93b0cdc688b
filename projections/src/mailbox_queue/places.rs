//! A part of a line, before and after the log has told the rest of it.

use satpost_domain::ids::{ChainHash, Digest};
use satpost_domain::mailbox::{GoneReason, MailboxEvent, ParkReason, SizeBucket, chain_start};
use satpost_domain::{MessageId, MessagingKey, Revision, Timestamp};

/// A message in the line, as far as the projection knows it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Place {
    /// Its place in the queue.
    pub seq: u64,
    /// Where in the stream of the mailbox it was accepted.
    pub revision: Revision,
    /// The size of its body.
    pub size: SizeBucket,
    /// Why only its tombstone is left, if so.
    pub gone: Option<GoneReason>,
    /// Why its recipient set it aside, if so.
    pub parked: Option<ParkReason>,
}

/// A message, or the start of the line at seq 0.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Mark {
    pub(super) seq: u64,
    /// Where it was accepted; of no meaning at the start.
    pub(super) revision: Revision,
}

/// A part of the line. [`Self::complete`] makes a page of it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Places {
    /// Whose it is.
    pub mailbox: MessagingKey,
    /// Messages and tombstones by ascending seq.
    pub places: Vec<Place>,
    /// True when more waits behind the last one.
    pub more: bool,
    pub(super) head: Mark,
}

/// A message in the line with all that the log tells of it.
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
    /// Messages and tombstones by ascending seq.
    pub messages: Vec<QueuedMessage>,
    /// True when more waits behind the last one.
    pub more: bool,
    /// The end of what this page delivers; of what is acknowledged when it delivers nothing of the
    /// line. Never beyond it: whoever knows the chain at a message may acknowledge through it.
    pub head: QueueHead,
}

impl Places {
    /// The revisions in the stream of the mailbox that [`Self::complete`] needs, ascending.
    #[must_use]
    pub fn revisions(&self) -> Vec<Revision> {
        let head = (self.head.seq > 0).then_some(self.head.revision);
        let places = self.places.iter().map(|place| place.revision);
        let mut revisions: Vec<Revision> = places.chain(head).collect();
        revisions.sort_unstable();
        revisions.dedup();
        revisions
    }

    /// The page, with the events that `accepted` finds at those revisions; nothing when one of them
    /// is not there or says something else.
    #[must_use]
    pub fn complete<'e>(
        self,
        accepted: impl Fn(Revision) -> Option<&'e MailboxEvent>,
    ) -> Option<QueuePage> {
        let messages = self.places.iter().map(|place| message(place, &accepted));
        let messages: Vec<QueuedMessage> = messages.collect::<Option<_>>()?;
        let chain = if self.head.seq == 0 {
            chain_start(&self.mailbox)
        } else {
            chain_after(self.head, &accepted)?
        };
        Some(QueuePage {
            messages,
            more: self.more,
            head: QueueHead {
                seq: self.head.seq,
                chain,
            },
        })
    }
}

fn message<'e>(
    place: &Place,
    accepted: impl Fn(Revision) -> Option<&'e MailboxEvent>,
) -> Option<QueuedMessage> {
    match *accepted(place.revision)? {
        MailboxEvent::MessageAccepted {
            seq,
            id,
            size,
            digest,
            chain,
            knock,
            at,
            expires_at,
        } if seq == place.seq => Some(QueuedMessage {
            seq,
            id,
            size,
            digest,
            chain,
            knock,
            accepted_at: at,
            expires_at,
            gone: place.gone,
            parked: place.parked,
        }),
        _ => None,
    }
}

fn chain_after<'e>(
    mark: Mark,
    accepted: impl Fn(Revision) -> Option<&'e MailboxEvent>,
) -> Option<ChainHash> {
    match accepted(mark.revision)? {
        MailboxEvent::MessageAccepted { seq, chain, .. } if *seq == mark.seq => Some(*chain),
        _ => None,
    }
}
