//! Appends whose answer is lost: a repeat with the same ids settles what became of them.

use std::task::Poll;

use futures_util::poll;
use satpost_commands::ports::{Expected, LogError};
use satpost_domain::{Position, Revision};

use crate::cases::{at, event_with_payload, events, exact, expected_ids, ids, payload_id, stream};
use crate::harness::{Harness, Lost};

/// What the append of this number expects.
fn after(number: u64) -> Expected {
    number.checked_sub(1).map_or(Expected::NoStream, exact)
}

pub(crate) async fn settles_an_unknown_outcome_by_a_repeat(mut harness: Harness) {
    if !harness.loses_answers() {
        return;
    }
    let (stream, payload) = (stream("a"), payload_id(0));
    let first = vec![event_with_payload(0, payload, b"erased by what is lost")];
    let store = harness.store();
    let appended = store.append(&stream, Expected::NoStream, first, vec![]);
    assert_eq!(appended.await, Ok(at(0, 1)));
    drop(store);
    let losses = [Lost::Request, Lost::Answer, Lost::Answer, Lost::Request];
    for (number, lost) in (1..).zip(losses) {
        harness.lose_next(lost);
        let store = harness.store();
        let erase = vec![payload];
        let told = store
            .append(&stream, after(number), events([number]), erase.clone())
            .await;
        // Whoever looks for himself may know; nobody may say what is not so.
        let right = Ok(at(number, number + 1));
        assert!(
            told == right || matches!(told, Err(LogError::Unknown { .. })),
            "{lost:?}: {told:?}"
        );
        drop(store);
        harness.recover();
        let store = harness.store();
        for _ in 0..2 {
            let repeated = store
                .append(&stream, after(number), events([number]), erase.clone())
                .await;
            assert_eq!(repeated, right, "{lost:?}");
        }
        assert_eq!(store.payload(payload).await, Ok(None));
    }
    let all = harness.store().read_all(Position::START, 100).await;
    assert_eq!(ids(&all.unwrap()), expected_ids(0..5));
}

pub(crate) async fn settles_what_nobody_waited_for(mut harness: Harness) {
    let stream = stream("a");
    let rounds = 60_u64;
    let store = harness.store();
    for round in 0..rounds {
        let new = || {
            let bytes = round.to_le_bytes();
            vec![event_with_payload(round, payload_id(round), &bytes)]
        };
        let erase: Vec<_> = round.checked_sub(1).map(payload_id).into_iter().collect();
        let mut abandoned = Box::pin(store.append(&stream, after(round), new(), erase.clone()));
        for _ in 0..round % 6 {
            if let Poll::Ready(appended) = poll!(&mut abandoned) {
                assert_eq!(appended, Ok(at(round, round + 1)));
                break;
            }
            tokio::task::yield_now().await;
        }
        drop(abandoned);
        let repeated = store.append(&stream, after(round), new(), erase).await;
        assert_eq!(repeated, Ok(at(round, round + 1)));
    }
    drop(store);
    harness.settle();
    let store = harness.store();
    let page = store.read_stream(&stream, Revision(0), 1_000).await;
    assert_eq!(ids(&page.unwrap().events), expected_ids(0..rounds));
    for round in 0..rounds {
        let alive = (round + 1 == rounds).then(|| round.to_le_bytes().to_vec());
        assert_eq!(store.payload(payload_id(round)).await, Ok(alive), "{round}");
    }
}

pub(crate) async fn gives_the_first_answer_after_a_reconnect(mut harness: Harness) {
    let stream = stream("a");
    for round in 0..4 {
        let store = harness.store();
        let appended = store
            .append(&stream, after(round), events([round]), vec![])
            .await;
        assert_eq!(appended, Ok(at(round, round + 1)));
        drop(store);
        harness.reconnect();
        let store = harness.store();
        for old in (0..=round).rev() {
            let repeated = store
                .append(&stream, after(old), events([old]), vec![])
                .await;
            assert_eq!(repeated, Ok(at(old, old + 1)));
        }
        // One that never was is told from a repeat.
        let late = store
            .append(&stream, after(round), events([100 + round]), vec![])
            .await;
        let actual = Some(Revision(round));
        assert_eq!(late, Err(LogError::Conflict { actual }));
    }
    let all = harness.store().read_all(Position::START, 100).await;
    assert_eq!(ids(&all.unwrap()), expected_ids(0..4));
}
