//! A small log with payloads, and everything that can be done to its files.

#![allow(clippy::unwrap_used, reason = "a test may end where it stands")]

use std::fs;
use std::ops::Range;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use satpost_commands::ports::Expected;
use satpost_domain::{EventId, PayloadId, Position, Revision};
use tempfile::TempDir;

use super::{Verified, VerifyOptions, verify};
use crate::embedded::frame::{FrameBuilder, FrameHeader};
use crate::embedded::segment;
use crate::embedded::{EmbeddedEventStore, EmbeddedOptions, data_folder};
use crate::storage::Disk;
use crate::{EventStore as _, NewStoredEvent};

pub(crate) fn options(folder: &Path) -> EmbeddedOptions {
    EmbeddedOptions {
        segment_bytes: 256 * 1024,
        blob_segment_bytes: 256 * 1024,
        ..EmbeddedOptions::new(folder)
    }
}

pub(crate) fn payload_id(number: u8) -> PayloadId {
    PayloadId::new([number; 16])
}

/// Appends events `numbers` in turn to two streams, each with a payload and each erasing the payload of the one
/// four before.
pub(crate) async fn append(store: &EmbeddedEventStore, numbers: Range<u8>, bytes: usize) {
    for number in numbers {
        let stream = format!("mailbox-{}", number % 2).parse().unwrap();
        let event = NewStoredEvent {
            id: EventId::new([number; 16]),
            kind: "message_accepted".into(),
            schema: 1,
            body: vec![number; bytes],
            metadata: vec![],
            payload: Some((payload_id(number), Arc::from(vec![number; 900]))),
        };
        let expected = match u64::from(number / 2).checked_sub(1) {
            None => Expected::NoStream,
            Some(last) => Expected::Exact(Revision(last)),
        };
        let erase = number.checked_sub(4).map(payload_id).into_iter().collect();
        store
            .append(&stream, expected, vec![event], erase)
            .await
            .unwrap();
    }
}

/// A closed log of several segments.
async fn log(bytes: usize) -> TempDir {
    let folder = tempfile::tempdir().unwrap();
    let store = EmbeddedEventStore::open(&options(folder.path())).unwrap();
    append(&store, 0..12, bytes).await;
    drop(store);
    folder
}

fn verified_at(folder: &Path, positions: &[u64]) -> Verified {
    let options = VerifyOptions {
        folder: folder.to_owned(),
        from: None,
        chains_at: positions.iter().map(|at| Position::new(*at, 0)).collect(),
        threads: 2,
    };
    verify(&options, &|_, _| ()).unwrap()
}

fn verified(folder: &Path) -> Verified {
    verified_at(folder, &[])
}

/// The first segment.
fn first(folder: &Path) -> PathBuf {
    segment::path(&folder.join(segment::FOLDER), 1)
}

fn number(folder: &Path, number: u32) -> PathBuf {
    segment::path(&folder.join(segment::FOLDER), number)
}

#[tokio::test]
async fn finds_nothing_in_a_log_as_it_was_written() {
    let folder = log(40_000).await;
    let store = EmbeddedEventStore::open(&options(folder.path())).unwrap();
    let beside = verified(folder.path());
    assert_eq!(beside.findings, []);
    let found = verified_at(folder.path(), &[0, 5, 12, 13]);
    assert_eq!(found.findings, []);
    assert_eq!((found.head, found.chain), store.chain_head());
    assert_eq!((found.events, found.streams), (12, 2));
    assert!(found.segments > 1);
    let payloads = found.payloads.unwrap();
    assert_eq!((payloads.readable, payloads.lost), (4, 0));
    let at: Vec<_> = found.chains.iter().map(|(at, _)| at.major()).collect();
    assert_eq!(at, [0, 5, 12]);
    assert_eq!(found.chains[2].1, found.chain);
    // And nothing in one that was closed in good order, which leaves a mark.
    drop(store);
    assert_eq!(verified(folder.path()).findings, []);
}

