//! Backups of a log that is being written, and what is made of them.

#![allow(clippy::unwrap_used, reason = "a test may end where it stands")]

use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use satpost_domain::Position;

use super::{RestoreOptions, Restored, restore};
use crate::EventStore as _;
use crate::embedded::EmbeddedEventStore;
use crate::embedded::backup::{BackedUp, BackupOptions, CopyError, backup};
use crate::embedded::verify::tests::{append, options, payload_id};
use crate::embedded::verify::{Verified, VerifyOptions, verify};
use crate::payload_store::canary::Canaries;
use crate::payload_store::copy_payload_keys;

fn back_up(folder: &Path, target: &Path, payloads: bool, link: bool) -> BackedUp {
    let options = BackupOptions {
        folder: folder.to_owned(),
        target: target.to_owned(),
        payload_keys: payloads.then(|| keys_of(target)),
        link,
    };
    backup(&options, &|_, _| ()).unwrap()
}

/// Where the keys of a backup's payloads are.
fn keys_of(backup: &Path) -> PathBuf {
    backup.with_extension("keys")
}

fn restore_options(copied: &BackedUp, source: &Path, target: &Path) -> RestoreOptions {
    RestoreOptions {
        source: source.to_owned(),
        target: target.to_owned(),
        to: None,
        log_id: copied.log_id,
        head: copied.head,
        chain: copied.chain,
        segments: u32::try_from(copied.segments.len()).unwrap(),
        payloads: copied.payloads.clone().unwrap_or_default(),
        payload_keys: copied.payloads.is_some().then(|| keys_of(source)),
    }
}

fn restored(options: &RestoreOptions) -> Restored {
    restore(options, &|_, _| ()).unwrap().complete().unwrap()
}

