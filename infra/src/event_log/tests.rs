//! Events through the adapter and back.

use std::slice;

use satpost_domain::client::ClientEvent;
use satpost_domain::ids::{ChainHash, Digest};
use satpost_domain::mailbox::{MailboxEvent, SizeBucket};
use satpost_domain::push::{PushRegistration, PushTarget, VerificationCode};
use satpost_domain::script::Script;
use satpost_domain::watchlist::{WatchOptions, WatchlistEvent};
use satpost_domain::{
    ClientId, CommandId, Event, EventId, MessageId, MessagingKey, Metadata, PushTargetId,
    RequestDigest, Sealed, Timestamp, WatchId,
};

use super::*;
use satpost_event_store::memory::MemoryEventStore;

const AT: Timestamp = Timestamp::from_millis(1_700_000_000_000);
const CLIENT: ClientId = ClientId::from_stored([1; 32]);
const KEY: MessagingKey = MessagingKey::from_stored([2; 32]);

fn new_event(id: u8, event: impl Into<Event>) -> NewEvent {
    NewEvent {
        id: EventId::new([id; 16]),
        event: event.into(),
        metadata: Metadata {
            command_id: CommandId::new([id; 16]),
            request_digest: RequestDigest::new([3; 16]),
            recorded_at: AT,
        },
        payload: None,
    }
}

fn watched(id: u8, script: &[u8]) -> NewEvent {
    new_event(
        id,
        WatchlistEvent::AddressWatched {
            id: WatchId::new([id; 16]),
            target: Sealed::Present(Script::new(script).unwrap().into()),
            options: WatchOptions::default(),
            at: AT,
        },
    )
}

fn push_set(id: u8) -> NewEvent {
    let code = VerificationCode::new([7; 16]);
    let endpoint = "https://push.example/a".to_owned();
    new_event(
        id,
        ClientEvent::PushTargetSet {
            id: PushTargetId::new([id; 16]),
            code_digest: code.digest(),
            registration: Sealed::Present(PushRegistration {
                target: PushTarget::web_push(endpoint, [4; 65], [5; 16]).unwrap(),
                code,
            }),
            code_expires_at: AT,
            at: AT,
        },
    )
}

fn accepted(id: u8, body: &[u8]) -> NewEvent {
    let message = MessageId::new([id; 16]);
    NewEvent {
        payload: Some(NewPayload {
            id: message.into(),
            bytes: body.into(),
        }),
        ..new_event(
            id,
            MailboxEvent::MessageAccepted {
                seq: 1,
                id: message,
                size: SizeBucket::of(512).unwrap(),
                digest: Digest::new([8; 32]),
                chain: ChainHash::new([9; 32]),
                knock: false,
                at: AT,
                expires_at: AT,
            },
        )
    }
}

fn log() -> StoredEventLog {
    StoredEventLog::new(Arc::new(MemoryEventStore::new()))
}

async fn append(
    log: &StoredEventLog,
    stream: &StreamId,
    expected: Expected,
    events: &[NewEvent],
    erase: &[PayloadId],
) {
    EventLog::append(log, stream, expected, events.to_vec(), erase.to_vec())
        .await
        .unwrap();
}

async fn read(log: &StoredEventLog, stream: &StreamId) -> Vec<Envelope> {
    EventLog::read(log, stream, Revision(0), 100)
        .await
        .unwrap()
        .events
}

#[tokio::test]
async fn gives_back_what_was_appended() {
    let (log, client, list) = (log(), StreamId::client(CLIENT), StreamId::watchlist(CLIENT));
    let set = push_set(1);
    let scripts = [watched(2, b"a"), watched(3, b"b")];
    append(
        &log,
        &client,
        Expected::NoStream,
        slice::from_ref(&set),
        &[],
    )
    .await;
    append(&log, &list, Expected::NoStream, &scripts, &[]).await;

    let envelopes = [read(&log, &client).await, read(&log, &list).await].concat();
    let news = [set, scripts[0].clone(), scripts[1].clone()];
    for (index, (envelope, new)) in envelopes.iter().zip(news).enumerate() {
        assert_eq!(envelope.event, new.event);
        assert_eq!(envelope.event_id, new.id);
        assert_eq!(envelope.metadata, new.metadata);
        assert_eq!(envelope.position, Position::new(index as u64 + 1, 0));
    }
    assert_eq!(log.head().await, Ok(Position::new(3, 0)));
}

