//! What is kept, and what is forgotten first.

use satpost_domain::client::Client;
use satpost_domain::{ClientId, Metadata, Position, Revision};

use super::*;
use crate::ports::Appended;

fn stream(number: u8) -> StreamId {
    StreamId::client(ClientId::from_stored([number; 32]))
}

/// A state of a stream with `commands` remembered commands; two weigh as much as one part.
fn folded(commands: u64) -> Box<Folded<Client>> {
    let mut folded = Box::<Folded<Client>>::default();
    for number in 0..commands {
        let metadata = Metadata {
            command_id: satpost_domain::CommandId::new(u128::from(number).to_be_bytes()),
            request_digest: satpost_domain::RequestDigest::new([0; 16]),
            recorded_at: satpost_domain::Timestamp::default(),
        };
        let appended = Appended {
            revision: Revision(number),
            position: Position::new(number + 1, 0),
        };
        folded.moved_to(appended, &metadata, 1);
    }
    folded
}

async fn use_once(streams: &Streams, number: u8, commands: u64) -> bool {
    let stream = stream(number);
    let mut turn = streams.enter(&stream).await;
    let warm = turn.take::<Client>().is_some();
    turn.keep(folded(commands));
    warm
}

#[tokio::test]
async fn forgets_the_stream_that_was_used_longest_ago() {
    let streams = Streams::bounded(2, 1_000);
    assert!(!use_once(&streams, 1, 1).await);
    assert!(!use_once(&streams, 2, 1).await);
    assert!(use_once(&streams, 1, 1).await);
    assert!(!use_once(&streams, 3, 1).await);
    assert_eq!(streams.len(), 2);
    assert!(use_once(&streams, 1, 1).await);
    assert!(!use_once(&streams, 2, 1).await);
}

#[tokio::test]
async fn heavy_states_leave_room_for_fewer() {
    let streams = Streams::bounded(100, 10);
    for number in 1..=3 {
        use_once(&streams, number, 6).await;
    }
    assert_eq!(streams.len(), 2);
    // A state that alone is heavier than all may be stays only until the next stream is used.
    use_once(&streams, 4, 40).await;
    assert_eq!(streams.len(), 1);
    use_once(&streams, 5, 1).await;
    assert!(!use_once(&streams, 4, 1).await);
}

#[tokio::test]
async fn never_forgets_a_stream_that_is_in_use() {
    let streams = Streams::bounded(1, 1_000);
    let first = stream(1);
    let mut turn = streams.enter(&first).await;
    turn.keep(folded(1));
    use_once(&streams, 2, 1).await;
    use_once(&streams, 3, 1).await;
    // The one in use, and the last one, whose turn had not ended when it was looked for room.
    assert_eq!(streams.len(), 2);
    drop(turn);
    assert_eq!(streams.len(), 1);
    assert!(use_once(&streams, 1, 1).await);
}

#[tokio::test]
async fn forgets_a_stream_of_which_nothing_was_kept() {
    let streams = Streams::default();
    let absent = stream(1);
    let mut turn = streams.enter(&absent).await;
    turn.keep(folded(0));
    drop(turn);
    assert_eq!(streams.len(), 0);
}

#[tokio::test]
async fn a_turn_that_fails_leaves_the_next_one_nothing() {
    let streams = Streams::default();
    use_once(&streams, 1, 1).await;
    let name = stream(1);
    drop(streams.enter(&name).await.take::<Client>());
    assert!(!use_once(&streams, 1, 1).await);
}

#[tokio::test]
async fn turns_on_one_stream_come_one_after_the_other() {
    let streams = Arc::new(Streams::default());
    let name = stream(1);
    let turn = streams.enter(&name).await;
    let waiting = tokio::spawn({
        let streams = Arc::clone(&streams);
        async move { use_once(&streams, 1, 1).await }
    });
    tokio::task::yield_now().await;
    assert!(!waiting.is_finished());
    drop(turn);
    assert!(!waiting.await.unwrap());
}
