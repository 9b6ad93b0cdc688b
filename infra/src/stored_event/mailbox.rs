//! The stored forms of the events of a mailbox.

use satpost_domain::ids::{ChainHash, Digest, TokenHash};
use satpost_domain::mailbox::{GoneReason, MailboxEvent, ParkReason, SizeBucket, StrangerPolicy};
use satpost_domain::{ClientId, Event, MessageId, MessagingKey, Timestamp};

use super::Encoded;
use super::codes::Coded;
use super::form::{Beside, Flaw, Form, Registered, encoded, stored_form};
use super::parts::Token;

pub(super) const FORMS: &[Registered] = &[
    Registered::of::<MailboxOpened>(),
    Registered::of::<MailboxForwarded>(),
    Registered::of::<MailboxReopened>(),
    Registered::of::<StrangerPolicyChanged>(),
    Registered::of::<DeliveryTokensAdded>(),
    Registered::of::<DeliveryTokensRevoked>(),
    Registered::of::<DeliveryTokenSpent>(),
    Registered::of::<MessageAccepted>(),
    Registered::of::<MailboxFilled>(),
    Registered::of::<MailboxHasRoom>(),
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
    /// The mailbox passes messages on to the key that took its key's place.
    MailboxForwarded = "MailboxForwarded", 1 { to: MessagingKey, until: Timestamp, at: Timestamp }
);
stored_form!(
    /// The key of the mailbox is in use again.
    MailboxReopened = "MailboxReopened", 1 { at: Timestamp }
);
stored_form!(
    /// Its owner has said what becomes of messages of strangers.
    StrangerPolicyChanged = "StrangerPolicyChanged", 1 {
        policy: Coded<StrangerPolicy>,
        at: Timestamp,
    }
);
stored_form!(
    /// Whoever shows one of these tokens may write.
    DeliveryTokensAdded = "DeliveryTokensAdded", 1 { tokens: Vec<Token>, at: Timestamp }
);
stored_form!(
    /// Nobody may write with these tokens any more.
    DeliveryTokensRevoked = "DeliveryTokensRevoked", 1 { hashes: Vec<TokenHash>, at: Timestamp }
);
stored_form!(
    /// A token that was good for one message was shown for it.
    DeliveryTokenSpent = "DeliveryTokenSpent", 1 { hash: TokenHash, at: Timestamp }
);
stored_form!(
    /// A message was taken.
    MessageAccepted = "MessageAccepted", 1 {
        seq: u64,
        id: MessageId,
        size: Coded<SizeBucket>,
        digest: Digest,
        chain: ChainHash,
        knock: bool,
        at: Timestamp,
        expires_at: Timestamp,
    }
);
stored_form!(
    /// A message found no room, the first since there was some.
    MailboxFilled = "MailboxFilled", 1 { at: Timestamp }
);
stored_form!(
    /// There is room again, after a message found none.
    MailboxHasRoom = "MailboxHasRoom", 1 { at: Timestamp }
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
            knock,
            at,
            expires_at,
        } => encoded(&MessageAccepted {
            seq,
            id,
            size: Coded(size),
            digest,
            chain,
            knock,
            at,
            expires_at,
        }),
        MailboxEvent::MailboxForwarded { to, until, at } => {
            encoded(&MailboxForwarded { to, until, at })
        }
        MailboxEvent::MailboxReopened { at } => encoded(&MailboxReopened { at }),
        MailboxEvent::StrangerPolicyChanged { policy, at } => encoded(&StrangerPolicyChanged {
            policy: Coded(policy),
            at,
        }),
        MailboxEvent::DeliveryTokensAdded { ref tokens, at } => encoded(&DeliveryTokensAdded {
            tokens: tokens.iter().copied().map(Token::from).collect(),
            at,
        }),
        MailboxEvent::DeliveryTokensRevoked { ref hashes, at } => encoded(&DeliveryTokensRevoked {
            hashes: hashes.clone(),
            at,
        }),
        MailboxEvent::DeliveryTokenSpent { hash, at } => encoded(&DeliveryTokenSpent { hash, at }),
        MailboxEvent::MailboxFilled { at } => encoded(&MailboxFilled { at }),
        MailboxEvent::MailboxHasRoom { at } => encoded(&MailboxHasRoom { at }),
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

impl Form for MailboxForwarded {
    fn into_event(self, _sealed: Option<&[u8]>) -> Result<Event, Flaw> {
        let Self { to, until, at } = self;
        Ok(MailboxEvent::MailboxForwarded { to, until, at }.into())
    }
}

impl Form for MailboxReopened {
    fn into_event(self, _sealed: Option<&[u8]>) -> Result<Event, Flaw> {
        let Self { at } = self;
        Ok(MailboxEvent::MailboxReopened { at }.into())
    }
}

impl Form for StrangerPolicyChanged {
    fn into_event(self, _sealed: Option<&[u8]>) -> Result<Event, Flaw> {
        let Self { policy, at } = self;
        let Coded(policy) = policy;
        Ok(MailboxEvent::StrangerPolicyChanged { policy, at }.into())
    }
}

impl Form for DeliveryTokensAdded {
    fn into_event(self, _sealed: Option<&[u8]>) -> Result<Event, Flaw> {
        let Self { tokens, at } = self;
        let tokens = tokens.into_iter().map(Into::into).collect();
        Ok(MailboxEvent::DeliveryTokensAdded { tokens, at }.into())
    }
}

impl Form for DeliveryTokensRevoked {
    fn into_event(self, _sealed: Option<&[u8]>) -> Result<Event, Flaw> {
        let Self { hashes, at } = self;
        Ok(MailboxEvent::DeliveryTokensRevoked { hashes, at }.into())
    }
}

impl Form for DeliveryTokenSpent {
    fn into_event(self, _sealed: Option<&[u8]>) -> Result<Event, Flaw> {
        let Self { hash, at } = self;
        Ok(MailboxEvent::DeliveryTokenSpent { hash, at }.into())
    }
}

impl Form for MailboxFilled {
    fn into_event(self, _sealed: Option<&[u8]>) -> Result<Event, Flaw> {
        let Self { at } = self;
        Ok(MailboxEvent::MailboxFilled { at }.into())
    }
}

impl Form for MailboxHasRoom {
    fn into_event(self, _sealed: Option<&[u8]>) -> Result<Event, Flaw> {
        let Self { at } = self;
        Ok(MailboxEvent::MailboxHasRoom { at }.into())
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
            knock: self.knock,
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
