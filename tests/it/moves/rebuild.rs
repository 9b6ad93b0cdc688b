//! `satpostd rebuild`, and the snapshots it replaces.

use std::path::Path;

use satpost_domain::client::ClientEvent;
use satpost_domain::{
    ClientId, CommandId, Envelope, EventId, MessagingKey, Metadata, Position, RequestDigest,
    Revision, StreamId,
};
use satpost_event_store::embedded::{EmbeddedEventStore, EmbeddedOptions};
use satpost_event_store::{EventStore as _, LogIdentity};
use satpost_infra::snapshots::Snapshots;
use serde_json::Value;

use super::sample::{AT, DROPPED, KEPT, Sample, files_with};
use super::{complaint, satpostd, told};

/// A snapshot that tells of a client who never registered.
async fn spoil_the_snapshot(data: &Path) -> ClientId {
    let store = EmbeddedEventStore::open_read_only(&EmbeddedOptions::new(data)).unwrap();
    let log: LogIdentity = store.identity().await.unwrap();
    let head = store.head().await.unwrap();
    let snapshots = Snapshots::new(data);
    let model = snapshots.read().restore(log, head);
    assert_eq!(model.position(), head, "the snapshot was used");
    let phantom = ClientId::from_stored([0x99; 32]);
    let position = Position::new(head.major() + 1, 0);
    model.apply(&Envelope {
        stream: StreamId::client(phantom),
        revision: Revision(0),
        position,
        event_id: EventId::new([1; 16]),
        metadata: Metadata {
            command_id: CommandId::new([1; 16]),
            request_digest: RequestDigest::new([1; 16]),
            recorded_at: AT,
        },
        event: ClientEvent::ClientRegistered {
            client: phantom,
            messaging_key: MessagingKey::from_stored([0x98; 32]),
            at: AT,
        }
        .into(),
    });
    let mut taken = model.snapshots();
    for snapshot in &mut taken {
        snapshot.position = head;
    }
    snapshots.save(log, &taken).unwrap();
    phantom
}

#[tokio::test(flavor = "multi_thread")]
async fn shows_what_differs_and_replaces_it_only_when_told_to() {
    let folder = tempfile::tempdir().unwrap();
    let data = folder.path().to_str().unwrap();
    drop(Sample::write(folder.path()).await);
    told(&["rebuild", "--apply", "--data-dir", data]);
    let phantom = spoil_the_snapshot(folder.path()).await;

    for mode in [&[][..], &["--shadow"], &["--check"]] {
        let mut arguments = vec!["rebuild", "--data-dir", data];
        arguments.extend(mode);
        let output = satpostd(&arguments);
        assert_eq!(output.status.code(), Some(1), "{mode:?}");
        let text = String::from_utf8(output.stdout).unwrap();
        let difference = format!("clients/{phantom} is in the live one only");
        assert!(text.contains(&difference), "{mode:?}: {text}");
        assert!(
            text.contains("2 clients") && text.contains("1 clients"),
            "{text}"
        );
        assert!(text.contains("nothing was changed"), "{text}");
    }
    // Another projection is replaced; the spoilt one stays as it is.
    told(&["rebuild", "--apply", "--data-dir", data, "mailbox_queue"]);
    let json = ["rebuild", "--json", "--data-dir", data, "client_directory"];
    let line: Value = serde_json::from_slice(&satpostd(&json).stdout).unwrap();
    assert_eq!(line["equal"], false);
    assert_eq!(line["live_counts"][0], serde_json::json!(["clients", 2]));

    let both = satpostd(&["rebuild", "--check", "--apply", "--data-dir", data]);
    assert_eq!(both.status.code(), Some(2), "{}", complaint(&both));
    told(&["rebuild", "--shadow", "--apply", "--data-dir", data]);
    let line: Value = serde_json::from_str(&told(&json)).unwrap();
    assert_eq!(line["equal"], true);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_erased_leaves_the_folder_with_the_next_snapshot() {
    let folder = tempfile::tempdir().unwrap();
    let data = folder.path().to_str().unwrap();
    drop(Sample::write(folder.path()).await);
    told(&["rebuild", "--apply", "--data-dir", data]);
    assert_eq!(
        files_with(folder.path(), &DROPPED).len(),
        1,
        "the scan finds what is there"
    );

    let store = EmbeddedEventStore::open(&EmbeddedOptions::new(folder.path())).unwrap();
    let mut sample = Sample::over(store, 20);
    sample.unwatch_dropped().await;
    drop(sample);
    told(&["rebuild", "--apply", "--data-dir", data]);
    assert!(files_with(folder.path(), &DROPPED).is_empty());
    assert_eq!(files_with(folder.path(), &KEPT).len(), 1);
    told(&["rebuild", "--check", "--data-dir", data]);
}
