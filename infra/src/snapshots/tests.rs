//! Snapshots on disk: used, left aside, replaced.

use std::os::unix::fs::PermissionsExt as _;

use satpost_domain::client::ClientEvent;
use satpost_domain::{
    ClientId, CommandId, Envelope, EventId, MessagingKey, Metadata, RequestDigest, Revision,
    StreamId, Timestamp,
};
use tempfile::TempDir;

use super::*;

/// A registration at position `number`.
fn event(number: u8) -> Envelope {
    let client = ClientId::from_stored([number; 32]);
    Envelope {
        stream: StreamId::client(client),
        revision: Revision(0),
        position: Position::new(u64::from(number), 0),
        event_id: EventId::new([number; 16]),
        metadata: Metadata {
            command_id: CommandId::new([1; 16]),
            request_digest: RequestDigest::new([2; 16]),
            recorded_at: Timestamp::from_millis(3),
        },
        event: ClientEvent::ClientRegistered {
            client,
            messaging_key: MessagingKey::from_stored([number + 100; 32]),
            at: Timestamp::from_millis(3),
        }
        .into(),
    }
}

fn model(events: u8) -> ReadModel {
    let model = ReadModel::new();
    for number in 1..=events {
        model.apply(&event(number));
    }
    model
}

fn folder() -> (TempDir, Snapshots) {
    let data = tempfile::tempdir().unwrap();
    let snapshots = Snapshots::new(data.path());
    (data, snapshots)
}

#[test]
fn loads_what_was_saved() {
    let (_data, snapshots) = folder();
    let saved = model(3);
    snapshots.save(&saved, |_| true).unwrap();
    let loaded = snapshots.load_through(Position::new(3, 0));
    assert_eq!(loaded.position(), Position::new(3, 0));
    assert_eq!(loaded.digests(), saved.digests());
}

#[test]
fn nothing_saved_is_an_empty_model() {
    let (_data, snapshots) = folder();
    assert_eq!(snapshots.load().position(), Position::START);
}

#[test]
fn a_snapshot_ahead_of_the_log_is_left_aside() {
    let (_data, snapshots) = folder();
    snapshots.save(&model(3), |_| true).unwrap();
    let loaded = snapshots.load_through(Position::new(2, 0));
    assert_eq!(loaded.position(), Position::START);
    assert!(loaded.client_directory().is_empty());
}

#[test]
fn replaces_only_what_is_wanted_and_goes_on_from_there() {
    let (_data, snapshots) = folder();
    snapshots.save(&model(2), |_| true).unwrap();
    let later = model(3);
    snapshots
        .save(&later, |name| name == "client_directory")
        .unwrap();
    let loaded = snapshots.load_through(Position::new(3, 0));
    assert_eq!(loaded.position(), Position::new(2, 0));
    assert_eq!(loaded.client_directory().len(), 3);
    loaded.apply(&event(3));
    assert_eq!(loaded.digests(), later.digests());
}

#[test]
fn a_file_damaged_anywhere_or_cut_short_is_left_aside() {
    let (_data, snapshots) = folder();
    snapshots.save(&model(2), |_| true).unwrap();
    let path = snapshots.path("client_directory");
    let whole = fs::read(&path).unwrap();
    for place in 0..whole.len() {
        let mut damaged = whole.clone();
        damaged[place] ^= 0x10;
        assert!(file_format::decode(damaged).is_err(), "byte {place}");
        let cut = whole[..place].to_vec();
        assert!(file_format::decode(cut).is_err(), "cut at {place}");
    }
    fs::write(&path, &whole[1..]).unwrap();
    let loaded = snapshots.load();
    assert_eq!(loaded.position(), Position::START);
    assert!(loaded.client_directory().is_empty());
}

#[test]
fn a_snapshot_of_another_projection_is_left_aside() {
    let (_data, snapshots) = folder();
    snapshots.save(&model(2), |_| true).unwrap();
    let (from, to) = (
        snapshots.path("mailbox_queue"),
        snapshots.path("push_outbox"),
    );
    fs::copy(from, to).unwrap();
    assert_eq!(snapshots.load().position(), Position::START);
}

#[test]
fn only_the_owner_can_read_a_snapshot() {
    let (_data, snapshots) = folder();
    snapshots.save(&model(1), |_| true).unwrap();
    let mut files = 0;
    for file in fs::read_dir(&snapshots.folder).unwrap() {
        let mode = file.unwrap().metadata().unwrap().permissions().mode();
        assert_eq!(mode & 0o777, 0o600);
        files += 1;
    }
    assert_eq!(files, ReadModel::names().len());
}

#[tokio::test]
async fn saves_when_enough_has_happened_and_when_it_stops() {
    let (_data, snapshots) = folder();
    let running = Arc::new(model(0));
    let policy = SnapshotPolicy {
        events: 2,
        interval: Duration::from_millis(5),
    };
    let stop = CancellationToken::new();
    let keeper = tokio::spawn(
        snapshots
            .clone()
            .keep(Arc::clone(&running), policy, stop.clone()),
    );
    for number in 1..=2 {
        running.apply(&event(number));
    }
    while snapshots.load().position() < Position::new(2, 0) {
        tokio::time::sleep(Duration::from_millis(2)).await;
    }
    running.apply(&event(3));
    stop.cancel();
    keeper.await.unwrap();
    assert_eq!(snapshots.load().digests(), running.digests());
    assert_eq!(snapshots.load().position(), Position::new(3, 0));
}
