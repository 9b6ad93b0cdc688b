//! The rules.

use std::collections::BTreeMap;
use std::time::Duration;

use crate::aggregate::Aggregate;
use crate::event::Event;
use crate::ids::{ChainHash, Digest, MessageId, PayloadId};
use crate::keys::{ClientId, MessagingKey};
use crate::limits::{
    MAILBOX_BYTES_MAX, MAILBOX_LINE_MAX, MAILBOX_MESSAGES_MAX, MESSAGE_TTL_DEFAULT,
    MESSAGE_TTL_MAX, MESSAGE_TTL_MIN, PARK_MESSAGES_MAX,
};
use crate::time::Timestamp;

use super::state::{Place, Stage};
use super::{
    GoneReason, Mailbox, MailboxCommand, MailboxError, MailboxEvent, ParkReason, SizeBucket,
    extend_chain,
};

type Decision = Result<Vec<MailboxEvent>, MailboxError>;

impl Aggregate for Mailbox {
    type Command = MailboxCommand;
    type Event = MailboxEvent;
    type Error = MailboxError;

    const CATEGORY: &'static str = "mailbox";

    fn own_event(event: &Event) -> Option<&MailboxEvent> {
        match event {
            Event::Mailbox(event) => Some(event),
            _ => None,
        }
    }

    fn decide(&self, command: &MailboxCommand) -> Decision {
        match command {
            MailboxCommand::Open { key, owner, at } => self.open(*key, *owner, *at),
            MailboxCommand::Accept {
                id,
                digest,
                size,
                ttl,
                at,
            } => self.accept(*id, *digest, *size, *ttl, *at),
            MailboxCommand::Acknowledge { through, chain, at } => {
                self.acknowledge(*through, *chain, *at)
            }
            MailboxCommand::Park { messages, at } => self.park(messages, *at),
            MailboxCommand::AcknowledgeParked { messages, at } => {
                self.acknowledge_parked(messages, *at)
            }
            MailboxCommand::Expire { at } => Ok(self.expire(*at)),
            MailboxCommand::Wipe { at } => Ok(self.wipe(*at)),
            MailboxCommand::Close { at } => Ok(self.close(*at)),
        }
    }

    fn evolve(&mut self, event: &MailboxEvent) {
        self.apply(event);
    }

    fn payloads_closed_by(&self, event: &MailboxEvent) -> Vec<PayloadId> {
        match event {
            MailboxEvent::MessagesAcknowledged { through, .. } => self
                .waiting_through(*through)
                .map(|place| place.id.into())
                .collect(),
            MailboxEvent::ParkedMessagesAcknowledged { seqs, .. } => {
                seqs.iter().filter_map(|seq| self.payload(*seq)).collect()
            }
            MailboxEvent::MessageGone { seq, .. } => self.payload(*seq).into_iter().collect(),
            MailboxEvent::MailboxOpened { .. }
            | MailboxEvent::MessageAccepted { .. }
            | MailboxEvent::MessageParked { .. }
            | MailboxEvent::MailboxClosed { .. } => Vec::new(),
        }
    }

    fn weight(&self) -> usize {
        // A held message also stands in the two indexes.
        1 + self.line.len() + self.set_aside.len() + self.held.len()
    }
}

impl Mailbox {
    fn open(&self, key: MessagingKey, owner: ClientId, at: Timestamp) -> Decision {
        match self.owner {
            None => Ok(vec![MailboxEvent::MailboxOpened { key, owner, at }]),
            Some(present) if present != owner => Err(MailboxError::OwnedByAnother),
            Some(_) if self.closed => Err(MailboxError::NotOpen),
            Some(_) => Ok(Vec::new()),
        }
    }

    fn accept(
        &self,
        id: MessageId,
        digest: Digest,
        size: usize,
        ttl: Option<Duration>,
        at: Timestamp,
    ) -> Decision {
        let head = self.head.filter(|_| self.is_open());
        let head = head.ok_or(MailboxError::NotOpen)?;
        let size = SizeBucket::of(size).ok_or(MailboxError::NotPadded { actual: size })?;
        let ttl = ttl.unwrap_or(MESSAGE_TTL_DEFAULT);
        if !(MESSAGE_TTL_MIN..=MESSAGE_TTL_MAX).contains(&ttl) {
            let actual = ttl.as_secs();
            return Err(MailboxError::TtlOutOfBounds { actual });
        }
        if !self.has_room(size) {
            return Err(MailboxError::Full);
        }
        let seq = self.last_seq + 1;
        Ok(vec![MailboxEvent::MessageAccepted {
            seq,
            id,
            size,
            digest,
            chain: extend_chain(head, seq, id, digest),
            at,
            expires_at: at.plus(ttl),
        }])
    }

