//! The rules: the commands, and how messages end. Who may write stands in `admission`.

mod admission;

use std::collections::BTreeMap;

use crate::aggregate::Aggregate;
use crate::event::Event;
use crate::ids::{ChainHash, MessageId, PayloadId};
use crate::limits::PARK_MESSAGES_MAX;
use crate::time::Timestamp;

use super::state::{Place, Stage};
use super::{GoneReason, Mailbox, MailboxCommand, MailboxError, MailboxEvent, ParkReason};
use admission::Letter;

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
            MailboxCommand::Open {
                key,
                owner,
                inherited,
                at,
            } => self.open(*key, *owner, inherited.as_ref(), *at),
            MailboxCommand::Forward { to, at } => Ok(self.forward_to(*to, *at)),
            MailboxCommand::SetStrangerPolicy { policy, at } => {
                self.set_stranger_policy(*policy, *at)
            }
            MailboxCommand::AddTokens { tokens, at } => self.add_tokens(tokens, *at),
            MailboxCommand::RevokeTokens { hashes, at } => self.revoke_tokens(hashes, *at),
            MailboxCommand::RevokeAllTokens { at } => self.revoke_all_tokens(*at),
            MailboxCommand::Accept {
                id,
                digest,
                size,
                ttl,
                introduction,
                at,
            } => {
                let letter = Letter::new(*id, *digest, *size, *ttl)?;
                self.accept(&letter, introduction, *at)
            }
            MailboxCommand::NoteFull { at } => Ok(self.note_full(*at)),
            MailboxCommand::Acknowledge { through, chain, at } => {
                self.acknowledge(*through, *chain, *at)
            }
            MailboxCommand::Park { messages, at } => self.park(messages, *at),
            MailboxCommand::AcknowledgeParked { messages, at } => {
                self.acknowledge_parked(messages, *at)
            }
            MailboxCommand::Expire { at } => Ok(self.with_room(self.expire(*at), *at)),
            MailboxCommand::Wipe { at } => Ok(self.with_room(self.wipe(*at), *at)),
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
            | MailboxEvent::MailboxForwarded { .. }
            | MailboxEvent::MailboxReopened { .. }
            | MailboxEvent::StrangerPolicyChanged { .. }
            | MailboxEvent::DeliveryTokensAdded { .. }
            | MailboxEvent::DeliveryTokensRevoked { .. }
            | MailboxEvent::DeliveryTokenSpent { .. }
            | MailboxEvent::MessageAccepted { .. }
            | MailboxEvent::MailboxFilled { .. }
            | MailboxEvent::MailboxHasRoom { .. }
            | MailboxEvent::MessageParked { .. }
            | MailboxEvent::MailboxClosed { .. } => Vec::new(),
        }
    }

    fn weight(&self) -> usize {
        // A held message also stands in the two indexes.
        1 + self.line.len() + self.set_aside.len() + self.held.len() + self.tokens.len()
    }
}

impl Mailbox {
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
        let acknowledged = MailboxEvent::MessagesAcknowledged { through, count, at };
        Ok(self.with_room(vec![acknowledged], at))
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
        let ended = MailboxEvent::ParkedMessagesAcknowledged { seqs, at };
        Ok(self.with_room(vec![ended], at))
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

    /// Adds that there is room again when `events` make some and a message had found none.
    fn with_room(&self, mut events: Vec<MailboxEvent>, at: Timestamp) -> Vec<MailboxEvent> {
        if self.full_since.is_none() || events.is_empty() {
            return events;
        }
        let mut after = self.clone();
        for event in &events {
            after.apply(event);
        }
        if after.is_roomy() {
            events.push(MailboxEvent::MailboxHasRoom { at });
        }
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
