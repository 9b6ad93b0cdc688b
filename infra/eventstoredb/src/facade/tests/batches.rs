//! Many appends over one call.

use eventstore::{Error, ExpectedRevision};
use futures_util::future::try_join_all;
use futures_util::stream;
use prost::Message as _;
use satpost_event_store::EventStore as _;

use super::{Served, counted, served};
use crate::facade::render::{stream_identifier, structured_uuid};
use crate::protocol::shared;
use crate::protocol::streams::batch_append_req::options::ExpectedStreamPosition;
use crate::protocol::streams::batch_append_req::{Options, ProposedMessage};
use crate::protocol::streams::batch_append_resp::Result as Answer;
use crate::protocol::streams::streams_client::StreamsClient;
use crate::protocol::streams::{BatchAppendReq, BatchAppendResp};

#[tokio::test(flavor = "multi_thread")]
async fn appends_of_one_call_are_told_apart() {
    let served = served().await;
    let batch = served
        .client
        .batch_append(&Default::default())
        .await
        .unwrap();
    let appends = (0..100_u64).map(|box_number| {
        let events = (0..=box_number % 3)
            .map(|n| counted(box_number * 10 + n))
            .collect();
        batch.append_to_stream(
            format!("box-{box_number}"),
            ExpectedRevision::NoStream,
            events,
        )
    });
    let written = try_join_all(appends).await.unwrap();
    for (box_number, written) in (0..100_u64).zip(written) {
        assert_eq!(written.stream_name(), format!("box-{box_number}"));
        assert_eq!(written.current_revision(), Some(box_number % 3));
        let at = written.current_position().unwrap();
        assert_eq!(at.commit, at.prepare);
    }
    assert_eq!(served.store.head().await.unwrap().major(), 199);
}

#[tokio::test(flavor = "multi_thread")]
async fn appends_to_one_stream_keep_their_order_without_waiting() {
    let served = served().await;
    let batch = served
        .client
        .batch_append(&Default::default())
        .await
        .unwrap();
    let appends = (0..200_u64).map(|n| {
        let expected = n
            .checked_sub(1)
            .map_or(ExpectedRevision::NoStream, ExpectedRevision::Exact);
        batch.append_to_stream("box-a", expected, vec![counted(n)])
    });
    try_join_all(appends).await.unwrap();
    assert_eq!(served.store.head().await.unwrap().major(), 200);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_repeat_gets_the_first_answer_and_a_conflict_its_reason() {
    let served = served().await;
    let batch = served
        .client
        .batch_append(&Default::default())
        .await
        .unwrap();
    for _ in 0..2 {
        let written = batch
            .append_to_stream(
                "box-a",
                ExpectedRevision::NoStream,
                vec![counted(0), counted(1)],
            )
            .await
            .unwrap();
        assert_eq!(written.current_revision(), Some(1));
    }
    let refused = batch
        .append_to_stream("box-a", ExpectedRevision::Exact(0), vec![counted(9)])
        .await;
    let Err(Error::Grpc { code, message }) = refused else {
        panic!("{refused:?}");
    };
    assert_eq!(
        (code, &*message),
        (tonic::Code::AlreadyExists, "WrongExpectedVersion")
    );
}

fn part(number: u128, first: bool, is_final: bool) -> BatchAppendReq {
    BatchAppendReq {
        correlation_id: Some(structured_uuid([5; 16])),
        options: first.then(|| Options {
            stream_identifier: Some(stream_identifier("box-a")),
            expected_stream_position: Some(ExpectedStreamPosition::NoStream(())),
            deadline_option: None,
        }),
        proposed_messages: vec![ProposedMessage {
            id: Some(structured_uuid(number.to_be_bytes())),
            metadata: [("type".to_owned(), "counted".to_owned())].into(),
            custom_metadata: Vec::new(),
            data: vec![1],
        }],
        is_final,
    }
}

/// Sends raw parts over one call and gives the answers.
async fn send(served: &Served, parts: Vec<BatchAppendReq>) -> Vec<BatchAppendResp> {
    let mut client = StreamsClient::connect(format!("http://{}", served.address))
        .await
        .unwrap();
    let call = client.batch_append(stream::iter(parts)).await.unwrap();
    let mut messages = call.into_inner();
    let mut answers = Vec::new();
    while let Some(answer) = messages.message().await.unwrap() {
        answers.push(answer);
    }
    answers
}

#[tokio::test(flavor = "multi_thread")]
async fn an_append_in_parts_is_one_append() {
    let served = served().await;
    let parts = vec![
        part(1, true, false),
        part(2, false, false),
        part(3, false, true),
    ];
    let [answer] = send(&served, parts).await.try_into().unwrap();
    assert_eq!(answer.correlation_id, Some(structured_uuid([5; 16])));
    assert!(
        matches!(answer.result, Some(Answer::Success(_))),
        "{answer:?}"
    );
    assert_eq!(served.store.head().await.unwrap().major(), 3);

    // The first parts of an append whose last part never comes are forgotten.
    assert_eq!(send(&served, vec![part(9, true, false)]).await, []);
    assert_eq!(served.store.head().await.unwrap().major(), 3);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_refusal_names_its_append_and_spells_out_what_was_wrong() {
    let served = served().await;
    served.fill("box-a", 2).await;
    let parts = vec![part(9, true, true), part(9, false, true)];
    let [wrong, without_options] = send(&served, parts).await.try_into().unwrap();
    assert_eq!(wrong.stream_identifier, Some(stream_identifier("box-a")));
    let Some(Answer::Error(status)) = wrong.result else {
        panic!("it was appended");
    };
    let details = status.details.unwrap();
    assert_eq!(
        details.type_url,
        "type.googleapis.com/event_store.client.WrongExpectedVersion"
    );
    let told = shared::WrongExpectedVersion::decode(&*details.value).unwrap();
    assert_eq!(
        told.current_stream_revision_option,
        Some(shared::wrong_expected_version::CurrentStreamRevisionOption::CurrentStreamRevision(1))
    );
    let Some(Answer::Error(status)) = without_options.result else {
        panic!("it was appended");
    };
    assert!(status.message.contains("no options"), "{}", status.message);
}
