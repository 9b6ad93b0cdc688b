//! The rules.

use crate::aggregate::Aggregate;
use crate::event::Event;
use crate::ids::{PayloadId, PushTargetId};
use crate::keys::{ClientId, MessagingKey};
use crate::limits::{MESSAGING_KEYS_MAX, PUSH_CODE_ATTEMPTS_MAX, PUSH_CODE_TTL};
use crate::push::{PushRegistration, VerificationCode};
use crate::sealed::Sealed;
use crate::time::Timestamp;

use super::{Client, ClientCommand, ClientError, ClientEvent, PushState};

type Decision = Result<Vec<ClientEvent>, ClientError>;

impl Aggregate for Client {
    type Command = ClientCommand;
    type Event = ClientEvent;
    type Error = ClientError;

    const CATEGORY: &'static str = "client";

    fn own_event(event: &Event) -> Option<&ClientEvent> {
        match event {
            Event::Client(event) => Some(event),
            _ => None,
        }
    }

    fn decide(&self, command: &ClientCommand) -> Decision {
        match command {
            ClientCommand::Register {
                client,
                messaging_key,
                at,
            } => self.register(*client, *messaging_key, *at),
            ClientCommand::RotateMessagingKey { messaging_key, at } => {
                self.rotate_messaging_key(*messaging_key, *at)
            }
            ClientCommand::SetPushTarget {
                id,
                registration,
                at,
            } => self.set_push_target(*id, registration, *at),
            ClientCommand::VerifyPushTarget { code, at } => self.verify_push_target(code, *at),
            ClientCommand::RemovePushTarget { at } => self.remove_push_target(*at),
            ClientCommand::MarkPushTargetDead {
                id,
                reason,
                since,
                at,
            } => {
                let dead = ClientEvent::PushTargetDead {
                    id: *id,
                    reason: *reason,
                    at: *at,
                };
                Ok(self.dies(*id, *since).then_some(dead).into_iter().collect())
            }
            ClientCommand::RecordWake { id, through, at } => {
                Ok(self.record_wake(*id, *through, *at))
            }
            ClientCommand::Retire { at } => self.retire(*at),
        }
    }

    fn evolve(&mut self, event: &ClientEvent) {
        self.apply(event);
    }

    fn payloads_closed_by(&self, event: &ClientEvent) -> Vec<PayloadId> {
        let present = self.push.map(|push| push.id());
        let closed = match event {
            ClientEvent::PushTargetSet { id, .. } => present.filter(|present| present != id),
            ClientEvent::PushTargetRemoved { .. }
            | ClientEvent::PushTargetDead { .. }
            | ClientEvent::ClientRetired { .. } => present,
            ClientEvent::ClientRegistered { .. }
            | ClientEvent::MessagingKeyRotated { .. }
            | ClientEvent::PushTargetVerified { .. }
            | ClientEvent::PushCodeRefused { .. }
            | ClientEvent::PushWoken { .. } => None,
        };
        closed.map(PayloadId::from).into_iter().collect()
    }

    fn weight(&self) -> usize {
        1 + self.former_keys.len()
    }
}

impl Client {
    fn register(&self, client: ClientId, messaging_key: MessagingKey, at: Timestamp) -> Decision {
        if self.retired {
            return Err(ClientError::Retired);
        }
        differ(client, messaging_key)?;
        match (self.identity, self.messaging_key) {
            (None, _) => Ok(vec![ClientEvent::ClientRegistered {
                client,
                messaging_key,
                at,
            }]),
            (Some(known), Some(key)) if known == client && key == messaging_key => Ok(Vec::new()),
            (Some(_), _) => Err(ClientError::AlreadyRegistered),
        }
    }

    fn rotate_messaging_key(&self, to: MessagingKey, at: Timestamp) -> Decision {
        let (identity, from) = self.registered()?;
        differ(identity, to)?;
        if from == to {
            return Ok(Vec::new());
        }
        let is_former = self.former_keys.contains(&to);
        if !is_former && 1 + self.former_keys.len() >= MESSAGING_KEYS_MAX {
            return Err(ClientError::TooManyMessagingKeys);
        }
        Ok(vec![ClientEvent::MessagingKeyRotated { from, to, at }])
    }

    fn set_push_target(
        &self,
        id: PushTargetId,
        registration: &PushRegistration,
        at: Timestamp,
    ) -> Decision {
        self.registered()?;
        Ok(vec![ClientEvent::PushTargetSet {
            id,
            registration: Sealed::Present(registration.clone()),
            code_digest: registration.code.digest(),
            code_expires_at: at.plus(PUSH_CODE_TTL),
            at,
        }])
    }

    fn verify_push_target(&self, code: &VerificationCode, at: Timestamp) -> Decision {
        self.registered()?;
        let Some(PushState::Pending {
            id,
            code_digest,
            code_expires_at,
            attempts,
            set_at: _,
        }) = self.push
        else {
            return Err(ClientError::NoPushTargetPending);
        };
        if attempts >= PUSH_CODE_ATTEMPTS_MAX || at >= code_expires_at {
            return Err(ClientError::PushCodeSpent);
        }
        Ok(vec![if code.digest() == code_digest {
            ClientEvent::PushTargetVerified { id, at }
        } else {
            ClientEvent::PushCodeRefused { id, at }
        }])
    }

    fn remove_push_target(&self, at: Timestamp) -> Decision {
        self.registered()?;
        let removed = |push: PushState| ClientEvent::PushTargetRemoved { id: push.id(), at };
        Ok(self.push.map(removed).into_iter().collect())
    }

    /// A wake-up through a target that is not in use any more says nothing about the present one.
    fn record_wake(&self, id: PushTargetId, through: u64, at: Timestamp) -> Vec<ClientEvent> {
        let active = matches!(self.present(id), Some(PushState::Active { .. }));
        if active && through > self.woken_through {
            vec![ClientEvent::PushWoken { id, through, at }]
        } else {
            Vec::new()
        }
    }

    fn retire(&self, at: Timestamp) -> Decision {
        match self.registered() {
            Ok(_) => Ok(vec![ClientEvent::ClientRetired { at }]),
            Err(ClientError::Retired) => Ok(Vec::new()),
            Err(error) => Err(error),
        }
    }

    /// The identity and the messaging key, while the client is registered and not retired.
    fn registered(&self) -> Result<(ClientId, MessagingKey), ClientError> {
        if self.retired {
            return Err(ClientError::Retired);
        }
        self.identity
            .zip(self.messaging_key)
            .ok_or(ClientError::NotRegistered)
    }

    /// True when this is the present target, and what was said about it is newer than it is.
    fn dies(&self, id: PushTargetId, since: Option<Timestamp>) -> bool {
        self.present(id)
            .is_some_and(|push| since.is_none_or(|since| since > push.set_at()))
    }

    fn present(&self, id: PushTargetId) -> Option<PushState> {
        self.push.filter(|push| push.id() == id)
    }
}

/// One key for both uses would let a signature made for one purpose be shown for the other.
fn differ(identity: ClientId, messaging_key: MessagingKey) -> Result<(), ClientError> {
    if identity.as_bytes() == messaging_key.as_bytes() {
        return Err(ClientError::KeysEqual);
    }
    Ok(())
}
