//! The stream of events.

use std::fmt::Write as _;
use std::sync::Arc;

use reqwest::Method;
use satpost_api_types::live::{CLOSE_NOT_REGISTERED, JSON_PROTOCOL};
use satpost_api_types::messages::{AcknowledgeMessagesRequest, ParkMessages, ParkedMessage};
use satpost_api_types::problem::ProblemCode as Code;
use satpost_commands::{CommandContext, Handler};
use satpost_domain::mailbox::{Mailbox, MailboxCommand};
use satpost_domain::{CommandId, MessagingKey, RequestDigest, StreamId};
use satpost_infra::event_log::StoredEventLog;
use satpost_infra::system::SystemIds;
use satpost_tests::http_server::HttpServer;
use satpost_tests::signed_request::Request;
use tokio::io::AsyncWriteExt as _;
use tokio::net::{TcpSocket, TcpStream};
use tokio::time::Instant;

use super::reader::{Reader, STREAM};
use super::web_socket::Client;
use super::{
    MOMENT, PATIENCE, expect, full_and_impatient, pair, send, until_metric, until_open, verify,
};
use crate::api::wallet::{Wallet, then};

#[tokio::test]
async fn tells_messages_as_they_come_and_when_the_line_is_drained() {
    let server = HttpServer::start().await;
    let (alice, bob) = pair(&server).await;
    let mut reader = Reader::open(&bob, &server).await;
    assert_eq!(reader.header("content-type"), Some("text/event-stream"));
    assert_eq!(reader.header("cache-control"), Some("no-store"));
    let end = reader.next().await.end();
    assert_eq!(end.head.seq, 0);
    verify(&end.head, &bob, &server);
    for byte in 1..=3 {
        alice.send(&bob, byte, &server).await;
        let told = reader.next().await;
        assert_eq!(told.name, "message");
        expect(&told.delivery(), byte.into(), byte, &bob, &server);
        let end = reader.next().await.end();
        assert_eq!(end.head, told.delivery().head);
    }
    assert!(reader.is_silent_for(MOMENT).await);
    let metric = "satpost_http_live_deliveries_total{kind=\"stream\"} 3";
    until_metric(metric, &server).await;
    drop(reader);
    until_open("stream", 0, &server).await;
    server.stop().await;
}

#[tokio::test]
async fn begins_after_the_last_acknowledged_message_whatever_the_reader_says() {
    let server = HttpServer::start().await;
    let (alice, bob) = pair(&server).await;
    send(5, &alice, &bob, &server).await;
    let chain = bob.fetch(&server).await.messages[1].chain.clone();
    let acknowledged = bob.acknowledge(2, &chain).send(&server).await;
    then(&acknowledged, bob.query("/v1/queue"), &server).await;
    for request in [
        bob.query(STREAM),
        bob.query(STREAM).header("last-event-id", 1),
        bob.query(STREAM).header("last-event-id", 4),
        bob.query(STREAM).header("last-event-id", 99),
        bob.query("/v1/messages/stream?after=0"),
        bob.query("/v1/messages/stream?after=5"),
    ] {
        let mut reader = Reader::send(&request, &server).await;
        for byte in 3..=5 {
            let told = reader.next().await.delivery();
            expect(&told, byte.into(), byte, &bob, &server);
        }
        assert_eq!(reader.next().await.end().head.seq, 5);
    }
    for request in [
        bob.query(STREAM).header("last-event-id", "soon"),
        bob.query("/v1/messages/stream?after=-1"),
        bob.query("/v1/messages/stream?from=1"),
    ] {
        request.send(&server).await.expect_problem(Code::Malformed);
    }
    server.stop().await;
}

#[tokio::test]
async fn goes_on_where_another_way_of_receiving_acknowledged() {
    let server = HttpServer::start().await;
    let (alice, bob) = pair(&server).await;
    let mut reader = Reader::open(&bob, &server).await;
    assert_eq!(reader.next().await.end().head.seq, 0);
    alice.send(&bob, 1, &server).await;
    let told = reader.next().await.delivery();
    assert_eq!(reader.next().await.end().head.seq, 1);
    let acknowledged = bob.acknowledge(1, &told.message.chain).send(&server).await;
    assert_eq!(acknowledged.status.as_u16(), 200);
    assert!(reader.is_silent_for(MOMENT).await, "nothing comes again");
    alice.send(&bob, 2, &server).await;
    expect(&reader.next().await.delivery(), 2, 2, &bob, &server);
    drop(reader);
    server.stop().await;
}

