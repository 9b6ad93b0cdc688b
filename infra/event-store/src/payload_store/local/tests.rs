//! A payload store of its own: what it promises, opened again and on a disk that fails.

#![allow(clippy::unwrap_used, reason = "a test may end where it stands")]

use std::sync::Arc;
use std::time::Duration;

use satpost_commands::ports::LogError;
use satpost_domain::PayloadId;
use tempfile::TempDir;

use super::{LocalPayloadStore, LocalPayloadStoreOptions};
use crate::embedded::{EmbeddedEventStore, EmbeddedOptions};
use crate::payload_store::PayloadStore as _;
use crate::storage::OpenError;
use crate::storage::fault_storage::FaultStorage;

fn options(folder: &TempDir) -> LocalPayloadStoreOptions {
    LocalPayloadStoreOptions {
        blob_segment_bytes: 256 * 1024,
        scrub_every: Duration::from_millis(5),
        ..LocalPayloadStoreOptions::new(folder.path())
    }
}

fn open(folder: &TempDir) -> LocalPayloadStore {
    LocalPayloadStore::open(&options(folder)).unwrap()
}

fn id(number: u8) -> PayloadId {
    PayloadId::new([number; 16])
}

fn payload(number: u8) -> (PayloadId, Arc<[u8]>) {
    (id(number), Arc::from(vec![number; 40_000]))
}

async fn sorted(store: &LocalPayloadStore) -> Vec<PayloadId> {
    let mut ids = store.alive().await.unwrap();
    ids.sort();
    ids
}

#[tokio::test]
async fn gives_back_what_is_stored_until_it_is_erased_also_when_opened_again() {
    let folder = tempfile::tempdir().unwrap();
    let store = open(&folder);
    for number in 0..20 {
        store.store(vec![payload(number)]).await.unwrap();
    }
    let replacement = (id(3), Arc::from(b"another".as_slice()));
    store.store(vec![replacement]).await.unwrap();
    store.erase(vec![id(4), id(99), id(4)]).await.unwrap();
    store.erase(vec![]).await.unwrap();
    store.store(vec![]).await.unwrap();
    let mut store = Some(store);
    for _ in 0..3 {
        let open_now = store.take().unwrap();
        for number in 0..20 {
            let expected = match number {
                3 => Some(b"another".to_vec()),
                4 => None,
                _ => Some(vec![number; 40_000]),
            };
            assert_eq!(open_now.read(id(number)).await, Ok(expected), "{number}");
        }
        let alive: Vec<_> = (0..20).filter(|n| *n != 4).map(id).collect();
        assert_eq!(sorted(&open_now).await, alive);
        drop(open_now);
        store = Some(open(&folder));
    }
}

#[tokio::test]
async fn stores_an_erased_id_again() {
    let folder = tempfile::tempdir().unwrap();
    for round in 0..5 {
        let store = open(&folder);
        let bytes = vec![round; 100];
        store
            .store(vec![(id(1), Arc::from(bytes.clone()))])
            .await
            .unwrap();
        drop(store);
        let store = open(&folder);
        assert_eq!(store.read(id(1)).await, Ok(Some(bytes)));
        store.erase(vec![id(1)]).await.unwrap();
        assert_eq!(store.read(id(1)).await, Ok(None));
    }
}

#[tokio::test]
async fn refuses_what_is_too_large_and_changes_nothing() {
    let folder = tempfile::tempdir().unwrap();
    let store = open(&folder);
    let large = (id(1), Arc::from(vec![0; 64 * 1024 + 1]));
    let many = (0..7).map(payload).collect();
    for payloads in [vec![payload(9), large], many] {
        let refused = store.store(payloads).await;
        assert!(matches!(refused, Err(LogError::TooLarge { .. })));
    }
    assert_eq!(sorted(&store).await, []);
}

#[test]
fn refuses_a_second_process_and_folders_of_another_kind() {
    let folder = tempfile::tempdir().unwrap();
    let store = open(&folder);
    let second = LocalPayloadStore::open(&options(&folder));
    assert!(matches!(second, Err(OpenError::Locked { .. })));
    drop(store);
    let as_log = EmbeddedEventStore::open(&EmbeddedOptions::new(folder.path()));
    assert!(matches!(as_log, Err(OpenError::Foreign { .. })));
    let data = tempfile::tempdir().unwrap();
    drop(EmbeddedEventStore::open(&EmbeddedOptions::new(data.path())).unwrap());
    let as_payloads = LocalPayloadStore::open(&options(&data));
    assert!(matches!(as_payloads, Err(OpenError::Foreign { .. })));
}

#[derive(Debug, Clone, Copy)]
enum Fault {
    Write,
    Sync,
}

/// Stores 0 to 19 and erases each of them two steps later, while the N-th operation fails, for
/// every N until none fails any more.
async fn fail_each(fault: Fault) {
    for number in 0.. {
        let (folder, storage) = (tempfile::tempdir().unwrap(), FaultStorage::default());
        let store =
            LocalPayloadStore::open_on(Arc::new(storage.clone()), &options(&folder)).unwrap();
        match fault {
            Fault::Write => storage.fail_write_after(number),
            Fault::Sync => storage.fail_sync_after(number),
        }
        let (mut stored, mut erased, mut tried) = (0, 0, 0);
        let mut failed = false;
        for step in 0..20 {
            match store.store(vec![payload(step)]).await {
                Ok(()) => stored = step + 1,
                Err(_) => failed = true,
            }
            let Some(old) = step.checked_sub(2) else {
                continue;
            };
            if !failed {
                tried = old + 1;
            }
            match store.erase(vec![id(old)]).await {
                Ok(()) => erased = old + 1,
                Err(_) => failed = true,
            }
        }
        if failed {
            let refused = store.store(vec![payload(30)]).await;
            assert!(
                matches!(refused, Err(LogError::Fatal { .. })),
                "{refused:?}"
            );
            let reason = store.fatal().await;
            assert!(reason.contains("the disk failed"), "{reason}");
        }
        drop(store);
        let never_came = storage.is_armed();
        let store = open(&folder);
        for step in 0..20 {
            let found = store.read(id(step)).await.unwrap();
            let whole = Some(vec![step; 40_000]);
            match step {
                _ if step < erased => assert_eq!(found, None, "{fault:?} {number}: {step}"),
                _ if step < tried || step >= stored => {
                    assert!(found.is_none() || found == whole);
                }
                _ => assert_eq!(found, whole, "{fault:?} {number}: {step}"),
            }
        }
        // It may have met a file prepared ahead, which is missed by nobody.
        if never_came {
            assert!(number > 10, "no fault was met");
            return;
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 1)]
async fn loses_nothing_and_keeps_nothing_whichever_write_fails() {
    fail_each(Fault::Write).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 1)]
async fn loses_nothing_and_keeps_nothing_whichever_sync_fails() {
    fail_each(Fault::Sync).await;
}
