//! Signing, reading and keeping checkpoints.

use std::fs;
use std::path::Path;
use std::sync::Arc;

use satpost_commands::ports::Expected;
use satpost_domain::{EventId, Position, Revision, Timestamp};
use satpost_event_store::embedded::{EmbeddedEventStore, EmbeddedOptions};
use satpost_event_store::{EventStore as _, LogIdentity, NewStoredEvent};

use super::keeper::{CheckpointKeeper, CheckpointPolicy};
use super::{FILE, LogCheckpoint, read_file};
use crate::server_keys::ServerKeys;
use crate::system::SystemIds;

fn keys(folder: &Path) -> Arc<ServerKeys> {
    Arc::new(ServerKeys::load_or_create(&folder.join("keys"), &SystemIds::new()).unwrap())
}

fn checkpoint(keys: &ServerKeys) -> LogCheckpoint {
    let now = Timestamp::from_millis(1_700_000_000_000);
    LogCheckpoint::sign(
        keys,
        LogIdentity([1; 16]),
        Position::new(7, 0),
        [2; 32],
        now,
    )
}

#[test]
fn a_signature_holds_for_exactly_what_was_signed() {
    let folder = tempfile::tempdir().unwrap();
    let signed = checkpoint(&keys(folder.path()));
    assert!(signed.is_signed());
    let others = [
        LogCheckpoint {
            log: LogIdentity([9; 16]),
            ..signed.clone()
        },
        LogCheckpoint {
            position: Position::new(8, 0),
            ..signed.clone()
        },
        LogCheckpoint {
            chain: [3; 32],
            ..signed.clone()
        },
        LogCheckpoint {
            signed_at: Timestamp::from_millis(1),
            ..signed.clone()
        },
        LogCheckpoint {
            key: [0; 32],
            ..signed.clone()
        },
        LogCheckpoint {
            signature: [0; 64],
            ..signed.clone()
        },
    ];
    for other in others {
        assert!(!other.is_signed(), "{other:?}");
    }
}

#[test]
fn a_line_is_read_as_it_was_written() {
    let folder = tempfile::tempdir().unwrap();
    let signed = checkpoint(&keys(folder.path()));
    assert_eq!(LogCheckpoint::from_line(&signed.to_line()).unwrap(), signed);
    assert!(LogCheckpoint::from_line("{}").is_err());
    assert!(LogCheckpoint::from_line(&signed.to_line().replace("\"7\"", "\"x\"")).is_err());
}

async fn append(store: &EmbeddedEventStore, number: u8) {
    let expected = number.checked_sub(1).map_or(Expected::NoStream, |last| {
        Expected::Exact(Revision(last.into()))
    });
    let event = NewStoredEvent {
        id: EventId::new([number; 16]),
        kind: "Something".into(),
        schema: 1,
        body: vec![number],
        metadata: vec![],
        payload: None,
    };
    let stream = "mailbox-a".parse().unwrap();
    store
        .append(&stream, expected, vec![event], vec![])
        .await
        .unwrap();
}

#[tokio::test]
async fn signs_once_what_has_happened_and_goes_on_after_a_cut_line() {
    let folder = tempfile::tempdir().unwrap();
    let data = folder.path().join("data");
    let store = Arc::new(EmbeddedEventStore::open(&EmbeddedOptions::new(&data)).unwrap());
    let keys = keys(&data);
    let open = || {
        let policy = CheckpointPolicy::default();
        CheckpointKeeper::open(&data, Arc::clone(&store), Arc::clone(&keys), policy)
    };
    let keeper = open().await.unwrap();
    assert_eq!(keeper.sign_head().unwrap(), None, "nothing has happened");
    append(&store, 0).await;
    let first = keeper.sign_head().unwrap().unwrap();
    assert_eq!((first.position, first.chain), store.chain_head());
    assert_eq!(keeper.sign_head().unwrap(), None, "it was signed already");
    let path = data.join(FILE);
    let mut text = fs::read_to_string(&path).unwrap();
    text.push_str("{\"log\":");
    fs::write(&path, text).unwrap();
    let keeper = open().await.unwrap();
    assert_eq!(keeper.sign_head().unwrap(), None, "it was signed before");
    append(&store, 1).await;
    let second = keeper.sign_head().unwrap().unwrap();
    let lines = read_file(&path).unwrap();
    let read: Vec<_> = lines
        .into_iter()
        .map(|line| line.checkpoint.unwrap())
        .collect();
    assert_eq!(read, [first, second]);
    assert!(read.iter().all(LogCheckpoint::is_signed));
}
