//! Who is registered, which messaging key belongs to whom, and how each phone can be woken.

use std::collections::{BTreeMap, HashMap};

use satpost_domain::client::ClientEvent;
use satpost_domain::push::PushRegistration;
use satpost_domain::{ClientId, Envelope, Event, MessagingKey, PushTargetId, Timestamp};
use serde::{Deserialize, Serialize};

use crate::projection::{Projection, SnapshotError};
use crate::snapshot::{StoredRegistration, from_bytes, sorted, to_bytes, to_tree};
use crate::stream_owner::client_of;

#[cfg(test)]
mod tests;

/// How far a client's push target has come.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
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
    clients: BTreeMap<ClientId, Entry>,
    /// Present and former messaging keys of clients that are not retired.
    owners: HashMap<MessagingKey, ClientId>,
}

#[derive(Debug)]
struct Entry {
    record: ClientRecord,
    former_keys: Vec<MessagingKey>,
}

impl ClientDirectory {
    /// The client with this id, unless it is unknown or retired.
    #[must_use]
    pub fn client(&self, id: &ClientId) -> Option<&ClientRecord> {
        self.clients.get(id).map(|entry| &entry.record)
    }

    /// Whose messaging key this is or was.
    #[must_use]
    pub fn owner(&self, key: &MessagingKey) -> Option<ClientId> {
        self.owners.get(key).copied()
    }

    /// How many clients are registered and not retired.
    #[must_use]
    pub fn len(&self) -> usize {
        self.clients.len()
    }

    /// True when no client is registered.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.clients.is_empty()
    }

    fn register(&mut self, client: ClientId, messaging_key: MessagingKey, at: Timestamp) {
        let record = ClientRecord {
            messaging_key,
            registered_at: at,
            push: None,
        };
        self.clients.insert(
            client,
            Entry {
                record,
                former_keys: Vec::new(),
            },
        );
        self.own(client, messaging_key);
    }

    /// A key belongs to the first who proved to hold it.
    fn own(&mut self, client: ClientId, key: MessagingKey) {
        self.owners.entry(key).or_insert(client);
    }

    fn rotate(&mut self, client: ClientId, to: MessagingKey) {
        let Some(entry) = self.clients.get_mut(&client) else {
            return;
        };
        let from = std::mem::replace(&mut entry.record.messaging_key, to);
        if from != to {
            entry.former_keys.retain(|key| *key != from && *key != to);
            entry.former_keys.push(from);
        }
        self.own(client, to);
    }

    fn retire(&mut self, client: ClientId) {
        let Some(entry) = self.clients.remove(&client) else {
            return;
        };
        for key in entry
            .former_keys
            .iter()
            .chain([&entry.record.messaging_key])
        {
            if self.owners.get(key) == Some(&client) {
                self.owners.remove(key);
            }
        }
    }

    fn set_push(&mut self, client: ClientId, push: Option<PushRecord>) {
        if let Some(entry) = self.clients.get_mut(&client) {
            entry.record.push = push;
        }
    }

    /// The push target of a client, if it is still this registration.
    fn push_mut(&mut self, client: ClientId, id: PushTargetId) -> Option<&mut PushRecord> {
        self.clients
            .get_mut(&client)?
            .record
            .push
            .as_mut()
            .filter(|push| push.id == id)
    }
}

impl Projection for ClientDirectory {
    const NAME: &'static str = "client_directory";
    const VERSION: u32 = 1;

    fn apply(&mut self, envelope: &Envelope) {
        let Event::Client(event) = &envelope.event else {
            return;
        };
        let Some(client) = client_of(&envelope.stream) else {
            return;
        };
        match *event {
            ClientEvent::ClientRegistered {
                messaging_key, at, ..
            } => self.register(client, messaging_key, at),
            ClientEvent::MessagingKeyRotated { to, .. } => self.rotate(client, to),
            ClientEvent::PushTargetSet {
                id,
                ref registration,
                ..
            } => self.set_push(
                client,
                Some(PushRecord {
                    id,
                    status: PushStatus::Pending,
                    registration: registration.as_option().cloned(),
                }),
            ),
            ClientEvent::PushTargetVerified { id, .. } => {
                if let Some(push) = self.push_mut(client, id) {
                    push.status = PushStatus::Active;
                }
            }
            ClientEvent::PushTargetRemoved { id, .. } | ClientEvent::PushTargetDead { id, .. } => {
                if self.push_mut(client, id).is_some() {
                    self.set_push(client, None);
                }
            }
            ClientEvent::ClientRetired { .. } => self.retire(client),
            ClientEvent::PushCodeRefused { .. } | ClientEvent::PushWoken { .. } => {}
        }
    }

    fn snapshot(&self) -> Vec<u8> {
        to_bytes(&Stored {
            clients: self
                .clients
                .iter()
                .map(|(id, entry)| StoredClient::new(*id, entry))
                .collect(),
            owners: sorted(&self.owners)
                .into_iter()
                .map(|(key, client)| (*key, *client))
                .collect(),
        })
    }

    fn restore(bytes: &[u8]) -> Result<Self, SnapshotError> {
        let stored: Stored = from_bytes(bytes)?;
        Ok(Self {
            clients: stored
                .clients
                .into_iter()
                .map(|client| Ok((client.id, client.entry()?)))
                .collect::<Result<_, SnapshotError>>()?,
            owners: stored.owners.into_iter().collect(),
        })
    }

    fn tree(bytes: &[u8]) -> Result<serde_json::Value, SnapshotError> {
        to_tree::<Stored>(bytes)
    }
}

#[derive(Serialize, Deserialize)]
struct Stored {
    clients: Vec<StoredClient>,
    owners: Vec<(MessagingKey, ClientId)>,
}

#[derive(Serialize, Deserialize)]
struct StoredClient {
    id: ClientId,
    messaging_key: MessagingKey,
    former_keys: Vec<MessagingKey>,
    registered_at: Timestamp,
    push: Option<(PushTargetId, PushStatus, Option<StoredRegistration>)>,
}

impl StoredClient {
    fn new(id: ClientId, entry: &Entry) -> Self {
        let record = &entry.record;
        Self {
            id,
            messaging_key: record.messaging_key,
            former_keys: entry.former_keys.clone(),
            registered_at: record.registered_at,
            push: record.push.as_ref().map(|push| {
                let registration = push.registration.as_ref().map(StoredRegistration::from);
                (push.id, push.status, registration)
            }),
        }
    }

    fn entry(self) -> Result<Entry, SnapshotError> {
        let push = match self.push {
            None => None,
            Some((id, status, registration)) => Some(PushRecord {
                id,
                status,
                registration: registration.map(TryInto::try_into).transpose()?,
            }),
        };
        Ok(Entry {
            record: ClientRecord {
                messaging_key: self.messaging_key,
                registered_at: self.registered_at,
                push,
            },
            former_keys: self.former_keys,
        })
    }
}
