//! The stored forms of the events of a client.

use satpost_domain::client::{ClientEvent, PushDeathReason};
use satpost_domain::ids::Digest;
use satpost_domain::{ClientId, Event, MessagingKey, PushTargetId, Timestamp};

use super::Encoded;
use super::codes::Coded;
use super::form::{Beside, Flaw, Form, Registered, encoded, stored_form};
use super::sealed::{open_registration, seal_registration};

pub(super) const FORMS: &[Registered] = &[
    Registered::of::<ClientRegistered>(),
    Registered::of::<MessagingKeyRotated>(),
    Registered::of::<PushTargetSet>(),
    Registered::of::<PushTargetVerified>(),
    Registered::of::<PushCodeRefused>(),
    Registered::of::<PushTargetRemoved>(),
    Registered::of::<PushTargetDead>(),
    Registered::of::<PushWoken>(),
    Registered::of::<ClientRetired>(),
];

stored_form!(
    /// The client exists.
    ClientRegistered = "ClientRegistered", 1 {
        client: ClientId,
        messaging_key: MessagingKey,
        at: Timestamp,
    }
);
stored_form!(
    /// Another messaging key is in use; the old one only drains its mailbox.
    MessagingKeyRotated = "MessagingKeyRotated", 1 {
        from: MessagingKey,
        to: MessagingKey,
        at: Timestamp,
    }
);
stored_form!(
    /// A push target waits for its code.
    PushTargetSet = "PushTargetSet", 1 {
        id: PushTargetId,
        code_digest: Digest,
        code_expires_at: Timestamp,
        at: Timestamp,
    }
);
stored_form!(
    /// The code came back: the target is in use.
    PushTargetVerified = "PushTargetVerified", 1 { id: PushTargetId, at: Timestamp }
);
stored_form!(
    /// A wrong code came back.
    PushCodeRefused = "PushCodeRefused", 1 { id: PushTargetId, at: Timestamp }
);
stored_form!(
    /// The target was removed by its client.
    PushTargetRemoved = "PushTargetRemoved", 1 { id: PushTargetId, at: Timestamp }
);
stored_form!(
    /// The target does not work any more.
    PushTargetDead = "PushTargetDead", 1 {
        id: PushTargetId,
        reason: Coded<PushDeathReason>,
        at: Timestamp,
    }
);
stored_form!(
    /// The push service took a wake-up that covers all triggers up to a number.
    PushWoken = "PushWoken", 1 { id: PushTargetId, through: u64, at: Timestamp }
);
stored_form!(
    /// The client is gone for ever.
    ClientRetired = "ClientRetired", 1 { at: Timestamp }
);

pub(super) fn encode(event: &ClientEvent) -> Encoded {
    match *event {
        ClientEvent::ClientRegistered {
            client,
            messaging_key,
            at,
        } => encoded(&ClientRegistered {
            client,
            messaging_key,
            at,
        }),
        ClientEvent::MessagingKeyRotated { from, to, at } => {
            encoded(&MessagingKeyRotated { from, to, at })
        }
        ClientEvent::PushTargetSet {
            id,
            ref registration,
            code_digest,
            code_expires_at,
            at,
        } => Encoded {
            sealed: registration
                .as_option()
                .map(|registration| (id.into(), seal_registration(registration))),
            ..encoded(&PushTargetSet {
                id,
                code_digest,
                code_expires_at,
                at,
            })
        },
        ClientEvent::PushTargetVerified { id, at } => encoded(&PushTargetVerified { id, at }),
        ClientEvent::PushCodeRefused { id, at } => encoded(&PushCodeRefused { id, at }),
        ClientEvent::PushTargetRemoved { id, at } => encoded(&PushTargetRemoved { id, at }),
        ClientEvent::PushTargetDead { id, reason, at } => encoded(&PushTargetDead {
            id,
            reason: Coded(reason),
            at,
        }),
        ClientEvent::PushWoken { id, through, at } => encoded(&PushWoken { id, through, at }),
        ClientEvent::ClientRetired { at } => encoded(&ClientRetired { at }),
    }
}

impl Form for ClientRegistered {
    fn into_event(self, _sealed: Option<&[u8]>) -> Result<Event, Flaw> {
        Ok(ClientEvent::ClientRegistered {
            client: self.client,
            messaging_key: self.messaging_key,
            at: self.at,
        }
        .into())
    }
}

impl Form for MessagingKeyRotated {
    fn into_event(self, _sealed: Option<&[u8]>) -> Result<Event, Flaw> {
        let Self { from, to, at } = self;
        Ok(ClientEvent::MessagingKeyRotated { from, to, at }.into())
    }
}

impl Form for PushTargetSet {
    const BESIDE: Beside = Beside::Sealed("the push target and its code");

    fn into_event(self, sealed: Option<&[u8]>) -> Result<Event, Flaw> {
        Ok(ClientEvent::PushTargetSet {
            id: self.id,
            registration: open_registration(sealed)?,
            code_digest: self.code_digest,
            code_expires_at: self.code_expires_at,
            at: self.at,
        }
        .into())
    }
}

impl Form for PushTargetVerified {
    fn into_event(self, _sealed: Option<&[u8]>) -> Result<Event, Flaw> {
        let Self { id, at } = self;
        Ok(ClientEvent::PushTargetVerified { id, at }.into())
    }
}

impl Form for PushCodeRefused {
    fn into_event(self, _sealed: Option<&[u8]>) -> Result<Event, Flaw> {
        let Self { id, at } = self;
        Ok(ClientEvent::PushCodeRefused { id, at }.into())
    }
}

impl Form for PushTargetRemoved {
    fn into_event(self, _sealed: Option<&[u8]>) -> Result<Event, Flaw> {
        let Self { id, at } = self;
        Ok(ClientEvent::PushTargetRemoved { id, at }.into())
    }
}

impl Form for PushTargetDead {
    fn into_event(self, _sealed: Option<&[u8]>) -> Result<Event, Flaw> {
        let Self { id, reason, at } = self;
        let Coded(reason) = reason;
        Ok(ClientEvent::PushTargetDead { id, reason, at }.into())
    }
}

impl Form for PushWoken {
    fn into_event(self, _sealed: Option<&[u8]>) -> Result<Event, Flaw> {
        let Self { id, through, at } = self;
        Ok(ClientEvent::PushWoken { id, through, at }.into())
    }
}

impl Form for ClientRetired {
    fn into_event(self, _sealed: Option<&[u8]>) -> Result<Event, Flaw> {
        let Self { at } = self;
        Ok(ClientEvent::ClientRetired { at }.into())
    }
}
