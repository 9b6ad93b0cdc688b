//! History, then live.

use std::sync::Arc;
use std::time::Duration;

use futures_util::stream::{BoxStream, StreamExt as _};
use satpost_commands::ports::{Expected, LogError};
use satpost_domain::{EventId, Position};
use satpost_event_store::{Filter, StoredItem};

use crate::cases::{event, events, exact, expected_ids, fill, stream};
use crate::harness::Harness;

type Items = BoxStream<'static, Result<StoredItem, LogError>>;

async fn next(items: &mut Items) -> StoredItem {
    tokio::time::timeout(Duration::from_secs(20), items.next())
        .await
        .expect("an item comes in time")
        .expect("the log is followed without end")
        .expect("the log can be followed")
}

async fn next_ids(items: &mut Items, count: usize) -> Vec<EventId> {
    let mut ids = Vec::new();
    while ids.len() < count {
        match next(items).await {
            StoredItem::Event(event) => ids.push(event.id),
            StoredItem::CheckpointAt(_) => {}
            StoredItem::CaughtUp => panic!("caught up before its time"),
        }
    }
    ids
}

async fn assert_silent(items: &mut Items) {
    let item = tokio::time::timeout(Duration::from_millis(50), items.next()).await;
    assert!(item.is_err(), "{item:?}");
}

pub(crate) async fn follows_history_and_then_live(mut harness: Harness) {
    let store = harness.store();
    fill(&*store, &stream("a"), 0, 600).await;
    drop(store);
    harness.settle();
    let store = harness.store();
    let mut items = store.follow(Position::START, Filter::all());
    assert_eq!(next_ids(&mut items, 600).await, expected_ids(0..600));
    assert_eq!(next(&mut items).await, StoredItem::CaughtUp);
    assert_silent(&mut items).await;
    store
        .append(&stream("a"), exact(599), events([600, 601]), vec![])
        .await
        .unwrap();
    assert_eq!(next_ids(&mut items, 2).await, expected_ids(600..602));
    assert_silent(&mut items).await;
}

pub(crate) async fn follows_strictly_after_a_position(mut harness: Harness) {
    let store = harness.store();
    fill(&*store, &stream("a"), 1, 10).await;
    drop(store);
    harness.settle();
    let store = harness.store();
    for after in 0..=10 {
        let mut items = store.follow(Position::new(after, 0), Filter::all());
        let count = usize::try_from(10 - after).unwrap();
        assert_eq!(
            next_ids(&mut items, count).await,
            expected_ids(after + 1..=10)
        );
        assert_eq!(next(&mut items).await, StoredItem::CaughtUp);
    }
    // A consumer that is ahead of the log waits for what it has not seen.
    let mut ahead = store.follow(Position::new(12, 0), Filter::all());
    assert_eq!(next(&mut ahead).await, StoredItem::CaughtUp);
    store
        .append(&stream("a"), exact(9), events(11..=13), vec![])
        .await
        .unwrap();
    assert_eq!(next_ids(&mut ahead, 1).await, expected_ids([13]));
}

pub(crate) async fn follows_without_gap_or_double_while_others_write(harness: Harness) {
    const WRITERS: u64 = 8;
    const EACH: u64 = 100;
    let store = harness.store();
    let mut followers = Vec::new();
    let mut writers = Vec::new();
    for writer in 0..WRITERS {
        // One follower begins before each writer does, at another place each.
        let (log, after) = (Arc::clone(&store), store.head().await.unwrap());
        followers.push(tokio::spawn(async move {
            let mut items = log.follow(after, Filter::all());
            let mut last = after.major();
            while last < WRITERS * EACH {
                if let StoredItem::Event(event) = next(&mut items).await {
                    assert_eq!(event.position.major(), last + 1);
                    last += 1;
                }
            }
        }));
        let log = Arc::clone(&store);
        writers.push(tokio::spawn(async move {
            let stream = stream(&format!("{writer}"));
            let mut expected = Expected::NoStream;
            for number in 0..EACH {
                let new = vec![event(writer << 32 | number)];
                let appended = log.append(&stream, expected, new, vec![]).await.unwrap();
                expected = Expected::Exact(appended.revision);
            }
        }));
        tokio::task::yield_now().await;
    }
    for task in writers.into_iter().chain(followers) {
        task.await.unwrap();
    }
}

pub(crate) async fn follows_only_what_the_filter_accepts(mut harness: Harness) {
    let log = harness.store();
    fill(log.as_ref(), &stream("alice"), 0, 3).await;
    fill(log.as_ref(), &stream("bob"), 3, 3).await;
    drop(log);
    harness.settle();
    let log = harness.store();
    let of_alice = Filter {
        streams: vec!["mailbox-al".to_owned()],
        kinds: Vec::new(),
    };
    let mut items = log.follow(Position::START, of_alice);
    let mut met = Vec::new();
    let mut seen_through = Position::START;
    loop {
        match items.next().await.unwrap().unwrap() {
            StoredItem::Event(event) => met.push(event.id),
            StoredItem::CheckpointAt(position) => seen_through = position,
            StoredItem::CaughtUp => break,
        }
    }
    assert_eq!(met, expected_ids(0..3));
    assert_eq!(seen_through, log.head().await.unwrap());

    let of_no_kind = Filter {
        streams: Vec::new(),
        kinds: vec!["block_".to_owned()],
    };
    let mut items = log.follow(Position::START, of_no_kind);
    let mut seen_through = Position::START;
    loop {
        match next(&mut items).await {
            StoredItem::CheckpointAt(position) => seen_through = position,
            StoredItem::CaughtUp => break,
            StoredItem::Event(event) => panic!("{event:?}"),
        }
    }
    assert_eq!(seen_through, log.head().await.unwrap());
}

pub(crate) async fn keeps_its_identity(mut harness: Harness) {
    let identity = harness.store().identity().await.unwrap();
    fill(harness.store().as_ref(), &stream("alice"), 0, 1).await;
    harness.settle();
    assert_eq!(harness.store().identity().await.unwrap(), identity);
    let other = harness.maker()();
    let same = other.store().identity().await.unwrap() == identity;
    assert_eq!(same, harness.shares_its_log());
}
