//! A mailbox as its recipient sees it.

use std::collections::BTreeMap;

use satpost_domain::ids::ChainHash;
use satpost_domain::mailbox::MailboxEvent;
use satpost_domain::{Envelope, Event, MessageId};

/// Read from the history of the mailbox.
#[derive(Default)]
pub(super) struct Queue {
    pub(super) accepted: Vec<(u64, MessageId, ChainHash)>,
    pub(super) waiting: Vec<MessageId>,
    pub(super) parked: Vec<MessageId>,
    /// How often each message ended.
    pub(super) ended: BTreeMap<MessageId, usize>,
}

impl Queue {
    pub(super) fn of(history: &[Envelope]) -> Self {
        let mut queue = Self::default();
        for envelope in history {
            let Event::Mailbox(event) = &envelope.event else {
                panic!("a mailbox has only its own events");
            };
            queue.read(event);
        }
        queue
    }

    fn read(&mut self, event: &MailboxEvent) {
        match event {
            MailboxEvent::MailboxOpened { .. }
            | MailboxEvent::MailboxForwarded { .. }
            | MailboxEvent::MailboxReopened { .. }
            | MailboxEvent::StrangerPolicyChanged { .. }
            | MailboxEvent::DeliveryTokensAdded { .. }
            | MailboxEvent::DeliveryTokensRevoked { .. }
            | MailboxEvent::DeliveryTokenSpent { .. }
            | MailboxEvent::MailboxFilled { .. }
            | MailboxEvent::MailboxHasRoom { .. }
            | MailboxEvent::MailboxClosed { .. } => {}
            MailboxEvent::MessageAccepted { seq, id, chain, .. } => {
                self.accepted.push((*seq, *id, *chain));
                self.waiting.push(*id);
            }
            MailboxEvent::MessageParked { seq, .. } => {
                let id = self.id(*seq);
                self.waiting.retain(|waiting| *waiting != id);
                self.parked.push(id);
            }
            MailboxEvent::MessagesAcknowledged { through, .. } => {
                for id in self.waiting.clone() {
                    if self
                        .accepted
                        .iter()
                        .any(|(seq, known, _)| *known == id && seq <= through)
                    {
                        self.end(id);
                    }
                }
            }
            MailboxEvent::ParkedMessagesAcknowledged { seqs, .. } => {
                for seq in seqs {
                    self.end(self.id(*seq));
                }
            }
            MailboxEvent::MessageGone { seq, .. } => self.end(self.id(*seq)),
        }
    }

    fn id(&self, seq: u64) -> MessageId {
        self.accepted[usize::try_from(seq).unwrap() - 1].1
    }

    fn end(&mut self, id: MessageId) {
        self.waiting.retain(|waiting| *waiting != id);
        self.parked.retain(|parked| *parked != id);
        *self.ended.entry(id).or_default() += 1;
    }
}
