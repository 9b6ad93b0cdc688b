//! The snapshot of the mailbox queues.

use std::collections::HashMap;

use satpost_domain::ids::{ChainHash, Digest};
use satpost_domain::mailbox::{GoneReason, ParkReason, SizeBucket, StrangerPolicy};
use satpost_domain::{ClientId, MessageId, MessagingKey, Timestamp};
use serde::{Deserialize, Serialize};

use super::queue::{Place, Queue};
use super::{QueueHead, QueuedMessage};
use crate::projection::SnapshotError;
use crate::snapshot::{from_bytes, sorted, to_bytes, to_tree};

#[derive(Serialize, Deserialize)]
struct StoredQueue {
    mailbox: MessagingKey,
    owner: ClientId,
    closed: bool,
    policy: StoredPolicy,
    delivery_tokens: usize,
    full_since: Option<Timestamp>,
    acknowledged: (u64, ChainHash),
    line: Vec<(StoredMessage, bool)>,
    set_aside: Vec<StoredMessage>,
}

#[derive(Serialize, Deserialize)]
struct StoredMessage {
    seq: u64,
    id: MessageId,
    size: u8,
    digest: Digest,
    chain: ChainHash,
    knock: bool,
    accepted_at: Timestamp,
    expires_at: Timestamp,
    gone: Option<StoredGone>,
    parked: Option<StoredPark>,
}

#[derive(Serialize, Deserialize)]
enum StoredPolicy {
    Refuse,
    Knock,
    Open,
}

#[derive(Serialize, Deserialize)]
enum StoredGone {
    Expired,
    Wiped,
}

#[derive(Serialize, Deserialize)]
enum StoredPark {
    Decrypt,
    Format,
    Other,
}

pub(super) fn snapshot(queues: &HashMap<MessagingKey, Queue>) -> Vec<u8> {
    let queues: Vec<StoredQueue> = sorted(queues)
        .into_iter()
        .map(|(mailbox, queue)| StoredQueue::new(*mailbox, queue))
        .collect();
    to_bytes(&queues)
}

pub(super) fn tree(bytes: &[u8]) -> Result<serde_json::Value, SnapshotError> {
    to_tree::<Vec<StoredQueue>>(bytes)
}

pub(super) fn restore(bytes: &[u8]) -> Result<HashMap<MessagingKey, Queue>, SnapshotError> {
    from_bytes::<Vec<StoredQueue>>(bytes)?
        .into_iter()
        .map(|stored| Ok((stored.mailbox, stored.queue()?)))
        .collect()
}

impl StoredQueue {
    fn new(mailbox: MessagingKey, queue: &Queue) -> Self {
        Self {
            mailbox,
            owner: queue.owner,
            closed: queue.closed,
            policy: match queue.policy {
                StrangerPolicy::Refuse => StoredPolicy::Refuse,
                StrangerPolicy::Knock => StoredPolicy::Knock,
                StrangerPolicy::Open => StoredPolicy::Open,
            },
            delivery_tokens: queue.delivery_tokens,
            full_since: queue.full_since,
            acknowledged: (queue.acknowledged.seq, queue.acknowledged.chain),
            line: queue
                .line
                .iter()
                .map(|place| ((&place.message).into(), place.done))
                .collect(),
            set_aside: queue.set_aside.values().map(Into::into).collect(),
        }
    }

    fn queue(self) -> Result<Queue, SnapshotError> {
        let (seq, chain) = self.acknowledged;
        let line = self
            .line
            .into_iter()
            .map(|(stored, done)| {
                Ok(Place {
                    message: stored.message()?,
                    done,
                })
            })
            .collect::<Result<_, SnapshotError>>()?;
        let set_aside = self
            .set_aside
            .into_iter()
            .map(|stored| Ok((stored.seq, stored.message()?)))
            .collect::<Result<_, SnapshotError>>()?;
        let head = QueueHead { seq, chain };
        let mut queue = Queue::from_parts(self.owner, self.closed, head, line, set_aside);
        queue.policy = match self.policy {
            StoredPolicy::Refuse => StrangerPolicy::Refuse,
            StoredPolicy::Knock => StrangerPolicy::Knock,
            StoredPolicy::Open => StrangerPolicy::Open,
        };
        queue.delivery_tokens = self.delivery_tokens;
        queue.full_since = self.full_since;
        Ok(queue)
    }
}

impl From<&QueuedMessage> for StoredMessage {
    fn from(message: &QueuedMessage) -> Self {
        Self {
            seq: message.seq,
            id: message.id,
            size: message.size.index(),
            digest: message.digest,
            chain: message.chain,
            knock: message.knock,
            accepted_at: message.accepted_at,
            expires_at: message.expires_at,
            gone: message.gone.map(|reason| match reason {
                GoneReason::Expired => StoredGone::Expired,
                GoneReason::Wiped => StoredGone::Wiped,
            }),
            parked: message.parked.map(|reason| match reason {
                ParkReason::Decrypt => StoredPark::Decrypt,
                ParkReason::Format => StoredPark::Format,
                ParkReason::Other => StoredPark::Other,
            }),
        }
    }
}

impl StoredMessage {
    fn message(self) -> Result<QueuedMessage, SnapshotError> {
        let size = SizeBucket::from_index(self.size).ok_or_else(|| SnapshotError {
            reason: format!("no size bucket has index {}", self.size),
        })?;
        Ok(QueuedMessage {
            seq: self.seq,
            id: self.id,
            size,
            digest: self.digest,
            chain: self.chain,
            knock: self.knock,
            accepted_at: self.accepted_at,
            expires_at: self.expires_at,
            gone: self.gone.map(|reason| match reason {
                StoredGone::Expired => GoneReason::Expired,
                StoredGone::Wiped => GoneReason::Wiped,
            }),
            parked: self.parked.map(|reason| match reason {
                StoredPark::Decrypt => ParkReason::Decrypt,
                StoredPark::Format => ParkReason::Format,
                StoredPark::Other => ParkReason::Other,
            }),
        })
    }
}
