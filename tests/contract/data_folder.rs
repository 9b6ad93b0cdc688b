//! Whose folder it is, what lies in it, and reading it from outside.

use std::fs;
use std::path::Path;

use futures_util::StreamExt as _;
use satpost_commands::ports::{Expected, LogError};
use satpost_domain::Position;
use satpost_event_store::embedded::{EmbeddedEventStore, OpenError};
use satpost_event_store::{EventStore as _, Filter, StoredItem};

use crate::cases::{event_with_payload, events, exact, fill, payload_id, stream};
use crate::harness::{open, options};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn lets_one_process_in_at_a_time() {
    let folder = tempfile::tempdir().unwrap();
    let store = open(folder.path());
    fill(&store, &stream("a"), 0, 1).await;
    let second = EmbeddedEventStore::open(&options(folder.path())).map(drop);
    let Err(error) = second else {
        panic!("the folder was opened twice");
    };
    let text = error.to_string();
    assert!(matches!(error, OpenError::Locked { .. }));
    assert!(
        text.contains(&folder.path().display().to_string()),
        "{text}"
    );
    // The first one is not disturbed, and once it is gone the folder is free.
    store
        .append(&stream("a"), exact(0), events([1]), vec![])
        .await
        .unwrap();
    drop(store);
    assert_eq!(open(folder.path()).head().await, Ok(Position::new(2, 0)));
}

#[test]
fn refuses_a_folder_of_somebody_else() {
    let folder = tempfile::tempdir().unwrap();
    fs::write(folder.path().join("thesis.tex"), "precious").unwrap();
    let opened = EmbeddedEventStore::open(&options(folder.path())).map(drop);
    assert!(
        matches!(opened, Err(OpenError::Foreign { .. })),
        "{opened:?}"
    );
    assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 1);
}

