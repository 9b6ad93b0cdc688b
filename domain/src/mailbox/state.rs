//! What is true of a mailbox now, and how an event changes it.
//!
//! Every operation costs what it changes: a place in line is found by its number, a message by its
//! id, and what runs out first by its time, so a full mailbox is as fast as an empty one.

use std::collections::{BTreeMap, BTreeSet, VecDeque};

use crate::ids::{ChainHash, MessageId, TokenHash};
use crate::keys::{ClientId, MessagingKey};
use crate::limits::{MAILBOX_BYTES_MAX, MAILBOX_LINE_MAX, MAILBOX_MESSAGES_MAX};
use crate::mailbox::{
    DeliveryToken, MailboxEvent, SizeBucket, StrangerPolicy, TokenUse, chain_start,
};
use crate::time::Timestamp;

/// What has become of an accepted message.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Stage {
    /// It waits to be acknowledged.
    Waiting,
    /// Its recipient set it aside; it has its body still.
    Parked,
    /// Its body is gone; its place in the line stays until it is acknowledged past.
    Ended,
}

/// The place of an accepted message.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Place {
    pub(super) seq: u64,
    pub(super) id: MessageId,
    pub(super) size: SizeBucket,
    /// The chain after this message.
    pub(super) chain: ChainHash,
    /// True when a stranger has sent it.
    pub(super) knock: bool,
    pub(super) expires_at: Timestamp,
    pub(super) stage: Stage,
}

/// Where a mailbox passes messages on to, and until when.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Forward {
    /// The key that its owner uses now.
    pub to: MessagingKey,
    /// When it stops.
    pub until: Timestamp,
}

/// The state of one mailbox; the default is "not open".
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Mailbox {
    pub(super) key: Option<MessagingKey>,
    pub(super) owner: Option<ClientId>,
    pub(super) closed: bool,
    pub(super) forward: Option<Forward>,
    pub(super) policy: StrangerPolicy,
    pub(super) tokens: BTreeMap<TokenHash, TokenUse>,
    /// Since when messages of contacts have found no room.
    pub(super) full_since: Option<Timestamp>,
    /// The last accepted message, and the chain there.
    pub(super) last_seq: u64,
    pub(super) head: Option<ChainHash>,
    /// The last acknowledged message, and the chain there.
    pub(super) acknowledged: u64,
    pub(super) acknowledged_chain: Option<ChainHash>,
    /// When it was acknowledged.
    pub(super) acknowledged_at: Option<Timestamp>,
    /// The places after `acknowledged`, by ascending seq without gaps.
    pub(super) line: VecDeque<Place>,
    /// Parked messages that an acknowledgement has passed, by seq.
    pub(super) set_aside: BTreeMap<u64, Place>,
    /// The seq of every message that has a body, in line or set aside.
    pub(super) held: BTreeMap<MessageId, u64>,
    /// When each of them runs out.
    pub(super) expiries: BTreeSet<(Timestamp, u64)>,
    /// The sum of their size buckets.
    pub(super) held_bytes: usize,
    /// How many of them a stranger has sent.
    pub(super) held_knocks: usize,
}

impl Mailbox {
    /// Who owns it, if it was ever opened.
    #[must_use]
    pub const fn owner(&self) -> Option<ClientId> {
        self.owner
    }

    /// True while it takes messages.
    #[must_use]
    pub const fn is_open(&self) -> bool {
        self.key.is_some() && !self.closed
    }

    /// Where it passes messages on to, if it does.
    #[must_use]
    pub const fn forward(&self) -> Option<Forward> {
        self.forward
    }

    /// What becomes of messages of strangers.
    #[must_use]
    pub const fn stranger_policy(&self) -> StrangerPolicy {
        self.policy
    }

