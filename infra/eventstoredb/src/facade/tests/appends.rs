//! Appending one after the other.

use eventstore::{
    CurrentRevision, Error, EventData, ExpectedRevision, ReadStreamOptions, StreamPosition,
};
use satpost_commands::ports::Expected;
use satpost_domain::{StreamId, limits};
use satpost_event_store::{EventStore as _, NewStoredEvent};

use super::{Served, all, counted, serve_with, served};
use crate::facade::{FacadeOptions, Meaning};
use crate::wire_event::CustomMetadata;

#[tokio::test(flavor = "multi_thread")]
async fn says_where_an_append_ended_and_says_it_again_to_a_repeat() {
    let served = served().await;
    for _ in 0..2 {
        let events = (0..3).map(counted).collect();
        let written = served
            .append("box-a", ExpectedRevision::NoStream, events)
            .await
            .unwrap();
        assert_eq!(written.next_expected_version, 2);
        assert_eq!((written.position.commit, written.position.prepare), (3, 3));
    }
    for _ in 0..2 {
        let written = served
            .append("box-a", ExpectedRevision::Any, vec![counted(3)])
            .await
            .unwrap();
        assert_eq!(written.next_expected_version, 3);
    }
    assert_eq!(served.store.head().await.unwrap().major(), 4);
}

