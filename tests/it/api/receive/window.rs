//! How much a socket tells before its client says more, and clients that say or take nothing.

use std::time::Duration;

use satpost_api::LiveConfig;
use satpost_api_types::live::{
    CLOSE_SILENT, ClientFrame, Closing, ClosingReason, JSON_PROTOCOL, ServerFrame,
};
use satpost_domain::limits::SOCKET_CREDIT_MAX;
use satpost_tests::http_server::{HttpServer, ServerOptions};
use satpost_tests::signed_request::fresh;
use tokio::time::Instant;

use super::web_socket::{Client, Heard, LAST, PING};
use super::{MOMENT, PATIENCE, full_and_impatient, pair, send, until_metric, until_open};

#[tokio::test]
async fn never_has_more_outstanding_than_the_window_and_never_more_than_the_credit() {
    let server = HttpServer::start().await;
    let (alice, bob) = pair(&server).await;
    send(150, &alice, &bob, &server).await;
    send(150, &alice, &bob, &server).await;
    let mut client = Client::open(&bob, JSON_PROTOCOL, &server).await;
    assert!(client.is_silent_for(MOMENT).await, "no credit, no message");
    client.credit(5).await;
    let mut chains = Vec::new();
    for seq in 1..=5 {
        let told = client.message().await.message;
        assert_eq!(told.seq, seq);
        chains.push(told.chain);
    }
    assert!(client.is_silent_for(MOMENT).await, "5 were allowed");
    for _ in 0..3 {
        client.credit(SOCKET_CREDIT_MAX as u64).await;
    }
    for seq in 6..=SOCKET_CREDIT_MAX as u64 {
        assert_eq!(client.message().await.message.seq, seq);
    }
    assert!(client.is_silent_for(MOMENT).await, "256 are outstanding");
    client.credit(10).await;
    assert!(client.is_silent_for(MOMENT).await, "credit makes no room");
    // Acknowledged over the socket.
    client
        .send(&ClientFrame::Ack {
            id: fresh(),
            through: 3,
            chain: chains[2].clone(),
        })
        .await;
    let done = client.frame().await;
    assert!(matches!(done, ServerFrame::Acknowledged { deleted: 3, .. }));
    for seq in 257..=259 {
        assert_eq!(client.message().await.message.seq, seq);
    }
    assert!(client.is_silent_for(MOMENT).await, "3 were let go of");
    // Acknowledged in another way.
    let elsewhere = bob.acknowledge(5, &chains[4]).send(&server).await;
    assert_eq!(elsewhere.status.as_u16(), 200);
    for seq in 260..=261 {
        assert_eq!(client.message().await.message.seq, seq);
    }
    assert!(client.is_silent_for(MOMENT).await, "2 were let go of");
    drop(client);
    server.stop().await;
}

#[tokio::test]
async fn answers_pings_and_closes_a_socket_that_answers_none() {
    let server = HttpServer::start_with(ServerOptions {
        live: LiveConfig {
            socket_ping: Duration::from_millis(100),
            socket_silence_max: Duration::from_millis(900),
            ..LiveConfig::default()
        },
        ..ServerOptions::default()
    })
    .await;
    let (alice, bob) = pair(&server).await;
    let mut alive = Client::open(&alice, JSON_PROTOCOL, &server).await;
    let mut dead = Client::open(&bob, JSON_PROTOCOL, &server).await;
    for client in [&mut alive, &mut dead] {
        assert!(matches!(client.frame().await, ServerFrame::Empty(_)));
        client.send_raw(LAST | PING, b"there?").await;
        assert_eq!(client.hear().await, Heard::Pong(b"there?".to_vec()));
    }
    dead.is_alive = false;
    let started = Instant::now();
    let (lives, (last, code)) = tokio::join!(
        alive.is_silent_for(Duration::from_millis(2_500)),
        dead.rest()
    );
    assert!(lives, "who answers stays");
    let reason = ClosingReason::Silent;
    assert_eq!(last, Some(ServerFrame::Closing(Closing { reason })));
    assert_eq!(code, Some(CLOSE_SILENT));
    assert!(started.elapsed() > Duration::from_millis(800));
    drop(alive);
    server.stop().await;
}

#[tokio::test]
async fn ends_the_socket_of_a_client_that_takes_nothing() {
    // The window is smaller than all that waits.
    let (server, bob) = full_and_impatient().await;
    let mut stalled = Client::connect(&bob, JSON_PROTOCOL, &server, Some(8 * 1024)).await;
    stalled.credit(SOCKET_CREDIT_MAX as u64).await;
    let ended = tokio::time::timeout(PATIENCE, async {
        until_open("socket", 0, &server).await;
        until_metric("satpost_http_event_readers_dropped_total 1", &server).await;
    });
    ended.await.expect("it is ended in time");
    drop(stalled);
    server.stop().await;
}
