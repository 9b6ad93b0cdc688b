//! `satpostd erasure` and what it means for backups, as an operator runs them.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Output;

use satpost_domain::WatchId;
use satpost_event_store::EventStore as _;
use satpost_event_store::embedded::{EmbeddedEventStore, EmbeddedOptions};
use serde_json::Value;

use super::sample::{DROPPED, KEPT, Sample};
use super::{complaint, satpostd, told};

/// Something is missing, something that was closed is left.
const DISORDER: Option<i32> = Some(10);
const LEFT: Option<i32> = Some(20);

fn text(path: &Path) -> &str {
    path.to_str().unwrap()
}

/// A data folder with a history, and a place beside it.
async fn sample() -> (tempfile::TempDir, PathBuf) {
    let root = tempfile::tempdir().unwrap();
    let data = root.path().join("data");
    drop(Sample::write(&data).await);
    (root, data)
}

/// Lets go of the second address.
async fn unwatch(data: &Path) {
    let store = EmbeddedEventStore::open(&EmbeddedOptions::new(data)).unwrap();
    Sample::over(store, 100).unwatch_dropped().await;
}

fn verify(data: &Path) -> Output {
    satpostd(&["erasure", "verify", "--json", "--data-dir", text(data)])
}

fn json(output: &Output) -> Value {
    serde_json::from_slice(&output.stdout).unwrap_or_else(|_| panic!("{}", complaint(output)))
}

#[tokio::test]
async fn says_that_what_was_closed_is_gone() {
    let (_root, data) = sample().await;
    let clean = json(&verify(&data));
    assert_eq!(clean["clean"], true, "{clean}");
    // A message and two addresses are open, a message was acknowledged.
    assert_eq!((&clean["open"], &clean["readable"]), (&3.into(), &3.into()));
    assert_eq!(clean["closed"], 1);
    let words = told(&["erasure", "verify", "--data-dir", text(&data)]);
    assert!(
        words.ends_with("what was closed is gone, and what is open is there\n"),
        "{words}"
    );
}

#[tokio::test]
async fn names_slot_stream_and_revision_of_a_key_that_was_put_back() {
    let (root, data) = sample().await;
    let (keys, before) = (data.join("payloads/keys"), root.path().join("before"));
    fs::copy(&keys, &before).unwrap();
    unwatch(&data).await;
    assert_eq!(verify(&data).status.code(), Some(0));
    fs::copy(&before, &keys).unwrap();
    let output = verify(&data);
    assert_eq!(output.status.code(), LEFT, "{}", complaint(&output));
    let found = json(&output);
    let finding = &found["findings"][0];
    assert_eq!(finding["code"], "key-not-destroyed");
    assert_eq!(finding["file"], text(&keys));
    assert_eq!(finding["revision"], 1);
    assert!(
        finding["stream"]
            .as_str()
            .unwrap()
            .starts_with("watchlist-"),
        "{finding}"
    );
    let slot = finding["slot"].as_u64().unwrap();
    assert_eq!(finding["offset"], slot * 64);
    assert_eq!(found["counts"]["key-not-destroyed"], 1);
    let words = satpostd(&["erasure", "verify", "--data-dir", text(&data)]);
    let words = String::from_utf8(words.stdout).unwrap();
    assert!(words.contains("FOUND key-not-destroyed: "), "{words}");
    assert!(words.ends_with("NOT GONE\n"), "{words}");
}

#[tokio::test]
async fn tells_what_is_lost_from_what_is_left() {
    let (_root, data) = sample().await;
    fs::remove_file(data.join("payloads/0000000001.blob")).unwrap();
    let output = verify(&data);
    assert_eq!(output.status.code(), DISORDER, "{}", complaint(&output));
    assert_eq!(json(&output)["counts"]["open-missing"], 3);
    let nowhere = verify(&data.join("nowhere"));
    assert_eq!(nowhere.status.code(), Some(1));
}

/// Backs up with payloads; the script of the second address is in nothing but the payloads.
fn back_up(root: &Path, data: &Path) -> [PathBuf; 2] {
    let (target, keys) = (root.join("backup"), root.join("payload.keys"));
    told(&[
        "backup",
        "--data-dir",
        text(data),
        "--payload-keys",
        text(&keys),
        text(&target),
    ]);
    [target, keys]
}

fn restore(backup: &Path, keys: Option<&Path>, data: &Path) -> Value {
    let mut arguments = vec!["restore", "--json", "--data-dir", text(data)];
    if let Some(keys) = keys {
        arguments.extend(["--payload-keys", text(keys)]);
    }
    arguments.push(text(backup));
    serde_json::from_str(&told(&arguments)).unwrap()
}

/// Whether a watched script can be read in a data folder.
async fn can_be_read(data: &Path, script: &[u8]) -> bool {
    let store = EmbeddedEventStore::open_read_only(&EmbeddedOptions::new(data)).unwrap();
    let id = WatchId::new([script[2]; 16]);
    store.payload(id.into()).await.unwrap().is_some()
}

#[tokio::test]
async fn a_backup_brings_back_nothing_that_was_closed_after_it() {
    let (root, data) = sample().await;
    let root = root.path();
    let [backup, keys] = back_up(root, &data);
    let stale = root.join("kept-against-all-advice.keys");
    fs::copy(&keys, &stale).unwrap();
    unwatch(&data).await;
    told(&["erasure", "keys", "--data-dir", text(&data), text(&keys)]);

    let fresh = root.join("fresh");
    let restored = restore(&backup, Some(&keys), &fresh);
    assert_eq!(
        (&restored["payloads"], &restored["payloads_lost"]),
        (&2.into(), &1.into())
    );
    assert!(can_be_read(&fresh, &KEPT).await);
    assert!(!can_be_read(&fresh, &DROPPED).await);
    let clean = json(&verify(&fresh));
    assert_eq!(
        (&clean["clean"], &clean["lost"]),
        (&true.into(), &1.into()),
        "{clean}"
    );
    // The server goes on with it, and erases as ever.
    let store = EmbeddedEventStore::open(&EmbeddedOptions::new(&fresh)).unwrap();
    Sample::over(store, 100).unwatch_dropped().await;
    let clean = json(&verify(&fresh));
    assert_eq!(
        (&clean["clean"], &clean["lost"]),
        (&true.into(), &0.into()),
        "{clean}"
    );

    let without = restore(&backup, None, &root.join("without"));
    assert_eq!(
        (&without["payloads"], &without["payloads_lost"]),
        (&0.into(), &3.into())
    );
    // The control: with the keys of that time the script would be there.
    let revived = root.join("revived");
    restore(&backup, Some(&stale), &revived);
    assert!(can_be_read(&revived, &DROPPED).await);
}

#[tokio::test]
async fn a_folder_finds_its_own_payloads_copied_into_it() {
    let (_root, data) = sample().await;
    fs::copy(data.join("payloads/keys"), data.join("keys.old")).unwrap();
    let output = verify(&data);
    assert_eq!(output.status.code(), LEFT);
    assert_eq!(json(&output)["counts"]["copy-of-payloads"], 1);
    let inside = data.join("keys.copy");
    let refused = satpostd(&["erasure", "keys", "--data-dir", text(&data), text(&inside)]);
    assert_eq!(refused.status.code(), Some(1));
    assert!(
        complaint(&refused).contains("outside of it"),
        "{}",
        complaint(&refused)
    );
}