    /// The tokens that let their holders write, by hash.
    pub fn delivery_tokens(&self) -> impl Iterator<Item = DeliveryToken> + '_ {
        let tokens = self.tokens.iter();
        tokens.map(|(hash, uses)| DeliveryToken {
            hash: *hash,
            uses: *uses,
        })
    }

    /// When everything up to `through` was acknowledged, if nothing behind it was since: only there is
    /// the chain still known.
    #[must_use]
    pub fn acknowledged_at(&self, through: u64) -> Option<Timestamp> {
        self.acknowledged_at
            .filter(|_| through == self.acknowledged)
    }

    pub(super) fn has_room(&self, size: SizeBucket) -> bool {
        self.held.len() < MAILBOX_MESSAGES_MAX
            && self.held_bytes + size.bytes() <= MAILBOX_BYTES_MAX
            && self.line.len() < MAILBOX_LINE_MAX
    }

    /// True when a quarter of every bound is free: enough for a while, so that room is not said to be
    /// there and gone with every message.
    pub(super) fn is_roomy(&self) -> bool {
        let roomy = |used: usize, max: usize| used <= max - max / 4;
        roomy(self.held.len(), MAILBOX_MESSAGES_MAX)
            && roomy(self.held_bytes, MAILBOX_BYTES_MAX)
            && roomy(self.line.len(), MAILBOX_LINE_MAX)
    }

    /// The chain at `seq`, while it is known: at the last acknowledged message and behind it.
    pub(super) fn chain_at(&self, seq: u64) -> Option<ChainHash> {
        if seq == self.acknowledged {
            self.acknowledged_chain
        } else {
            self.in_line(seq).map(|place| place.chain)
        }
    }

    /// The place of a message that may still have a body.
    pub(super) fn place(&self, seq: u64) -> Option<&Place> {
        self.in_line(seq).or_else(|| self.set_aside.get(&seq))
    }

    fn in_line(&self, seq: u64) -> Option<&Place> {
        self.line
            .get(self.index(seq)?)
            .filter(|place| place.seq == seq)
    }

    fn in_line_mut(&mut self, seq: u64) -> Option<&mut Place> {
        let index = self.index(seq)?;
        self.line.get_mut(index).filter(|place| place.seq == seq)
    }

    fn index(&self, seq: u64) -> Option<usize> {
        let first = self.line.front()?.seq;
        usize::try_from(seq.checked_sub(first)?).ok()
    }

    pub(super) fn apply(&mut self, event: &MailboxEvent) {
        match event {
            MailboxEvent::MailboxOpened { key, owner, .. } => {
                self.key = Some(*key);
                self.owner = Some(*owner);
                self.head = Some(chain_start(key));
                self.acknowledged_chain = self.head;
            }
            MailboxEvent::MailboxForwarded { to, until, .. } => {
                self.forward = Some(Forward {
                    to: *to,
                    until: *until,
                });
            }
            MailboxEvent::MailboxReopened { .. } => self.forward = None,
            MailboxEvent::StrangerPolicyChanged { policy, .. } => self.policy = *policy,
            MailboxEvent::DeliveryTokensAdded { tokens, .. } => {
                let tokens = tokens.iter().map(|token| (token.hash, token.uses));
                self.tokens.extend(tokens);
            }
            MailboxEvent::DeliveryTokensRevoked { hashes, .. } => {
                self.tokens.retain(|hash, _| !hashes.contains(hash));
            }
            MailboxEvent::DeliveryTokenSpent { hash, .. } => {
                self.tokens.remove(hash);
            }
            MailboxEvent::MessageAccepted {
                seq,
                id,
                size,
                chain,
                knock,
                expires_at,
                ..
            } => self.append(Place {
                seq: *seq,
                id: *id,
                size: *size,
                chain: *chain,
                knock: *knock,
                expires_at: *expires_at,
                stage: Stage::Waiting,
            }),
            MailboxEvent::MailboxFilled { at } => self.full_since = Some(*at),
            MailboxEvent::MailboxHasRoom { .. } => self.full_since = None,
            MailboxEvent::MessageParked { seq, .. } => {
                if let Some(place) = self.in_line_mut(*seq)
                    && place.stage == Stage::Waiting
                {
                    place.stage = Stage::Parked;
                }
            }
            MailboxEvent::MessagesAcknowledged { through, at, .. } => {
                self.pass(*through);
                self.acknowledged_at = Some(*at);
            }
            MailboxEvent::ParkedMessagesAcknowledged { seqs, .. } => {
                for seq in seqs {
                    self.end(*seq);
                }
            }
            MailboxEvent::MessageGone { seq, .. } => self.end(*seq),
            MailboxEvent::MailboxClosed { .. } => {
                self.closed = true;
                self.forward = None;
                self.tokens.clear();
            }
        }
    }

    fn append(&mut self, place: Place) {
        self.last_seq = place.seq;
        self.head = Some(place.chain);
        self.held.insert(place.id, place.seq);
        self.expiries.insert((place.expires_at, place.seq));
        self.held_bytes += place.size.bytes();
        self.held_knocks += usize::from(place.knock);
        self.line.push_back(place);
    }

    /// Takes everything up to `through` out of the line; parked messages keep their body.
    fn pass(&mut self, through: u64) {
        while let Some(place) = self.line.pop_front_if(|place| place.seq <= through) {
            self.acknowledged = place.seq;
            self.acknowledged_chain = Some(place.chain);
            match place.stage {
                Stage::Waiting => self.let_go(&place),
                Stage::Parked => {
                    self.set_aside.insert(place.seq, place);
                }
                Stage::Ended => {}
            }
        }
    }

    /// Ends one message, wherever it is.
    fn end(&mut self, seq: u64) {
        if let Some(place) = self.set_aside.remove(&seq) {
            self.let_go(&place);
        } else if let Some(place) = self.in_line_mut(seq)
            && place.stage != Stage::Ended
        {
            place.stage = Stage::Ended;
            let place = place.clone();
            self.let_go(&place);
        }
    }

    /// Takes a body off the books.
    fn let_go(&mut self, place: &Place) {
        self.held.remove(&place.id);
        self.expiries.remove(&(place.expires_at, place.seq));
        self.held_bytes -= place.size.bytes();
        self.held_knocks -= usize::from(place.knock);
    }
}
