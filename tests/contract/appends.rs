//! What an append expects, repeats, and may not exceed.

use satpost_commands::ports::{Expected, LogError};
use satpost_domain::{Position, Revision, limits};

use crate::cases::{at, event, event_with_payload, events, exact, fill, payload_id, stream};
use crate::harness::Harness;

pub(crate) async fn appends_only_where_the_stream_is_expected_to_be(mut harness: Harness) {
    let (absent, present) = (stream("absent"), stream("present"));
    let conflict = |actual: Option<u64>| {
        Err(LogError::Conflict {
            actual: actual.map(Revision),
        })
    };
    let store = harness.store();
    fill(&*store, &present, 0, 3).await;
    drop(store);
    harness.settle();
    let store = harness.store();
    for (stream, expected, answer) in [
        (&absent, exact(0), conflict(None)),
        (&absent, exact(7), conflict(None)),
        (&absent, exact(u64::MAX), conflict(None)),
        (&present, Expected::NoStream, conflict(Some(2))),
        (&present, exact(0), conflict(Some(2))),
        (&present, exact(1), conflict(Some(2))),
        (&present, exact(3), conflict(Some(2))),
        (&present, exact(u64::MAX), conflict(Some(2))),
        (&present, exact(2), Ok(at(3, 4))),
        (&absent, Expected::NoStream, Ok(at(0, 5))),
    ] {
        let outcome = store.append(stream, expected, events([100]), vec![]).await;
        assert_eq!(outcome, answer, "{stream} {expected:?}");
    }
}

pub(crate) async fn answers_a_repeated_append_with_its_first_answer(mut harness: Harness) {
    let stream = stream("a");
    let store = harness.store();
    let first = store
        .append(&stream, Expected::NoStream, events([1, 2, 3]), vec![])
        .await
        .unwrap();
    fill(&*store, &crate::cases::stream("b"), 50, 4).await;
    let second = store
        .append(&stream, exact(2), events([4]), vec![])
        .await
        .unwrap();
    drop(store);
    harness.settle();
    let store = harness.store();
    for _ in 0..2 {
        let repeated = store
            .append(&stream, Expected::NoStream, events([1, 2, 3]), vec![])
            .await;
        assert_eq!(repeated, Ok(first));
        let repeated = store.append(&stream, exact(2), events([4]), vec![]).await;
        assert_eq!(repeated, Ok(second));
    }
    assert_eq!(store.head().await, Ok(Position::new(8, 0)));
}

pub(crate) async fn refuses_a_repeat_with_other_ids(mut harness: Harness) {
    let stream = stream("a");
    let store = harness.store();
    store
        .append(&stream, Expected::NoStream, events([1, 2, 3]), vec![])
        .await
        .unwrap();
    drop(store);
    harness.settle();
    let store = harness.store();
    for (expected, numbers) in [
        (Expected::NoStream, vec![9]),
        (Expected::NoStream, vec![1, 2, 9]),
        (Expected::NoStream, vec![2, 1, 3]),
        (Expected::NoStream, vec![1, 2, 3, 4]),
        (Expected::NoStream, vec![2, 3]),
        (exact(0), vec![1, 2]),
        (exact(1), vec![3, 4]),
        (exact(9), vec![1]),
    ] {
        let outcome = store
            .append(&stream, expected, events(numbers.clone()), vec![])
            .await;
        let conflict = LogError::Conflict {
            actual: Some(Revision(2)),
        };
        assert_eq!(outcome, Err(conflict), "{expected:?} {numbers:?}");
    }
    assert_eq!(store.head().await, Ok(Position::new(3, 0)));
}

pub(crate) async fn takes_repeated_ids_with_a_correct_expectation_as_new(mut harness: Harness) {
    let stream = stream("chain");
    let store = harness.store();
    store
        .append(&stream, Expected::NoStream, events([1, 1]), vec![])
        .await
        .unwrap();
    drop(store);
    harness.settle();
    let store = harness.store();
    let outcome = store
        .append(&stream, exact(1), events([1, 1]), vec![])
        .await;
    assert_eq!(outcome, Ok(at(3, 4)));
}

pub(crate) async fn appends_all_events_of_one_append_or_none(mut harness: Harness) {
    let stream = stream("a");
    let store = harness.store();
    let all = limits::EVENTS_PER_APPEND_MAX as u64;
    let appended = store
        .append(&stream, Expected::NoStream, events(0..all / 8), vec![])
        .await;
    assert_eq!(appended, Ok(at(all / 8 - 1, all / 8)));
    let refused = store
        .append(&stream, exact(0), events(all..all + all / 8), vec![])
        .await;
    assert!(matches!(refused, Err(LogError::Conflict { .. })));
    drop(store);
    harness.settle();
    let store = harness.store();
    assert_eq!(store.head().await, Ok(Position::new(all / 8, 0)));
    let page = store
        .read_stream(&stream, Revision(0), usize::MAX)
        .await
        .unwrap();
    assert_eq!(page.events.len() as u64, all / 8);
}

