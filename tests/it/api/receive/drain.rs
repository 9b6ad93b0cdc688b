//! A server that stops: every way of receiving ends at once, with the words that belong to it.

use std::time::Duration;

use satpost_api_types::live::{Closing, ClosingReason, JSON_PROTOCOL, ServerFrame};
use satpost_domain::limits::SOCKET_CREDIT_MAX;
use satpost_tests::http_server::HttpServer;

use super::reader::Reader;
use super::web_socket::Client;
use super::{pair, until_open};
use crate::api::wallet::Wallet;

#[tokio::test]
async fn ends_streams_sockets_and_waiting_fetches_at_once() {
    let server = HttpServer::start().await;
    let (alice, bob) = pair(&server).await;
    let carol = Wallet::registered(3, &server).await;
    let stream = Reader::open(&alice, &server).await;
    let mut socket = Client::open(&bob, JSON_PROTOCOL, &server).await;
    let fetch = carol.query("/v1/messages").header("prefer", "wait=30");
    let mut request = server.http.get(format!("{}/v1/messages", server.base()));
    for (name, value) in fetch.sign(&server) {
        request = request.header(name, value);
    }
    let fetch = tokio::spawn(request.send());
    super::until_metric("satpost_http_fetches_waiting 1", &server).await;
    let (stream, socket) = (
        tokio::spawn(stream.rest()),
        tokio::spawn(async move { socket.rest().await }),
    );
    let took = server.stop().await;
    assert!(took < Duration::from_secs(3), "{took:?}");
    let (names, last) = stream.await.unwrap();
    assert_eq!(names, ["empty", "closing"]);
    assert_eq!(last["reason"], "stopping");
    let reason = ClosingReason::Stopping;
    let closing = ServerFrame::Closing(Closing { reason });
    assert_eq!(socket.await.unwrap(), (Some(closing), Some(1001)));
    assert_eq!(fetch.await.unwrap().unwrap().status().as_u16(), 204);
}

#[tokio::test]
async fn a_client_that_takes_nothing_does_not_hold_the_stop_up() {
    let server = HttpServer::start().await;
    let (alice, bob) = pair(&server).await;
    for _ in 0..300 {
        let sent = alice.message_of(&bob, vec![1; 16 * 1024]);
        assert_eq!(sent.send(&server).await.status.as_u16(), 201);
    }
    let mut stalled = Client::connect(&bob, JSON_PROTOCOL, &server, Some(8 * 1024)).await;
    stalled.credit(SOCKET_CREDIT_MAX as u64).await;
    until_open("socket", 1, &server).await;
    tokio::time::sleep(super::MOMENT).await;
    let took = server.stop().await;
    // The deadline of these servers is 5 seconds.
    assert!(took < Duration::from_secs(8), "{took:?}");
    drop(stalled);
}
