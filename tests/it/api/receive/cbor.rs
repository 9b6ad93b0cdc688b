//! CBOR says the same as JSON, with bytes as bytes.

use ciborium::Value;
use reqwest::Method;
use satpost_api_types::messages::{
    AcknowledgeMessagesRequest, AcknowledgeMessagesResponse, AcknowledgeThrough,
    FetchMessagesResponse, QueueResponse,
};
use satpost_api_types::problem::{Problem, ProblemCode as Code};
use satpost_tests::http_server::HttpServer;
use satpost_tests::signed_request::{Answer, Request};
use serde::Serialize;
use serde::de::DeserializeOwned;

use super::{pair, send};

const CBOR: &str = "application/cbor";

fn read<T: DeserializeOwned>(answer: &Answer, status: u16) -> T {
    assert_eq!(answer.status.as_u16(), status, "{}", answer.text());
    assert_eq!(answer.header("content-type"), Some(CBOR));
    let mut rest = &answer.body[..];
    let value = ciborium::from_reader(&mut rest).unwrap();
    assert!(rest.is_empty(), "nothing follows the value");
    value
}

fn write(value: &impl Serialize) -> Vec<u8> {
    let mut bytes = Vec::new();
    ciborium::into_writer(value, &mut bytes).unwrap();
    bytes
}

fn member<'v>(value: &'v Value, name: &str) -> &'v Value {
    let members = value.as_map().expect("a map");
    let found = members.iter().find(|(key, _)| key.as_text() == Some(name));
    &found.unwrap_or_else(|| panic!("no {name}")).1
}

#[tokio::test]
async fn answers_say_the_same_in_both_forms() {
    let server = HttpServer::start().await;
    let (alice, bob) = pair(&server).await;
    send(2, &alice, &bob, &server).await;
    let json: FetchMessagesResponse = bob.fetch(&server).await;
    let answer = bob.query("/v1/messages").header("accept", CBOR);
    let answer = answer.send(&server).await;
    let cbor: FetchMessagesResponse = read(&answer, 200);
    assert_eq!(cbor, json);
    // Bodies are byte strings, and nothing else has changed its kind.
    let value: Value = read(&answer, 200);
    let first = &member(&value, "messages").as_array().unwrap()[0];
    assert_eq!(member(first, "body"), &Value::Bytes(vec![1; 512]));
    assert_eq!(member(first, "seq"), &Value::from(1));
    assert_eq!(member(first, "id").as_text(), Some(&*json.messages[0].id));

    let queue = bob.query("/v1/queue");
    let json: QueueResponse = queue.send(&server).await.expect(200);
    let cbor = queue.header("accept", CBOR).send(&server).await;
    assert_eq!(read::<QueueResponse>(&cbor, 200), json);
    server.stop().await;
}

#[tokio::test]
async fn an_acknowledgement_may_be_written_and_answered_in_cbor() {
    let server = HttpServer::start().await;
    let (alice, bob) = pair(&server).await;
    send(2, &alice, &bob, &server).await;
    let chain = bob.fetch(&server).await.head.chain;
    let through = AcknowledgeMessagesRequest::Through(AcknowledgeThrough { through: 2, chain });
    let ack = |body: Vec<u8>| {
        Request::command(Method::POST, "/v1/messages/ack", &bob.messaging).body(CBOR, body)
    };
    let whole = write(&through);
    let cut = whole[..whole.len() - 1].to_vec();
    let more = [&whole[..], &[0]].concat();
    let text = serde_json::to_vec(&through).unwrap();
    for body in [cut, more, text] {
        let refused = ack(body).send(&server).await;
        refused.expect_problem(Code::Malformed);
    }
    let request = ack(whole).header("accept", CBOR);
    let done = request.send(&server).await;
    assert_eq!(read::<AcknowledgeMessagesResponse>(&done, 200).deleted, 2);
    let again = request.send(&server).await;
    assert_eq!(read::<AcknowledgeMessagesResponse>(&again, 200).deleted, 2);
    let other = bob.done_with(&through).body("text/plain", b"x".to_vec());
    let refused = other.send(&server).await;
    let problem = refused.expect_problem(Code::UnsupportedMediaType);
    assert!(problem.detail.unwrap().contains(CBOR));
    // Routes that do not take it still do not.
    let command = Request::command(Method::PUT, "/v1/push", &bob.identity);
    let refused = command.body(CBOR, vec![0xa0]).send(&server).await;
    refused.expect_problem(Code::UnsupportedMediaType);
    server.stop().await;
}

#[tokio::test]
async fn problems_have_the_same_members_in_both_forms() {
    let server = HttpServer::start().await;
    let (_, bob) = pair(&server).await;
    let ask = bob
        .query("/v1/messages?limit=0")
        .header("x-request-id", "r-1");
    let json = ask.send(&server).await.expect_problem(Code::Malformed);
    let cbor = ask.clone().header("accept", CBOR).send(&server).await;
    assert_eq!(read::<Problem>(&cbor, 400), json);
    let both = "application/cbor, application/problem+json";
    let both = ask.header("accept", both).send(&server).await;
    both.expect_problem(Code::Malformed);
    server.stop().await;
}

#[tokio::test]
async fn the_form_is_the_one_that_is_liked_better_and_json_when_in_doubt() {
    let server = HttpServer::start().await;
    let (_, bob) = pair(&server).await;
    for (accept, expected) in [
        ("application/cbor;q=0.9, application/json;q=0.8", CBOR),
        ("application/cbor;q=0.1, */*;q=0.05", CBOR),
        (
            "application/cbor;q=0.8, application/json",
            "application/json",
        ),
        ("*/*", "application/json"),
        ("image/png", "application/json"),
    ] {
        let asked = bob.query("/v1/messages").header("accept", accept);
        let answer = asked.send(&server).await;
        assert_eq!(answer.status.as_u16(), 200);
        assert_eq!(answer.header("content-type"), Some(expected), "{accept}");
        assert_eq!(answer.header("vary"), Some("accept"));
    }
    server.stop().await;
}