#[tokio::test(flavor = "multi_thread")]
async fn refuses_what_the_stream_does_not_fulfil() {
    let served = served().await;
    served.fill("box-a", 3).await;
    for (stream, expected, current) in [
        (
            "box-a",
            ExpectedRevision::NoStream,
            CurrentRevision::Current(2),
        ),
        (
            "box-a",
            ExpectedRevision::Exact(1),
            CurrentRevision::Current(2),
        ),
        (
            "box-b",
            ExpectedRevision::Exact(0),
            CurrentRevision::NoStream,
        ),
        (
            "box-b",
            ExpectedRevision::StreamExists,
            CurrentRevision::NoStream,
        ),
    ] {
        let refused = served.append(stream, expected, vec![counted(9)]).await;
        let Err(Error::WrongExpectedVersion {
            expected: told,
            current: found,
        }) = refused
        else {
            panic!("{refused:?}");
        };
        assert_eq!((told, found), (expected, current));
    }
    assert_eq!(served.store.head().await.unwrap().major(), 3);
    served
        .append("box-a", ExpectedRevision::StreamExists, vec![counted(9)])
        .await
        .unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn an_append_without_events_only_checks() {
    let served = served().await;
    served.fill("box-a", 3).await;
    let written = served
        .append("box-a", ExpectedRevision::Exact(2), Vec::new())
        .await
        .unwrap();
    assert_eq!(written.next_expected_version, 2);
    let refused = served
        .append("box-a", ExpectedRevision::NoStream, Vec::new())
        .await;
    assert!(matches!(refused, Err(Error::WrongExpectedVersion { .. })));
}

#[tokio::test(flavor = "multi_thread")]
async fn refuses_names_and_sizes_that_the_log_does_not_take() {
    let served = served().await;
    for name in ["no_category", "$system-a", "box-", "box-ü"] {
        let refused = served
            .append(name, ExpectedRevision::Any, vec![counted(0)])
            .await;
        let Err(Error::Grpc { message, .. }) = refused else {
            panic!("{refused:?}");
        };
        assert!(message.contains("category-name"), "{message}");
    }
    let large = vec![0; limits::EVENT_BYTES_MAX + 1];
    let refused = served
        .append(
            "box-a",
            ExpectedRevision::Any,
            vec![EventData::binary("large", large.into())],
        )
        .await;
    let Err(Error::Grpc { message, .. }) = refused else {
        panic!("{refused:?}");
    };
    assert_eq!(message, "Maximum Append Size of 65536 Exceeded.");
    assert_eq!(served.store.head().await.unwrap().major(), 0);
}

async fn only(served: &Served) -> eventstore::RecordedEvent {
    let from = ReadStreamOptions::default().position(StreamPosition::Start);
    let read = served.client.read_stream("box-a", &from).await.unwrap();
    let [event] = all(read).await.try_into().unwrap();
    event
}

#[tokio::test(flavor = "multi_thread")]
async fn events_of_other_clients_come_back_byte_for_byte() {
    let odd = br#"{ "schema":1, "metadata":"" }"#.to_vec();
    let with_payload = CustomMetadata {
        schema: 1,
        payload: Some(satpost_domain::PayloadId::new([1; 16])),
        erases: vec![satpost_domain::PayloadId::new([2; 16])],
        metadata: vec![3],
    };
    for custom in [vec![0, 255], Vec::new(), odd, with_payload.encode()] {
        let served = served().await;
        let event = EventData::json("told", &serde_json::json!({ "a": 1 }))
            .unwrap()
            .metadata(custom.clone().into());
        served
            .append("box-a", ExpectedRevision::NoStream, vec![event])
            .await
            .unwrap();
        let found = only(&served).await;
        assert_eq!(found.custom_metadata, custom);
        assert_eq!(&found.data[..], br#"{"a":1}"#);
        assert!(found.is_json);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn events_of_ours_lie_in_the_log_as_what_they_are() {
    let served = served().await;
    let ours = CustomMetadata {
        schema: 4,
        payload: None,
        erases: Vec::new(),
        metadata: vec![1, 2, 3],
    };
    let event = EventData::binary("box.opened", vec![7].into()).metadata(ours.encode().into());
    served
        .append("box-a", ExpectedRevision::NoStream, vec![event])
        .await
        .unwrap();
    let stream: StreamId = "box-a".parse().unwrap();
    let page = served.store.read_stream_back(&stream, None, 1).await;
    let stored = page.unwrap().events.remove(0);
    assert_eq!((stored.schema, stored.metadata), (4, vec![1, 2, 3]));
    assert_eq!(only(&served).await.custom_metadata, ours.encode());
}

struct Picky;

impl Meaning for Picky {
    fn admit(&self, event: &NewStoredEvent) -> Result<(), String> {
        if event.kind == "counted" {
            Ok(())
        } else {
            Err("this log counts".to_owned())
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn the_owner_of_the_log_decides_what_it_takes() {
    let served = serve_with(FacadeOptions {
        append: true,
        meaning: std::sync::Arc::new(Picky),
        ..FacadeOptions::default()
    })
    .await;
    let told = EventData::binary("told", Vec::new().into());
    let refused = served
        .append("box-a", ExpectedRevision::Any, vec![counted(0), told])
        .await;
    assert!(refused.unwrap_err().to_string().contains("this log counts"));
    assert_eq!(served.store.head().await.unwrap().major(), 0);
    served.fill("box-a", 1).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn nothing_is_appended_or_deleted_unless_that_is_switched_on() {
    let served = serve_with(FacadeOptions::default()).await;
    let refused = served
        .append("box-a", ExpectedRevision::Any, vec![counted(0)])
        .await;
    assert!(matches!(refused, Err(Error::AccessDenied)), "{refused:?}");
    let batch = served
        .client
        .batch_append(&Default::default())
        .await
        .unwrap();
    let refused = batch
        .append_to_stream("box-a", ExpectedRevision::Any, vec![counted(0)])
        .await;
    // The client may hear that its stream was closed before it hears why.
    assert!(refused.is_err(), "{refused:?}");
    assert_eq!(served.store.head().await.unwrap().major(), 0);

    let event = NewStoredEvent {
        id: satpost_domain::EventId::new([1; 16]),
        kind: "counted".into(),
        schema: 1,
        body: vec![0; 8],
        metadata: Vec::new(),
        payload: None,
    };
    let stream: StreamId = "box-a".parse().unwrap();
    served
        .store
        .append(&stream, Expected::NoStream, vec![event], Vec::new())
        .await
        .unwrap();
    let deleted = served
        .client
        .delete_stream("box-a", &Default::default())
        .await;
    assert!(matches!(deleted, Err(Error::AccessDenied)), "{deleted:?}");
    let buried = served
        .client
        .tombstone_stream("box-a", &Default::default())
        .await;
    assert!(matches!(buried, Err(Error::AccessDenied)), "{buried:?}");
    assert_eq!(only(&served).await.revision, 0);
}
