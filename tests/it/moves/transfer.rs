//! `satpostd export` and `satpostd import`: between folders, after interruptions, with damage.

use std::fs;
use std::path::Path;
use std::process::Command;

use satpost_tests::process::{ServerProcess, binaries};
use serde_json::Value;

use super::sample::Sample;
use super::{complaint, satpostd, told};

/// Runs the wallet `home` against `server` and returns what it told.
fn wallet(folder: &Path, home: &str, server: &str, arguments: &[&str]) -> String {
    let output = Command::new(binaries().join("satpost"))
        .arg("--home")
        .arg(folder.join(home))
        .args(arguments)
        .env("SATPOST_SERVER", server)
        .output()
        .unwrap();
    assert!(
        output.status.success(),
        "{arguments:?}: {}",
        complaint(&output)
    );
    String::from_utf8(output.stdout).unwrap()
}

fn digest(data: &str) -> Value {
    let told = told(&["export", "--digest", "--json", "--data-dir", data]);
    serde_json::from_str::<Value>(&told).unwrap()["head"].clone()
}

#[test]
fn a_server_moves_to_another_folder_with_its_log() {
    let folder = tempfile::tempdir().unwrap();
    let path = |name: &str| folder.path().join(name).to_str().unwrap().to_owned();
    let (old, new, file) = (path("old"), path("new"), path("log.jsonl"));
    let mut server = ServerProcess::start(Path::new(&old), &[]);
    let url = server.url();
    for home in ["alice", "bob"] {
        wallet(folder.path(), home, &url, &["create"]);
        wallet(folder.path(), home, &url, &["register-client"]);
    }
    let card = wallet(folder.path(), "bob", &url, &["show-card"]);
    wallet(
        folder.path(),
        "alice",
        &url,
        &["add-contact", card.trim(), "--name", "bob"],
    );
    let card = wallet(folder.path(), "alice", &url, &["show-card"]);
    wallet(
        folder.path(),
        "bob",
        &url,
        &["add-contact", card.trim(), "--name", "alice"],
    );
    wallet(
        folder.path(),
        "alice",
        &url,
        &["send-message", "bob", "the first"],
    );
    assert!(wallet(folder.path(), "bob", &url, &["fetch-messages"]).contains("the first"));
    wallet(
        folder.path(),
        "alice",
        &url,
        &["send-message", "bob", "the second"],
    );

    let busy = satpostd(&["import", "--data-dir", &old, &file]);
    assert_eq!(busy.status.code(), Some(1), "there is no file yet");
    told(&["export", "--with-payloads", "--data-dir", &old, &file]);
    let busy = satpostd(&["import", "--data-dir", &old, &file]);
    assert_eq!(busy.status.code(), Some(1));
    assert!(
        complaint(&busy).contains("cannot write the log"),
        "{}",
        complaint(&busy)
    );
    assert_eq!(server.stop(), Some(0));

    // What happened since the first export goes behind it.
    told(&["export", "--resume", "--data-dir", &old, &file]);
    let imported = told(&["import", "--json", "--data-dir", &new, &file]);
    let imported: Value = serde_json::from_str(&imported).unwrap();
    assert_eq!(imported["present"], 0);
    assert_eq!(imported["head"], digest(&old));
    assert_eq!(imported["head"], digest(&new));
    let again = told(&["import", "--json", "--data-dir", &new, &file]);
    let again: Value = serde_json::from_str(&again).unwrap();
    assert_eq!(
        (&again["appended"], &again["present"]),
        (&Value::from(0), &imported["appended"])
    );

    fs::create_dir_all(Path::new(&new).join("keys")).unwrap();
    for key in fs::read_dir(Path::new(&old).join("keys")).unwrap() {
        let key = key.unwrap();
        fs::copy(
            key.path(),
            Path::new(&new).join("keys").join(key.file_name()),
        )
        .unwrap();
    }
    let mut server = ServerProcess::start(Path::new(&new), &[]);
    let told_bob = wallet(folder.path(), "bob", &server.url(), &["fetch-messages"]);
    assert!(told_bob.contains("the second"), "{told_bob}");
    assert_eq!(server.stop(), Some(0));
}

#[tokio::test(flavor = "multi_thread")]
async fn both_forms_carry_the_same_log_and_either_can_be_cut_and_resumed() {
    let folder = tempfile::tempdir().unwrap();
    let path = |name: &str| folder.path().join(name).to_str().unwrap().to_owned();
    let data = path("data");
    drop(Sample::write(Path::new(&data)).await);
    for format in ["jsonl", "postcard"] {
        let file = path(format);
        let new = path(&format!("new-{format}"));
        told(&["export", "--format", format, "--data-dir", &data, &file]);
        let whole = fs::read(&file).unwrap();
        let refused = satpostd(&["export", "--data-dir", &data, &file]);
        assert_eq!(
            refused.status.code(),
            Some(1),
            "a file is never written over"
        );

        fs::write(&file, &whole[..whole.len() * 2 / 3]).unwrap();
        let unfinished = satpostd(&["import", "--data-dir", &new, &file]);
        assert_eq!(unfinished.status.code(), Some(1));
        assert!(
            complaint(&unfinished).contains("--resume"),
            "{}",
            complaint(&unfinished)
        );
        assert!(!Path::new(&new).exists(), "nothing was made");
        told(&["export", "--resume", "--data-dir", &data, &file]);
        assert_eq!(fs::read(&file).unwrap(), whole);

        told(&["import", "--data-dir", &new, &file]);
        assert_eq!(digest(&new), digest(&data));
        told(&["rebuild", "--apply", "--data-dir", &new]);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn damage_and_other_logs_are_refused_in_words() {
    let folder = tempfile::tempdir().unwrap();
    let path = |name: &str| folder.path().join(name).to_str().unwrap().to_owned();
    let (data, file, new) = (path("data"), path("log"), path("new"));
    drop(Sample::write(Path::new(&data)).await);
    told(&["export", "--format", "postcard", "--data-dir", &data, &file]);
    let whole = fs::read(&file).unwrap();
    let refuse = |bytes: &[u8], words: &str| {
        fs::write(&file, bytes).unwrap();
        let output = satpostd(&["import", "--data-dir", &new, &file]);
        assert_eq!(output.status.code(), Some(1));
        let complaint = complaint(&output);
        assert!(
            complaint.contains(words),
            "{words:?} is missing in: {complaint}"
        );
    };
    let mut damaged = whole.clone();
    damaged[whole.len() / 2] ^= 1;
    refuse(&damaged, "damaged at byte");
    let mut newer = whole.clone();
    newer[8] = 9;
    refuse(&newer, "version 9");
    refuse(b"something else entirely", "no export");
    assert!(!Path::new(&new).exists(), "nothing was made");

    let other = path("other");
    let mut sample = Sample::write(Path::new(&other)).await;
    sample.unwatch_dropped().await;
    drop(sample);
    told(&[
        "export",
        "--format",
        "postcard",
        "--data-dir",
        &other,
        &path("other-log"),
    ]);
    // The same beginning and one event more: that is no other log.
    told(&["import", "--data-dir", &data, &path("other-log")]);
    let empty_server = ServerProcess::start(Path::new(&path("empty")), &[]).stop();
    assert_eq!(empty_server, Some(0));
    fs::write(&file, &whole).unwrap();
    told(&["import", "--data-dir", &path("empty"), &file]);
}