#[tokio::test]
async fn tells_tombstones_and_leaves_out_what_is_set_aside() {
    let server = HttpServer::start().await;
    let (alice, bob) = pair(&server).await;
    send(3, &alice, &bob, &server).await;
    let second = bob.fetch(&server).await.messages[1].id.clone();
    let park = AcknowledgeMessagesRequest::Park(ParkMessages {
        park: vec![ParkedMessage {
            id: second,
            reason: "format".to_owned(),
        }],
    });
    let parked = bob.done_with(&park).send(&server).await;
    then(&parked, bob.query("/v1/queue"), &server).await;
    let mut reader = Reader::open(&bob, &server).await;
    for seq in [1, 3] {
        assert_eq!(reader.next().await.delivery().message.seq, seq);
    }
    let wipe = Request::command(Method::DELETE, "/v1/queue", &bob.messaging);
    let wiped = wipe.send(&server).await;
    then(&wiped, bob.query("/v1/queue"), &server).await;
    let mut reader = Reader::open(&bob, &server).await;
    for seq in [1, 3] {
        let told = reader.next().await;
        assert_eq!(told.name, "gone");
        let told = told.delivery();
        assert_eq!(told.message.seq, seq);
        assert_eq!(told.message.gone.as_deref(), Some("wiped"));
        assert!(told.message.body.is_none());
        verify(&told.head, &bob, &server);
    }
    drop(reader);
    server.stop().await;
}

#[tokio::test]
async fn is_for_the_owner_of_a_mailbox_only() {
    let server = HttpServer::start().await;
    let (alice, bob) = pair(&server).await;
    let url = format!("{}{STREAM}", server.base());
    let unsigned = server.http.get(url).send().await.unwrap();
    assert_eq!(unsigned.status().as_u16(), 401);
    let identity = Request::query(STREAM, &bob.identity).send(&server).await;
    identity.expect_problem(Code::NotRegistered);
    let unknown = Wallet::new(9);
    let unknown = unknown.query(STREAM).send(&server).await;
    unknown.expect_problem(Code::NotRegistered);
    let mut to_alice = Reader::open(&alice, &server).await;
    assert_eq!(to_alice.next().await.name, "empty");
    alice.send(&bob, 1, &server).await;
    assert!(to_alice.is_silent_for(MOMENT).await);
    drop(to_alice);
    server.stop().await;
}

/// Closes the mailbox of a wallet, as the process that retires clients does.
async fn close_mailbox(wallet: &Wallet, server: &HttpServer) {
    let log = Arc::new(StoredEventLog::new(Arc::new(server.store.clone())));
    let handler = Handler::new(log, server.clock.clone(), Arc::new(SystemIds::new()));
    let stream = StreamId::mailbox(MessagingKey::new(wallet.messaging.bytes()).unwrap());
    let context = CommandContext {
        command_id: CommandId::new([9; 16]),
        request_digest: RequestDigest::new([9; 16]),
    };
    let close = MailboxCommand::Close { at: server.now() };
    let closed = handler.handle::<Mailbox>(&stream, context, &close, None);
    closed.await.unwrap();
}

#[tokio::test]
async fn ends_at_once_when_the_mailbox_is_closed() {
    let server = HttpServer::start().await;
    let (alice, bob) = pair(&server).await;
    let reader = Reader::open(&bob, &server).await;
    let mut client = Client::open(&alice, JSON_PROTOCOL, &server).await;
    close_mailbox(&bob, &server).await;
    close_mailbox(&alice, &server).await;
    let (names, last) = reader.rest().await;
    assert_eq!(names.last().map(String::as_str), Some("closing"));
    assert_eq!(last["reason"], "not-registered");
    let (_, code) = client.rest().await;
    assert_eq!(code, Some(CLOSE_NOT_REGISTERED));
    server.stop().await;
}

#[tokio::test]
async fn ends_the_stream_of_a_reader_that_does_not_read() {
    let (server, bob) = full_and_impatient().await;
    let stalled = open_and_never_read(&bob, &server).await;
    until_open("stream", 1, &server).await;
    let started = Instant::now();
    until_open("stream", 0, &server).await;
    assert!(started.elapsed() < PATIENCE);
    drop(stalled);
    // Nothing is lost by it.
    let mut reader = Reader::open(&bob, &server).await;
    for seq in 1..=512 {
        assert_eq!(reader.next().await.delivery().message.seq, seq);
    }
    drop(reader);
    server.stop().await;
}

/// A connection with a small buffer that asks for the stream.
async fn open_and_never_read(wallet: &Wallet, server: &HttpServer) -> TcpStream {
    let socket = TcpSocket::new_v4().unwrap();
    socket.set_recv_buffer_size(8 * 1024).unwrap();
    let mut stream = socket.connect(server.address()).await.unwrap();
    let mut head = format!("GET {STREAM} HTTP/1.1\r\n");
    for (name, value) in wallet.query(STREAM).sign(server) {
        writeln!(head, "{name}: {value}\r").unwrap();
    }
    head.push_str("\r\n");
    stream.write_all(head.as_bytes()).await.unwrap();
    stream
}
