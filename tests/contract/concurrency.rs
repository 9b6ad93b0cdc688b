//! Many writers at once.

use std::collections::HashMap;
use std::sync::Arc;

use satpost_commands::ports::{Appended, Expected, LogError};
use satpost_domain::{EventId, Position, Revision, StreamId};
use satpost_event_store::EventStore;

use crate::cases::{Random, event, events, exact, stream};
use crate::harness::Harness;

pub(crate) async fn lets_exactly_one_of_two_racing_writers_win(harness: Harness) {
    let (store, stream) = (harness.store(), stream("contended"));
    store
        .append(&stream, Expected::NoStream, events([0]), vec![])
        .await
        .unwrap();
    for round in 0..100 {
        let race = |writer: u64| {
            let (store, stream) = (Arc::clone(&store), stream.clone());
            let new = vec![event(1 + 2 * round + writer)];
            tokio::spawn(async move { store.append(&stream, exact(round), new, vec![]).await })
        };
        let (a, b) = (race(0), race(1));
        match (a.await.unwrap(), b.await.unwrap()) {
            (Ok(won), Err(LogError::Conflict { actual }))
            | (Err(LogError::Conflict { actual }), Ok(won)) => {
                assert_eq!(won.revision, Revision(round + 1));
                assert_eq!(actual, Some(Revision(round + 1)));
            }
            outcomes => panic!("exactly one must win: {outcomes:?}"),
        }
    }
}

/// What one writer was told.
type Acknowledged = Vec<(StreamId, Expected, Vec<EventId>, Appended)>;

async fn write_at_random(store: Arc<dyn EventStore>, writer: u64, appends: u64) -> Acknowledged {
    let mut random = Random::new(writer + 1);
    let mut acknowledged = Vec::new();
    for number in 0..appends {
        // Few streams, so that writers meet.
        let stream = stream(&format!("{}", random.below(24)));
        let page = store.read_stream_back(&stream, None, 1).await.unwrap();
        let expected = match page.events.first() {
            None => Expected::NoStream,
            Some(last) => Expected::Exact(last.revision),
        };
        let first = (writer << 40) | (number << 16);
        let count = 1 + random.below(4);
        let new = events(first..first + count);
        let ids = new.iter().map(|event| event.id).collect();
        match store.append(&stream, expected, new.clone(), vec![]).await {
            Ok(appended) => {
                if random.below(4) == 0 {
                    let repeated = store.append(&stream, expected, new, vec![]).await;
                    assert_eq!(repeated, Ok(appended));
                }
                acknowledged.push((stream, expected, ids, appended));
            }
            Err(LogError::Conflict { actual }) => {
                assert!(actual > page.events.first().map(|last| last.revision));
            }
            Err(error) => panic!("{error}"),
        }
    }
    acknowledged
}

pub(crate) async fn agrees_with_what_was_acknowledged_to_64_writers(mut harness: Harness) {
    let store = harness.store();
    let writers: Vec<_> = (0..64)
        .map(|writer| tokio::spawn(write_at_random(Arc::clone(&store), writer, 20)))
        .collect();
    let mut acknowledged = Vec::new();
    for writer in writers {
        acknowledged.extend(writer.await.unwrap());
    }
    drop(store);
    harness.settle();
    let store = harness.store();
    let all = store.read_all(Position::START, usize::MAX).await.unwrap();
    assert!(
        all.iter()
            .map(|event| event.position.major())
            .eq(1..=all.len() as u64)
    );
    let mut lengths = HashMap::new();
    for event in &all {
        let length = lengths.entry(event.stream.clone()).or_insert(0);
        assert_eq!(event.revision, Revision(*length), "{}", event.stream);
        *length += 1;
    }
    // Everything that was acknowledged is where it was said to be, and nothing else is there.
    let mut count = 0;
    for (stream, expected, ids, appended) in &acknowledged {
        let end = usize::try_from(appended.position.major()).unwrap();
        let found = &all[end - ids.len()..end];
        assert!(found.iter().map(|event| event.id).eq(ids.iter().copied()));
        assert!(found.iter().all(|event| event.stream == *stream));
        let first = match expected {
            Expected::NoStream => Revision(0),
            Expected::Exact(last) => last.next(),
        };
        assert_eq!(found[0].revision, first);
        assert_eq!(found[ids.len() - 1].revision, appended.revision);
        count += ids.len();
    }
    assert_eq!(count, all.len());
    assert!(acknowledged.len() > 64, "writers met too often to tell");
}
