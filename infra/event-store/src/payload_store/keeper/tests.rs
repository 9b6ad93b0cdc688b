//! Erased bytes go, living ones stay: while segments are compacted, when the disk fails, and when
//! the store is opened again.

#![allow(clippy::unwrap_used, reason = "a test may end where it stands")]

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use futures_util::FutureExt as _;
use satpost_domain::PayloadId;
use tempfile::TempDir;

use crate::embedded::data_folder::{self, FolderKind};
use crate::payload_store::canary::{Canaries, Trace};
use crate::payload_store::{
    LocalPayloadStore, LocalPayloadStoreOptions, PayloadStore as _, blob_segment, keeper,
};
use crate::storage::fault_storage::FaultStorage;
use crate::storage::{Disk, Storage};

mod log;
mod model;

/// How long a test waits for the keeper.
const PATIENCE: Duration = Duration::from_secs(60);

fn options(folder: &TempDir) -> LocalPayloadStoreOptions {
    LocalPayloadStoreOptions {
        blob_segment_bytes: 256 * 1024,
        scrub_every: Duration::from_millis(2),
        ..LocalPayloadStoreOptions::new(folder.path())
    }
}

fn open_on(folder: &TempDir, storage: impl Storage) -> LocalPayloadStore {
    LocalPayloadStore::open_on(Arc::new(storage), &options(folder)).unwrap()
}

fn id(number: u16) -> PayloadId {
    let mut bytes = [7; 16];
    bytes[..2].copy_from_slice(&number.to_be_bytes());
    PayloadId::new(bytes)
}

/// Bytes of which no 16 are like 16 of another number.
fn distinctive(number: u16, bytes: usize) -> Vec<u8> {
    let seed = u64::from(number) << 32;
    let words = (seed..).map(|word: u64| {
        let mixed = (word + 1).wrapping_mul(0x9E37_79B9_7F4A_7C15);
        (mixed ^ (mixed >> 29)).wrapping_mul(0xBF58_476D_1CE4_E5B9)
    });
    words.flat_map(u64::to_be_bytes).take(bytes).collect()
}

fn payloads(numbers: impl Iterator<Item = u16>, bytes: usize) -> Vec<(PayloadId, Vec<u8>)> {
    numbers
        .map(|number| (id(number), distinctive(number, bytes)))
        .collect()
}

async fn store_all(store: &LocalPayloadStore, payloads: &[(PayloadId, Vec<u8>)]) {
    for (id, bytes) in payloads {
        let payload = (*id, Arc::from(bytes.as_slice()));
        store.store(vec![payload]).await.unwrap();
    }
}

async fn assert_readable(store: &LocalPayloadStore, payloads: &[(PayloadId, Vec<u8>)]) {
    for (id, bytes) in payloads {
        assert_eq!(store.read(*id).await.unwrap().as_ref(), Some(bytes), "{id}");
    }
}

fn blobs(folder: &Path) -> Vec<u32> {
    let paths = Disk.list(&folder.join("payloads")).unwrap();
    paths
        .iter()
        .filter_map(|path| blob_segment::number(path))
        .collect()
}

/// Waits until the keeper has done its work.
async fn until(mut done: impl FnMut() -> bool) -> bool {
    let wait = async {
        while !done() {
            tokio::time::sleep(Duration::from_millis(2)).await;
        }
    };
    tokio::time::timeout(PATIENCE, wait).await.is_ok()
}

async fn until_gone(canaries: &Canaries, folder: &Path) -> Vec<Trace> {
    let mut traces = Vec::new();
    until(|| {
        traces = canaries.traces(folder).unwrap();
        traces.is_empty()
    })
    .await;
    traces
}

type Payloads = Vec<(PayloadId, Vec<u8>)>;

/// Those whose place in the list is accepted, and the others.
fn split(payloads: Payloads, is_first: impl Fn(usize) -> bool) -> (Payloads, Payloads) {
    let numbered = payloads.into_iter().enumerate();
    let (first, second): (Vec<_>, Vec<_>) = numbered.partition(|(at, _)| is_first(*at));
    let bare = |pairs: Vec<(usize, _)>| pairs.into_iter().map(|(_, payload)| payload).collect();
    (bare(first), bare(second))
}

/// 36 payloads of 40,000 bytes fill six segments: one in each that stays, and the others.
fn six_segments() -> (Payloads, Payloads) {
    split(payloads(0..36, 40_000), |at| at % 6 == 3)
}

