//! What is not a backup, and folders that nothing is restored into.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use satpost_tests::process::binaries;
use tempfile::TempDir;

use super::{json, said, small_log, text, told, tool};

/// A folder with a data folder and a backup of it that was copied.
async fn backed_up() -> (TempDir, PathBuf, PathBuf) {
    let root = tempfile::tempdir().unwrap();
    let (data, backup) = (root.path().join("data"), root.path().join("backup"));
    small_log(&data, 20).await;
    json("backup", &data, &[text(&backup), "--copy"]);
    (root, data, backup)
}

/// Restores, expects a refusal with `reason`, and that the server refuses what is left.
fn refused(root: &Path, backup: &Path, reason: &str) {
    let fresh = root.join("fresh");
    let output = tool("restore", &fresh, &[text(backup)]);
    assert_eq!(output.status.code(), Some(1), "{reason}");
    assert!(told(&output).contains(reason), "{}", told(&output));
    if fresh.exists() {
        let served = tool(
            "serve",
            &fresh,
            &[
                "--listen",
                "127.0.0.1:0",
                "--operator-listen",
                "127.0.0.1:0",
            ],
        );
        assert_eq!(served.status.code(), Some(78), "{}", told(&served));
        fs::remove_dir_all(&fresh).unwrap();
    }
}

#[tokio::test]
async fn refuses_what_is_no_backup() {
    let (root, data, backup) = backed_up().await;
    refused(root.path(), &data, "is no complete backup");
    let manifest = backup.join("manifest.json");
    let text_of = fs::read_to_string(&manifest).unwrap();
    fs::write(
        &manifest,
        text_of.replace("\"satpost_backup\": 1", "\"satpost_backup\": 2"),
    )
    .unwrap();
    refused(root.path(), &backup, "has version 2");
    fs::write(&manifest, &text_of[..text_of.len() / 2]).unwrap();
    refused(root.path(), &backup, "cannot be read");
    fs::remove_file(&manifest).unwrap();
    refused(root.path(), &backup, "is no complete backup");
}

#[tokio::test]
async fn refuses_a_backup_that_was_edited_or_mixed() {
    let (root, _, backup) = backed_up().await;
    let segment = backup.join("log/0000000001.log");
    let bytes = fs::read(&segment).unwrap();
    for (at, offset) in [(20, 0), (3_000, 2_300)] {
        let mut changed = bytes.clone();
        changed[at] ^= 1;
        fs::write(&segment, changed).unwrap();
        let output = tool("restore", &root.path().join("fresh"), &[text(&backup)]);
        let text_of = told(&output);
        let named: u64 = text_of
            .split("damaged at byte ")
            .nth(1)
            .and_then(|rest| rest.split(':').next()?.parse().ok())
            .unwrap_or_else(|| panic!("{text_of}"));
        assert!((offset..=at as u64).contains(&named), "{text_of}");
        fs::remove_dir_all(root.path().join("fresh")).unwrap();
    }
    let other = root.path().join("other");
    small_log(&other, 20).await;
    fs::copy(other.join("log/0000000001.log"), &segment).unwrap();
    refused(root.path(), &backup, "not the segment that follows");
}

#[tokio::test]
async fn writes_into_empty_folders_only() {
    let (root, data, backup) = backed_up().await;
    let again = tool("backup", &data, &[text(&backup)]);
    assert_eq!(again.status.code(), Some(1));
    assert!(told(&again).contains("is not empty"), "{}", told(&again));
    let onto = tool("restore", &data, &[text(&backup)]);
    assert_eq!(onto.status.code(), Some(1));
    assert!(told(&onto).contains("is not empty"), "{}", told(&onto));
    assert!(json("verify", &data, &[])["sound"].as_bool().unwrap());
    let absent = tool(
        "backup",
        &root.path().join("nothing"),
        &[text(&root.path().join("b"))],
    );
    assert_eq!(absent.status.code(), Some(1));
    assert!(
        told(&absent).contains("no data folder"),
        "{}",
        told(&absent)
    );
}

/// A limit on the size of files stands for a disk without room.
#[tokio::test]
async fn a_full_disk_leaves_no_backup_behind() {
    let (root, data, _) = backed_up().await;
    let target = root.path().join("full");
    let satpostd = binaries().join("satpostd");
    let line = "trap '' XFSZ; ulimit -f 4; exec \"$0\" backup --copy --data-dir \"$1\" \"$2\"";
    let output = Command::new("sh")
        .args(["-c", line, text(&satpostd), text(&data), text(&target)])
        .output()
        .unwrap();
    assert_eq!(output.status.code(), Some(1), "{}", told(&output));
    assert!(
        told(&output).contains("0000000001.log"),
        "{}",
        told(&output)
    );
    refused(root.path(), &target, "is no complete backup");
}

#[tokio::test]
async fn verify_names_the_file_and_the_byte() {
    let (_root, data, _) = backed_up().await;
    let segment = data.join("log/0000000001.log");
    let mut bytes = fs::read(&segment).unwrap();
    bytes[3_000] ^= 1;
    fs::write(&segment, bytes).unwrap();
    let output = tool("verify", &data, &[]);
    assert_eq!(output.status.code(), Some(1));
    let text_of = said(&output);
    assert!(
        text_of.contains(&format!("FOUND {} at byte ", segment.display())),
        "{text_of}"
    );
    assert!(text_of.contains("NOT SOUND"), "{text_of}");
}
