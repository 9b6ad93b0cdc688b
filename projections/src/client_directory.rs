//! Who is registered, which messaging key belongs to whom, and how each phone can be woken.

use std::collections::BTreeMap;

use satpost_domain::push::PushRegistration;
use satpost_domain::{ClientId, Envelope, MessagingKey, PushTargetId, Timestamp};

use crate::projection::{Projection, SnapshotError};

/// How far a client's push target has come.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum PushStatus {
    /// It waits for its code.
    Pending,
    /// It is in use.
    Active,
}

/// A client as readers see it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ClientRecord {
    /// The key its messages are addressed to now.
    pub messaging_key: MessagingKey,
    /// When it was registered.
    pub registered_at: Timestamp,
    /// Its push target, if it has one that is not dead.
    pub push: Option<PushRecord>,
}

/// A push target as readers see it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PushRecord {
    /// The registration.
    pub id: PushTargetId,
    /// How far it has come.
    pub status: PushStatus,
    /// Where, and the code; absent when it was erased.
    pub registration: Option<PushRegistration>,
}

/// The projection.
#[derive(Debug, Default)]
pub struct ClientDirectory {
    clients: BTreeMap<ClientId, ClientRecord>,
    /// Present and former messaging keys of clients that are not retired.
    owners: BTreeMap<MessagingKey, ClientId>,
}

impl ClientDirectory {
    /// The client with this id, unless it is unknown or retired.
    #[must_use]
    pub fn client(&self, id: &ClientId) -> Option<&ClientRecord> {
        self.clients.get(id)
    }

    /// Whose messaging key this is or was.
    #[must_use]
    pub fn owner(&self, key: &MessagingKey) -> Option<ClientId> {
        self.owners.get(key).copied()
    }
}

impl Projection for ClientDirectory {
    const NAME: &'static str = "client_directory";
    const VERSION: u32 = 1;

    fn apply(&mut self, _envelope: &Envelope) {
        todo!()
    }

    fn snapshot(&self) -> Vec<u8> {
        todo!()
    }

    fn restore(_bytes: &[u8]) -> Result<Self, SnapshotError> {
        todo!()
    }
}
