//! A mailbox as a list that is walked for every question.

use std::collections::BTreeSet;

use satpost_domain::ids::ChainHash;
use satpost_domain::limits::{
    MAILBOX_BYTES_MAX, MAILBOX_LINE_MAX, MAILBOX_MESSAGES_MAX, MESSAGE_TTL_DEFAULT,
    MESSAGE_TTL_MAX, MESSAGE_TTL_MIN,
};
use satpost_domain::mailbox::{
    GoneReason, MailboxCommand, MailboxError, MailboxEvent, SizeBucket, chain_start, extend_chain,
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

#[derive(Debug)]
struct Message {
    id: MessageId,
    size: usize,
    chain: ChainHash,
    expires_at: Timestamp,
    fate: Fate,
}

/// Everything that was ever accepted; the message `seq` is at index `seq - 1`.
#[derive(Debug)]
pub(super) struct Naive {
    key: MessagingKey,
    owner: Option<ClientId>,
    closed: bool,
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

    /// What the mailbox has to answer.
    pub(super) fn expect(&self, command: &MailboxCommand) -> Answer {
        let at = match command {
            MailboxCommand::Open { at, .. }
            | MailboxCommand::Forward { at, .. }
            | MailboxCommand::SetStrangerPolicy { at, .. }
            | MailboxCommand::AddTokens { at, .. }
            | MailboxCommand::RevokeTokens { at, .. }
            | MailboxCommand::RevokeAllTokens { at }
            | MailboxCommand::NoteFull { at }
            | MailboxCommand::Accept { at, .. }
            | MailboxCommand::Acknowledge { at, .. }
            | MailboxCommand::Park { at, .. }
            | MailboxCommand::AcknowledgeParked { at, .. }
            | MailboxCommand::Expire { at }
            | MailboxCommand::Wipe { at }
            | MailboxCommand::Close { at } => *at,
        };
        match command {
            MailboxCommand::Open { key, owner, .. } => match self.owner {
                None => Ok(vec![MailboxEvent::MailboxOpened {
                    key: *key,
                    owner: *owner,
                    at,
                }]),
                Some(known) if known != *owner => Err(MailboxError::OwnedByAnother),
                Some(_) if self.closed => Err(MailboxError::NotOpen),
                Some(_) => Ok(Vec::new()),
            },
            MailboxCommand::Accept { .. } => self.expect_accept(command),
            MailboxCommand::Acknowledge { through, chain, .. } => {
                self.expect_acknowledge(*through, *chain, at)
            }
            MailboxCommand::Park { messages, .. } => {
                let ids: Vec<_> = messages.iter().map(|(id, _)| *id).collect();
                let held = |message: &Message| message.has_body();
                let named = self.named(&ids, held).ok_or(MailboxError::UnknownMessage)?;
                let waiting = named.into_iter().filter(|seq| self.is(*seq, Fate::Waiting));
                let reason = messages[0].1;
                Ok(waiting
                    .map(|seq| MailboxEvent::MessageParked { seq, reason, at })
                    .collect())
            }
            MailboxCommand::AcknowledgeParked { messages, .. } => {
                let parked = |message: &Message| message.fate == Fate::Parked;
                let named = self
                    .named(messages, parked)
                    .ok_or(MailboxError::UnknownMessage)?;
                let seqs = named.into_iter().collect();
                Ok(vec![MailboxEvent::ParkedMessagesAcknowledged { seqs, at }])
            }
            MailboxCommand::Expire { .. } => {
                let mut due =
                    self.seqs(|_, message| message.has_body() && message.expires_at <= at);
                due.sort_by_key(|seq| (self.message(*seq).map(|message| message.expires_at), *seq));
                Ok(gone(due, GoneReason::Expired, at))
            }
            MailboxCommand::Forward { .. }
            | MailboxCommand::SetStrangerPolicy { .. }
            | MailboxCommand::AddTokens { .. }
            | MailboxCommand::RevokeTokens { .. }
            | MailboxCommand::RevokeAllTokens { .. }
            | MailboxCommand::NoteFull { .. } => panic!("this list knows contacts only"),
            MailboxCommand::Wipe { .. } => Ok(self.wiped(at)),
            MailboxCommand::Close { .. } if self.owner.is_none() || self.closed => Ok(Vec::new()),
            MailboxCommand::Close { .. } => {
                let mut events = self.wiped(at);
                events.push(MailboxEvent::MailboxClosed { at });
                Ok(events)
            }
        }
    }

    fn expect_accept(&self, command: &MailboxCommand) -> Answer {
        let MailboxCommand::Accept {
            id,
            digest,
            size,
            ttl,
            introduction: _,
            at,
        } = command
        else {
            panic!("only asked about messages");
        };
        let bucket = SizeBucket::of(*size).ok_or(MailboxError::NotPadded { actual: *size })?;
        let ttl = ttl.unwrap_or(MESSAGE_TTL_DEFAULT);
        if ttl < MESSAGE_TTL_MIN || ttl > MESSAGE_TTL_MAX {
            return Err(MailboxError::TtlOutOfBounds {
                actual: ttl.as_secs(),
            });
        }
        if self.owner.is_none() || self.closed {
            return Err(MailboxError::NotOpen);
        }
        let held: Vec<_> = self
            .messages
            .iter()
            .filter(|message| message.has_body())
            .collect();
        let bytes: usize = held.iter().map(|message| message.size).sum();
        let in_line = self.last() - self.acknowledged;
        if held.len() == MAILBOX_MESSAGES_MAX
            || bytes + size > MAILBOX_BYTES_MAX
            || in_line == MAILBOX_LINE_MAX as u64
        {
            return Err(MailboxError::Full);
        }
        let seq = self.last() + 1;
        Ok(vec![MailboxEvent::MessageAccepted {
            seq,
            id: *id,
            size: bucket,
            digest: *digest,
            chain: extend_chain(self.chain(self.last()), seq, *id, *digest),
            knock: false,
            at: *at,
            expires_at: at.plus(ttl),
        }])
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
                    expires_at,
                    ..
                } => {
                    self.messages.push(Message {
                        id: *id,
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
                MailboxEvent::MailboxClosed { .. } => self.closed = true,
                other => panic!("this list knows contacts only, not {other:?}"),
            }
        }
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