    fn has_room(&self, size: SizeBucket) -> bool {
        self.held.len() < MAILBOX_MESSAGES_MAX
            && self.held_bytes + size.bytes() <= MAILBOX_BYTES_MAX
            && self.line.len() < MAILBOX_LINE_MAX
    }

    fn acknowledge(&self, through: u64, chain: ChainHash, at: Timestamp) -> Decision {
        if self.key.is_none() {
            return Err(MailboxError::NotOpen);
        }
        // The chain before the last acknowledged message is not kept: such a repeat changes
        // nothing, so it needs no proof.
        if through < self.acknowledged {
            return Ok(Vec::new());
        }
        let last = self.last_seq;
        let expected = self.chain_at(through);
        let expected = expected.ok_or(MailboxError::AckAheadOfDelivery { through, last })?;
        if chain != expected {
            return Err(MailboxError::ChainMismatch { through, expected });
        }
        if through == self.acknowledged {
            return Ok(Vec::new());
        }
        let count = self.waiting_through(through).map(|_| 1).sum();
        Ok(vec![MailboxEvent::MessagesAcknowledged {
            through,
            count,
            at,
        }])
    }

    fn park(&self, messages: &[(MessageId, ParkReason)], at: Timestamp) -> Decision {
        named(messages.len())?;
        let mut parked = BTreeMap::new();
        for (id, reason) in messages {
            let place = self.holding(id).ok_or(MailboxError::UnknownMessage)?;
            if place.stage == Stage::Waiting {
                parked.entry(place.seq).or_insert(*reason);
            }
        }
        let parked = parked.into_iter();
        Ok(parked
            .map(|(seq, reason)| MailboxEvent::MessageParked { seq, reason, at })
            .collect())
    }

    fn acknowledge_parked(&self, messages: &[MessageId], at: Timestamp) -> Decision {
        named(messages.len())?;
        let mut seqs = Vec::with_capacity(messages.len());
        for id in messages {
            let place = self
                .holding(id)
                .filter(|place| place.stage == Stage::Parked);
            seqs.push(place.ok_or(MailboxError::UnknownMessage)?.seq);
        }
        seqs.sort_unstable();
        seqs.dedup();
        if seqs.is_empty() {
            return Ok(Vec::new());
        }
        Ok(vec![MailboxEvent::ParkedMessagesAcknowledged { seqs, at }])
    }

    fn expire(&self, at: Timestamp) -> Vec<MailboxEvent> {
        let due = self.expiries.range(..=(at, u64::MAX));
        gone(due.map(|(_, seq)| *seq), GoneReason::Expired, at)
    }

    fn wipe(&self, at: Timestamp) -> Vec<MailboxEvent> {
        let mut seqs: Vec<u64> = self.held.values().copied().collect();
        seqs.sort_unstable();
        gone(seqs, GoneReason::Wiped, at)
    }

    fn close(&self, at: Timestamp) -> Vec<MailboxEvent> {
        if !self.is_open() {
            return Vec::new();
        }
        let mut events = self.wipe(at);
        events.push(MailboxEvent::MailboxClosed { at });
        events
    }

    /// The messages that an acknowledgement through `through` ends.
    fn waiting_through(&self, through: u64) -> impl Iterator<Item = &Place> {
        self.line
            .iter()
            .take_while(move |place| place.seq <= through)
            .filter(|place| place.stage == Stage::Waiting)
    }

    fn holding(&self, id: &MessageId) -> Option<&Place> {
        self.place(*self.held.get(id)?)
    }

    /// The payload of a message that still has one.
    fn payload(&self, seq: u64) -> Option<PayloadId> {
        self.place(seq)
            .filter(|place| place.stage != Stage::Ended)
            .map(|place| place.id.into())
    }
}

fn gone(
    seqs: impl IntoIterator<Item = u64>,
    reason: GoneReason,
    at: Timestamp,
) -> Vec<MailboxEvent> {
    seqs.into_iter()
        .map(|seq| MailboxEvent::MessageGone { seq, reason, at })
        .collect()
}

fn named(actual: usize) -> Result<(), MailboxError> {
    if actual > PARK_MESSAGES_MAX {
        return Err(MailboxError::TooMany { actual });
    }
    Ok(())
}
