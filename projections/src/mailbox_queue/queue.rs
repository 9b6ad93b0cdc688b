//! The line of one mailbox.

use std::collections::{BTreeMap, VecDeque};

use satpost_domain::mailbox::{GoneReason, ParkReason, StrangerPolicy, chain_start};
use satpost_domain::{ClientId, MessagingKey, Timestamp};

use super::{QueueHead, QueuePage, QueueSummary, QueuedMessage};

/// One mailbox. Every message after the acknowledged one stands in `line`, whatever became of it:
/// its chain is needed until the acknowledgement has passed.
#[derive(Debug)]
pub(super) struct Queue {
    pub(super) owner: ClientId,
    pub(super) closed: bool,
    pub(super) policy: StrangerPolicy,
    pub(super) delivery_tokens: usize,
    pub(super) full_since: Option<Timestamp>,
    /// The last acknowledged message, and the chain there.
    pub(super) acknowledged: QueueHead,
    /// By ascending seq, without gaps, from the message after `acknowledged` on.
    pub(super) line: VecDeque<Place>,
    /// Parked messages that an acknowledgement has passed, by seq; all of them have a body.
    pub(super) set_aside: BTreeMap<u64, QueuedMessage>,
    /// When the first message that has a body runs out of time.
    deadline: Option<Timestamp>,
}

/// A message in line.
#[derive(Debug)]
pub(super) struct Place {
    pub(super) message: QueuedMessage,
    /// True when its recipient is done with it before the acknowledgement has passed it: it was
    /// parked, and acknowledged as such.
    pub(super) done: bool,
}

impl Place {
    /// True while it has a body.
    const fn is_held(&self) -> bool {
        !self.done && self.message.gone.is_none()
    }
}

impl Queue {
    pub(super) fn new(owner: ClientId, key: MessagingKey) -> Self {
        let start = QueueHead {
            seq: 0,
            chain: chain_start(&key),
        };
        Self::from_parts(owner, false, start, VecDeque::new(), BTreeMap::new())
    }

    pub(super) fn from_parts(
        owner: ClientId,
        closed: bool,
        acknowledged: QueueHead,
        line: VecDeque<Place>,
        set_aside: BTreeMap<u64, QueuedMessage>,
    ) -> Self {
        let mut queue = Self {
            owner,
            closed,
            policy: StrangerPolicy::default(),
            delivery_tokens: 0,
            full_since: None,
            acknowledged,
            line,
            set_aside,
            deadline: None,
        };
        queue.find_deadline();
        queue
    }

    /// When the first message that has a body runs out of time.
    pub(super) const fn deadline(&self) -> Option<Timestamp> {
        self.deadline
    }

    /// True when no message has a body.
    pub(super) const fn is_drained(&self) -> bool {
        self.deadline.is_none()
    }

    pub(super) fn page(&self, after: u64, max_messages: usize, max_bytes: usize) -> QueuePage {
        let passed = after.saturating_sub(self.acknowledged.seq);
        let waiting = self
            .line
            .iter()
            .skip(usize::try_from(passed).unwrap_or(usize::MAX))
            .map(|place| &place.message)
            .filter(|message| message.parked.is_none());
        let mut messages: Vec<QueuedMessage> = Vec::new();
        let (mut bytes, mut more) = (0, false);
        for message in waiting {
            if message.gone.is_none() {
                bytes += message.size.bytes();
            }
            let full = messages.len() >= max_messages || bytes > max_bytes;
            if full && !messages.is_empty() {
                more = true;
                break;
            }
            messages.push(message.clone());
        }
        let head = messages.last().map_or(self.acknowledged, |last| QueueHead {
            seq: last.seq,
            chain: last.chain,
        });
        QueuePage {
            messages,
            more,
            head,
        }
    }

    /// Parked messages that have a body, by ascending seq.
    pub(super) fn parked(&self) -> impl Iterator<Item = &QueuedMessage> {
        self.held().filter(|message| message.parked.is_some())
    }

    pub(super) fn summary(&self) -> QueueSummary {
        QueueSummary {
            messages: self.held().count(),
            bytes: self.held().map(|message| message.size.bytes()).sum(),
            parked: self.parked().count(),
            oldest: self.held().map(|message| message.accepted_at).min(),
            knocks: self.held().filter(|message| message.knock).count(),
            acknowledged: self.acknowledged.seq,
            policy: self.policy,
            delivery_tokens: self.delivery_tokens,
            full_since: self.full_since,
        }
    }

    pub(super) fn drop_tokens(&mut self, count: usize) {
        self.delivery_tokens = self.delivery_tokens.saturating_sub(count);
    }

    /// Messages that have a body, by ascending seq.
    fn held(&self) -> impl Iterator<Item = &QueuedMessage> {
        let in_line = self.line.iter().filter(|place| place.is_held());
        self.set_aside
            .values()
            .chain(in_line.map(|place| &place.message))
    }

    pub(super) fn accept(&mut self, message: QueuedMessage) {
        let expected = self
            .line
            .back()
            .map_or(self.acknowledged.seq, |last| last.message.seq)
            + 1;
        if message.seq != expected {
            return;
        }
        let expires_at = message.expires_at;
        self.deadline = Some(
            self.deadline
                .map_or(expires_at, |first| first.min(expires_at)),
        );
        self.line.push_back(Place {
            message,
            done: false,
        });
    }

    pub(super) fn park(&mut self, seq: u64, reason: ParkReason) {
        if let Some(place) = self.place_mut(seq) {
            place.message.parked = Some(reason);
        } else if let Some(message) = self.set_aside.get_mut(&seq) {
            message.parked = Some(reason);
        }
    }

    pub(super) fn acknowledge(&mut self, through: u64) {
        let mut first: Option<Timestamp> = None;
        while let Some(place) = self.line.pop_front_if(|place| place.message.seq <= through) {
            let held = place.is_held();
            let message = place.message;
            self.acknowledged = QueueHead {
                seq: message.seq,
                chain: message.chain,
            };
            if held && message.parked.is_some() {
                self.set_aside.insert(message.seq, message);
            } else if held {
                let expires_at = message.expires_at;
                first = Some(first.map_or(expires_at, |first| first.min(expires_at)));
            }
        }
        self.released(first);
    }

    pub(super) fn acknowledge_parked(&mut self, seqs: &[u64]) {
        for &seq in seqs {
            if let Some(place) = self.place_mut(seq) {
                place.done = true;
            } else {
                self.set_aside.remove(&seq);
            }
        }
        self.find_deadline();
    }

    /// The message is gone. In line its tombstone keeps its place; set aside it has none to keep.
    pub(super) fn lose(&mut self, seq: u64, reason: GoneReason) {
        let expires_at = if let Some(place) = self.place_mut(seq) {
            place.message.gone = Some(reason);
            Some(place.message.expires_at)
        } else {
            self.set_aside
                .remove(&seq)
                .map(|message| message.expires_at)
        };
        self.released(expires_at);
    }

    fn place_mut(&mut self, seq: u64) -> Option<&mut Place> {
        let index = seq.checked_sub(self.acknowledged.seq + 1)?;
        self.line.get_mut(usize::try_from(index).ok()?)
    }

    /// Bodies are gone, the earliest of which would have run out of time at `first`. The deadline
    /// is looked for only when it may have been that one: a scan of one line, which is short.
    fn released(&mut self, first: Option<Timestamp>) {
        if first.is_some() && first <= self.deadline {
            self.find_deadline();
        }
    }

    fn find_deadline(&mut self) {
        self.deadline = self.held().map(|message| message.expires_at).min();
    }
}
