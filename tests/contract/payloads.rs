//! What lies beside the log and can be erased.

use satpost_commands::ports::{Expected, LogError};

use crate::cases::{Random, event, event_with_payload, events, exact, payload_id, stream};
use crate::harness::Harness;

pub(crate) async fn gives_a_payload_back_until_it_is_erased(mut harness: Harness) {
    let stream = stream("a");
    let (first, second) = (payload_id(1), payload_id(2));
    let store = harness.store();
    let new = vec![
        event_with_payload(1, first, b"first"),
        event_with_payload(2, second, b""),
    ];
    store
        .append(&stream, Expected::NoStream, new, vec![])
        .await
        .unwrap();
    assert_eq!(store.payload(payload_id(3)).await, Ok(None));
    drop(store);
    harness.settle();
    let store = harness.store();
    assert_eq!(store.payload(first).await, Ok(Some(b"first".to_vec())));
    assert_eq!(store.payload(second).await, Ok(Some(vec![])));
    store
        .append(&stream, exact(1), events([3]), vec![first])
        .await
        .unwrap();
    assert_eq!(store.payload(first).await, Ok(None));
    drop(store);
    for _ in 0..2 {
        harness.settle();
        let store = harness.store();
        assert_eq!(store.payload(first).await, Ok(None));
        assert_eq!(store.payload(second).await, Ok(Some(vec![])));
    }
}

pub(crate) async fn erases_with_events_and_without(mut harness: Harness) {
    let stream = stream("a");
    let [kept, with, without, unborn] = [1, 2, 3, 4].map(payload_id);
    let store = harness.store();
    let new = vec![
        event_with_payload(1, kept, b"kept"),
        event_with_payload(2, with, b"erased with an event"),
        event_with_payload(3, without, b"erased without one"),
    ];
    store
        .append(&stream, Expected::NoStream, new, vec![])
        .await
        .unwrap();
    let acknowledged = store
        .append(&stream, exact(2), events([4]), vec![with, payload_id(99)])
        .await
        .unwrap();
    let erased = store
        .append(&stream, exact(3), vec![], vec![without, without])
        .await;
    assert_eq!(erased, Ok(acknowledged));
    // Stored and erased by one append: it never was there.
    let new = vec![event_with_payload(5, unborn, b"never seen")];
    store
        .append(&stream, exact(3), new, vec![unborn])
        .await
        .unwrap();
    drop(store);
    harness.settle();
    let store = harness.store();
    assert_eq!(store.payload(kept).await, Ok(Some(b"kept".to_vec())));
    for id in [with, without, unborn] {
        assert_eq!(store.payload(id).await, Ok(None));
    }
}

pub(crate) async fn keeps_nothing_of_a_refused_append(mut harness: Harness) {
    let stream = stream("a");
    let (mine, theirs) = (payload_id(1), payload_id(2));
    let store = harness.store();
    let first = vec![event_with_payload(1, mine, b"mine")];
    store
        .append(&stream, Expected::NoStream, first.clone(), vec![])
        .await
        .unwrap();
    let refused = store
        .append(
            &stream,
            Expected::NoStream,
            vec![event_with_payload(2, theirs, b"theirs")],
            vec![mine],
        )
        .await;
    assert!(matches!(refused, Err(LogError::Conflict { .. })));
    // A repeat neither stores nor erases anything again.
    store
        .append(&stream, Expected::NoStream, first, vec![mine])
        .await
        .unwrap();
    drop(store);
    harness.settle();
    let store = harness.store();
    assert_eq!(store.payload(mine).await, Ok(Some(b"mine".to_vec())));
    assert_eq!(store.payload(theirs).await, Ok(None));
}

pub(crate) async fn replaces_a_payload_whose_id_is_used_again(mut harness: Harness) {
    let stream = stream("a");
    let id = payload_id(1);
    let store = harness.store();
    let mut expected = Expected::NoStream;
    for (number, erase) in [(1, vec![]), (2, vec![]), (3, vec![id]), (4, vec![])] {
        let bytes = format!("version {number}");
        let new = vec![event_with_payload(number, id, bytes.as_bytes())];
        let appended = store.append(&stream, expected, new, erase).await.unwrap();
        expected = Expected::Exact(appended.revision);
    }
    drop(store);
    for _ in 0..2 {
        harness.settle();
        let found = harness.store().payload(id).await;
        assert_eq!(found, Ok(Some(b"version 4".to_vec())));
    }
}

pub(crate) async fn keeps_many_payloads_apart(mut harness: Harness) {
    const COUNT: u64 = 120;
    let stream = stream("a");
    let body = |number: u64| Random::new(number).bytes(number as usize * 150);
    let store = harness.store();
    let mut expected = Expected::NoStream;
    for number in 0..COUNT {
        let new = vec![event_with_payload(
            number,
            payload_id(number),
            &body(number),
        )];
        // Every third one erases the one before.
        let erase = match number % 3 {
            2 => vec![payload_id(number - 1)],
            _ => vec![],
        };
        let appended = store.append(&stream, expected, new, erase).await.unwrap();
        expected = Expected::Exact(appended.revision);
    }
    drop(store);
    for _ in 0..2 {
        harness.settle();
        let store = harness.store();
        for number in 0..COUNT {
            let found = store.payload(payload_id(number)).await.unwrap();
            let expected = (number % 3 != 1).then(|| body(number));
            assert!(found == expected, "payload {number}");
        }
        // Room for new ones is found among the old.
        let end = store.append(&stream, expected, vec![event(500)], vec![]);
        expected = Expected::Exact(end.await.unwrap().revision);
    }
}
