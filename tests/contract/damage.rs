//! The embedded log when its files are not as they were left.

use std::fs;
use std::path::{Path, PathBuf};

use satpost_commands::ports::{Expected, LogError};
use satpost_domain::Position;
use satpost_event_store::embedded::{EmbeddedEventStore, OpenError};
use satpost_event_store::{EventStore as _, NewStoredEvent};

use crate::cases::{
    Random, event, event_with_payload, events, exact, fill, ids, payload_id, stream,
};
use crate::harness::{open, options};

fn segment(folder: &Path, number: u32) -> PathBuf {
    folder.join(format!("log/{number:010}.log"))
}

fn try_open(folder: &Path) -> Result<EmbeddedEventStore, OpenError> {
    EmbeddedEventStore::open(&options(folder))
}

fn remove_index_files(folder: &Path) {
    for entry in fs::read_dir(folder.join("log")).unwrap() {
        let path = entry.unwrap().path();
        if path.extension().is_some_and(|name| name == "idx") {
            fs::remove_file(path).unwrap();
        }
    }
}

/// As if the process had ended without closing the log.
fn forget_the_end(folder: &Path) {
    fs::remove_file(folder.join("log/clean")).unwrap();
}

/// Where two versions of a file begin and cease to differ.
fn changed(before: &[u8], after: &[u8]) -> std::ops::Range<usize> {
    let differs = |at: &usize| before[*at] != after[*at];
    let start = (0..after.len()).find(differs).unwrap();
    let end = (0..after.len()).rfind(differs).unwrap() + 1;
    start..end
}