#[tokio::test]
async fn leaves_no_trace_of_what_is_erased_and_keeps_the_rest() {
    let folder = tempfile::tempdir().unwrap();
    let store = open_on(&folder, Disk);
    // Small ones are overwritten with zeros, neighbours become a hole.
    let (small, large) = (payloads(0..40, 1_000), payloads(100..120, 40_000));
    store_all(&store, &small).await;
    store_all(&store, &large).await;
    let (kept_small, erased_small) = split(small, |at| at % 3 == 0);
    let (kept_large, erased_large) = split(large, |at| at >= 15);
    let replaced = (id(0), distinctive(500, 2_000));
    let mut erased = [erased_small, erased_large].concat();
    let mut canaries = Canaries::default();
    canaries.remember(folder.path(), &erased).unwrap();
    canaries.remember(folder.path(), &kept_small[..1]).unwrap();
    assert!(canaries.traces(folder.path()).unwrap().len() > 10_000);
    store
        .erase(erased.iter().map(|(id, _)| *id).collect())
        .await
        .unwrap();
    store_all(&store, &[replaced]).await;
    assert_eq!(until_gone(&canaries, folder.path()).await, []);
    let kept = [kept_small[1..].to_vec(), kept_large].concat();
    assert_readable(&store, &kept).await;
    for (id, _) in erased.drain(..) {
        assert_eq!(store.read(id).await, Ok(None));
    }
    drop(store);
    let store = open_on(&folder, Disk);
    assert_readable(&store, &kept).await;
    assert_eq!(store.alive().await.unwrap().len(), kept.len() + 1);
}

#[tokio::test]
async fn moves_what_lives_in_sparse_segments_while_it_is_read() {
    let folder = tempfile::tempdir().unwrap();
    let store = open_on(&folder, Disk);
    let (kept, erased) = six_segments();
    let all = payloads(0..36, 40_000);
    store_all(&store, &all).await;
    assert_eq!(blobs(folder.path()), [1, 2, 3, 4, 5, 6]);
    store
        .erase(erased.iter().map(|(id, _)| *id).collect())
        .await
        .unwrap();
    // The last segment is the writer's; the keeper's comes behind it.
    let mut rounds = 0;
    while blobs(folder.path()) != [6, 7] {
        assert_readable(&store, &kept).await;
        rounds += 1;
        assert!(rounds < 5_000, "{:?}", blobs(folder.path()));
    }
    assert_readable(&store, &kept).await;
    store.erase(vec![kept[0].0]).await.unwrap();
    drop(store);
    let store = open_on(&folder, Disk);
    assert_readable(&store, &kept[1..]).await;
    assert_eq!(store.read(kept[0].0).await, Ok(None));
}

#[derive(Debug, Clone, Copy)]
enum Fault {
    Write,
    Sync,
}

fn copy_folder(from: &Path, to: &Path) {
    for entry in std::fs::read_dir(from).unwrap() {
        let path = entry.unwrap().path();
        let copy = to.join(path.file_name().unwrap());
        if path.is_dir() {
            std::fs::create_dir(&copy).unwrap();
            copy_folder(&path, &copy);
        } else {
            std::fs::copy(&path, &copy).unwrap();
        }
    }
}

/// A data folder as a process leaves it that ends right after it has erased payloads of six
/// segments, and what must never be found in it again.
async fn erased_and_not_overwritten(erased: &Payloads) -> (TempDir, Canaries) {
    let (stored, copy) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let never = LocalPayloadStoreOptions {
        scrub_every: Duration::from_secs(3_600),
        ..options(&stored)
    };
    let store = LocalPayloadStore::open(&never).unwrap();
    store_all(&store, &payloads(0..36, 40_000)).await;
    let mut canaries = Canaries::default();
    canaries.remember(stored.path(), erased).unwrap();
    let ids = erased.iter().map(|(id, _)| *id).collect();
    store.erase(ids).await.unwrap();
    copy_folder(stored.path(), copy.path());
    (copy, canaries)
}

