//! The mailboxes of the small world: who may write to them, and what becomes of what is written.

use std::time::Duration;

use satpost_domain::hash::sha256;
use satpost_domain::ids::TokenHash;
use satpost_domain::limits::{
    KNOCKS_MAX, MAILBOX_BYTES_MAX, MAILBOX_MESSAGES_MAX, MESSAGE_BYTES_MAX,
};
use satpost_domain::mailbox::{
    DeliveryToken, Introduction, Mailbox, MailboxCommand, ParkReason, StrangerPolicy, TokenUse,
};
use satpost_domain::{Event, MessageId, MessagingKey, StreamId};
use satpost_projections::mailbox_queue::{Places, QueuePage, QueueSummary, QueuedMessage};

use super::{World, messaging_key};

/// Any registered client may write to a mailbox that is open to strangers.
const REGISTERED: Introduction = Introduction {
    token: None,
    has_worked: false,
    is_registered: true,
};
/// The smallest message.
const SMALL: usize = 512;

impl World {
    pub(super) fn send(&mut self, number: u8, minutes: u64) {
        let key = messaging_key(number);
        let takes = self.takes(&key);
        assert_eq!(self.write(key, SMALL, minutes, REGISTERED), takes);
    }

    /// The head of a page is what the mailbox takes as proof.
    pub(super) fn acknowledge(&mut self, number: u8, messages: usize) {
        let (key, at) = (messaging_key(number), self.now());
        let Some(page) = self.page(&key, messages) else {
            return;
        };
        let (through, chain) = (page.head.seq, page.head.chain);
        assert!(self.ask_mailbox(key, &MailboxCommand::Acknowledge { through, chain, at }));
        let queues = self.live.mailbox_queue();
        assert_eq!(queues.summary(&key).unwrap().acknowledged, through);
    }

    pub(super) fn park(&mut self, number: u8, message: usize) {
        let (key, at) = (messaging_key(number), self.now());
        let page = self.page(&key, 50);
        let waiting = page.map_or_else(Vec::new, |page| page.messages);
        let held: Vec<_> = waiting
            .into_iter()
            .filter(|message| message.gone.is_none())
            .collect();
        if let Some(parked) = held.get(message) {
            let messages = vec![(parked.id, ParkReason::Decrypt)];
            assert!(self.ask_mailbox(key, &MailboxCommand::Park { messages, at }));
        }
    }

    pub(super) fn acknowledge_parked(&mut self, number: u8) {
        let (key, at) = (messaging_key(number), self.now());
        let messages: Vec<_> = self.parked(&key).iter().map(|parked| parked.id).collect();
        if !messages.is_empty() {
            assert!(self.ask_mailbox(key, &MailboxCommand::AcknowledgeParked { messages, at }));
            assert_eq!(self.parked(&key), []);
        }
    }

    pub(super) fn wipe(&mut self, number: u8) {
        let at = self.now();
        self.ask_mailbox(messaging_key(number), &MailboxCommand::Wipe { at });
    }

    pub(super) fn set_policy(&mut self, number: u8, policy: StrangerPolicy) {
        let (key, at) = (messaging_key(number), self.now());
        let set = MailboxCommand::SetStrangerPolicy { policy, at };
        let taken = self.ask_mailbox(key, &set);
        assert_eq!(taken, self.live.mailbox_queue().is_open(&key));
        self.compare(&key);
    }

    pub(super) fn mint(&mut self, number: u8, count: usize, uses: TokenUse) {
        let (key, at) = (messaging_key(number), self.now());
        let tokens = (0..count).map(|_| {
            let mut hash = [0; 32];
            hash[..16].copy_from_slice(&self.draw());
            let hash = TokenHash::new(hash);
            DeliveryToken { hash, uses }
        });
        let tokens = tokens.collect();
        self.ask_mailbox(key, &MailboxCommand::AddTokens { tokens, at });
        self.compare(&key);
    }

    pub(super) fn revoke(&mut self, number: u8, count: usize) {
        let (key, at) = (messaging_key(number), self.now());
        let tokens = self.mailbox(&key).map(Mailbox::delivery_tokens);
        let hashes = tokens.into_iter().flatten().map(|token| token.hash);
        let hashes: Vec<_> = hashes.take(count).collect();
        if !hashes.is_empty() {
            assert!(self.ask_mailbox(key, &MailboxCommand::RevokeTokens { hashes, at }));
        }
        self.compare(&key);
    }

    /// What the projection says of strangers is what becomes of the next one.
    pub(super) fn knock(&mut self, number: u8, with_card: bool) {
        let key = messaging_key(number);
        let card = self.mailbox(&key).and_then(|mailbox| {
            let mut tokens = mailbox.delivery_tokens();
            tokens.find(|token| with_card && token.uses == TokenUse::Once)
        });
        let introduction = Introduction {
            token: card.map(|card| card.hash),
            has_worked: !with_card,
            is_registered: false,
        };
        let before = self.summary(&key);
        let takes_strangers = before.is_some_and(|queue| {
            let is_knock = queue.policy != StrangerPolicy::Open;
            let is_let_in = card.is_some() || !with_card && queue.policy != StrangerPolicy::Refuse;
            is_let_in && !(is_knock && queue.knocks == KNOCKS_MAX)
        });
        let taken = self.write(key, SMALL, 30, introduction);
        assert_eq!(taken, takes_strangers && self.has_room(&key, before));
        if let Some((before, after)) = before.zip(self.summary(&key)).filter(|_| taken) {
            let knocks = usize::from(before.policy != StrangerPolicy::Open);
            assert_eq!(after.knocks, before.knocks + knocks);
            let spent = usize::from(card.is_some());
            assert_eq!(after.delivery_tokens + spent, before.delivery_tokens);
        }
        self.compare(&key);
    }

