//! Seals and slots.

#![allow(clippy::unwrap_used, reason = "a test may end where it stands")]

use std::sync::Arc;

use satpost_domain::PayloadId;

use super::key_file::{self, KeyFile, KeyRecord};
use super::seal::{self, BrokenSeal, PayloadKey};
use crate::embedded::data_folder::{self, FolderKind, LogId};
use crate::storage::{Access, Disk};

fn id(number: u8) -> PayloadId {
    PayloadId::new([number; 16])
}

fn record(number: u8) -> KeyRecord {
    KeyRecord {
        id: id(number),
        position: number.into(),
        key: PayloadKey::new([number; 32]),
    }
}

fn log_id(folder: &std::path::Path) -> LogId {
    data_folder::begin(&Disk, folder, FolderKind::Data).unwrap()
}

#[test]
fn opens_what_it_sealed_and_nothing_else() {
    let sealed = seal::seal(id(1), b"payload").unwrap();
    let open = |id, key, bytes: &[u8]| seal::open(id, key, bytes.to_vec());
    let bytes = sealed.ciphertext.as_slice();
    assert_eq!(open(id(1), &sealed.key, bytes), Ok(b"payload".to_vec()));
    assert_eq!(open(id(2), &sealed.key, bytes), Err(BrokenSeal));
    let other = seal::seal(id(1), b"payload").unwrap();
    assert_eq!(open(id(1), &other.key, bytes), Err(BrokenSeal));
    assert_ne!(other.ciphertext, bytes, "a key was used twice");
    for at in 0..bytes.len() {
        let mut changed = bytes.to_vec();
        changed[at] ^= 1;
        assert_eq!(open(id(1), &sealed.key, &changed), Err(BrokenSeal));
    }
    assert_eq!(open(id(1), &sealed.key, &[]), Err(BrokenSeal));
}

#[test]
fn uses_destroyed_slots_again_and_no_other() {
    let folder = tempfile::tempdir().unwrap();
    let log_id = log_id(folder.path());
    let mut keys = KeyFile::create(Arc::new(Disk), folder.path(), &log_id).unwrap();
    keys.make_room(3).unwrap();
    let slots: Vec<_> = (1..=3).map(|n| keys.put(&record(n))).collect();
    assert_eq!(slots, [1, 2, 3]);
    keys.write().unwrap();
    keys.destroy(&slots[1..2]).unwrap();
    assert!(key_file::read_slot(&**keys.file(), 2).unwrap().is_none());
    // Not before it is given back: until then the zeros may not be durable.
    assert_eq!(keys.put(&record(4)), 4);
    keys.release(&slots[1..2]);
    for number in 5..200 {
        keys.make_room(1).unwrap();
        let slot = keys.put(&record(number));
        keys.write().unwrap();
        let found = key_file::read_slot(&**keys.file(), slot).unwrap().unwrap();
        assert_eq!(found.id, id(number));
    }
    for (slot, number) in [(1, 1), (3, 3), (4, 4)] {
        let found = key_file::read_slot(&**keys.file(), slot).unwrap().unwrap();
        assert_eq!(found.id, id(number));
        assert_eq!(found.key, PayloadKey::new([number; 32]));
    }
}

#[test]
fn grows_when_all_slots_are_taken() {
    let folder = tempfile::tempdir().unwrap();
    let log_id = log_id(folder.path());
    let mut keys = KeyFile::create(Arc::new(Disk), folder.path(), &log_id).unwrap();
    let count = 20_000;
    keys.make_room(count).unwrap();
    let taken: std::collections::BTreeSet<_> = (0..count).map(|_| keys.put(&record(7))).collect();
    assert_eq!(taken.len(), 20_000);
    assert!(!taken.contains(&0), "the header was overwritten");
}

#[test]
fn sweeps_every_slot_that_is_not_kept() {
    let folder = tempfile::tempdir().unwrap();
    let log_id = log_id(folder.path());
    let mut keys = KeyFile::create(Arc::new(Disk), folder.path(), &log_id).unwrap();
    keys.make_room(5).unwrap();
    for number in 1..=5 {
        keys.put(&record(number));
    }
    keys.write().unwrap();
    drop(keys);
    let find = || {
        key_file::find(&Disk, folder.path(), &log_id, Access::ReadWrite)
            .unwrap()
            .unwrap()
    };
    let mut swept = find().sweep(Arc::new(Disk), &[0b10_1000]).unwrap();
    let found = find();
    let left: Vec<_> = found
        .slots()
        .filter_map(|slot| found.slot(slot).map(|record| (slot, record.id)))
        .collect();
    assert_eq!(left, [(3, id(3)), (5, id(5))]);
    let next: Vec<_> = (6..10).map(|n| swept.put(&record(n))).collect();
    assert_eq!(next, [1, 2, 4, 6]);
}

#[test]
fn refuses_the_key_file_of_another_log() {
    let (mine, theirs) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let (my_id, their_id) = (log_id(mine.path()), log_id(theirs.path()));
    drop(KeyFile::create(Arc::new(Disk), theirs.path(), &their_id).unwrap());
    let found = key_file::find(&Disk, theirs.path(), &my_id, Access::Read);
    assert!(found.is_err());
}