pub(crate) async fn checks_the_expectation_of_an_append_without_events(mut harness: Harness) {
    let (absent, present) = (stream("absent"), stream("present"));
    let store = harness.store();
    fill(&*store, &present, 0, 2).await;
    drop(store);
    harness.settle();
    let store = harness.store();
    let conflict = |actual| Err(LogError::Conflict { actual });
    for erase in [vec![], vec![payload_id(1)]] {
        for (stream, expected, answer) in [
            (&absent, Expected::NoStream, conflict(None)),
            (&absent, exact(0), conflict(None)),
            (&present, Expected::NoStream, conflict(Some(Revision(1)))),
            (&present, exact(0), conflict(Some(Revision(1)))),
            (&present, exact(1), Ok(at(1, 2))),
        ] {
            let outcome = store.append(stream, expected, vec![], erase.clone()).await;
            assert_eq!(outcome, answer, "{stream} {expected:?} {erase:?}");
        }
    }
    let next = store.append(&present, exact(1), events([2]), vec![]).await;
    assert_eq!(next, Ok(at(2, 3)));
}

pub(crate) async fn refuses_what_is_over_a_bound(mut harness: Harness) {
    let stream = stream("a");
    let store = harness.store();
    let mut body = event(1);
    body.body = vec![7; limits::EVENT_BYTES_MAX - body.metadata.len() + 1];
    let mut metadata = event(1);
    metadata.metadata = vec![7; limits::EVENT_BYTES_MAX + 1];
    let mut kind = event(1);
    kind.kind = "k".repeat(limits::EVENT_KIND_BYTES_MAX + 1).into();
    let payload = event_with_payload(1, payload_id(1), &vec![7; limits::PAYLOAD_BYTES_MAX + 1]);
    let mut half = event(1);
    half.body = vec![7; limits::EVENT_BYTES_MAX - half.metadata.len()];
    let too_many = limits::EVENTS_PER_APPEND_MAX as u64 + 1;
    let too_much = limits::APPEND_BYTES_MAX / limits::EVENT_BYTES_MAX + 1;
    for (events, erase) in [
        (vec![body], vec![]),
        (vec![metadata], vec![]),
        (vec![kind], vec![]),
        (vec![payload], vec![]),
        (events(0..too_many), vec![]),
        (vec![half; too_much], vec![]),
        (
            events([1]),
            vec![payload_id(1); limits::ERASURES_PER_APPEND_MAX + 1],
        ),
    ] {
        let outcome = store
            .append(&stream, Expected::NoStream, events, erase)
            .await;
        assert!(
            matches!(outcome, Err(LogError::TooLarge { max, actual }) if actual > max),
            "{outcome:?}"
        );
    }
    drop(store);
    harness.settle();
    assert_eq!(harness.store().head().await, Ok(Position::START));
}

pub(crate) async fn keeps_the_largest_event(mut harness: Harness) {
    let stream: satpost_domain::StreamId = format!("mailbox-{}", "n".repeat(harness.name_max()))
        .parse()
        .unwrap();
    let payload = vec![9; limits::PAYLOAD_BYTES_MAX];
    let mut largest = event_with_payload(1, payload_id(1), &payload);
    largest.kind = "k".repeat(limits::EVENT_KIND_BYTES_MAX).into();
    largest.body = vec![7; harness.event_bytes_max() - largest.metadata.len()];
    let store = harness.store();
    // Several of them, so that the files of the log are crossed.
    let mut expected = Expected::NoStream;
    for _ in 0..12 {
        let appended = store
            .append(&stream, expected, vec![largest.clone()], vec![])
            .await
            .unwrap();
        expected = Expected::Exact(appended.revision);
    }
    drop(store);
    harness.settle();
    let store = harness.store();
    let page = store.read_stream(&stream, Revision(0), 100).await.unwrap();
    assert_eq!(page.events.len(), 12);
    assert!(page.end_of_stream);
    for event in &page.events {
        assert_eq!(event.body, largest.body);
        assert_eq!(event.kind, largest.kind);
    }
    assert_eq!(store.payload(payload_id(1)).await, Ok(Some(payload)));
}

pub(crate) async fn counts_positions_over_all_streams(mut harness: Harness) {
    let store = harness.store();
    let mut position = 0;
    for round in 0..5 {
        for name in ["a", "b", "c"] {
            position += 1;
            let expected = match round {
                0 => Expected::NoStream,
                _ => exact(round - 1),
            };
            let appended = store
                .append(&stream(name), expected, events([position]), vec![])
                .await;
            assert_eq!(appended, Ok(at(round, position)));
        }
    }
    drop(store);
    harness.settle();
    assert_eq!(harness.store().head().await, Ok(Position::new(position, 0)));
}