/// A closed log of three batches; gives its only segment and where the last batch is in it.
async fn three_batches(folder: &Path) -> (Vec<u8>, std::ops::Range<usize>) {
    let store = open(folder);
    let new = vec![event_with_payload(1, payload_id(1), b"kept")];
    store
        .append(&stream("a"), Expected::NoStream, new, vec![])
        .await
        .unwrap();
    store
        .append(&stream("a"), exact(0), events([2]), vec![])
        .await
        .unwrap();
    let before = fs::read(segment(folder, 1)).unwrap();
    let mut last = vec![event(3), event_with_payload(4, payload_id(2), b"torn")];
    last[0].body = Random::new(1).bytes(90);
    store
        .append(&stream("b"), Expected::NoStream, last, vec![payload_id(9)])
        .await
        .unwrap();
    drop(store);
    forget_the_end(folder);
    let after = fs::read(segment(folder, 1)).unwrap();
    let range = changed(&before, &after);
    (after, range)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn cuts_a_last_batch_torn_at_any_byte_and_keeps_the_rest() {
    let folder = tempfile::tempdir().unwrap();
    let (whole, last) = three_batches(folder.path()).await;
    // Fewer zeros than 8 at the very end may be those of the hash.
    for cut in last.start..=last.end - 8 {
        let mut torn = whole.clone();
        torn[cut..].fill(0);
        fs::write(segment(folder.path(), 1), &torn).unwrap();
        let store = open(folder.path());
        assert_eq!(store.head().await, Ok(Position::new(2, 0)), "cut at {cut}");
        let kept = store.payload(payload_id(1)).await;
        assert_eq!(kept, Ok(Some(b"kept".to_vec())));
        assert_eq!(store.payload(payload_id(2)).await, Ok(None));
        drop(store);
        let left = fs::read(segment(folder.path(), 1)).unwrap();
        assert!(left[last.start..].iter().all(|byte| *byte == 0));
    }
    // And the log goes on as if nothing had been.
    let store = open(folder.path());
    fill(&store, &stream("b"), 5, 3).await;
    drop(store);
    let all = open(folder.path())
        .read_all(Position::START, 10)
        .await
        .unwrap();
    assert_eq!(ids(&all), crate::cases::expected_ids([1, 2, 5, 6, 7]));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn cuts_a_last_batch_with_a_missing_sector() {
    let folder = tempfile::tempdir().unwrap();
    let store = open(folder.path());
    fill(&store, &stream("a"), 0, 3).await;
    let before = fs::read(segment(folder.path(), 1)).unwrap();
    let large = NewStoredEvent {
        body: Random::new(1).bytes(5_000),
        ..event(9)
    };
    store
        .append(&stream("a"), exact(2), vec![large], vec![])
        .await
        .unwrap();
    drop(store);
    forget_the_end(folder.path());
    let whole = fs::read(segment(folder.path(), 1)).unwrap();
    let last = changed(&before, &whole);
    for sector in last.start.div_ceil(512)..last.end / 512 {
        let mut torn = whole.clone();
        torn[sector * 512..][..512].fill(0);
        fs::write(segment(folder.path(), 1), &torn).unwrap();
        assert_eq!(open(folder.path()).head().await, Ok(Position::new(3, 0)));
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn refuses_a_flipped_byte_before_the_last_batch_and_names_its_place() {
    let folder = tempfile::tempdir().unwrap();
    let (whole, last) = three_batches(folder.path()).await;
    let log = segment(folder.path(), 1);
    for flipped in 0..last.start {
        let mut bytes = whole.clone();
        bytes[flipped] ^= 0x10;
        fs::write(&log, &bytes).unwrap();
        match try_open(folder.path()).map(drop) {
            Err(OpenError::Damaged { file, offset, .. }) => {
                assert_eq!(file, log);
                assert!(offset <= flipped as u64, "{offset} is behind {flipped}");
                assert!(flipped as u64 <= offset + 300, "{offset} for {flipped}");
            }
            other => panic!("byte {flipped}: {other:?}"),
        }
        assert!(
            fs::read(&log).unwrap() == bytes,
            "a damaged log was changed"
        );
    }
    fs::write(&log, &whole).unwrap();
    assert_eq!(open(folder.path()).head().await, Ok(Position::new(4, 0)));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn refuses_a_flipped_byte_inside_a_last_batch_that_was_written_whole() {
    let folder = tempfile::tempdir().unwrap();
    let (whole, last) = three_batches(folder.path()).await;
    let log = segment(folder.path(), 1);
    for flipped in last.clone() {
        let mut bytes = whole.clone();
        bytes[flipped] ^= 0x10;
        fs::write(&log, &bytes).unwrap();
        match try_open(folder.path()).map(drop) {
            Err(OpenError::Damaged { file, offset, .. }) => {
                assert_eq!((file, offset), (log.clone(), last.start as u64));
            }
            other => panic!("byte {flipped}: {other:?}"),
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn refuses_damage_to_an_earlier_segment() {
    let folder = tempfile::tempdir().unwrap();
    let store = open(folder.path());
    let mut expected = Expected::NoStream;
    for number in 0..40 {
        let large = NewStoredEvent {
            body: Random::new(number).bytes(20_000),
            ..event(number)
        };
        let appended = store
            .append(&stream("a"), expected, vec![large], vec![])
            .await;
        expected = Expected::Exact(appended.unwrap().revision);
    }
    drop(store);
    let (first, second) = (segment(folder.path(), 1), segment(folder.path(), 2));
    assert!(segment(folder.path(), 4).exists());
    let whole = fs::read(&first).unwrap();
    assert!(whole.len() < 256 * 1024, "a full segment is trimmed");
    for flipped in (0..whole.len()).step_by(1_997).chain([whole.len() - 1]) {
        let mut bytes = whole.clone();
        bytes[flipped] ^= 1;
        fs::write(&first, &bytes).unwrap();
        remove_index_files(folder.path());
        match try_open(folder.path()).map(drop) {
            Err(OpenError::Damaged { file, offset, .. }) => {
                assert_eq!(file, first);
                assert!(offset <= flipped as u64, "{offset} for {flipped}");
            }
            other => panic!("byte {flipped}: {other:?}"),
        }
    }
    // A segment that ends too early, and one that is not there.
    fs::write(&first, &whole[..whole.len() - 500]).unwrap();
    assert!(matches!(
        try_open(folder.path()).map(drop),
        Err(OpenError::Damaged { .. })
    ));
    fs::write(&first, &whole).unwrap();
    let aside = folder.path().join("aside");
    fs::rename(&second, &aside).unwrap();
    assert!(matches!(
        try_open(folder.path()).map(drop),
        Err(OpenError::Damaged { .. })
    ));
    fs::rename(&aside, &second).unwrap();
    assert_eq!(open(folder.path()).head().await, Ok(Position::new(40, 0)));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn refuses_to_open_when_a_living_payload_or_its_key_is_damaged() {
    let folder = tempfile::tempdir().unwrap();
    let store = open(folder.path());
    let new = vec![event_with_payload(1, payload_id(1), &[5; 900])];
    store
        .append(&stream("a"), Expected::NoStream, new, vec![])
        .await
        .unwrap();
    drop(store);
    let blob = folder.path().join("payloads/0000000001.blob");
    let keys = folder.path().join("payloads/keys");
    for (file, damaged_bytes) in [
        (&blob, [0_u64, 20, 60, 100, 500]),
        (&keys, [0, 20, 64, 90, 127]),
    ] {
        let whole = fs::read(file).unwrap();
        for at in damaged_bytes {
            let mut bytes = whole.clone();
            bytes[usize::try_from(at).unwrap()] ^= 1;
            fs::write(file, &bytes).unwrap();
            match try_open(folder.path()).map(drop) {
                Err(OpenError::Damaged { file: named, .. }) => assert_eq!(&named, file),
                other => panic!("{} {at}: {other:?}", file.display()),
            }
        }
        fs::write(file, &whole).unwrap();
    }
    let found = open(folder.path()).payload(payload_id(1)).await;
    assert_eq!(found, Ok(Some(vec![5; 900])));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn notices_damage_while_it_is_open() {
    let folder = tempfile::tempdir().unwrap();
    let store = open(folder.path());
    fill(&store, &stream("a"), 0, 3).await;
    let new = vec![event_with_payload(9, payload_id(1), &[5; 900])];
    store
        .append(&stream("b"), Expected::NoStream, new, vec![])
        .await
        .unwrap();
    let flip = |file: PathBuf, at: u64| {
        use std::os::unix::fs::FileExt as _;
        let file = fs::File::options()
            .read(true)
            .write(true)
            .open(file)
            .unwrap();
        let mut byte = [0];
        file.read_exact_at(&mut byte, at).unwrap();
        file.write_all_at(&[byte[0] ^ 1], at).unwrap();
    };
    // The first record: its checksum.
    flip(segment(folder.path(), 1), 80 + 64 + 4);
    flip(folder.path().join("payloads/0000000001.blob"), 500);
    let read = store.read_all(Position::START, 10).await;
    let Err(LogError::Fatal { reason }) = read else {
        panic!("{read:?}");
    };
    assert!(
        reason.contains("0000000001.log is damaged at byte 144"),
        "{reason}"
    );
    let read = store.payload(payload_id(1)).await;
    assert!(matches!(read, Err(LogError::Fatal { .. })), "{read:?}");
}
