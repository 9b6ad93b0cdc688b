//! A mailbox as a list that is walked for every question.

mod admission;

use std::collections::BTreeSet;

use satpost_domain::ids::ChainHash;
use satpost_domain::mailbox::{
    DeliveryToken, GoneReason, MailboxCommand, MailboxError, MailboxEvent, StrangerPolicy,
    chain_start,
};
use satpost_domain::{ClientId, MessageId, MessagingKey, PayloadId, Timestamp};

/// Where a message is, or how it ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Fate {
    Waiting,
    Parked,
    Acknowledged,
    Gone,
}

#[derive(Debug, Clone)]
struct Message {
    id: MessageId,
    knock: bool,
    size: usize,
    chain: ChainHash,
    expires_at: Timestamp,
    fate: Fate,
}

/// Everything that was ever accepted; the message `seq` is at index `seq - 1`.
#[derive(Debug, Clone)]
pub(super) struct Naive {
    key: MessagingKey,
    owner: Option<ClientId>,
    closed: bool,
    /// Where messages are passed on to, and until when.
    forward: Option<(MessagingKey, Timestamp)>,
    policy: StrangerPolicy,
    tokens: Vec<DeliveryToken>,
    full: bool,
    acknowledged: u64,
    messages: Vec<Message>,
}

type Answer = Result<Vec<MailboxEvent>, MailboxError>;

impl Naive {
    pub(super) fn new(key: MessagingKey) -> Self {
        Self {
            key,
            owner: None,
            closed: false,
            forward: None,
            policy: StrangerPolicy::default(),
            tokens: Vec::new(),
            full: false,
            acknowledged: 0,
            messages: Vec::new(),
        }
    }

    pub(super) fn last(&self) -> u64 {
        self.messages.len() as u64
    }

    pub(super) fn id(&self, seq: u64) -> Option<MessageId> {
        Some(self.message(seq)?.id)
    }

    /// The last message that an acknowledgement ended.
    pub(super) fn last_acknowledged_message(&self) -> u64 {
        let acknowledged = |message: &Message| message.fate == Fate::Acknowledged;
        self.messages
            .iter()
            .rposition(acknowledged)
            .map_or(0, |index| index as u64 + 1)
    }

    /// The payloads of all messages that ended.
    pub(super) fn ended(&self) -> BTreeSet<PayloadId> {
        let ended = self.messages.iter().filter(|message| !message.has_body());
        ended.map(|message| message.id.into()).collect()
    }

    /// How many messages of strangers have a body.
    pub(super) fn knocks(&self) -> usize {
        let knocks = self.held().filter(|message| message.knock);
        knocks.count()
    }

    /// Through where the line was acknowledged.
    pub(super) fn acknowledged(&self) -> u64 {
        self.acknowledged
    }

    /// What the mailbox has to answer.
    pub(super) fn expect(&self, command: &MailboxCommand) -> Answer {
        match command {
            MailboxCommand::Open { .. }
            | MailboxCommand::Forward { .. }
            | MailboxCommand::SetStrangerPolicy { .. }
            | MailboxCommand::AddTokens { .. }
            | MailboxCommand::RevokeTokens { .. }
            | MailboxCommand::RevokeAllTokens { .. }
            | MailboxCommand::Accept { .. }
            | MailboxCommand::NoteFull { .. } => self.expect_admission(command),
            MailboxCommand::Acknowledge { through, chain, at } => {
                let events = self.expect_acknowledge(*through, *chain, *at)?;
                Ok(self.with_room(events, *at))
            }
            MailboxCommand::Park { messages, at } => {
                let ids: Vec<_> = messages.iter().map(|(id, _)| *id).collect();
                let held = |message: &Message| message.has_body();
                let named = self.named(&ids, held).ok_or(MailboxError::UnknownMessage)?;
                let waiting = named.into_iter().filter(|seq| self.is(*seq, Fate::Waiting));
                let (reason, at) = (messages[0].1, *at);
                Ok(waiting
                    .map(|seq| MailboxEvent::MessageParked { seq, reason, at })
                    .collect())
            }
            MailboxCommand::AcknowledgeParked { messages, at } => {
                let parked = |message: &Message| message.fate == Fate::Parked;
                let named = self
                    .named(messages, parked)
                    .ok_or(MailboxError::UnknownMessage)?;
                let (seqs, at) = (named.into_iter().collect(), *at);
                let ended = MailboxEvent::ParkedMessagesAcknowledged { seqs, at };
                Ok(self.with_room(vec![ended], at))
            }
            MailboxCommand::Expire { at } => {
                let mut due =
                    self.seqs(|_, message| message.has_body() && message.expires_at <= *at);
                due.sort_by_key(|seq| (self.message(*seq).map(|message| message.expires_at), *seq));
                Ok(self.with_room(gone(due, GoneReason::Expired, *at), *at))
            }
            MailboxCommand::Wipe { at } => Ok(self.with_room(self.wiped(*at), *at)),
            MailboxCommand::Close { at } => {
                let closed = self
                    .is_open()
                    .then_some(MailboxEvent::MailboxClosed { at: *at });
                let wiped = closed.iter().flat_map(|_| self.wiped(*at));
                Ok(wiped.chain(closed.clone()).collect())
            }
        }
    }

