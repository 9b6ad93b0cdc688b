//! One position over all projections.

use std::sync::Arc;

use super::*;
use crate::test_log::{TestLog, client, key};

const SOON: Duration = Duration::from_millis(20);
const LONG: Duration = Duration::from_secs(30);

/// Two clients, three messages for the first.
fn history() -> TestLog {
    let mut log = TestLog::default();
    log.open(key(1), client(1));
    log.register(client(1), key(1));
    for seq in 1..=3 {
        log.accept(key(1), seq, 9_999);
    }
    log.watch(client(1), 1, b"a");
    log.seen(1, b"a");
    log.register(client(2), key(2));
    log
}

#[test]
fn applies_every_event_once() {
    let log = history();
    let model = ReadModel::new();
    for envelope in &log.envelopes {
        model.apply(envelope);
        model.apply(envelope);
    }
    let batched = ReadModel::new();
    batched.apply_all(&log.envelopes[..4]);
    batched.apply_all(&log.envelopes[2..]);
    assert_eq!(model.digests(), batched.digests());
    assert_eq!(model.position(), Position::new(8, 0));
    assert_eq!(batched.positions().borrow().applied, 8);
    let summary = model.mailbox_queue().summary(&key(1)).unwrap();
    assert_eq!(summary.messages, 3);
}

#[test]
fn goes_on_from_its_snapshots() {
    let log = history();
    let whole = ReadModel::new();
    whole.apply_all(&log.envelopes);
    for split in 0..=log.envelopes.len() {
        let (before, after) = log.envelopes.split_at(split);
        let model = ReadModel::new();
        model.apply_all(before);
        let restored = ReadModel::restore_from(&model.snapshots());
        assert_eq!(restored.position(), model.position());
        restored.apply_all(after);
        assert_eq!(restored.digests(), whole.digests(), "split at {split}");
    }
}

#[test]
fn a_projection_that_lags_behind_catches_up_without_the_others_seeing_an_event_twice() {
    let log = history();
    let (early, late) = (ReadModel::new(), ReadModel::new());
    early.apply_all(&log.envelopes[..3]);
    late.apply_all(&log.envelopes[..6]);
    let mut snapshots = late.snapshots();
    snapshots[1] = early.snapshots().swap_remove(1);
    snapshots.remove(3);

    let model = ReadModel::restore_from(&snapshots);
    assert_eq!(model.position(), Position::START);
    model.apply_all(&log.envelopes[..4]);
    let positions: Vec<_> = model
        .snapshots()
        .iter()
        .map(|snapshot| snapshot.position.major())
        .collect();
    assert_eq!(positions, [6, 4, 6, 4, 6, 6]);
    model.apply_all(&log.envelopes[4..]);
    let whole = ReadModel::new();
    whole.apply_all(&log.envelopes);
    assert_eq!(model.digests(), whole.digests());
}

#[test]
fn a_snapshot_of_another_version_is_not_used() {
    let log = history();
    let model = ReadModel::new();
    model.apply_all(&log.envelopes);
    for spoil in [
        |snapshot: &mut ProjectionSnapshot| snapshot.version += 1,
        |snapshot: &mut ProjectionSnapshot| snapshot.bytes.push(0),
    ] {
        let mut snapshots = model.snapshots();
        spoil(&mut snapshots[2]);
        let restored = ReadModel::restore_from(&snapshots);
        assert_eq!(restored.position(), Position::START);
        assert!(restored.watched_scripts().is_empty());
        assert!(!restored.mailbox_queue().is_empty());
    }
}

#[test]
fn names_every_projection_in_the_order_of_its_snapshots() {
    let names: Vec<_> = ReadModel::new()
        .snapshots()
        .into_iter()
        .map(|snapshot| snapshot.name)
        .collect();
    assert_eq!(names, ReadModel::names());
    assert_eq!(ReadModel::new().digest("nothing"), None);
    let (name, digest) = ReadModel::new().digests()[0];
    assert_eq!(ReadModel::new().digest(name), Some(digest));
}

#[tokio::test]
async fn waits_until_a_position_is_applied_and_no_longer() {
    let log = history();
    let model = Arc::new(ReadModel::new());
    assert!(model.wait_for(Position::START, SOON).await);
    assert!(!model.wait_for(Position::new(1, 0), SOON).await);
    let waiting = tokio::spawn({
        let model = Arc::clone(&model);
        async move { model.wait_for(Position::new(8, 0), LONG).await }
    });
    tokio::task::yield_now().await;
    model.apply_all(&log.envelopes);
    assert!(waiting.await.unwrap());
}

#[tokio::test]
async fn a_checkpoint_moves_the_position_forward_only() {
    let model = ReadModel::new();
    model.advance(Position::new(5, 0));
    model.advance(Position::new(3, 0));
    assert_eq!(model.position(), Position::new(5, 0));
    assert!(model.wait_for(Position::new(5, 0), SOON).await);
}

#[tokio::test]
async fn an_arrival_is_announced_once_its_message_can_be_read() {
    let log = history();
    let model = Arc::new(ReadModel::new());
    model.apply_all(&log.envelopes[..2]);
    let mut arrivals = model.arrivals(&key(1));
    let waiting = tokio::spawn({
        let model = Arc::clone(&model);
        async move {
            arrivals.next().await;
            model.mailbox_queue().summary(&key(1)).unwrap().messages
        }
    });
    tokio::task::yield_now().await;
    model.apply(&log.envelopes[2]);
    assert_eq!(waiting.await.unwrap(), 1);
}

#[test]
fn tells_those_who_watch_a_script_and_nobody_else_of_its_changes() {
    use futures_util::FutureExt as _;

    let mut log = TestLog::default();
    let model = ReadModel::new();
    model.apply(&log.watch(client(1), 1, b"a"));
    model.apply(&log.watch(client(2), 2, b"b"));
    let (mut first, mut other) = (model.changes(&client(1)), model.changes(&client(2)));
    model.apply(&log.seen(1, b"a"));
    assert!(first.next().now_or_never().is_some());
    assert!(first.next().now_or_never().is_none(), "told once");
    assert!(other.next().now_or_never().is_none());
}
