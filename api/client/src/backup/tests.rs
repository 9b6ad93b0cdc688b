//! What a backup gives back, and what it refuses.

use super::*;
use crate::link::Continuity;
use crate::seed::Seed;
use crate::testing::Counting;
use satpost_domain::MessagingKey;

fn key(fill: u8) -> StoreKey {
    StoreKey::derive(&Seed::from_entropy(&[fill; 16]).unwrap())
}

fn backup(name: &str) -> Backup {
    let record = Record::Received {
        sender: MessagingKey::from_stored([1; 32]),
        contact: None,
        kind: 1,
        text: "kept".to_owned(),
        sent_at: Timestamp::from_millis(1),
        accepted_at: Timestamp::from_millis(2),
        continuity: Continuity::Begins,
        knock: true,
    };
    Backup {
        made_at: Timestamp::from_millis(5),
        state: State {
            display_name: name.to_owned(),
            ..State::default()
        },
        records: vec![("mailbox-0000000000-00000000000000000001".to_owned(), record)],
    }
}

struct Written {
    _folder: tempfile::TempDir,
    path: PathBuf,
    bytes: Vec<u8>,
}

fn written(backup: &Backup) -> Written {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("wallet.backup");
    write(&path, backup, &key(1), &Counting::default()).unwrap();
    Written {
        bytes: fs::read(&path).unwrap(),
        path,
        _folder: folder,
    }
}

#[test]
fn gives_back_what_was_written_to_the_same_seed_only() {
    let file = written(&backup("Alice"));
    assert_eq!(read(&file.path, &key(1)).unwrap(), backup("Alice"));
    assert!(matches!(
        read(&file.path, &key(2)),
        Err(BackupError::File(StoreError::Unreadable { .. }))
    ));
}

#[test]
fn its_size_does_not_tell_its_length() {
    let (short, long) = (written(&backup("A")), written(&backup(&"A".repeat(64))));
    assert_eq!(short.bytes.len(), long.bytes.len());
    for (content, size) in [
        (0, 64 * 1024),
        (64 * 1024 - 9, 64 * 1024),
        (64 * 1024 - 8, 128 * 1024),
        (4 * 1024 * 1024, 4 * 1024 * 1024 + 512 * 1024),
    ] {
        assert_eq!(padded_size(content), size, "{content}");
    }
}

#[test]
fn a_cut_or_edited_backup_is_refused() {
    let file = written(&backup("Alice"));
    for length in [0, 7, 8, 39, 40, file.bytes.len() - 1] {
        fs::write(&file.path, &file.bytes[..length]).unwrap();
        assert!(read(&file.path, &key(1)).is_err(), "{length} bytes");
    }
    for place in [0, 7, 8, 40, 41, 49, 100, file.bytes.len() - 1] {
        let mut edited = file.bytes.clone();
        edited[place] ^= 1;
        fs::write(&file.path, &edited).unwrap();
        assert!(read(&file.path, &key(1)).is_err(), "byte {place}");
    }
    fs::write(&file.path, &file.bytes).unwrap();
    assert!(read(&file.path, &key(1)).is_ok());
}

/// Seals any content, as a wallet with a defect would.
fn read_sealed(content: &[u8]) -> BackupError {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("wallet.backup");
    let sealed = seal_bytes(&key(1), ROLE, content, &Counting::default());
    fs::write(&path, sealed).unwrap();
    read(&path, &key(1)).unwrap_err()
}

#[test]
fn another_file_of_the_wallet_is_no_backup() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("state");
    let state = seal_bytes(&key(1), "state", &[VERSION; 64], &Counting::default());
    fs::write(&path, state).unwrap();
    assert!(matches!(
        read(&path, &key(1)),
        Err(BackupError::File(StoreError::Unreadable { .. }))
    ));
}

#[test]
fn content_of_another_form_is_refused() {
    assert!(matches!(
        read_sealed(&[2, 0]),
        BackupError::UnknownVersion { actual: 2 }
    ));
    let content = postcard::to_stdvec(&backup("Alice")).unwrap();
    let framed = |length: u64, content: &[u8], padding: &[u8]| {
        [&[VERSION][..], &length.to_be_bytes(), content, padding].concat()
    };
    let length = content.len() as u64;
    let bad = [
        Vec::new(),
        vec![VERSION, 0],
        framed(length, &content, &[1]),
        framed(length + 1, &content, &[]),
        framed(u64::MAX, &content, &[]),
        framed(length - 1, &content, &[]),
    ];
    for content in bad {
        assert!(matches!(read_sealed(&content), BackupError::Malformed));
    }
    // A record that would be written outside its folder.
    let mut astray = backup("Alice");
    astray.records[0].0 = "../state".to_owned();
    let content = postcard::to_stdvec(&astray).unwrap();
    let sealed = framed(content.len() as u64, &content, &[]);
    assert!(matches!(read_sealed(&sealed), BackupError::Malformed));
}
