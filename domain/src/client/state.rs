//! What is true of a client now, and how an event changes it.

use std::collections::BTreeSet;

use crate::client::ClientEvent;
use crate::ids::{Digest, PushTargetId};
use crate::keys::{ClientId, MessagingKey};
use crate::time::Timestamp;

/// How far a push target has come.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum PushState {
    /// Its code was sent, or is about to be.
    Pending {
        /// The registration.
        id: PushTargetId,
        /// The digest the code must have.
        code_digest: Digest,
        /// When the code stops being good.
        code_expires_at: Timestamp,
        /// How many wrong codes came back.
        attempts: u8,
        /// When it was registered.
        set_at: Timestamp,
    },
    /// In use.
    Active {
        /// The registration.
        id: PushTargetId,
        /// When it was registered.
        set_at: Timestamp,
    },
}

impl PushState {
    /// The registration.
    #[must_use]
    pub const fn id(&self) -> PushTargetId {
        match self {
            Self::Pending { id, .. } | Self::Active { id, .. } => *id,
        }
    }

    /// When it was registered.
    #[must_use]
    pub const fn set_at(&self) -> Timestamp {
        match self {
            Self::Pending { set_at, .. } | Self::Active { set_at, .. } => *set_at,
        }
    }
}

/// The state of one client; the default is "not registered".
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Client {
    pub(super) identity: Option<ClientId>,
    pub(super) registered_at: Option<Timestamp>,
    pub(super) messaging_key: Option<MessagingKey>,
    /// Keys that were in use before; their mailboxes drain until the client is retired.
    pub(super) former_keys: BTreeSet<MessagingKey>,
    pub(super) retired: bool,
    pub(super) push: Option<PushState>,
    pub(super) woken_through: u64,
}

impl Client {
    /// When it was registered, if it was.
    #[must_use]
    pub const fn registered_at(&self) -> Option<Timestamp> {
        self.registered_at
    }

    /// True once it was retired, for ever.
    #[must_use]
    pub const fn is_retired(&self) -> bool {
        self.retired
    }

    /// The messaging key in use; after the client was retired, the last one.
    #[must_use]
    pub const fn messaging_key(&self) -> Option<MessagingKey> {
        self.messaging_key
    }

    /// The messaging key in use and all former ones; also after the client was retired.
    pub fn messaging_keys(&self) -> impl Iterator<Item = MessagingKey> + '_ {
        self.messaging_key.iter().chain(&self.former_keys).copied()
    }

    /// Its push target, unless it has none that could be used.
    #[must_use]
    pub const fn push(&self) -> Option<PushState> {
        self.push
    }

    pub(super) fn apply(&mut self, event: &ClientEvent) {
        match event {
            ClientEvent::ClientRegistered {
                client,
                messaging_key,
                at,
            } => {
                self.identity = Some(*client);
                self.messaging_key = Some(*messaging_key);
                self.registered_at = Some(*at);
            }
            ClientEvent::MessagingKeyRotated { from, to, .. } => {
                self.former_keys.insert(*from);
                self.former_keys.remove(to);
                self.messaging_key = Some(*to);
            }
            ClientEvent::PushTargetSet {
                id,
                code_digest,
                code_expires_at,
                at,
                ..
            } => {
                self.push = Some(PushState::Pending {
                    id: *id,
                    code_digest: *code_digest,
                    code_expires_at: *code_expires_at,
                    attempts: 0,
                    set_at: *at,
                });
            }
            ClientEvent::PushTargetVerified { id, at } => {
                let set_at = self.push.map_or(*at, |push| push.set_at());
                self.push = Some(PushState::Active { id: *id, set_at });
            }
            ClientEvent::PushCodeRefused { .. } => {
                if let Some(PushState::Pending { attempts, .. }) = &mut self.push {
                    *attempts = attempts.saturating_add(1);
                }
            }
            ClientEvent::PushTargetRemoved { .. } | ClientEvent::PushTargetDead { .. } => {
                self.push = None;
            }
            ClientEvent::PushWoken { through, .. } => {
                self.woken_through = self.woken_through.max(*through);
            }
            ClientEvent::ClientRetired { .. } => {
                self.retired = true;
                self.push = None;
            }
        }
    }
}