#[tokio::test]
async fn starts_at_any_segment() {
    let folder = log(40_000).await;
    let mut options = VerifyOptions {
        folder: folder.path().to_owned(),
        from: Some(Position::new(8, 0)),
        chains_at: vec![],
        threads: 1,
    };
    let found = verify(&options, &|_, _| ()).unwrap();
    assert_eq!(found.findings, []);
    assert!(found.first > Position::new(1, 0) && found.first <= Position::new(8, 0));
    assert_eq!(found.payloads, None);
    options.from = Some(Position::new(1, 0));
    assert_eq!(
        verify(&options, &|_, _| ()).unwrap().first,
        Position::new(1, 0)
    );
}

/// Flips a bit in every byte of the log, and expects to be told which file and about where.
#[tokio::test]
async fn finds_a_change_of_any_byte_of_the_log() {
    let folder = log(20).await;
    let path = first(folder.path());
    let bytes = fs::read(&path).unwrap();
    let end = bytes.iter().rposition(|byte| *byte != 0).unwrap() + 1;
    // Every byte that was written, and some of the room behind.
    let room = [end, end + 8, bytes.len() - 1];
    // What looks like an unfinished batch is waited for, so every 97th is enough there.
    let last_batch = end - 300;
    let written = (0..last_batch).chain((last_batch..end).step_by(97));
    let mut slow = 0;
    for at in written.chain(room) {
        let mut changed = bytes.clone();
        changed[at] ^= 0x10;
        fs::write(&path, changed).unwrap();
        let found = verified(folder.path());
        let finding = found
            .findings
            .first()
            .unwrap_or_else(|| panic!("byte {at}"));
        assert_eq!(finding.file, path);
        assert!(finding.offset <= at as u64, "byte {at}: {finding:?}");
        let near = if at < end {
            at.saturating_sub(600)
        } else {
            end.min(at)
        };
        assert!(finding.offset >= near as u64, "byte {at}: {finding:?}");
        slow += usize::from(finding.reason.contains("never finished"));
    }
    assert!(slow > 0, "the end of the log was not reached");
    fs::write(&path, bytes).unwrap();
    assert!(verified(folder.path()).is_sound());
}

#[tokio::test]
async fn finds_a_change_of_any_living_ciphertext_or_key() {
    let folder = log(20).await;
    let payloads = folder.path().join("payloads");
    for (name, first, step) in [("0000000001.blob", 0, 997), ("keys", 0, 101)] {
        let path = payloads.join(name);
        let bytes = fs::read(&path).unwrap();
        let end = bytes.iter().rposition(|byte| *byte != 0).unwrap() + 1;
        // Of the blob segment, only the living end of it and the header: the rest has no keys.
        let living = if name == "keys" {
            0..end
        } else {
            end - 4 * 964..end
        };
        for at in (first..40).step_by(13).chain(living.step_by(step)) {
            let mut changed = bytes.clone();
            changed[at] ^= 0x10;
            fs::write(&path, changed).unwrap();
            match verify(
                &VerifyOptions {
                    folder: folder.path().to_owned(),
                    from: None,
                    chains_at: vec![],
                    threads: 1,
                },
                &|_, _| (),
            ) {
                Ok(found) => assert!(!found.is_sound(), "{name}, byte {at}"),
                // The header of the key file.
                Err(error) => assert!(error.to_string().contains(name), "{error}"),
            }
        }
        fs::write(&path, bytes).unwrap();
    }
    assert!(verified(folder.path()).is_sound());
}

