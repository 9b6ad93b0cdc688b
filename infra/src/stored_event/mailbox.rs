//! The stored forms of the events of a mailbox.

use satpost_domain::ids::{ChainHash, Digest};
use satpost_domain::mailbox::{GoneReason, MailboxEvent, ParkReason, SizeBucket};
use satpost_domain::{ClientId, Event, MessageId, MessagingKey, Timestamp};

use super::Encoded;
use super::codes::Coded;
use super::form::{Beside, Flaw, Form, Registered, encoded, stored_form};

pub(super) const FORMS: &[Registered] = &[
    Registered::of::<MailboxOpened>(),
    Registered::of::<MessageAccepted>(),
    Registered::of::<MessageParked>(),
    Registered::of::<MessagesAcknowledged>(),
    Registered::of::<ParkedMessagesAcknowledged>(),
    Registered::of::<MessageGone>(),
    Registered::of::<MailboxClosed>(),
];

stored_form!(
    /// The mailbox exists.
    MailboxOpened = "MailboxOpened", 1 { key: MessagingKey, owner: ClientId, at: Timestamp }
);
stored_form!(
    /// A message was taken.
    MessageAccepted = "MessageAccepted", 1 {
        seq: u64,
        id: MessageId,
        size: Coded<SizeBucket>,
        digest: Digest,
        chain: ChainHash,
        at: Timestamp,
        expires_at: Timestamp,
    }
);
stored_form!(
    /// A message was set aside by its recipient.
    MessageParked = "MessageParked", 1 { seq: u64, reason: Coded<ParkReason>, at: Timestamp }
);
stored_form!(
    /// The recipient has stored every message up to one; parked ones stay.
    MessagesAcknowledged = "MessagesAcknowledged", 1 { through: u64, count: u64, at: Timestamp }
);
stored_form!(
    /// The recipient is done with parked messages.
    ParkedMessagesAcknowledged = "ParkedMessagesAcknowledged", 1 {
        seqs: Vec<u64>,
        at: Timestamp,
    }
);
stored_form!(
    /// A message ended without an acknowledgement; its tombstone keeps its place in the line.
    MessageGone = "MessageGone", 1 { seq: u64, reason: Coded<GoneReason>, at: Timestamp }
);
stored_form!(
    /// The mailbox takes no more messages.
    MailboxClosed = "MailboxClosed", 1 { at: Timestamp }
);

pub(super) fn encode(event: &MailboxEvent) -> Encoded {
    match *event {
        MailboxEvent::MailboxOpened { key, owner, at } => {
            encoded(&MailboxOpened { key, owner, at })
        }
        MailboxEvent::MessageAccepted {
            seq,
            id,
            size,
            digest,
            chain,
            at,
            expires_at,
        } => encoded(&MessageAccepted {
            seq,
            id,
            size: Coded(size),
            digest,
            chain,
            at,
            expires_at,
        }),
        MailboxEvent::MessageParked { seq, reason, at } => encoded(&MessageParked {
            seq,
            reason: Coded(reason),
            at,
        }),
        MailboxEvent::MessagesAcknowledged { through, count, at } => {
            encoded(&MessagesAcknowledged { through, count, at })
        }
        MailboxEvent::ParkedMessagesAcknowledged { ref seqs, at } => {
            encoded(&ParkedMessagesAcknowledged {
                seqs: seqs.clone(),
                at,
            })
        }
        MailboxEvent::MessageGone { seq, reason, at } => encoded(&MessageGone {
            seq,
            reason: Coded(reason),
            at,
        }),
        MailboxEvent::MailboxClosed { at } => encoded(&MailboxClosed { at }),
    }
}

impl Form for MailboxOpened {
    fn into_event(self, _sealed: Option<&[u8]>) -> Result<Event, Flaw> {
        let Self { key, owner, at } = self;
        Ok(MailboxEvent::MailboxOpened { key, owner, at }.into())
    }
}

impl Form for MessageAccepted {
    const BESIDE: Beside = Beside::Payload("the body of the message");

    fn into_event(self, _sealed: Option<&[u8]>) -> Result<Event, Flaw> {
        let Coded(size) = self.size;
        Ok(MailboxEvent::MessageAccepted {
            seq: self.seq,
            id: self.id,
            size,
            digest: self.digest,
            chain: self.chain,
            at: self.at,
            expires_at: self.expires_at,
        }
        .into())
    }
}

impl Form for MessageParked {
    fn into_event(self, _sealed: Option<&[u8]>) -> Result<Event, Flaw> {
        let Self { seq, reason, at } = self;
        let Coded(reason) = reason;
        Ok(MailboxEvent::MessageParked { seq, reason, at }.into())
    }
}

impl Form for MessagesAcknowledged {
    fn into_event(self, _sealed: Option<&[u8]>) -> Result<Event, Flaw> {
        let Self { through, count, at } = self;
        Ok(MailboxEvent::MessagesAcknowledged { through, count, at }.into())
    }
}

impl Form for ParkedMessagesAcknowledged {
    fn into_event(self, _sealed: Option<&[u8]>) -> Result<Event, Flaw> {
        let Self { seqs, at } = self;
        Ok(MailboxEvent::ParkedMessagesAcknowledged { seqs, at }.into())
    }
}

impl Form for MessageGone {
    fn into_event(self, _sealed: Option<&[u8]>) -> Result<Event, Flaw> {
        let Self { seq, reason, at } = self;
        let Coded(reason) = reason;
        Ok(MailboxEvent::MessageGone { seq, reason, at }.into())
    }
}

impl Form for MailboxClosed {
    fn into_event(self, _sealed: Option<&[u8]>) -> Result<Event, Flaw> {
        let Self { at } = self;
        Ok(MailboxEvent::MailboxClosed { at }.into())
    }
}
