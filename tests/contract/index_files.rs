//! Index files of the embedded log: whatever becomes of them, the log is the same.

use std::fs;
use std::path::{Path, PathBuf};

use satpost_commands::ports::{Expected, LogError};
use satpost_domain::{Position, Revision};
use satpost_event_store::embedded::EmbeddedEventStore;
use satpost_event_store::{EventStore as _, NewStoredEvent, RecordedEvent};

use crate::cases::{Random, event_with_payload, payload_id, stream};
use crate::harness::{open, options};

const STREAMS: u64 = 7;

fn index_file(folder: &Path, number: u32) -> PathBuf {
    folder.join(format!("log/{number:010}.idx"))
}

/// All index files of a log with their contents.
fn index_files(folder: &Path) -> Vec<(PathBuf, Vec<u8>)> {
    let mut files: Vec<_> = fs::read_dir(folder.join("log"))
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .filter(|path| path.extension().is_some_and(|name| name == "idx"))
        .map(|path| (path.clone(), fs::read(&path).unwrap()))
        .collect();
    files.sort();
    files
}

/// Appends events of many sizes to a few streams, some with payloads, of which some are erased.
async fn grow(store: &EmbeddedEventStore, seed: u64, count: u64) {
    let mut random = Random::new(seed);
    for _ in 0..count {
        let number = random.below(STREAMS);
        let name = stream(&number.to_string());
        let end = store.read_stream_back(&name, None, 1).await.unwrap();
        let expected = end
            .events
            .first()
            .map_or(Expected::NoStream, |last| Expected::Exact(last.revision));
        let new = (0..=random.below(3)).map(|_| {
            let size = random.below(9_000) as usize;
            NewStoredEvent {
                body: random.bytes(size),
                ..event_with_payload(random.next(), payload_id(random.below(40)), b"payload")
            }
        });
        let new = new.collect();
        let erased = vec![payload_id(random.below(40))];
        store.append(&name, expected, new, erased).await.unwrap();
    }
}

/// Everything that can be read, each part in every way.
#[derive(Debug, PartialEq)]
struct Contents {
    all: Vec<RecordedEvent>,
    streams: Vec<Vec<RecordedEvent>>,
    payloads: Vec<Option<Vec<u8>>>,
}

async fn contents(store: &EmbeddedEventStore) -> Contents {
    let mut all: Vec<RecordedEvent> = Vec::new();
    loop {
        let after = all.last().map_or(Position::START, |last| last.position);
        let page = store.read_all(after, 37).await.unwrap();
        if page.is_empty() {
            break;
        }
        all.extend(page);
    }
    let mut streams = Vec::new();
    for number in 0..STREAMS {
        streams.push(one_stream(store, number).await);
    }
    let mut payloads = Vec::new();
    for number in 0..40 {
        payloads.push(store.payload(payload_id(number)).await.unwrap());
    }
    Contents {
        all,
        streams,
        payloads,
    }
}

/// A stream, read forwards and backwards, whole, in pages and from every place.
async fn one_stream(store: &EmbeddedEventStore, number: u64) -> Vec<RecordedEvent> {
    let name = stream(&number.to_string());
    let whole = store.read_stream(&name, Revision(0), 10_000).await.unwrap();
    assert!(whole.end_of_stream);
    for from in 0..whole.events.len() {
        let start = Revision(from as u64);
        let page = store.read_stream(&name, start, 5).await.unwrap();
        assert!(whole.events[from..].starts_with(&page.events));
        assert!(page.end_of_stream || page.events.len() == 5);
        let page = store.read_stream_back(&name, Some(start), 5).await.unwrap();
        let mut back = page.events;
        back.reverse();
        assert!(whole.events[..=from].ends_with(&back));
        assert!(page.end_of_stream || back.len() == 5);
    }
    whole.events
}

