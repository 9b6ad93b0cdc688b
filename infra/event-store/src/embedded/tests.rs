//! The embedded log on a disk that fails at a chosen operation.

#![allow(clippy::unwrap_used, reason = "a test may end where it stands")]

use std::sync::Arc;
use std::time::Duration;

use satpost_commands::ports::{Appended, Expected, LogError};
use satpost_domain::{EventId, PayloadId, Position, Revision, StreamId};
use tempfile::TempDir;

use super::{EmbeddedEventStore, EmbeddedOptions};
use crate::storage::fault_storage::FaultStorage;
use crate::{EventStore as _, NewStoredEvent};

/// What a script was told about one of its appends.
type Told = (u8, Result<Appended, LogError>);

fn options(folder: &TempDir) -> EmbeddedOptions {
    EmbeddedOptions {
        segment_bytes: 256 * 1024,
        blob_segment_bytes: 256 * 1024,
        ..EmbeddedOptions::new(folder.path())
    }
}

fn open_on(folder: &TempDir, storage: &FaultStorage) -> EmbeddedEventStore {
    EmbeddedEventStore::open_on(Arc::new(storage.clone()), &options(folder)).unwrap()
}

fn stream() -> StreamId {
    "mailbox-a".parse().unwrap()
}

fn payload_id(number: u8) -> PayloadId {
    PayloadId::new([number; 16])
}

/// Large, so that a script crosses the files of the log and of the payloads.
fn event(number: u8) -> NewStoredEvent {
    NewStoredEvent {
        id: EventId::new([number; 16]),
        kind: "message_accepted".into(),
        schema: 1,
        body: vec![number; 30_000],
        metadata: vec![],
        payload: Some((payload_id(number), Arc::from(vec![number; 40_000]))),
    }
}

fn after(number: u8) -> Expected {
    number.checked_sub(1).map_or(Expected::NoStream, |last| {
        Expected::Exact(Revision(last.into()))
    })
}

/// Appends events 0 to 19; each erases the payload of the one before the last.
async fn script(store: &EmbeddedEventStore) -> Vec<Told> {
    let mut told = Vec::new();
    for number in 0..20_u8 {
        let erase = number.checked_sub(2).map(payload_id).into_iter().collect();
        let outcome = store
            .append(&stream(), after(number), vec![event(number)], erase)
            .await;
        told.push((number, outcome));
    }
    told
}

/// What must hold whatever failed: what was acknowledged is there, and nothing that was not asked
/// for; payloads are there exactly as the events say.
async fn check_reopened(folder: &TempDir, told: &[Told]) -> usize {
    let store = EmbeddedEventStore::open(&options(folder)).unwrap();
    let acknowledged = told.iter().filter(|(_, outcome)| outcome.is_ok()).count();
    let events = store.read_all(Position::START, 100).await.unwrap();
    assert!(
        events.len() >= acknowledged,
        "an acknowledged event is lost"
    );
    assert!(events.len() <= acknowledged + 1, "an event nobody sent");
    for (number, found) in (0..).zip(&events) {
        assert_eq!(found.id, event(number).id);
        let payload = store.payload(payload_id(number)).await.unwrap();
        let erased = usize::from(number) + 2 < events.len();
        assert_eq!(payload, (!erased).then(|| vec![number; 40_000]));
    }
    events.len()
}

/// Nothing is acknowledged after a failure.
fn assert_final(told: &[Told]) {
    let failed = told.iter().position(|(_, outcome)| outcome.is_err());
    let failed = failed.expect("something failed");
    let mut rest = told[failed..].iter();
    let first = &rest.next().expect("the failed one").1;
    assert!(
        matches!(
            first,
            Err(LogError::Unknown { .. } | LogError::Fatal { .. })
        ),
        "{first:?}"
    );
    for (_, outcome) in rest {
        assert!(
            matches!(outcome, Err(LogError::Fatal { .. })),
            "{outcome:?}"
        );
    }
}

#[derive(Debug, Clone, Copy)]
enum Fault {
    Write,
    Sync,
}

/// Runs the script with the N-th operation failing, for every N until none fails any more.
async fn fail_each(fault: Fault) {
    for number in 0.. {
        let (folder, storage) = (tempfile::tempdir().unwrap(), FaultStorage::default());
        let store = open_on(&folder, &storage);
        match fault {
            Fault::Write => storage.fail_write_after(number),
            Fault::Sync => storage.fail_sync_after(number),
        }
        let fatal = store.fatal();
        let told = script(&store).await;
        if told.iter().all(|(_, outcome)| outcome.is_ok()) {
            let never_came = storage.is_armed();
            assert_eq!(check_reopened_after(store, &folder, &told).await, 20);
            if never_came {
                assert!(number > 40, "{fault:?}: the fault never came");
                return;
            }
            // It met an index file, which is missed by nobody.
            continue;
        }
        assert_final(&told);
        let reason = tokio::time::timeout(Duration::from_secs(5), fatal).await;
        assert!(reason.unwrap().contains("disk failed"));
        check_reopened_after(store, &folder, &told).await;
    }
}

