//! The sealed store: what survives, and what it refuses.

use std::fs;
use std::os::unix::fs::PermissionsExt as _;

use satpost_domain::{CommandId, MessagingKey, Timestamp};

use super::*;
use crate::link::Continuity;
use crate::seed::Seed;
use crate::testing::Counting;

fn key(fill: u8) -> StoreKey {
    StoreKey::derive(&Seed::from_entropy(&[fill; 16]).unwrap())
}

fn state(name: &str) -> State {
    State {
        display_name: name.to_owned(),
        next_address: 7,
        ..State::default()
    }
}

fn received(text: &str, accepted_at: u64) -> Record {
    Record::Received {
        sender: MessagingKey::from_stored([1; 32]),
        contact: None,
        kind: 1,
        text: text.to_owned(),
        sent_at: Timestamp::from_millis(1),
        accepted_at: Timestamp::from_millis(accepted_at),
        continuity: Continuity::Follows,
        knock: false,
    }
}

#[test]
fn what_was_saved_is_there_after_reopening() {
    let folder = tempfile::tempdir().unwrap();
    let entropy = Counting::default();
    let store = Store::open(folder.path(), key(1)).unwrap();
    assert_eq!(store.load().unwrap(), None);
    store.save(&state("one"), &entropy).unwrap();
    store.save(&state("two"), &entropy).unwrap();
    let sent = Record::Sent {
        contact: MessagingKey::from_stored([2; 32]),
        kind: 1,
        text: "out".to_owned(),
        sent_at: Timestamp::from_millis(1),
        accepted_at: Timestamp::from_millis(20),
        expires_at: Timestamp::from_millis(30),
        receipt: std::array::from_fn(|index| u8::try_from(index).unwrap()),
    };
    let mailbox = |seq| RecordId::Mailbox { generation: 0, seq };
    let records = [
        (mailbox(2), received("later", 30)),
        (mailbox(1), received("first", 10)),
        (RecordId::Sent(CommandId::new([3; 16])), sent.clone()),
    ];
    store.write_records(&records, &entropy).unwrap();
    // The same again, as after a crash before the acknowledgement.
    store.write_records(&records, &entropy).unwrap();
    drop(store);

    let store = Store::open(folder.path(), key(1)).unwrap();
    assert_eq!(store.load().unwrap(), Some(state("two")));
    assert_eq!(
        store.read_records().unwrap(),
        [received("first", 10), sent, received("later", 30)]
    );
}

#[test]
fn nothing_on_disk_can_be_read_or_opened_by_others() {
    let folder = tempfile::tempdir().unwrap();
    let wallet = folder.path().join("wallet");
    let store = Store::open(&wallet, key(1)).unwrap();
    let entropy = Counting::default();
    store.save(&state("a secret name"), &entropy).unwrap();
    let id = RecordId::Mailbox {
        generation: 0,
        seq: 1,
    };
    store
        .write_records(&[(id, received("a secret message", 1))], &entropy)
        .unwrap();

    let mode = |path: &Path| fs::metadata(path).unwrap().permissions().mode() & 0o777;
    assert_eq!(mode(&wallet), 0o700);
    assert_eq!(mode(&wallet.join("records")), 0o700);
    let record = wallet.join("records/mailbox-0000000000-00000000000000000001");
    for file in [wallet.join("state"), wallet.join("lock"), record] {
        assert_eq!(mode(&file), 0o600, "{}", file.display());
        let bytes = fs::read(&file).unwrap();
        assert!(!bytes.windows(6).any(|window| window == b"secret"));
    }
}

#[test]
fn another_seed_cannot_open_it() {
    let folder = tempfile::tempdir().unwrap();
    let store = Store::open(folder.path(), key(1)).unwrap();
    store.save(&state("one"), &Counting::default()).unwrap();
    drop(store);
    let store = Store::open(folder.path(), key(2)).unwrap();
    assert!(matches!(store.load(), Err(StoreError::Unreadable { .. })));
}

#[test]
fn a_changed_exchanged_or_later_file_is_refused() {
    let folder = tempfile::tempdir().unwrap();
    let store = Store::open(folder.path(), key(1)).unwrap();
    let entropy = Counting::default();
    store.save(&state("one"), &entropy).unwrap();
    let path = folder.path().join("state");
    let good = fs::read(&path).unwrap();
    for place in 0..good.len() {
        let mut changed = good.clone();
        changed[place] ^= 1;
        fs::write(&path, &changed).unwrap();
        match (place, store.load()) {
            (7, Err(StoreError::UnknownVersion { version: 0, .. })) => {}
            (7, other) => panic!("version: {other:?}"),
            (_, Err(StoreError::Unreadable { .. })) => {}
            (_, other) => panic!("byte {place}: {other:?}"),
        }
    }
    fs::write(&path, &good[..good.len() - 1]).unwrap();
    assert!(matches!(store.load(), Err(StoreError::Unreadable { .. })));

    let id = |seq| RecordId::Mailbox { generation: 0, seq };
    let records = [(id(1), received("one", 1)), (id(2), received("two", 2))];
    store.write_records(&records, &entropy).unwrap();
    let records = folder.path().join("records");
    fs::copy(
        records.join("mailbox-0000000000-00000000000000000001"),
        records.join("mailbox-0000000000-00000000000000000002"),
    )
    .unwrap();
    assert!(matches!(
        store.read_records(),
        Err(StoreError::Unreadable { .. })
    ));
}

#[test]
fn a_crash_while_writing_leaves_the_old_state() {
    let folder = tempfile::tempdir().unwrap();
    let store = Store::open(folder.path(), key(1)).unwrap();
    store.save(&state("old"), &Counting::default()).unwrap();
    // What is left when the process dies before the rename.
    fs::write(folder.path().join("state.new"), b"half a fi").unwrap();
    let record = "records/mailbox-0000000000-00000000000000000001.new";
    fs::write(folder.path().join(record), b"half").unwrap();
    drop(store);
    let store = Store::open(folder.path(), key(1)).unwrap();
    assert_eq!(store.load().unwrap(), Some(state("old")));
    assert_eq!(store.read_records().unwrap(), []);
    store.save(&state("new"), &Counting::default()).unwrap();
    assert_eq!(store.load().unwrap(), Some(state("new")));
}

#[test]
fn a_second_process_is_kept_out() {
    let folder = tempfile::tempdir().unwrap();
    let store = Store::open(folder.path(), key(1)).unwrap();
    assert!(matches!(
        Store::open(folder.path(), key(1)),
        Err(StoreError::Locked { .. })
    ));
    drop(store);
    Store::open(folder.path(), key(1)).unwrap();
}
