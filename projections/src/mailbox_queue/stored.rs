//! The snapshot of the mailbox queues.

use satpost_domain::mailbox::{GoneReason, ParkReason, SizeBucket, StrangerPolicy};
use satpost_domain::{MessagingKey, Revision, Timestamp};
use serde::{Deserialize, Serialize};

use super::queue::{Busy, Fate, Queue, Waiting};
use super::table::QueueTable;
use crate::projection::SnapshotError;
use crate::snapshot::{from_bytes, to_bytes, to_tree};

#[derive(Serialize, Deserialize)]
struct StoredQueue {
    mailbox: MessagingKey,
    acknowledged: (u64, Revision),
    policy: StoredPolicy,
    delivery_tokens: u32,
    busy: Option<StoredBusy>,
}

#[derive(Serialize, Deserialize)]
struct StoredBusy {
    closed: bool,
    full_since: Option<Timestamp>,
    line: Vec<StoredMessage>,
    set_aside: Vec<(u64, StoredMessage)>,
}

#[derive(Serialize, Deserialize)]
struct StoredMessage {
    revision: Revision,
    accepted_at: Timestamp,
    ttl_ms: u32,
    size: u8,
    knock: bool,
    fate: StoredFate,
    parked: Option<StoredPark>,
}

#[derive(Serialize, Deserialize)]
enum StoredPolicy {
    Refuse,
    Knock,
    Open,
}

#[derive(Serialize, Deserialize)]
enum StoredFate {
    Held,
    Done,
    Expired,
    Wiped,
}

#[derive(Serialize, Deserialize)]
enum StoredPark {
    Decrypt,
    Format,
    Other,
}

pub(super) fn snapshot(queues: &QueueTable) -> Vec<u8> {
    let mut queues: Vec<&Queue> = queues.iter().map(|(_, queue)| queue).collect();
    queues.sort_unstable_by_key(|queue| queue.mailbox);
    let queues: Vec<StoredQueue> = queues.into_iter().map(StoredQueue::from).collect();
    to_bytes(&queues)
}

pub(super) fn tree(bytes: &[u8]) -> Result<serde_json::Value, SnapshotError> {
    to_tree::<Vec<StoredQueue>>(bytes)
}

pub(super) fn restore(bytes: &[u8]) -> Result<QueueTable, SnapshotError> {
    let mut queues = QueueTable::default();
    for stored in from_bytes::<Vec<StoredQueue>>(bytes)? {
        queues.insert(stored.queue()?);
    }
    Ok(queues)
}

impl From<&Queue> for StoredQueue {
    fn from(queue: &Queue) -> Self {
        Self {
            mailbox: queue.mailbox,
            acknowledged: queue.acknowledged(),
            policy: match queue.policy {
                StrangerPolicy::Refuse => StoredPolicy::Refuse,
                StrangerPolicy::Knock => StoredPolicy::Knock,
                StrangerPolicy::Open => StoredPolicy::Open,
            },
            delivery_tokens: queue.delivery_tokens,
            busy: queue.busy().map(Into::into),
        }
    }
}

impl From<&Busy> for StoredBusy {
    fn from(busy: &Busy) -> Self {
        let set_aside = busy.set_aside.iter();
        Self {
            closed: busy.closed,
            full_since: busy.full_since,
            line: busy.line.iter().map(Into::into).collect(),
            set_aside: set_aside
                .map(|(seq, waiting)| (*seq, waiting.into()))
                .collect(),
        }
    }
}

impl StoredQueue {
    fn queue(self) -> Result<Queue, SnapshotError> {
        let policy = match self.policy {
            StoredPolicy::Refuse => StrangerPolicy::Refuse,
            StoredPolicy::Knock => StrangerPolicy::Knock,
            StoredPolicy::Open => StrangerPolicy::Open,
        };
        let admission = (policy, self.delivery_tokens);
        let busy = self.busy.map(StoredBusy::busy).transpose()?;
        let acknowledged = self.acknowledged;
        Ok(Queue::from_parts(
            self.mailbox,
            acknowledged,
            admission,
            busy,
        ))
    }
}

impl StoredBusy {
    fn busy(self) -> Result<Busy, SnapshotError> {
        let line = self.line.into_iter().map(StoredMessage::waiting);
        let set_aside = self.set_aside.into_iter();
        let set_aside = set_aside.map(|(seq, stored)| Ok((seq, stored.waiting()?)));
        let line = line.collect::<Result<_, SnapshotError>>()?;
        let set_aside = set_aside.collect::<Result<_, SnapshotError>>()?;
        Ok(Busy::new(self.closed, self.full_since, line, set_aside))
    }
}

impl From<&Waiting> for StoredMessage {
    fn from(waiting: &Waiting) -> Self {
        Self {
            revision: waiting.revision,
            accepted_at: waiting.accepted_at,
            ttl_ms: waiting.ttl_ms,
            size: waiting.size.index(),
            knock: waiting.knock,
            fate: match waiting.fate {
                Fate::Held => StoredFate::Held,
                Fate::Done => StoredFate::Done,
                Fate::Gone(GoneReason::Expired) => StoredFate::Expired,
                Fate::Gone(GoneReason::Wiped) => StoredFate::Wiped,
            },
            parked: waiting.parked.map(|reason| match reason {
                ParkReason::Decrypt => StoredPark::Decrypt,
                ParkReason::Format => StoredPark::Format,
                ParkReason::Other => StoredPark::Other,
            }),
        }
    }
}

impl StoredMessage {
    fn waiting(self) -> Result<Waiting, SnapshotError> {
        let size = SizeBucket::from_index(self.size).ok_or_else(|| SnapshotError {
            reason: format!("no size bucket has index {}", self.size),
        })?;
        Ok(Waiting {
            revision: self.revision,
            accepted_at: self.accepted_at,
            ttl_ms: self.ttl_ms,
            size,
            knock: self.knock,
            fate: match self.fate {
                StoredFate::Held => Fate::Held,
                StoredFate::Done => Fate::Done,
                StoredFate::Expired => Fate::Gone(GoneReason::Expired),
                StoredFate::Wiped => Fate::Gone(GoneReason::Wiped),
            },
            parked: self.parked.map(|reason| match reason {
                StoredPark::Decrypt => ParkReason::Decrypt,
                StoredPark::Format => ParkReason::Format,
                StoredPark::Other => ParkReason::Other,
            }),
        })
    }
}
