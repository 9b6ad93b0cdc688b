//! Snapshots on disk: used, left aside, replaced.

use std::fs;
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

const LOG: LogIdentity = LogIdentity([7; 16]);

fn folder() -> (TempDir, Snapshots) {
    let data = tempfile::tempdir().unwrap();
    let snapshots = Snapshots::new(data.path());
    (data, snapshots)
}

/// What a server over `LOG` that ends at `head` starts with.
fn start(snapshots: &Snapshots, head: u64) -> ReadModel {
    snapshots.read().restore(LOG, Position::new(head, 0))
}

fn save(snapshots: &Snapshots, model: &ReadModel) -> PathBuf {
    snapshots.save(LOG, &model.snapshots()).unwrap()
}

#[test]
fn loads_what_was_saved() {
    let (_data, snapshots) = folder();
    let saved = model(3);
    save(&snapshots, &saved);
    let loaded = start(&snapshots, 3);
    assert_eq!(loaded.position(), Position::new(3, 0));
    assert_eq!(loaded.digests(), saved.digests());
    loaded.apply(&event(4));
    assert_eq!(loaded.client_directory().len(), 4);
}

#[test]
fn nothing_saved_is_an_empty_model() {
    let (_data, snapshots) = folder();
    assert_eq!(start(&snapshots, 9).position(), Position::START);
}

#[test]
fn a_state_of_many_chunks_comes_back_whole() {
    let (_data, snapshots) = folder();
    let bytes: Vec<u8> = (0..300_001_u32).flat_map(u32::to_le_bytes).collect();
    let snapshot = ProjectionSnapshot {
        name: "large".to_owned(),
        version: 1,
        position: Position::new(5, 6),
        bytes,
    };
    snapshots
        .save(LOG, std::slice::from_ref(&snapshot))
        .unwrap();
    assert_eq!(snapshots.read().projections, [snapshot]);
}

#[test]
fn a_snapshot_ahead_of_the_log_is_left_aside() {
    let (_data, snapshots) = folder();
    save(&snapshots, &model(3));
    let loaded = start(&snapshots, 2);
    assert_eq!(loaded.position(), Position::START);
    assert!(loaded.client_directory().is_empty());
}

#[test]
fn a_snapshot_of_another_log_is_left_aside() {
    let (_data, snapshots) = folder();
    save(&snapshots, &model(3));
    let other = LogIdentity([8; 16]);
    let loaded = snapshots.read().restore(other, Position::new(3, 0));
    assert_eq!(loaded.position(), Position::START);
    assert!(loaded.client_directory().is_empty());
}

#[test]
fn a_snapshot_of_another_version_is_left_aside_and_the_others_stay() {
    let (_data, snapshots) = folder();
    let saved = model(3);
    let mut taken = saved.snapshots();
    for snapshot in &mut taken {
        if snapshot.name == "client_directory" {
            snapshot.version += 1;
        }
    }
    snapshots.save(LOG, &taken).unwrap();
    let loaded = start(&snapshots, 3);
    assert_eq!(loaded.position(), Position::START);
    assert!(loaded.client_directory().is_empty());
    for number in 1..=3 {
        loaded.apply(&event(number));
    }
    assert_eq!(loaded.digests(), saved.digests());
}

#[test]
fn a_file_damaged_anywhere_or_cut_short_is_left_aside() {
    let (_data, snapshots) = folder();
    let path = save(&snapshots, &model(2));
    let whole = fs::read(&path).unwrap();
    for place in (0..whole.len()).step_by(whole.len() / 97) {
        let mut damaged = whole.clone();
        damaged[place] ^= 0x10;
        fs::write(&path, damaged).unwrap();
        let loaded = start(&snapshots, 2);
        assert_eq!(loaded.position(), Position::START, "byte {place}");
        fs::write(&path, &whole[..place]).unwrap();
        let loaded = start(&snapshots, 2);
        assert_eq!(loaded.position(), Position::START, "cut at {place}");
    }
    fs::write(&path, &whole).unwrap();
    assert_eq!(start(&snapshots, 2).position(), Position::new(2, 0));
}

#[test]
fn a_save_leaves_one_file_that_only_the_owner_can_read() {
    let (_data, snapshots) = folder();
    fs::create_dir_all(&snapshots.folder).unwrap();
    for left in ["snapshot.partial", "client_directory.snapshot"] {
        fs::write(snapshots.folder.join(left), b"left by a crash").unwrap();
    }
    save(&snapshots, &model(1));
    let last = save(&snapshots, &model(2));
    let files: Vec<_> = fs::read_dir(&snapshots.folder)
        .unwrap()
        .map(|file| file.unwrap().path())
        .collect();
    assert_eq!(files, std::slice::from_ref(&last));
    let mode = fs::metadata(last).unwrap().permissions().mode();
    assert_eq!(mode & 0o777, 0o600);
}

#[test]
fn of_two_saves_the_later_is_used() {
    let (_data, snapshots) = folder();
    let older = save(&snapshots, &model(1));
    let kept = fs::read(&older).unwrap();
    save(&snapshots, &model(2));
    fs::write(&older, kept).unwrap();
    let older = fs::File::options().write(true).open(older).unwrap();
    older.set_modified(std::time::UNIX_EPOCH).unwrap();
    assert_eq!(start(&snapshots, 2).position(), Position::new(2, 0));
}

#[test]
fn what_was_erased_is_not_in_the_next_save() {
    let (_data, snapshots) = folder();
    let secret = [0xa7; 8 * 1024];
    let holding = |bytes: &[u8], position| ProjectionSnapshot {
        name: "watched_scripts".to_owned(),
        version: 1,
        position: Position::new(position, 0),
        bytes: bytes.to_vec(),
    };
    let found = |path: &Path| {
        let bytes = fs::read(path).unwrap();
        bytes.windows(64).any(|window| window == &secret[..64])
    };
    let first = snapshots.save(LOG, &[holding(&secret, 1)]).unwrap();
    assert!(found(&first), "the scan finds what is there");
    let next = snapshots.save(LOG, &[holding(&[1; 100], 2)]).unwrap();
    assert!(!found(&next));
    assert!(!first.exists());
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
    let keeper = tokio::spawn(snapshots.clone().keep(
        LOG,
        Arc::clone(&running),
        policy,
        stop.clone(),
    ));
    for number in 1..=2 {
        running.apply(&event(number));
    }
    while start(&snapshots, 3).position() < Position::new(2, 0) {
        tokio::time::sleep(Duration::from_millis(2)).await;
    }
    running.apply(&event(3));
    stop.cancel();
    keeper.await.unwrap();
    assert_eq!(start(&snapshots, 3).digests(), running.digests());
    assert_eq!(start(&snapshots, 3).position(), Position::new(3, 0));
}