#[tokio::test]
async fn finds_segments_that_are_missing_exchanged_doubled_or_cut() {
    let folder = log(60_000).await;
    let (one, two, three) = (
        first(folder.path()),
        number(folder.path(), 2),
        number(folder.path(), 3),
    );
    let (first_bytes, second_bytes) = (fs::read(&one).unwrap(), fs::read(&two).unwrap());
    let check = |what: &str, file: &Path| {
        let found = verified(folder.path());
        let mut files = found.findings.iter().map(|finding| finding.file.as_path());
        assert!(
            files.any(|path| path == file),
            "{what}: {:?}",
            found.findings
        );
        fs::write(&one, &first_bytes).unwrap();
        fs::write(&two, &second_bytes).unwrap();
        assert!(verified(folder.path()).is_sound(), "{what} was not undone");
    };
    assert!(three.exists());
    fs::remove_file(&two).unwrap();
    check("deleted", &two);
    fs::write(&one, &second_bytes).unwrap();
    fs::write(&two, &first_bytes).unwrap();
    check("exchanged", &one);
    fs::write(&two, &first_bytes).unwrap();
    check("doubled", &two);
    // Cut between two batches: only the segment behind can tell.
    let log_id = data_folder::read_format(&Disk, folder.path(), data_folder::FolderKind::Data)
        .unwrap()
        .unwrap();
    let header = FrameHeader::decode(&log_id, &first_bytes[segment::HEADER_BYTES..]).unwrap();
    let cut = segment::HEADER_BYTES + header.length;
    fs::write(&one, &first_bytes[..cut]).unwrap();
    check("cut", &two);
    fs::write(&one, &first_bytes[..cut + 70]).unwrap();
    check("cut inside a batch", &one);
    let foreign = folder.path().join("log/notes.txt");
    fs::write(&foreign, "x").unwrap();
    let found = verified(folder.path());
    assert_eq!(found.findings[0].file, foreign);
}

/// Whoever can write the files can make all hashes anew. Then only a chain that was kept elsewhere
/// shows the difference.
#[tokio::test]
async fn a_log_forged_with_all_hashes_differs_at_a_known_position() {
    let folder = log(20).await;
    let known = verified_at(folder.path(), &[9]).chains[0];
    let path = first(folder.path());
    let bytes = fs::read(&path).unwrap();
    let log_id = data_folder::read_format(&Disk, folder.path(), data_folder::FolderKind::Data)
        .unwrap()
        .unwrap();
    let mut forged = bytes[..segment::HEADER_BYTES].to_vec();
    let mut walk = crate::embedded::walk::Walk::open(&path, &log_id).unwrap();
    let mut chain = [0; 32];
    while let Some(batch) = walk.next().unwrap().unwrap() {
        let mut records = batch.parts.records.to_vec();
        if batch.header.first_position == 3 {
            let last = records.len() - 1;
            records[last] ^= 1;
            let checksum = crc32c::crc32c(&records[8..]);
            records[4..8].copy_from_slice(&checksum.to_le_bytes());
        }
        let mut builder = FrameBuilder::new(log_id);
        builder.add_records(&records, batch.header.events);
        builder.add_erasures(&batch.parts.erased);
        let (frame, hash) = builder.finish(batch.header.first_position, &chain);
        forged.extend_from_slice(frame);
        chain = hash;
    }
    fs::write(&path, forged).unwrap();
    let found = verified_at(folder.path(), &[9]);
    assert_eq!(found.findings, [], "the forged log is sound in itself");
    assert_ne!(found.chains[0].1, known.1);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn finds_nothing_while_the_log_is_written() {
    let folder = tempfile::tempdir().unwrap();
    let store = Arc::new(EmbeddedEventStore::open(&options(folder.path())).unwrap());
    append(&store, 0..4, 100).await;
    let writer = {
        let store = Arc::clone(&store);
        tokio::spawn(async move { append(&store, 4..250, 3_000).await })
    };
    let path = folder.path().to_owned();
    let looked = tokio::task::spawn_blocking(move || {
        let mut heads = Vec::new();
        while heads.last() != Some(&250) && heads.len() < 200 {
            let found = verified(&path);
            assert_eq!(found.findings, [], "at {}", found.head);
            heads.push(found.head.major());
        }
        heads
    });
    writer.await.unwrap();
    let heads = looked.await.unwrap();
    assert!(heads.is_sorted());
}
