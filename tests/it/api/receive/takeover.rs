//! The newest reader of a mailbox takes over, and a server has room for so many.

use satpost_api::LiveConfig;
use satpost_api_types::live::{CLOSE_SUPERSEDED, JSON_PROTOCOL, ServerFrame};
use satpost_api_types::problem::ProblemCode as Code;
use satpost_tests::http_server::{HttpServer, ServerOptions};

use super::reader::{Reader, STREAM};
use super::web_socket::Client;
use super::{MOMENT, expect, pair, until_metric, until_open};
use crate::api::wallet::Wallet;

async fn ended_stream(reader: Reader) {
    let (names, last) = reader.rest().await;
    assert_eq!(names.last().map(String::as_str), Some("superseded"));
    assert_eq!(last, serde_json::json!({}));
}

async fn ended_socket(client: &mut Client) {
    let (last, code) = client.rest().await;
    assert_eq!(last, Some(ServerFrame::Superseded));
    assert_eq!(code, Some(CLOSE_SUPERSEDED));
}

#[tokio::test]
async fn the_newest_stream_or_socket_takes_over_from_the_one_before() {
    let server = HttpServer::start().await;
    let (alice, bob) = pair(&server).await;
    let mut to_alice = Reader::open(&alice, &server).await;
    assert_eq!(to_alice.next().await.name, "empty");

    let stream = Reader::open(&bob, &server).await;
    let newer = Reader::open(&bob, &server).await;
    ended_stream(stream).await;
    let mut socket = Client::open(&bob, JSON_PROTOCOL, &server).await;
    ended_stream(newer).await;
    let mut newer = Client::open(&bob, JSON_PROTOCOL, &server).await;
    ended_socket(&mut socket).await;
    let mut stream = Reader::open(&bob, &server).await;
    ended_socket(&mut newer).await;
    until_metric("satpost_http_live_readers_superseded_total 4", &server).await;

    // The last one gets what comes; nobody else was bothered.
    assert_eq!(stream.next().await.name, "empty");
    alice.send(&bob, 1, &server).await;
    expect(&stream.next().await.delivery(), 1, 1, &bob, &server);
    assert!(to_alice.is_silent_for(MOMENT).await);
    drop((stream, to_alice));
    server.stop().await;
}

#[tokio::test]
async fn a_fetch_takes_nothing_over_even_when_it_waits() {
    let server = HttpServer::start().await;
    let (alice, bob) = pair(&server).await;
    let mut stream = Reader::open(&bob, &server).await;
    assert_eq!(stream.next().await.name, "empty");
    let fetch = bob.query("/v1/messages").header("prefer", "wait=30");
    let (fetched, sent) = tokio::join!(fetch.send(&server), async {
        tokio::time::sleep(MOMENT).await;
        alice.send(&bob, 1, &server).await
    });
    let page: satpost_api_types::messages::FetchMessagesResponse = fetched.expect(200);
    assert_eq!(page.messages[0].id, sent.id);
    let told = stream.next().await.delivery();
    assert_eq!(told.message, page.messages[0], "both are told the same");
    assert_eq!(told.head, page.head);
    drop(stream);
    server.stop().await;
}

#[tokio::test]
async fn keeps_so_many_mailboxes_live_and_no_more() {
    let server = HttpServer::start_with(ServerOptions {
        live: LiveConfig {
            readers_max: 1,
            ..LiveConfig::default()
        },
        ..ServerOptions::default()
    })
    .await;
    let (alice, bob) = pair(&server).await;
    let first = Reader::open(&alice, &server).await;
    let refused = bob.query(STREAM).send(&server).await;
    let problem = refused.expect_problem(Code::TooManyStreams);
    assert_eq!(problem.limit, Some(1));
    assert!(refused.header("retry-after").is_some());
    let mut request = bob.query("/v1/ws");
    request
        .headers
        .extend(super::web_socket::upgrade(JSON_PROTOCOL));
    request
        .send(&server)
        .await
        .expect_problem(Code::TooManyStreams);
    // Fetching goes on, and so does the reader that is there, on another connection as well.
    assert!(bob.fetch(&server).await.messages.is_empty());
    let second = Client::open(&alice, JSON_PROTOCOL, &server).await;
    ended_stream(first).await;
    drop(second);
    until_open("socket", 0, &server).await;
    until_open("stream", 0, &server).await;
    drop(Reader::open(&bob, &server).await);
    let carol = Wallet::registered(3, &server).await;
    until_open("stream", 0, &server).await;
    drop(Reader::open(&carol, &server).await);
    server.stop().await;
}