fn verified(folder: &Path, at: Position) -> Verified {
    let options = VerifyOptions {
        folder: folder.to_owned(),
        from: None,
        chains_at: vec![at],
        threads: 1,
    };
    verify(&options, &|_, _| ()).unwrap()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn backups_of_a_log_that_is_written_open_as_it_was() {
    let root = tempfile::tempdir().unwrap();
    let data = root.path().join("data");
    let store = Arc::new(EmbeddedEventStore::open(&options(&data)).unwrap());
    append(&store, 0..5, 30_000).await;
    let writer = {
        let store = Arc::clone(&store);
        tokio::spawn(async move { append(&store, 5..250, 30_000).await })
    };
    let mut heads = Vec::new();
    for number in 0..8 {
        let (target, fresh) = (
            root.path().join(format!("backup-{number}")),
            root.path().join(format!("fresh-{number}")),
        );
        let (payloads, link) = (number % 2 == 0, number % 3 != 0);
        let copied = back_up(&data, &target, payloads, link);
        assert!(
            !target.join("format").exists(),
            "a backup is no data folder"
        );
        let made = restored(&restore_options(&copied, &target, &fresh));
        assert_eq!((made.head, made.chain), (copied.head, copied.chain));
        if !payloads {
            assert_eq!((made.payloads, made.payloads_lost), (0, 4));
        }
        let source = verified(&data, copied.head);
        assert_eq!(source.findings, []);
        assert!(source.chains.contains(&(copied.head, copied.chain)));
        let copy = verified(&fresh, copied.head);
        assert_eq!(copy.findings, []);
        assert_eq!(copy.payloads.unwrap().lost, made.payloads_lost);
        let opened = EmbeddedEventStore::open(&options(&fresh)).unwrap();
        assert_eq!(opened.chain_head(), (copied.head, copied.chain));
        assert_eq!(opened.identity().await, store.identity().await);
        heads.push(copied.head);
    }
    writer.await.unwrap();
    assert!(heads.is_sorted() && heads[0] < heads[7], "{heads:?}");
}

#[tokio::test]
async fn cuts_at_any_position_and_never_revives_what_was_erased() {
    let root = tempfile::tempdir().unwrap();
    let (data, target) = (root.path().join("data"), root.path().join("backup"));
    let store = EmbeddedEventStore::open(&options(&data)).unwrap();
    append(&store, 0..12, 40_000).await;
    let before = store.read_all(Position::START, 100).await.unwrap();
    let copied = back_up(&data, &target, true, true);
    for to in 0..=12_u64 {
        let fresh = root.path().join(format!("fresh-{to}"));
        let mut how = restore_options(&copied, &target, &fresh);
        how.to = Some(Position::new(to, 0));
        let made = restored(&how);
        assert_eq!(made.head.major(), to);
        let opened = EmbeddedEventStore::open(&options(&fresh)).unwrap();
        let events = opened.read_all(Position::START, 100).await.unwrap();
        assert_eq!(events, before[..usize::try_from(to).unwrap()]);
        for number in 0..12_u8 {
            // Only the last four are alive in the end.
            let is_there = number >= 8 && u64::from(number) < to;
            let payload = opened.payload(payload_id(number)).await.unwrap();
            assert_eq!(payload.is_some(), is_there, "payload {number} at {to}");
        }
        let alive = to.min(4);
        assert_eq!(made.payloads + made.payloads_lost, alive);
        drop(opened);
        assert_eq!(verified(&fresh, made.head).findings, []);
        // It goes on.
        let opened = EmbeddedEventStore::open(&options(&fresh)).unwrap();
        let next = u8::try_from(to).unwrap();
        append(&opened, next..next + 1, 10).await;
        drop(opened);
        assert_eq!(verified(&fresh, made.head).findings, []);
    }
    let fresh = root.path().join("fresh-13");
    let mut how = restore_options(&copied, &target, &fresh);
    how.to = Some(Position::new(13, 0));
    let refused = restore(&how, &|_, _| ()).err().unwrap();
    assert!(
        matches!(refused, CopyError::BehindTheEnd { .. }),
        "{refused}"
    );
}

#[tokio::test]
async fn refuses_a_backup_that_was_changed_and_leaves_no_data_folder() {
    let root = tempfile::tempdir().unwrap();
    let (data, target) = (root.path().join("data"), root.path().join("backup"));
    let store = EmbeddedEventStore::open(&options(&data)).unwrap();
    append(&store, 0..12, 40_000).await;
    let copied = back_up(&data, &target, true, false);
    let files = [
        "log/0000000001.log",
        "log/0000000002.log",
        "payloads/0000000001.blob",
    ];
    for (number, name) in files.into_iter().enumerate() {
        let path = target.join(name);
        let bytes = fs::read(&path).unwrap();
        let mut changed = bytes.clone();
        changed[200] ^= 1;
        fs::write(&path, changed).unwrap();
        let fresh = root.path().join(format!("fresh-{number}"));
        let refused = restore(&restore_options(&copied, &target, &fresh), &|_, _| ());
        let refused = refused.err().unwrap_or_else(|| panic!("{name}"));
        assert!(refused.to_string().contains(name), "{refused}");
        assert!(
            EmbeddedEventStore::open(&options(&fresh)).is_err(),
            "half of a restore was opened"
        );
        fs::write(&path, bytes).unwrap();
    }
    let again = restore(&restore_options(&copied, &target, &data), &|_, _| ());
    assert!(matches!(again.err(), Some(CopyError::NotEmpty { .. })));
}

#[tokio::test]
async fn brings_back_nothing_that_was_erased_after_the_backup() {
    let root = tempfile::tempdir().unwrap();
    let (data, target) = (root.path().join("data"), root.path().join("backup"));
    let store = EmbeddedEventStore::open(&options(&data)).unwrap();
    append(&store, 0..8, 100).await;
    let mut canaries = Canaries::default();
    // Their plaintexts stand in the events of this log as well.
    let erased_later: Vec<_> = (4..7).map(|n| (payload_id(n), Vec::new())).collect();
    canaries.remember(&data, &erased_later).unwrap();
    let copied = back_up(&data, &target, true, false);
    assert!(
        !target.join("payloads/keys").exists(),
        "a key is in the backup"
    );
    let stale = root.path().join("stale.keys");
    fs::copy(keys_of(&target), &stale).unwrap();
    append(&store, 8..11, 100).await;
    copy_payload_keys(&data, &keys_of(&target)).unwrap();

    let fresh = root.path().join("fresh");
    let made = restored(&restore_options(&copied, &target, &fresh));
    assert_eq!((made.payloads, made.payloads_lost), (1, 3));
    assert_eq!(canaries.traces(&fresh).unwrap(), []);
    let opened = EmbeddedEventStore::open(&options(&fresh)).unwrap();
    for number in 4..8 {
        let payload = opened.payload(payload_id(number)).await.unwrap();
        assert_eq!(payload.is_some(), number == 7, "payload {number}");
    }
    drop(opened);
    assert_eq!(verified(&fresh, made.head).findings, []);
    // Only a copy of the keys that somebody kept brings them back: the test looks in the right place.
    let mut how = restore_options(&copied, &target, &root.path().join("revived"));
    how.payload_keys = Some(stale);
    assert_eq!(restored(&how).payloads, 4);
}

#[tokio::test]
async fn takes_no_ciphertext_without_keys_and_no_keys_of_another_log() {
    let root = tempfile::tempdir().unwrap();
    let (data, target) = (root.path().join("data"), root.path().join("backup"));
    let store = EmbeddedEventStore::open(&options(&data)).unwrap();
    append(&store, 0..8, 100).await;
    let copied = back_up(&data, &target, true, true);
    let mut how = restore_options(&copied, &target, &root.path().join("without"));
    how.payload_keys = None;
    assert_eq!(restored(&how).payloads_lost, 4);
    let left = fs::read_dir(how.target.join("payloads")).unwrap();
    assert_eq!(left.count(), 0);
    let other = root.path().join("other");
    drop(EmbeddedEventStore::open(&options(&other)).unwrap());
    let (mut how, foreign) = (
        restore_options(&copied, &target, &root.path().join("foreign")),
        root.path().join("foreign.keys"),
    );
    copy_payload_keys(&other, &foreign).unwrap();
    how.payload_keys = Some(foreign);
    assert!(restore(&how, &|_, _| ()).is_err());
    how.target = root.path().join("absent");
    how.payload_keys = Some(root.path().join("absent.keys"));
    assert!(restore(&how, &|_, _| ()).is_err());
}

#[tokio::test]
async fn refuses_keys_inside_the_backup() {
    let root = tempfile::tempdir().unwrap();
    let (data, target) = (root.path().join("data"), root.path().join("backup"));
    let store = EmbeddedEventStore::open(&options(&data)).unwrap();
    append(&store, 0..8, 100).await;
    let options = BackupOptions {
        folder: data,
        target: target.clone(),
        payload_keys: Some(target.join("keys")),
        link: true,
    };
    let refused = backup(&options, &|_, _| ()).err();
    assert!(matches!(refused, Some(CopyError::KeysInside { .. })));
}
