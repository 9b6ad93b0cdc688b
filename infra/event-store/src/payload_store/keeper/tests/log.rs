//! The same beside a log: what erasing events and torn batches leave is gone.

use std::path::Path;

use satpost_commands::ports::Expected;
use satpost_domain::{EventId, Revision, StreamId};

use super::{Canaries, Duration, PayloadId, distinctive, id, until_gone};
use crate::embedded::{EmbeddedEventStore, EmbeddedOptions};
use crate::{EventStore as _, NewStoredEvent};

fn open(folder: &Path) -> EmbeddedEventStore {
    let options = EmbeddedOptions {
        segment_bytes: 256 * 1024,
        blob_segment_bytes: 256 * 1024,
        scrub_every: Duration::from_millis(2),
        ..EmbeddedOptions::new(folder)
    };
    EmbeddedEventStore::open(&options).unwrap()
}

fn stream() -> StreamId {
    "mailbox-a".parse().unwrap()
}

fn event(number: u16) -> NewStoredEvent {
    NewStoredEvent {
        id: EventId::new([number.to_be_bytes()[1]; 16]),
        kind: "message_accepted".into(),
        schema: 1,
        body: vec![],
        metadata: vec![],
        payload: Some((id(number), distinctive(number, 5_000).into())),
    }
}

async fn append(store: &EmbeddedEventStore, number: u16, erase: Vec<PayloadId>) {
    let expected = number.checked_sub(1).map_or(Expected::NoStream, |last| {
        Expected::Exact(Revision(last.into()))
    });
    store
        .append(&stream(), expected, vec![event(number)], erase)
        .await
        .unwrap();
}

#[tokio::test]
async fn leaves_no_trace_of_what_events_erase() {
    let folder = tempfile::tempdir().unwrap();
    let store = open(folder.path());
    for number in 0..30 {
        append(&store, number, vec![]).await;
    }
    let gone: Vec<_> = (0..29).map(|n| (id(n), distinctive(n, 5_000))).collect();
    let mut canaries = Canaries::default();
    canaries.remember(folder.path(), &gone).unwrap();
    append(&store, 30, gone.iter().map(|(id, _)| *id).collect()).await;
    assert_eq!(until_gone(&canaries, folder.path()).await, []);
    for number in [29, 30] {
        let payload = store.payload(id(number)).await;
        assert_eq!(payload, Ok(Some(distinctive(number, 5_000))));
    }
}

#[tokio::test]
async fn destroys_at_opening_what_no_event_names() {
    let folder = tempfile::tempdir().unwrap();
    let store = open(folder.path());
    append(&store, 0, vec![]).await;
    drop(store);
    let log = folder.path().join("log");
    let before: Vec<_> = std::fs::read_dir(&log)
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .map(|path| (path.clone(), std::fs::read(path).unwrap()))
        .collect();
    let store = open(folder.path());
    append(&store, 1, vec![]).await;
    drop(store);
    let mut canaries = Canaries::default();
    let orphan = [(id(1), distinctive(1, 5_000))];
    canaries.remember(folder.path(), &orphan).unwrap();
    // As if the power had gone after the payload and its key were durable, but not the event.
    for (path, bytes) in before {
        std::fs::write(path, bytes).unwrap();
    }
    let store = open(folder.path());
    assert_eq!(store.payload(id(1)).await, Ok(None));
    assert_eq!(until_gone(&canaries, folder.path()).await, []);
    let payload = store.payload(id(0)).await;
    assert_eq!(payload, Ok(Some(distinctive(0, 5_000))));
    // The position and the id are free again.
    append(&store, 1, vec![]).await;
    drop(store);
    let store = open(folder.path());
    let payload = store.payload(id(1)).await;
    assert_eq!(payload, Ok(Some(distinctive(1, 5_000))));
}