async fn check_reopened_after(store: EmbeddedEventStore, folder: &TempDir, told: &[Told]) -> usize {
    drop(store);
    check_reopened(folder, told).await
}

#[tokio::test(flavor = "multi_thread", worker_threads = 1)]
async fn acknowledges_nothing_after_a_failed_sync_and_loses_nothing_before_it() {
    fail_each(Fault::Sync).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 1)]
async fn acknowledges_nothing_after_a_failed_write_and_loses_nothing_before_it() {
    fail_each(Fault::Write).await;
}

#[tokio::test]
async fn a_payload_that_could_not_be_read_once_is_read_the_next_time() {
    let (folder, storage) = (tempfile::tempdir().unwrap(), FaultStorage::default());
    let store = open_on(&folder, &storage);
    let appended = store
        .append(&stream(), after(0), vec![event(0)], vec![])
        .await;
    appended.unwrap();
    // The ciphertext, then the key.
    for reads in 0..2 {
        storage.fail_read_after(reads);
        let failed = store.payload(payload_id(0)).await;
        assert!(
            matches!(failed, Err(LogError::Unavailable { .. })),
            "{failed:?}"
        );
        assert!(!storage.is_armed());
        let payload = store.payload(payload_id(0)).await.unwrap();
        assert_eq!(payload, Some(vec![0; 40_000]));
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 1)]
async fn takes_nothing_while_the_disk_is_full_and_goes_on_when_there_is_room() {
    let (folder, storage) = (tempfile::tempdir().unwrap(), FaultStorage::default());
    let store = open_on(&folder, &storage);
    storage.fill(true);
    let mut end = 0;
    let refused = loop {
        let outcome = store
            .append(&stream(), after(end), vec![event(end)], vec![])
            .await;
        match outcome {
            Ok(_) => end += 1,
            Err(error) => break error,
        }
    };
    assert!(
        matches!(refused, LogError::StorageFull { .. }),
        "{refused:?}"
    );
    // Reads go on, and nothing of what was refused is there.
    let head = store.head().await.unwrap();
    assert_eq!(head, Position::new(end.into(), 0));
    let events = store.read_all(Position::START, 100).await.unwrap();
    assert_eq!(events.len(), usize::from(end));
    assert_eq!(store.payload(payload_id(end)).await, Ok(None));
    storage.fill(false);
    let mut refused_again = 0;
    while end < 20 {
        let outcome = store
            .append(&stream(), after(end), vec![event(end)], vec![])
            .await;
        match outcome {
            Ok(_) => end += 1,
            // The full disk is remembered for a moment.
            Err(LogError::StorageFull { .. }) if refused_again < 100 => {
                refused_again += 1;
                tokio::time::sleep(Duration::from_millis(50)).await;
            }
            Err(error) => panic!("{error}"),
        }
    }
    drop(store);
    let store = EmbeddedEventStore::open(&options(&folder)).unwrap();
    assert_eq!(store.head().await, Ok(Position::new(20, 0)));
    for number in 0..20 {
        let payload = store.payload(payload_id(number)).await;
        assert_eq!(payload, Ok(Some(vec![number; 40_000])));
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 1)]
async fn tells_followers_that_it_has_stopped() {
    use futures_util::StreamExt as _;
    let (folder, storage) = (tempfile::tempdir().unwrap(), FaultStorage::default());
    let store = open_on(&folder, &storage);
    let mut items = store.follow(Position::START, crate::Filter::all());
    assert!(matches!(items.next().await, Some(Ok(_))));
    let mut number = 0;
    loop {
        storage.fail_sync_after(0);
        let outcome = store
            .append(&stream(), after(number), vec![event(number)], vec![])
            .await;
        if outcome.is_err() {
            break;
        }
        // A thread that prepares files has met the fault, and tries again.
        number += 1;
        assert!(number < 20, "no append failed");
    }
    let end = loop {
        match items.next().await {
            Some(Ok(_)) => {}
            end => break end,
        }
    };
    assert!(matches!(end, Some(Err(LogError::Fatal { .. }))), "{end:?}");
    assert!(items.next().await.is_none());
}