/// Lets the N-th operation of the keeper fail while it overwrites what is erased and empties
/// segments, for every N until it has fewer. All its work is there when it starts, and operations
/// of other threads do not count, so it does the same each time.
async fn fail_each(fault: Fault) {
    let (kept, erased) = six_segments();
    let (left_behind, canaries) = erased_and_not_overwritten(&erased).await;
    for number in 0.. {
        let folder = tempfile::tempdir().unwrap();
        let storage = FaultStorage::in_thread(keeper::THREAD);
        copy_folder(left_behind.path(), folder.path());
        match fault {
            Fault::Write => storage.fail_write_after(number),
            Fault::Sync => storage.fail_sync_after(number),
        }
        let store = open_on(&folder, storage.clone());
        let mut fatal = Box::pin(store.fatal());
        let mut failed = false;
        let ended = until(|| {
            failed = (&mut fatal).now_or_never().is_some();
            failed || blobs(folder.path()) == [7]
        });
        assert!(ended.await, "{:?}", blobs(folder.path()));
        // Nothing reads wrong bytes, whatever has stopped.
        assert_readable(&store, &kept).await;
        if failed {
            let refused = store.erase(vec![kept[0].0]).await;
            assert!(refused.is_err(), "the writer goes on");
        }
        drop(store);
        let never_came = storage.is_armed();
        assert!(failed || never_came, "{fault:?} {number}: nobody was told");
        let store = open_on(&folder, Disk);
        assert_readable(&store, &kept).await;
        for (id, _) in &erased {
            assert_eq!(store.read(*id).await, Ok(None));
        }
        assert_eq!(until_gone(&canaries, folder.path()).await, []);
        assert_readable(&store, &kept).await;
        if never_came {
            assert!(number > 5, "{fault:?}: {number} faults were met");
            return;
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 1)]
async fn loses_nothing_living_whichever_write_fails_while_segments_are_emptied() {
    fail_each(Fault::Write).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 1)]
async fn loses_nothing_living_whichever_sync_fails_while_segments_are_emptied() {
    fail_each(Fault::Sync).await;
}

#[tokio::test]
async fn takes_one_of_two_copies_and_drops_the_other() {
    let folder = tempfile::tempdir().unwrap();
    let all = payloads(0..12, 40_000);
    let store = open_on(&folder, Disk);
    store_all(&store, &all).await;
    drop(store);
    let inner = folder.path().join("payloads");
    let log_id = data_folder::read_format(&Disk, folder.path(), FolderKind::Payloads);
    let log_id = log_id.unwrap().unwrap();
    // As if the process had ended after copying, before what was copied from was removed.
    let mut copy = std::fs::read(blob_segment::path(&inner, 1)).unwrap();
    let header = blob_segment::segment_header(&log_id, 99);
    copy[..header.len()].copy_from_slice(&header);
    std::fs::write(blob_segment::path(&inner, 99), &copy).unwrap();
    // And as if it had ended in the middle of copying.
    let header = blob_segment::segment_header(&log_id, 100);
    copy[..header.len()].copy_from_slice(&header);
    copy.truncate(30_000);
    std::fs::write(blob_segment::path(&inner, 100), &copy).unwrap();
    for _ in 0..2 {
        let store = open_on(&folder, Disk);
        assert_readable(&store, &all).await;
        assert_eq!(store.alive().await.unwrap().len(), all.len());
        let files = blobs(folder.path());
        assert!(!files.contains(&1), "both copies are kept: {files:?}");
        assert!(!files.contains(&100), "the torn copy is kept: {files:?}");
    }
}

#[tokio::test]
async fn goes_on_when_there_is_no_room_to_compact() {
    let (folder, storage) = (tempfile::tempdir().unwrap(), FaultStorage::default());
    let store = open_on(&folder, storage.clone());
    let (kept, erased) = six_segments();
    store_all(&store, &payloads(0..36, 40_000)).await;
    let mut canaries = Canaries::default();
    canaries.remember(folder.path(), &erased).unwrap();
    storage.fill(true);
    let ids: Vec<_> = erased.iter().map(|(id, _)| *id).collect();
    store.erase(ids).await.unwrap();
    // Erasing needs no room.
    assert_eq!(until_gone(&canaries, folder.path()).await, []);
    assert_readable(&store, &kept).await;
    assert!(blobs(folder.path()).len() >= 6);
    storage.fill(false);
    let compacted = until(|| blobs(folder.path()).len() == 2).await;
    assert!(compacted, "{:?}", blobs(folder.path()));
    assert_readable(&store, &kept).await;
    let after = payloads(50..52, 100);
    store_all(&store, &after).await;
    assert_readable(&store, &after).await;
}
