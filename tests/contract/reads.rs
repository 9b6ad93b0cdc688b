//! Pages of streams and of the whole log.

use satpost_commands::ports::Expected;
use satpost_domain::{EventId, Position, Revision, StreamId};
use satpost_event_store::{NewStoredEvent, RecordedEvent, RecordedPage};

use crate::cases::{event, event_with_payload, expected_ids, fill, ids, payload_id, stream};
use crate::harness::Harness;

pub(crate) async fn gives_back_every_field(mut harness: Harness) {
    let stream: StreamId = "watchlist-0a!~x-y".parse().unwrap();
    let full = NewStoredEvent {
        id: EventId::new([0xab; 16]),
        kind: "address_watched".into(),
        schema: u16::MAX,
        body: (0..=255).collect(),
        metadata: vec![0, 1, 2],
        payload: Some((payload_id(5), vec![1].into())),
    };
    let empty = NewStoredEvent {
        body: vec![],
        metadata: vec![],
        ..event(2)
    };
    let store = harness.store();
    store
        .append(
            &stream,
            Expected::NoStream,
            vec![full.clone(), empty.clone()],
            vec![],
        )
        .await
        .unwrap();
    drop(store);
    harness.settle();
    let events = harness.store().read_all(Position::START, 10).await.unwrap();
    let recorded = |event: NewStoredEvent, number: u64| RecordedEvent {
        stream: stream.clone(),
        revision: Revision(number),
        position: Position::new(number + 1, 0),
        id: event.id,
        kind: event.kind.into_owned(),
        schema: event.schema,
        body: event.body,
        metadata: event.metadata,
        payload: event.payload.map(|(id, _)| id),
    };
    assert_eq!(events, [recorded(full, 0), recorded(empty, 1)]);
}

/// Ten events in `a`, with others between them.
async fn two_streams(harness: &mut Harness) {
    let store = harness.store();
    fill(&*store, &stream("b"), 100, 5).await;
    fill(&*store, &stream("a"), 0, 10).await;
    fill(&*store, &stream("c"), 200, 5).await;
    drop(store);
    harness.settle();
}

fn assert_page(page: &RecordedPage, numbers: impl IntoIterator<Item = u64>, end: bool) {
    assert_eq!(ids(&page.events), expected_ids(numbers));
    assert_eq!(page.end_of_stream, end);
}

pub(crate) async fn reads_pages_forwards(mut harness: Harness) {
    two_streams(&mut harness).await;
    let (store, stream) = (harness.store(), stream("a"));
    for (from, max, numbers, end) in [
        (0, 10, 0..10, true),
        (0, 11, 0..10, true),
        (0, usize::MAX, 0..10, true),
        (0, 9, 0..9, false),
        (0, 1, 0..1, false),
        (3, 4, 3..7, false),
        (7, 3, 7..10, true),
        (9, 1, 9..10, true),
        (10, 5, 0..0, true),
        (u64::MAX, 5, 0..0, true),
        (2, 0, 0..0, false),
        (10, 0, 0..0, true),
    ] {
        let page = store
            .read_stream(&stream, Revision(from), max)
            .await
            .unwrap();
        assert_page(&page, numbers, end);
    }
}

pub(crate) async fn reads_pages_backwards(mut harness: Harness) {
    two_streams(&mut harness).await;
    let (store, stream) = (harness.store(), stream("a"));
    for (from, max, numbers, end) in [
        (None, 10, 0..10, true),
        (None, usize::MAX, 0..10, true),
        (None, 3, 7..10, false),
        (Some(9), 3, 7..10, false),
        (Some(u64::MAX), 3, 7..10, false),
        (Some(4), 5, 0..5, true),
        (Some(4), 4, 1..5, false),
        (Some(0), 1, 0..1, true),
        (Some(0), 7, 0..1, true),
        (None, 0, 0..0, false),
    ] {
        let page = store
            .read_stream_back(&stream, from.map(Revision), max)
            .await
            .unwrap();
        assert_page(&page, numbers.rev(), end);
    }
}

pub(crate) async fn finds_nothing_in_an_absent_stream(mut harness: Harness) {
    two_streams(&mut harness).await;
    let (store, absent) = (harness.store(), stream("absent"));
    for from in [0, 1] {
        let page = store.read_stream(&absent, Revision(from), 5).await;
        assert_page(&page.unwrap(), [], true);
        let page = store
            .read_stream_back(&absent, Some(Revision(from)), 5)
            .await;
        assert_page(&page.unwrap(), [], true);
    }
    let page = store.read_stream_back(&absent, None, 5).await.unwrap();
    assert_page(&page, [], true);
}

pub(crate) async fn reads_all_streams_by_position(mut harness: Harness) {
    let store = harness.store();
    assert_eq!(store.read_all(Position::START, 5).await, Ok(vec![]));
    // Large enough to lie in several files.
    let large = |number: u64| NewStoredEvent {
        body: vec![number as u8; 30_000],
        ..event_with_payload(number, payload_id(number), b"p")
    };
    let mut position = 0;
    for round in 0..10_u64 {
        for name in ["a", "b", "c"] {
            let expected = round
                .checked_sub(1)
                .map_or(Expected::NoStream, |last| Expected::Exact(Revision(last)));
            position += 1;
            store
                .append(&stream(name), expected, vec![large(position)], vec![])
                .await
                .unwrap();
        }
    }
    drop(store);
    harness.settle();
    let store = harness.store();
    for page_size in [1, 7, 30, 100] {
        let mut after = Position::START;
        let mut found = Vec::new();
        loop {
            let page = store.read_all(after, page_size).await.unwrap();
            assert!(page.len() <= page_size);
            let Some(last) = page.last() else { break };
            after = last.position;
            found.extend(page);
        }
        assert_eq!(ids(&found), expected_ids(1..=30));
        assert!(found.iter().map(|event| event.position.major()).eq(1..=30));
        assert!(found.iter().all(|event| event.body.len() == 30_000));
    }
    for after in [30, 31, u64::MAX] {
        let page = store.read_all(Position::new(after, 0), 5).await;
        assert_eq!(page, Ok(vec![]));
    }
}