/// A closed log of several segments, and what is in it.
async fn several_segments(folder: &Path) -> Contents {
    let store = open(folder);
    grow(&store, 1, 120).await;
    let before = contents(&store).await;
    assert!(before.payloads.iter().any(Option::is_some));
    drop(store);
    assert!(index_files(folder).len() >= 4);
    before
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn reads_the_same_from_memory_from_index_files_and_from_rebuilt_ones() {
    let folder = tempfile::tempdir().unwrap();
    let before = several_segments(folder.path()).await;
    let mut by_stream: Vec<_> = before.streams.iter().flatten().cloned().collect();
    by_stream.sort_by_key(|event| event.position);
    assert_eq!(by_stream, before.all);
    let files = index_files(folder.path());
    assert_eq!(contents(&open(folder.path())).await, before);
    for (path, _) in &files {
        fs::remove_file(path).unwrap();
    }
    assert_eq!(contents(&open(folder.path())).await, before);
    // The same segment always has the same index file, however it came about.
    assert_eq!(index_files(folder.path()), files);
    assert_eq!(contents(&open(folder.path())).await, before);
    // And the log goes on behind them.
    let store = open(folder.path());
    grow(&store, 2, 60).await;
    let longer = contents(&store).await;
    assert!(longer.all.starts_with(&before.all));
    drop(store);
    assert!(index_files(folder.path()).len() > files.len());
    assert_eq!(contents(&open(folder.path())).await, longer);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn makes_an_index_file_again_that_has_a_flipped_bit_or_is_cut() {
    let folder = tempfile::tempdir().unwrap();
    let before = several_segments(folder.path()).await;
    let path = index_file(folder.path(), 2);
    let whole = fs::read(&path).unwrap();
    // Every bit is tried where index files are read; here it is about what follows.
    let mut wrong: Vec<_> = (0..whole.len())
        .step_by(97)
        .map(|at| {
            let mut bytes = whole.clone();
            bytes[at] ^= 1 << (at % 8);
            bytes
        })
        .collect();
    let cuts = [0, 1, 135, 136, 137, whole.len() / 2, whole.len() - 1];
    wrong.extend(cuts.map(|length| whole[..length].to_vec()));
    wrong.push([&whole[..], &[0]].concat());
    wrong.push(vec![0; whole.len()]);
    for (number, bytes) in wrong.iter().enumerate() {
        fs::write(&path, bytes).unwrap();
        let store = open(folder.path());
        let all = store.read_all(Position::START, 10_000).await.unwrap();
        assert_eq!(all, before.all, "file {number}");
        drop(store);
        assert_eq!(fs::read(&path).unwrap(), whole, "file {number}");
    }
    assert_eq!(contents(&open(folder.path())).await, before);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn uses_no_index_file_of_another_log_or_segment() {
    let (folder, other) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let before = several_segments(folder.path()).await;
    several_segments(other.path()).await;
    let files = index_files(folder.path());
    let foreign = [
        index_file(other.path(), 1),
        index_file(folder.path(), 2),
        index_file(folder.path(), 3),
    ];
    for path in foreign {
        let bytes = fs::read(&path).unwrap();
        fs::write(index_file(folder.path(), 1), bytes).unwrap();
        assert_eq!(contents(&open(folder.path())).await, before);
        assert_eq!(index_files(folder.path()), files);
    }
}

/// Copies a data folder that nobody has open.
fn copy(from: &Path, to: &Path) {
    fs::create_dir_all(to).unwrap();
    for entry in fs::read_dir(from).unwrap() {
        let path = entry.unwrap().path();
        let target = to.join(path.file_name().unwrap());
        if path.is_dir() {
            copy(&path, &target);
        } else {
            fs::copy(&path, &target).unwrap();
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn uses_no_index_file_of_another_history_of_the_same_log() {
    let (folder, other) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let store = open(folder.path());
    grow(&store, 1, 10).await;
    drop(store);
    copy(folder.path(), other.path());
    for (path, seed) in [(folder.path(), 2), (other.path(), 3)] {
        let store = open(path);
        grow(&store, seed, 110).await;
    }
    let before = contents(&open(folder.path())).await;
    let right = index_files(folder.path());
    for (path, _) in &right {
        let stale = other.path().join("log").join(path.file_name().unwrap());
        fs::copy(stale, path).unwrap();
    }
    assert_ne!(index_files(folder.path()), right);
    assert_eq!(contents(&open(folder.path())).await, before);
    assert_eq!(index_files(folder.path()), right);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_reader_does_without_index_files_and_makes_none() {
    let folder = tempfile::tempdir().unwrap();
    let before = several_segments(folder.path()).await;
    fs::remove_file(index_file(folder.path(), 1)).unwrap();
    fs::write(index_file(folder.path(), 3), b"no index file").unwrap();
    let files = index_files(folder.path());
    let reader = EmbeddedEventStore::open_read_only(&options(folder.path())).unwrap();
    assert_eq!(contents(&reader).await, before);
    assert_eq!(index_files(folder.path()), files);
    // Beside a writer, too, which makes them again.
    let writer = open(folder.path());
    grow(&writer, 5, 40).await;
    let beside = EmbeddedEventStore::open_read_only(&options(folder.path())).unwrap();
    assert_eq!(contents(&beside).await, contents(&writer).await);
    assert_eq!(contents(&reader).await.all, before.all);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn goes_on_without_an_index_file_that_cannot_be_written() {
    let folder = tempfile::tempdir().unwrap();
    let store = open(folder.path());
    // A folder is where the second file would be written.
    let in_the_way = folder.path().join("log/0000000002.idx.tmp");
    fs::create_dir(&in_the_way).unwrap();
    grow(&store, 1, 120).await;
    let before = contents(&store).await;
    drop(store);
    assert!(!index_file(folder.path(), 2).exists());
    assert!(index_file(folder.path(), 3).exists());
    fs::remove_dir(&in_the_way).unwrap();
    assert_eq!(contents(&open(folder.path())).await, before);
    assert!(index_file(folder.path(), 2).exists());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn shows_damage_of_a_full_segment_when_it_is_read() {
    let folder = tempfile::tempdir().unwrap();
    several_segments(folder.path()).await;
    let log = folder.path().join("log/0000000002.log");
    let mut bytes = fs::read(&log).unwrap();
    let middle = bytes.len() / 2;
    bytes[middle] ^= 1;
    fs::write(&log, &bytes).unwrap();
    let store = open(folder.path());
    let mut after = Position::START;
    let refused = loop {
        match store.read_all(after, 3).await {
            Ok(page) => after = page.last().expect("the damage comes first").position,
            Err(error) => break error,
        }
    };
    assert!(matches!(&refused, LogError::Fatal { reason } if reason.contains("0000000002.log")));
}
