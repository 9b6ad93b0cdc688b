//! Copies of keys: complete, replaced, refused.

#![allow(clippy::unwrap_used, reason = "a test may end where it stands")]

use std::fs;
use std::os::unix::fs::PermissionsExt as _;

use super::*;
use crate::embedded::EmbeddedEventStore;
use crate::embedded::verify::tests::{append, options};

/// A data folder with four living payloads, beside a place for copies.
async fn folders() -> (tempfile::TempDir, PathBuf, PathBuf) {
    let root = tempfile::tempdir().unwrap();
    let (data, copy) = (root.path().join("data"), root.path().join("keys.copy"));
    let store = EmbeddedEventStore::open(&options(&data)).unwrap();
    append(&store, 0..10, 100).await;
    (root, data, copy)
}

#[tokio::test]
async fn holds_the_keys_of_what_lives_and_of_nothing_else() {
    let (_root, data, copy) = folders().await;
    let made = copy_payload_keys(&data, &copy).unwrap();
    assert_eq!(made.keys, 4);
    let bytes = fs::read(&copy).unwrap();
    assert_eq!(bytes.len() as u64, made.bytes);
    let live = fs::read(data.join("payloads/keys")).unwrap();
    assert_eq!(bytes, live[..bytes.len()]);
    assert_eq!(copy.metadata().unwrap().permissions().mode() & 0o777, 0o600);
}

#[tokio::test]
async fn overwrites_the_copy_that_it_replaces() {
    let (root, data, copy) = folders().await;
    copy_payload_keys(&data, &copy).unwrap();
    let before = fs::read(&copy).unwrap();
    // Another name for the old file shows what becomes of its bytes.
    let old = root.path().join("old");
    fs::hard_link(&copy, &old).unwrap();
    fs::write(unnamed(&copy), "left by a crash").unwrap();
    copy_payload_keys(&data, &copy).unwrap();
    assert_eq!(fs::read(&copy).unwrap(), before);
    assert!(fs::read(&old).unwrap().iter().all(|byte| *byte == 0));
    assert!(!unnamed(&copy).exists());
}

#[tokio::test]
async fn replaces_no_file_that_is_not_its_own_and_stays_out_of_the_data_folder() {
    let (root, data, copy) = folders().await;
    fs::write(&copy, "somebody's letters").unwrap();
    let refused = copy_payload_keys(&data, &copy).unwrap_err();
    assert!(matches!(refused, OpenError::Damaged { .. }), "{refused}");
    assert_eq!(fs::read(&copy).unwrap(), b"somebody's letters");
    let (_other, other_data, other_copy) = folders().await;
    copy_payload_keys(&other_data, &other_copy).unwrap();
    assert!(copy_payload_keys(&data, &other_copy).is_err());
    for inside in ["keys.copy", "payloads/copy"] {
        let refused = copy_payload_keys(&data, &data.join(inside)).unwrap_err();
        assert!(matches!(refused, OpenError::Options { .. }), "{refused}");
    }
    let detour = root.path().join("data/../data/keys.copy");
    assert!(copy_payload_keys(&data, &detour).is_err());
}
