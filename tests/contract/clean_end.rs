//! The embedded log after it was closed in good order: then its end is known.

use std::fs;
use std::path::{Path, PathBuf};

use satpost_commands::ports::Expected;
use satpost_domain::Position;
use satpost_event_store::embedded::{EmbeddedEventStore, OpenError};
use satpost_event_store::{EventStore as _, NewStoredEvent};

use crate::cases::{Random, event, events, exact, fill, stream};
use crate::harness::{open, options};

fn mark(folder: &Path) -> PathBuf {
    folder.join("log/clean")
}

fn segment(folder: &Path, number: u32) -> PathBuf {
    folder.join(format!("log/{number:010}.log"))
}

fn try_open(folder: &Path) -> Result<(), OpenError> {
    EmbeddedEventStore::open(&options(folder)).map(drop)
}

/// A log of two batches, closed; gives its segment and where the second batch is in it.
async fn closed(folder: &Path) -> (Vec<u8>, std::ops::Range<usize>) {
    let store = open(folder);
    fill(&store, &stream("a"), 0, 1).await;
    let before = fs::read(segment(folder, 1)).unwrap();
    let large = NewStoredEvent {
        body: Random::new(1).bytes(200),
        ..event(1)
    };
    store
        .append(&stream("a"), exact(0), vec![large], vec![])
        .await
        .unwrap();
    drop(store);
    let after = fs::read(segment(folder, 1)).unwrap();
    let differs = |at: &usize| before[*at] != after[*at];
    let start = (0..after.len()).find(differs).unwrap();
    let end = (0..after.len()).rfind(differs).unwrap() + 1;
    (after, start..end)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn refuses_any_flipped_byte_of_the_last_batch_when_the_log_was_closed() {
    let folder = tempfile::tempdir().unwrap();
    let (whole, last) = closed(folder.path()).await;
    let log = segment(folder.path(), 1);
    for flipped in last.clone() {
        let mut bytes = whole.clone();
        bytes[flipped] ^= 0x10;
        fs::write(&log, &bytes).unwrap();
        match try_open(folder.path()) {
            Err(OpenError::Damaged { file, offset, .. }) => {
                assert_eq!((file, offset), (log.clone(), last.start as u64));
            }
            other => panic!("byte {flipped}: {other:?}"),
        }
        assert!(
            fs::read(&log).unwrap() == bytes,
            "a damaged log was changed"
        );
        assert!(mark(folder.path()).exists());
    }
    // Not even a batch that is gone without a trace is taken for one that never was.
    for from in [last.start, last.start + 100, last.end - 1] {
        let mut bytes = whole.clone();
        bytes[from..].fill(0);
        fs::write(&log, &bytes).unwrap();
        let opened = try_open(folder.path());
        assert!(
            matches!(opened, Err(OpenError::Damaged { .. })),
            "{opened:?}"
        );
        fs::write(&log, &bytes[..from]).unwrap();
        let opened = try_open(folder.path());
        assert!(
            matches!(opened, Err(OpenError::Damaged { .. })),
            "{opened:?}"
        );
    }
    fs::write(&log, &whole).unwrap();
    assert_eq!(open(folder.path()).head().await, Ok(Position::new(2, 0)));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn knows_the_end_only_while_nobody_writes() {
    let folder = tempfile::tempdir().unwrap();
    let mark = mark(folder.path());
    let store = open(folder.path());
    assert!(!mark.exists());
    fill(&store, &stream("a"), 0, 2).await;
    assert!(!mark.exists());
    drop(store);
    let first = fs::read(&mark).unwrap();
    let reader = EmbeddedEventStore::open_read_only(&options(folder.path())).unwrap();
    drop(reader);
    assert_eq!(fs::read(&mark).unwrap(), first, "a reader changed the mark");
    let store = open(folder.path());
    assert!(!mark.exists());
    drop(store);
    assert_eq!(fs::read(&mark).unwrap(), first, "nothing was written");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn opens_without_a_mark_and_with_a_damaged_or_foreign_one() {
    let (folder, other) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let (whole, last) = closed(folder.path()).await;
    closed(other.path()).await;
    let mark = mark(folder.path());
    let right = fs::read(&mark).unwrap();
    let mut wrong = vec![vec![], right[..40].to_vec()];
    wrong.push(fs::read(other.path().join("log/clean")).unwrap());
    wrong.extend((0..right.len()).map(|at| {
        let mut bytes = right.clone();
        bytes[at] ^= 4;
        bytes
    }));
    // What is torn is cut again, since nothing is known.
    let mut torn = whole.clone();
    torn[last.start + 30..].fill(0);
    for bytes in &wrong {
        fs::write(segment(folder.path(), 1), &torn).unwrap();
        fs::write(&mark, bytes).unwrap();
        assert_eq!(open(folder.path()).head().await, Ok(Position::new(1, 0)));
    }
    fs::write(segment(folder.path(), 1), &torn).unwrap();
    fs::remove_file(&mark).unwrap();
    assert_eq!(open(folder.path()).head().await, Ok(Position::new(1, 0)));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn misses_a_last_segment_that_is_gone() {
    let folder = tempfile::tempdir().unwrap();
    let store = open(folder.path());
    let mut expected = Expected::NoStream;
    for number in 0..20 {
        let large = NewStoredEvent {
            body: vec![7; 30_000],
            ..event(number)
        };
        let name = stream("a");
        let appended = store.append(&name, expected, vec![large], vec![]).await;
        expected = Expected::Exact(appended.unwrap().revision);
    }
    drop(store);
    let last = segment(folder.path(), 3);
    assert!(!segment(folder.path(), 4).exists());
    let aside = folder.path().join("aside");
    fs::rename(&last, &aside).unwrap();
    match try_open(folder.path()) {
        Err(OpenError::Damaged { file, .. }) => assert_eq!(file, last),
        other => panic!("{other:?}"),
    }
    fs::rename(&aside, &last).unwrap();
    let store = open(folder.path());
    let appended = store
        .append(&stream("a"), expected, events([20]), vec![])
        .await;
    assert!(appended.is_ok());
}