#[tokio::test]
async fn an_erased_part_is_erased_for_every_reader() {
    let (log, list) = (log(), StreamId::watchlist(CLIENT));
    append(
        &log,
        &list,
        Expected::NoStream,
        &[watched(1, b"a"), watched(2, b"b")],
        &[],
    )
    .await;
    let id = WatchId::new([1; 16]);
    let ended = new_event(3, WatchlistEvent::AddressUnwatched { id, at: AT });
    append(
        &log,
        &list,
        Expected::Exact(Revision(1)),
        &[ended],
        &[id.into()],
    )
    .await;

    let folded = read(&log, &list).await;
    let followed: Vec<_> = log.follow(Position::START).take(4).collect().await;
    assert_eq!(followed[3], Ok(Item::CaughtUp));
    for (envelope, item) in folded.iter().zip(&followed) {
        assert_eq!(*item, Ok(Item::Event(Box::new(envelope.clone()))));
    }
    let scripts: Vec<_> = folded
        .iter()
        .filter_map(|envelope| match &envelope.event {
            Event::Watchlist(WatchlistEvent::AddressWatched { target, .. }) => Some(target),
            _ => None,
        })
        .collect();
    assert_eq!(*scripts[0], Sealed::Erased);
    assert_eq!(
        *scripts[1],
        Sealed::Present(Script::new(b"b").unwrap().into())
    );
}

#[tokio::test]
async fn the_body_of_a_message_is_read_apart_from_its_event() {
    let (log, mailbox) = (log(), StreamId::mailbox(KEY));
    let message = accepted(1, b"sealed by the sender");
    append(
        &log,
        &mailbox,
        Expected::NoStream,
        slice::from_ref(&message),
        &[],
    )
    .await;
    let id = PayloadId::new([1; 16]);
    let body = Payloads::read(&log, id).await.unwrap();
    assert_eq!(body.as_deref(), Some(b"sealed by the sender".as_slice()));

    append(&log, &mailbox, Expected::Exact(Revision(0)), &[], &[id]).await;
    assert_eq!(Payloads::read(&log, id).await, Ok(None));
    assert_eq!(read(&log, &mailbox).await[0].event, message.event);
}

#[tokio::test]
async fn follows_what_is_appended_later() {
    let (log, list) = (log(), StreamId::watchlist(CLIENT));
    let mut items = log.follow(Position::START);
    assert_eq!(items.next().await, Some(Ok(Item::CaughtUp)));
    let new = watched(1, b"a");
    append(&log, &list, Expected::NoStream, slice::from_ref(&new), &[]).await;
    let Some(Ok(Item::Event(envelope))) = items.next().await else {
        panic!("an event was appended");
    };
    assert_eq!(envelope.event, new.event);
}

#[tokio::test]
async fn leaves_out_types_nobody_asked_for_and_tells_how_far_it_looked() {
    let (log, list) = (log(), StreamId::watchlist(CLIENT));
    let ended = new_event(
        2,
        WatchlistEvent::AddressUnwatched {
            id: WatchId::new([1; 16]),
            at: AT,
        },
    );
    let events = [watched(1, b"a"), ended.clone(), watched(3, b"c")];
    append(&log, &list, Expected::NoStream, &events, &[]).await;

    let items = log.follow_types(Position::START, &["AddressUnwatched"]);
    let met: Vec<_> = items.take(3).map(Result::unwrap).collect().await;
    let Item::Event(envelope) = &met[0] else {
        panic!("the event that was asked for comes first, not {:?}", met[0]);
    };
    assert_eq!(envelope.event, ended.event);
    assert_eq!(met[1], Item::CheckpointAt(Position::new(3, 0)));
    assert_eq!(met[2], Item::CaughtUp);
}

#[tokio::test]
async fn an_event_nobody_understands_stops_every_reader_and_is_named() {
    let store = Arc::new(MemoryEventStore::new());
    let list = StreamId::watchlist(CLIENT);
    let newer = NewStoredEvent {
        schema: 9,
        ..seal(watched(1, b"a"))
    };
    store
        .append(&list, Expected::NoStream, vec![newer], Vec::new())
        .await
        .unwrap();
    let log = StoredEventLog::new(store);
    let reason = format!(
        "event 1 of the log, 0 of {list}, is not understood: \
         AddressWatched has schema 9, this server knows up to 1"
    );
    let read = EventLog::read(&log, &list, Revision(0), 1).await;
    assert_eq!(
        read.unwrap_err(),
        LogError::Fatal {
            reason: reason.clone()
        }
    );
    let followed = log.follow(Position::START).next().await.unwrap();
    let reason = format!("the event log has stopped: {reason}");
    assert_eq!(followed, Err(FollowError { reason }));
}

#[test]
#[should_panic(expected = "has a sealed part and can carry no other payload")]
fn refuses_a_payload_where_the_event_brings_its_own() {
    let other = accepted(2, b"body").payload;
    drop(seal(NewEvent {
        payload: other,
        ..watched(1, b"a")
    }));
}