    fn expect_acknowledge(&self, through: u64, chain: ChainHash, at: Timestamp) -> Answer {
        if through < self.acknowledged {
            return Ok(Vec::new());
        }
        if through > self.last() {
            return Err(MailboxError::AckAheadOfDelivery {
                through,
                last: self.last(),
            });
        }
        let expected = self.chain(through);
        if chain != expected {
            return Err(MailboxError::ChainMismatch { through, expected });
        }
        if through == self.acknowledged {
            return Ok(Vec::new());
        }
        let ends = self.seqs(|seq, message| seq <= through && message.fate == Fate::Waiting);
        let count = ends.len() as u64;
        Ok(vec![MailboxEvent::MessagesAcknowledged {
            through,
            count,
            at,
        }])
    }

    /// Takes note of what happened. A message that ended stays ended.
    pub(super) fn apply(&mut self, events: &[MailboxEvent]) {
        for event in events {
            match event {
                MailboxEvent::MailboxOpened { owner, .. } => self.owner = Some(*owner),
                MailboxEvent::MessageAccepted {
                    id,
                    size,
                    chain,
                    knock,
                    expires_at,
                    ..
                } => {
                    self.messages.push(Message {
                        id: *id,
                        knock: *knock,
                        size: size.bytes(),
                        chain: *chain,
                        expires_at: *expires_at,
                        fate: Fate::Waiting,
                    });
                }
                MailboxEvent::MessageParked { seq, .. } => self.set(*seq, Fate::Parked),
                MailboxEvent::MessagesAcknowledged { through, .. } => {
                    let ends =
                        self.seqs(|seq, message| seq <= *through && message.fate == Fate::Waiting);
                    for seq in ends {
                        self.set(seq, Fate::Acknowledged);
                    }
                    self.acknowledged = *through;
                }
                MailboxEvent::ParkedMessagesAcknowledged { seqs, .. } => {
                    for seq in seqs {
                        self.set(*seq, Fate::Acknowledged);
                    }
                }
                MailboxEvent::MessageGone { seq, .. } => self.set(*seq, Fate::Gone),
                MailboxEvent::MailboxClosed { .. } => {
                    self.closed = true;
                    self.forward = None;
                    self.tokens.clear();
                }
                MailboxEvent::MailboxForwarded { to, until, .. } => {
                    self.forward = Some((*to, *until));
                }
                MailboxEvent::MailboxReopened { .. } => self.forward = None,
                MailboxEvent::StrangerPolicyChanged { policy, .. } => self.policy = *policy,
                MailboxEvent::DeliveryTokensAdded { tokens, .. } => self.tokens.extend(tokens),
                MailboxEvent::DeliveryTokensRevoked { hashes, .. } => {
                    self.tokens.retain(|token| !hashes.contains(&token.hash));
                }
                MailboxEvent::DeliveryTokenSpent { hash, .. } => {
                    self.tokens.retain(|token| token.hash != *hash);
                }
                MailboxEvent::MailboxFilled { .. } => {
                    assert!(!self.full, "a mailbox that is full is filled");
                    self.full = true;
                }
                MailboxEvent::MailboxHasRoom { .. } => {
                    assert!(self.full, "a mailbox that has room gets some");
                    self.full = false;
                }
            }
        }
    }

    fn is_open(&self) -> bool {
        self.owner.is_some() && !self.closed
    }

    /// The messages that have a body.
    fn held(&self) -> impl Iterator<Item = &Message> {
        self.messages.iter().filter(|message| message.has_body())
    }

    fn set(&mut self, seq: u64, fate: Fate) {
        let index = usize::try_from(seq - 1).expect("a list has no more");
        let message = &mut self.messages[index];
        assert!(
            message.has_body(),
            "message {seq} ended as {:?}, then {fate:?}",
            message.fate
        );
        message.fate = fate;
    }

    fn wiped(&self, at: Timestamp) -> Vec<MailboxEvent> {
        gone(
            self.seqs(|_, message| message.has_body()),
            GoneReason::Wiped,
            at,
        )
    }

    /// The places of the messages with these ids, if all of them are as they should be.
    fn named(&self, ids: &[MessageId], wanted: impl Fn(&Message) -> bool) -> Option<BTreeSet<u64>> {
        let place = |id: &MessageId| {
            self.seqs(|_, message| message.id == *id && wanted(message))
                .first()
                .copied()
        };
        ids.iter().map(place).collect()
    }

    fn seqs(&self, wanted: impl Fn(u64, &Message) -> bool) -> Vec<u64> {
        let numbered = (1..).zip(&self.messages);
        numbered
            .filter(|(seq, message)| wanted(*seq, message))
            .map(|(seq, _)| seq)
            .collect()
    }

    fn message(&self, seq: u64) -> Option<&Message> {
        self.messages
            .get(usize::try_from(seq.checked_sub(1)?).ok()?)
    }

    fn is(&self, seq: u64, fate: Fate) -> bool {
        self.message(seq)
            .is_some_and(|message| message.fate == fate)
    }

    fn chain(&self, seq: u64) -> ChainHash {
        self.message(seq)
            .map_or_else(|| chain_start(&self.key), |message| message.chain)
    }
}

impl Message {
    fn has_body(&self) -> bool {
        matches!(self.fate, Fate::Waiting | Fate::Parked)
    }
}

fn gone(seqs: Vec<u64>, reason: GoneReason, at: Timestamp) -> Vec<MailboxEvent> {
    seqs.into_iter()
        .map(|seq| MailboxEvent::MessageGone { seq, reason, at })
        .collect()
}
