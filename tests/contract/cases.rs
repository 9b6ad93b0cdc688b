//! What tests append.

use std::sync::Arc;

use satpost_commands::ports::{Appended, Expected};
use satpost_domain::{EventId, PayloadId, Position, Revision, StreamId};
use satpost_event_store::{EventStore, NewStoredEvent, RecordedEvent};

pub(crate) fn stream(name: &str) -> StreamId {
    format!("mailbox-{name}").parse().unwrap()
}

/// A small event whose id is made from `number`.
pub(crate) fn event(number: u64) -> NewStoredEvent {
    let mut id = [0; 16];
    id[..8].copy_from_slice(&number.to_be_bytes());
    NewStoredEvent {
        id: EventId::new(id),
        kind: "message_accepted".into(),
        schema: 1,
        body: number.to_le_bytes().to_vec(),
        metadata: b"from a test".to_vec(),
        payload: None,
    }
}

pub(crate) fn events(numbers: impl IntoIterator<Item = u64>) -> Vec<NewStoredEvent> {
    numbers.into_iter().map(event).collect()
}

/// The same with a payload.
pub(crate) fn event_with_payload(number: u64, payload: PayloadId, bytes: &[u8]) -> NewStoredEvent {
    NewStoredEvent {
        payload: Some((payload, Arc::from(bytes))),
        ..event(number)
    }
}

pub(crate) fn payload_id(number: u64) -> PayloadId {
    let mut id = [0xee; 16];
    id[..8].copy_from_slice(&number.to_be_bytes());
    PayloadId::new(id)
}

pub(crate) fn ids(events: &[RecordedEvent]) -> Vec<EventId> {
    events.iter().map(|event| event.id).collect()
}

pub(crate) fn expected_ids(numbers: impl IntoIterator<Item = u64>) -> Vec<EventId> {
    numbers.into_iter().map(|number| event(number).id).collect()
}

pub(crate) fn exact(revision: u64) -> Expected {
    Expected::Exact(Revision(revision))
}

pub(crate) fn at(revision: u64, position: u64) -> Appended {
    Appended {
        revision: Revision(revision),
        position: Position::new(position, 0),
    }
}

/// Appends one event after another, `count` in all, their numbers counting from `first`.
pub(crate) async fn fill(store: &dyn EventStore, stream: &StreamId, first: u64, count: u64) {
    let mut expected = Expected::NoStream;
    for number in first..first + count {
        let appended = store
            .append(stream, expected, events([number]), vec![])
            .await
            .unwrap();
        expected = Expected::Exact(appended.revision);
    }
}

/// A fast source of repeatable numbers (xorshift64*).
pub(crate) struct Random(u64);

impl Random {
    pub(crate) fn new(seed: u64) -> Self {
        Self(seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1)
    }

    pub(crate) fn next(&mut self) -> u64 {
        self.0 ^= self.0 >> 12;
        self.0 ^= self.0 << 25;
        self.0 ^= self.0 >> 27;
        self.0.wrapping_mul(0x2545_f491_4f6c_dd1d)
    }

    pub(crate) fn below(&mut self, bound: u64) -> u64 {
        self.next() % bound
    }

    pub(crate) fn bytes(&mut self, count: usize) -> Vec<u8> {
        (0..count).map(|_| self.next() as u8).collect()
    }
}
