//! Reading streams and the whole log.

use std::sync::Arc;

use eventstore::{
    Error, ExpectedRevision, Position, ReadAllOptions, ReadStreamOptions, StreamPosition,
};
use futures_util::TryStreamExt as _;
use satpost_commands::ports::Expected;
use satpost_domain::{EventId, StreamId};
use satpost_event_store::{EventStore as _, NewStoredEvent, RecordedEvent};

use super::{Served, all, counted, number, numbers, served};
use crate::facade::filter::EventFilter;
use crate::facade::read_request::{Direction, Start};
use crate::facade::render::Render;
use crate::facade::{Meaning, read_all};
use crate::protocol::streams::read_resp::Content;
use crate::wire_event::CustomMetadata;

fn forwards() -> ReadStreamOptions {
    ReadStreamOptions::default().position(StreamPosition::Start)
}

fn backwards() -> ReadStreamOptions {
    ReadStreamOptions::default()
        .position(StreamPosition::End)
        .backwards()
}

async fn read(served: &Served, options: &ReadStreamOptions) -> Vec<u64> {
    numbers(served.client.read_stream("box-a", options).await.unwrap()).await
}

#[tokio::test(flavor = "multi_thread")]
async fn a_stream_is_read_in_both_directions_over_many_pages() {
    let served = served().await;
    served.fill("box-a", 300).await;
    assert_eq!(
        read(&served, &forwards()).await,
        (0..300).collect::<Vec<_>>()
    );
    assert_eq!(
        read(&served, &backwards()).await,
        (0..300).rev().collect::<Vec<_>>()
    );
    let middle = StreamPosition::Position(150);
    assert_eq!(
        read(&served, &forwards().position(middle).max_count(3)).await,
        [150, 151, 152]
    );
    assert_eq!(
        read(&served, &backwards().position(middle).max_count(3)).await,
        [150, 149, 148]
    );
    let beyond = forwards().position(StreamPosition::Position(1_000));
    assert!(read(&served, &beyond).await.is_empty());
    let before_all = backwards().position(StreamPosition::Position(0));
    assert_eq!(read(&served, &before_all).await, [0]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_stream_that_is_not_there_is_not_found() {
    let served = served().await;
    for name in ["box-a", "$ce-box", "no_category", "$$box-a"] {
        for options in [forwards(), backwards()] {
            let mut read = served.client.read_stream(name, &options).await.unwrap();
            let answer = read.next().await;
            assert!(matches!(answer, Err(Error::ResourceNotFound)), "{name}");
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn the_whole_log_is_read_in_both_directions_over_many_pages() {
    let served = served().await;
    served.fill("box-a", 200).await;
    let more = (200..300).map(counted).collect();
    served
        .append("box-b", ExpectedRevision::NoStream, more)
        .await
        .unwrap();
    let read = async |options: &ReadAllOptions| {
        numbers(served.client.read_all(options).await.unwrap()).await
    };
    let forwards = ReadAllOptions::default().position(StreamPosition::Start);
    let backwards = ReadAllOptions::default()
        .position(StreamPosition::End)
        .backwards();
    let every: Vec<u64> = (0..300).collect();
    assert_eq!(read(&forwards).await, every);
    assert_eq!(
        read(&backwards).await,
        every.iter().rev().copied().collect::<Vec<_>>()
    );

    // The event with number n lies at position n + 1: forwards includes it, backwards does not.
    let at = StreamPosition::Position(Position {
        commit: 251,
        prepare: 251,
    });
    let from_there = forwards.position(at).max_count(2);
    assert_eq!(read(&from_there).await, [250, 251]);
    let before_that = backwards.position(at).max_count(2);
    assert_eq!(read(&before_that).await, [249, 248]);
}

/// Positions far apart, as in an engine that counts bytes.
#[tokio::test]
async fn the_way_back_finds_events_whose_positions_are_far_apart() {
    let store = Arc::new(sparse::Sparse::new(300, 10_007));
    let render = Render {
        meaning: Arc::new(()) as Arc<dyn Meaning>,
        clock: None,
        structured_ids: false,
    };
    let answers = read_all::read(
        store,
        Start::End,
        EventFilter::all(),
        Direction::Backwards,
        u64::MAX,
        render,
    );
    let answers: Vec<_> = answers.try_collect().await.unwrap();
    let positions: Vec<u64> = answers
        .into_iter()
        .map(|answer| match answer.content {
            Some(Content::Event(event)) => event.event.unwrap().commit_position,
            other => panic!("not an event: {other:?}"),
        })
        .collect();
    let expected: Vec<u64> = (1..=300).rev().map(|number| number * 10_007).collect();
    assert_eq!(positions, expected);
}

struct Story;

impl Meaning for Story {
    fn to_json(&self, event: &RecordedEvent) -> Option<serde_json::Value> {
        Some(serde_json::json!({ "bytes": event.body.len() }))
    }

    fn recorded_at(&self, _event: &RecordedEvent) -> Option<satpost_domain::Timestamp> {
        Some(satpost_domain::Timestamp::from_millis(1_700_000_000_000))
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn an_event_of_ours_is_shown_with_all_that_belongs_to_it() {
    let served = super::serve_with(super::FacadeOptions {
        meaning: Arc::new(Story),
        ..super::FacadeOptions::default()
    })
    .await;
    let stream: StreamId = "box-a".parse().unwrap();
    let event = NewStoredEvent {
        id: EventId::new([0xab; 16]),
        kind: "box.opened".into(),
        schema: 3,
        body: vec![0; 8],
        metadata: vec![1, 2, 255],
        payload: Some((
            satpost_domain::PayloadId::new([9; 16]),
            Arc::from([1, 2, 3]),
        )),
    };
    served
        .store
        .append(&stream, Expected::NoStream, vec![event], Vec::new())
        .await
        .unwrap();
    let read = served.client.read_stream("box-a", &forwards()).await;
    let [shown] = all(read.unwrap()).await.try_into().unwrap();
    assert_eq!(number(&shown), 0);
    assert_eq!(shown.id.as_bytes(), &[0xab; 16]);
    assert_eq!(shown.event_type, "box.opened");
    assert_eq!(shown.metadata["content-type"], "application/octet-stream");
    assert_eq!(shown.created.timestamp_millis(), 1_700_000_000_000);
    assert_eq!((shown.position.commit, shown.position.prepare), (1, 1));
    let custom = CustomMetadata::decode(&shown.custom_metadata).unwrap();
    assert_eq!((custom.schema, custom.metadata), (3, vec![1, 2, 255]));
    assert_eq!(
        custom.payload,
        Some(satpost_domain::PayloadId::new([9; 16]))
    );
    let json: serde_json::Value = serde_json::from_slice(&shown.custom_metadata).unwrap();
    assert_eq!(json["event"], serde_json::json!({ "bytes": 8 }));
}

/// A log whose positions are multiples of a stride.
mod sparse {
    use async_trait::async_trait;
    use futures_util::stream::BoxStream;
    use satpost_commands::ports::{Appended, Expected, LogError};
    use satpost_domain::{EventId, PayloadId, Position, Revision, StreamId};
    use satpost_event_store::{
        Capabilities, EventStore, Filter, LogIdentity, NewStoredEvent, RecordedEvent, RecordedPage,
        StoredItem,
    };

    pub(super) struct Sparse {
        count: u64,
        stride: u64,
    }

    impl Sparse {
        pub(super) fn new(count: u64, stride: u64) -> Self {
            Self { count, stride }
        }

        fn event(&self, number: u64) -> RecordedEvent {
            RecordedEvent {
                stream: "box-a".parse().unwrap(),
                revision: Revision(number - 1),
                position: Position::new(number * self.stride, 0),
                id: EventId::new([0; 16]),
                kind: "counted".to_owned(),
                schema: 1,
                body: Vec::new(),
                metadata: Vec::new(),
                payload: None,
            }
        }
    }

    #[async_trait]
    impl EventStore for Sparse {
        async fn append(
            &self,
            _: &StreamId,
            _: Expected,
            _: Vec<NewStoredEvent>,
            _: Vec<PayloadId>,
        ) -> Result<Appended, LogError> {
            unreachable!("nothing is appended")
        }

        async fn read_stream(
            &self,
            _: &StreamId,
            _: Revision,
            _: usize,
        ) -> Result<RecordedPage, LogError> {
            unreachable!("no stream is read")
        }

        async fn read_stream_back(
            &self,
            _: &StreamId,
            _: Option<Revision>,
            _: usize,
        ) -> Result<RecordedPage, LogError> {
            unreachable!("no stream is read")
        }

        async fn read_all(
            &self,
            after: Position,
            max: usize,
        ) -> Result<Vec<RecordedEvent>, LogError> {
            let numbers = (1..=self.count).map(|number| self.event(number));
            Ok(numbers
                .filter(|event| event.position > after)
                .take(max)
                .collect())
        }

        async fn head(&self) -> Result<Position, LogError> {
            Ok(Position::new(self.count * self.stride, 0))
        }

        fn follow(
            &self,
            _: Position,
            _: Filter,
        ) -> BoxStream<'static, Result<StoredItem, LogError>> {
            unreachable!("nobody follows")
        }

        async fn identity(&self) -> Result<LogIdentity, LogError> {
            unreachable!("nobody asks")
        }

        async fn payload(&self, _: PayloadId) -> Result<Option<Vec<u8>>, LogError> {
            unreachable!("no payload is read")
        }

        fn capabilities(&self) -> Capabilities {
            unreachable!("nobody asks")
        }
    }
}