    /// A mailbox is full once a message found no room, until a quarter of it is free.
    pub(super) fn fill(&mut self, number: u8, minutes: u64) {
        let (key, at) = (messaging_key(number), self.now());
        let is_nearly_full = |queue: &QueueSummary| 4 * queue.bytes > 3 * MAILBOX_BYTES_MAX;
        while self.takes(&key)
            && !self
                .summary(&key)
                .is_some_and(|queue| is_nearly_full(&queue))
        {
            if !self.write(key, MESSAGE_BYTES_MAX, minutes, REGISTERED) {
                break;
            }
        }
        self.ask_mailbox(key, &MailboxCommand::NoteFull { at });
        let Some(queue) = self.summary(&key) else {
            return;
        };
        let is_open = self.live.mailbox_queue().is_open(&key);
        if is_open && is_nearly_full(&queue) {
            assert!(queue.full_since.is_some_and(|since| since <= at));
            self.ask_mailbox(key, &MailboxCommand::NoteFull { at });
            let again = self.summary(&key).and_then(|queue| queue.full_since);
            assert_eq!(again, queue.full_since, "it is filled once");
        }
    }

    /// What the mailbox of the next key takes over.
    pub(super) fn inheritance(&self, former: MessagingKey) -> (StrangerPolicy, Vec<DeliveryToken>) {
        let mailbox = self.mailbox(&former).expect("a client has a mailbox");
        let tokens = mailbox.delivery_tokens().collect();
        (mailbox.stranger_policy(), tokens)
    }

    /// What follows from a rotation.
    pub(super) fn forward(&mut self, former: Option<MessagingKey>, to: MessagingKey) {
        let at = self.now();
        if let Some(former) = former {
            assert!(self.ask_mailbox(former, &MailboxCommand::Forward { to, at }));
            self.compare(&former);
        }
        assert!(
            self.mailbox(&to)
                .is_some_and(|next| next.forward().is_none())
        );
        self.compare(&to);
    }

    fn page(&self, key: &MessagingKey, messages: usize) -> Option<QueuePage> {
        let queues = self.live.mailbox_queue();
        let places = queues.page(key, 0, messages, usize::MAX)?;
        Some(self.complete(places))
    }

    fn parked(&self, key: &MessagingKey) -> Vec<QueuedMessage> {
        let queues = self.live.mailbox_queue();
        let places = queues.parked(key, 0, usize::MAX, usize::MAX);
        places.map_or_else(Vec::new, |places| self.complete(places).messages)
    }

    /// The projection names the events that have the rest.
    fn complete(&self, places: Places) -> QueuePage {
        let stream = StreamId::mailbox(places.mailbox);
        let accepted = |revision| {
            let mut events = self.log.iter();
            let found =
                events.find(|event| event.stream == stream && event.revision == revision)?;
            match &found.event {
                Event::Mailbox(event) => Some(event),
                _ => None,
            }
        };
        places.complete(accepted).expect("the log has the messages")
    }

    fn write(
        &mut self,
        key: MessagingKey,
        size: usize,
        minutes: u64,
        introduction: Introduction,
    ) -> bool {
        let (id, at) = (MessageId::new(self.draw()), self.now());
        let message = MailboxCommand::Accept {
            id,
            digest: sha256(id.as_bytes()),
            size,
            ttl: Some(Duration::from_secs(minutes * 60)),
            introduction,
            at,
        };
        self.ask_mailbox(key, &message)
    }

    fn mailbox(&self, key: &MessagingKey) -> Option<&Mailbox> {
        self.mailboxes.get(key)
    }

    fn summary(&self, key: &MessagingKey) -> Option<QueueSummary> {
        self.live.mailbox_queue().summary(key)
    }

    /// True when the mailbox takes a small message of a registered client.
    fn takes(&self, key: &MessagingKey) -> bool {
        let summary = self.summary(key);
        let is_open = summary.is_some_and(|queue| queue.policy == StrangerPolicy::Open);
        is_open && self.has_room(key, summary)
    }

    fn has_room(&self, key: &MessagingKey, queue: Option<QueueSummary>) -> bool {
        let is_open = self.live.mailbox_queue().is_open(key);
        let mailbox = self.mailbox(key);
        is_open
            && mailbox.is_some_and(|mailbox| mailbox.forward().is_none())
            && queue.is_some_and(|queue| {
                queue.messages < MAILBOX_MESSAGES_MAX && queue.bytes + SMALL <= MAILBOX_BYTES_MAX
            })
    }

    /// The owner is told what the mailbox goes by.
    #[track_caller]
    fn compare(&self, key: &MessagingKey) {
        let Some((mailbox, queue)) = self.mailbox(key).zip(self.summary(key)) else {
            return;
        };
        assert_eq!(queue.policy, mailbox.stranger_policy());
        assert_eq!(queue.delivery_tokens, mailbox.delivery_tokens().count());
    }
}