#[test]
fn refuses_a_folder_of_another_format() {
    let folder = tempfile::tempdir().unwrap();
    drop(open(folder.path()));
    let path = folder.path().join("format");
    let text = fs::read_to_string(&path).unwrap();
    for (other, number) in [("format 2", 2), ("format 0", 0)] {
        fs::write(&path, text.replace("format 1", other)).unwrap();
        match EmbeddedEventStore::open(&options(folder.path())).map(drop) {
            Err(OpenError::Format {
                found, supported, ..
            }) => assert_eq!((found, supported), (number, 1)),
            opened => panic!("{opened:?}"),
        }
    }
    fs::write(&path, "something else\n").unwrap();
    let opened = EmbeddedEventStore::open(&options(folder.path())).map(drop);
    assert!(
        matches!(opened, Err(OpenError::Foreign { .. })),
        "{opened:?}"
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn makes_a_folder_again_whose_making_was_interrupted() {
    let folder = tempfile::tempdir().unwrap();
    drop(open(folder.path()));
    let at = |name: &str| folder.path().join(name);
    fs::rename(at("format"), at("format.tmp")).unwrap();
    let store = open(folder.path());
    fill(&store, &stream("a"), 0, 2).await;
    drop(store);
    assert_eq!(open(folder.path()).head().await, Ok(Position::new(2, 0)));
}

#[test]
fn refuses_files_of_another_log() {
    let (mine, theirs) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    drop(open(mine.path()));
    drop(open(theirs.path()));
    let log = "log/0000000001.log";
    fs::copy(theirs.path().join(log), mine.path().join(log)).unwrap();
    let opened = EmbeddedEventStore::open(&options(mine.path())).map(drop);
    assert!(
        matches!(opened, Err(OpenError::Damaged { .. })),
        "{opened:?}"
    );
}

#[test]
fn reads_only_what_is_there() {
    let folder = tempfile::tempdir().unwrap();
    let absent = folder.path().join("absent");
    let opened = EmbeddedEventStore::open_read_only(&options(&absent)).map(drop);
    assert!(
        matches!(opened, Err(OpenError::Absent { .. })),
        "{opened:?}"
    );
    assert!(!absent.exists());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn is_read_while_it_is_written() {
    let folder = tempfile::tempdir().unwrap();
    let store = open(folder.path());
    let new = vec![event_with_payload(1, payload_id(1), b"visible")];
    store
        .append(&stream("a"), Expected::NoStream, new, vec![])
        .await
        .unwrap();
    fill(&store, &stream("b"), 2, 5).await;
    let reader = EmbeddedEventStore::open_read_only(&options(folder.path())).unwrap();
    assert_eq!(reader.head().await, Ok(Position::new(6, 0)));
    let payload = reader.payload(payload_id(1)).await;
    assert_eq!(payload, Ok(Some(b"visible".to_vec())));
    let refused = reader
        .append(&stream("b"), exact(4), events([9]), vec![])
        .await;
    assert!(matches!(refused, Err(LogError::Unavailable { .. })));
    let items: Vec<_> = reader
        .follow(Position::START, Filter::all())
        .collect()
        .await;
    assert_eq!(items.len(), 7);
    assert_eq!(items[6], Ok(StoredItem::CaughtUp));
    // The writer goes on; a new look sees more, and an erased payload is gone for the old one.
    store
        .append(&stream("b"), exact(4), events([9]), vec![payload_id(1)])
        .await
        .unwrap();
    let later = EmbeddedEventStore::open_read_only(&options(folder.path())).unwrap();
    assert_eq!(later.head().await, Ok(Position::new(7, 0)));
    assert_eq!(reader.payload(payload_id(1)).await, Ok(None));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn is_read_again_and_again_under_load() {
    let folder = tempfile::tempdir().unwrap();
    let store = open(folder.path());
    let writers = async {
        let fill = |name: &'static str| {
            let store = &store;
            async move { fill(store, &stream(name), 0, 150).await }
        };
        tokio::join!(fill("a"), fill("b"), fill("c"), fill("d"));
    };
    let readers = tokio::task::spawn_blocking({
        let options = options(folder.path());
        move || {
            for _ in 0..30 {
                EmbeddedEventStore::open_read_only(&options).unwrap();
            }
        }
    });
    let ((), readers) = tokio::join!(writers, readers);
    readers.unwrap();
}

/// Every file of the folder, as bytes.
fn contents(folder: &Path) -> Vec<u8> {
    let mut bytes = Vec::new();
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            bytes.extend(contents(&path));
        } else {
            bytes.extend(fs::read(&path).unwrap());
        }
    }
    bytes
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn keeps_no_payload_readable_on_the_disk() {
    let canary = b"canary-7f3a9c51-payload-bytes-nobody-may-see";
    let folder = tempfile::tempdir().unwrap();
    let store = open(folder.path());
    let (alive, erased) = (payload_id(1), payload_id(2));
    let new = vec![
        event_with_payload(1, alive, canary),
        event_with_payload(2, erased, canary),
    ];
    store
        .append(&stream("a"), Expected::NoStream, new, vec![])
        .await
        .unwrap();
    let keys = || fs::read(folder.path().join("payloads/keys")).unwrap();
    let used = |keys: &[u8]| {
        let slots = keys.chunks(64).skip(1);
        slots
            .filter(|slot| slot.iter().any(|byte| *byte != 0))
            .count()
    };
    let before = keys();
    assert_eq!(used(&before), 2);
    store
        .append(&stream("a"), exact(1), events([3]), vec![erased])
        .await
        .unwrap();
    // The key is gone when the append is answered, not some time later.
    let after = keys();
    assert_eq!(used(&after), 1);
    drop(store);
    let bytes = contents(folder.path());
    for part in canary.windows(12) {
        assert!(!bytes.windows(12).any(|window| window == part));
    }
    let gone = before
        .chunks(64)
        .find(|slot| !after.chunks(64).any(|kept| kept == *slot));
    let key = &gone.unwrap()[24..56];
    assert!(!bytes.windows(32).any(|window| window == key));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn removes_payload_files_in_which_nothing_is_alive() {
    let folder = tempfile::tempdir().unwrap();
    let store = open(folder.path());
    let blobs = || {
        let files = fs::read_dir(folder.path().join("payloads")).unwrap();
        let paths = files.map(|file| file.unwrap().path());
        paths
            .filter(|path| path.extension().is_some_and(|name| name == "blob"))
            .count()
    };
    let mut expected = Expected::NoStream;
    for number in 0..30 {
        let new = vec![event_with_payload(number, payload_id(number), &[1; 60_000])];
        let appended = store.append(&stream("a"), expected, new, vec![]).await;
        expected = Expected::Exact(appended.unwrap().revision);
    }
    let full = blobs();
    assert!(full >= 6, "{full}");
    let all = (0..30).map(payload_id).collect();
    store
        .append(&stream("a"), expected, vec![], all)
        .await
        .unwrap();
    drop(store);
    // Only the one that was being filled may be left, until the store is opened again.
    assert!(blobs() <= 1, "{} of {full}", blobs());
    drop(open(folder.path()));
    assert_eq!(blobs(), 0);
}
