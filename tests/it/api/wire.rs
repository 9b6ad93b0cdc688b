//! Connections that do not behave: slow, stalled, oversized, ambiguous.

use std::fmt::Write as _;
use std::time::Duration;

use satpost_api_types::problem::{Problem, ProblemCode as Code};
use satpost_domain::limits::{BODY_DEADLINE, BODY_GRACE, REQUEST_HEAD_BYTES_MAX};
use satpost_tests::http_server::HttpServer;
use satpost_tests::signed_request::Request;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;
use tokio::time::Instant;

use super::wallet::Wallet;

/// How long the server gets beyond a deadline of its own.
const SLACK: Duration = Duration::from_secs(4);

/// The head of a signed request that announces a body of `length` bytes.
fn head(request: &Request<'_>, server: &HttpServer, length: usize) -> String {
    let mut head = format!("{} {} HTTP/1.1\r\n", request.method, request.path);
    for (name, value) in request.sign(server) {
        writeln!(head, "{name}: {value}\r").unwrap();
    }
    writeln!(head, "content-length: {length}\r\n\r").unwrap();
    head
}

async fn connect(server: &HttpServer) -> TcpStream {
    TcpStream::connect(server.address()).await.unwrap()
}

/// Everything that comes until the server closes the connection.
async fn rest(stream: &mut TcpStream, within: Duration) -> String {
    let mut answer = Vec::new();
    tokio::time::timeout(within, stream.read_to_end(&mut answer))
        .await
        .expect("the server closes the connection")
        // A server that closes with unread bytes resets the connection after its answer.
        .ok();
    String::from_utf8(answer).unwrap()
}

fn assert_problem(answer: &str, code: Code) {
    let (head, body) = answer
        .split_once("\r\n\r\n")
        .unwrap_or_else(|| panic!("{answer:?}"));
    assert!(
        head.starts_with(&format!("HTTP/1.1 {} ", code.status())),
        "{answer}"
    );
    assert!(
        head.to_lowercase().contains("connection: close"),
        "{answer}"
    );
    let problem: Problem = serde_json::from_str(body).unwrap();
    assert_eq!(problem.code, code.as_str());
}

#[tokio::test]
async fn gives_up_on_a_body_that_stalls() {
    let server = HttpServer::start().await;
    let wallet = Wallet::registered(1, &server).await;
    let mut stream = connect(&server).await;
    let message = wallet.message(&wallet, 1);
    stream
        .write_all(head(&message, &server, 512).as_bytes())
        .await
        .unwrap();
    stream.write_all(&[1; 100]).await.unwrap();
    let started = Instant::now();
    assert_problem(
        &rest(&mut stream, BODY_GRACE + SLACK).await,
        Code::BodyTimeout,
    );
    assert!(started.elapsed() >= BODY_GRACE - Duration::from_millis(200));
    server.stop().await;
}

#[tokio::test]
async fn gives_up_on_a_body_that_drips() {
    let server = HttpServer::start().await;
    let wallet = Wallet::registered(1, &server).await;
    let (mut read, mut write) = connect(&server).await.into_split();
    let message = wallet.message_of(&wallet, vec![1; 16 * 1024]);
    let head = head(&message, &server, 16 * 1024);
    let dripping = tokio::spawn(async move {
        write.write_all(head.as_bytes()).await.unwrap();
        // 100 bytes a second would take nearly three minutes.
        while write.write_all(&[1; 10]).await.is_ok() {
            tokio::time::sleep(Duration::from_millis(100)).await;
        }
    });
    let started = Instant::now();
    let mut answer = Vec::new();
    tokio::time::timeout(BODY_DEADLINE + SLACK, read.read_to_end(&mut answer))
        .await
        .expect("the server closes the connection")
        .ok();
    assert_problem(&String::from_utf8(answer).unwrap(), Code::BodyTimeout);
    assert!(
        started.elapsed() < BODY_DEADLINE,
        "the minimum rate came before the deadline"
    );
    dripping.await.unwrap();
    server.stop().await;
}

#[tokio::test]
async fn takes_a_body_that_comes_in_pieces() {
    let server = HttpServer::start().await;
    let wallet = Wallet::registered(1, &server).await;
    let mut stream = connect(&server).await;
    let message = wallet.message(&wallet, 1).header("connection", "close");
    stream
        .write_all(head(&message, &server, 512).as_bytes())
        .await
        .unwrap();
    for _ in 0..4 {
        stream.write_all(&[1; 128]).await.unwrap();
        tokio::time::sleep(Duration::from_millis(250)).await;
    }
    let answer = rest(&mut stream, SLACK).await;
    assert!(answer.starts_with("HTTP/1.1 201 "), "{answer}");
    server.stop().await;
}

#[tokio::test]
async fn reads_no_body_that_is_announced_too_large() {
    let server = HttpServer::start().await;
    let wallet = Wallet::registered(1, &server).await;
    let mut stream = connect(&server).await;
    let message = wallet.message(&wallet, 1);
    stream
        .write_all(head(&message, &server, 1 << 30).as_bytes())
        .await
        .unwrap();
    assert_problem(&rest(&mut stream, SLACK).await, Code::TooLarge);
    server.stop().await;
}

#[tokio::test]
async fn stops_reading_a_chunked_body_that_grows_too_large() {
    let server = HttpServer::start().await;
    let wallet = Wallet::registered(1, &server).await;
    let mut stream = connect(&server).await;
    let message = wallet
        .message(&wallet, 1)
        .header("transfer-encoding", "chunked");
    let head = head(&message, &server, 0).replace("content-length: 0\r\n", "");
    stream.write_all(head.as_bytes()).await.unwrap();
    let chunk = format!("{:x}\r\n{}\r\n", 8_192, "x".repeat(8_192));
    for _ in 0..3 {
        // The server may have closed the connection already, which is the point.
        stream.write_all(chunk.as_bytes()).await.ok();
    }
    assert_problem(&rest(&mut stream, SLACK).await, Code::TooLarge);
    server.stop().await;
}

#[tokio::test]
async fn closes_a_connection_whose_unread_body_never_ends() {
    let server = HttpServer::start().await;
    let (mut read, mut write) = connect(&server).await.into_split();
    let dripping = tokio::spawn(async move {
        let head = "POST /v1/nothing HTTP/1.1\r\nhost: x\r\ntransfer-encoding: chunked\r\n\r\n";
        write.write_all(head.as_bytes()).await.unwrap();
        while write.write_all(b"1\r\nx\r\n").await.is_ok() {
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    });
    let mut answer = Vec::new();
    tokio::time::timeout(SLACK, read.read_to_end(&mut answer))
        .await
        .expect("the server closes the connection")
        .ok();
    assert_problem(&String::from_utf8(answer).unwrap(), Code::NotFound);
    dripping.await.unwrap();
    server.stop().await;
}

#[tokio::test]
async fn keeps_a_connection_whose_body_was_read() {
    let server = HttpServer::start().await;
    let wallet = Wallet::registered(1, &server).await;
    let mut stream = connect(&server).await;
    for byte in 1..=2 {
        let message = wallet.message(&wallet, byte);
        stream
            .write_all(head(&message, &server, 512).as_bytes())
            .await
            .unwrap();
        stream.write_all(&[byte; 512]).await.unwrap();
        let mut answer = [0; 4_096];
        let read = stream.read(&mut answer).await.unwrap();
        let answer = String::from_utf8_lossy(&answer[..read]);
        assert!(answer.starts_with("HTTP/1.1 201 "), "{answer}");
    }
    drop(stream);
    server.stop().await;
}

#[tokio::test]
async fn refuses_a_request_whose_length_is_ambiguous() {
    let server = HttpServer::start().await;
    let wallet = Wallet::registered(1, &server).await;
    let mut stream = connect(&server).await;
    let message = wallet
        .message(&wallet, 1)
        .header("transfer-encoding", "chunked");
    stream
        .write_all(head(&message, &server, 512).as_bytes())
        .await
        .unwrap();
    stream
        .write_all(b"0\r\n\r\nGET /v1/info HTTP/1.1\r\n\r\n")
        .await
        .unwrap();
    let answer = rest(&mut stream, SLACK).await;
    assert!(answer.starts_with("HTTP/1.1 400 "), "{answer}");
    assert_eq!(answer.matches("HTTP/1.1").count(), 1, "{answer}");
    server.stop().await;
}

#[tokio::test]
async fn closes_a_connection_whose_head_does_not_come() {
    let server = HttpServer::start().await;
    let mut stream = connect(&server).await;
    stream
        .write_all(b"GET /v1/info HTTP/1.1\r\nhost: ")
        .await
        .unwrap();
    let answer = rest(&mut stream, Duration::from_secs(5) + SLACK).await;
    assert!(
        answer.is_empty() || answer.starts_with("HTTP/1.1 408 "),
        "{answer}"
    );
    server.stop().await;
}

#[tokio::test]
async fn refuses_a_head_that_is_too_large() {
    let server = HttpServer::start().await;
    let wallet = Wallet::registered(1, &server).await;
    let query = Request::query("/v1/clients/self", &wallet.identity);
    let large = query.header("x-large", "x".repeat(REQUEST_HEAD_BYTES_MAX));
    let answer = large.send(&server).await;
    let problem = answer.expect_problem(Code::HeadTooLarge);
    assert_eq!(problem.limit, Some(REQUEST_HEAD_BYTES_MAX as u64));
    server.stop().await;
}

#[tokio::test]
async fn stops_although_a_connection_stays_open() {
    let server = HttpServer::start().await;
    let mut stream = connect(&server).await;
    stream
        .write_all(b"GET /health/live HTTP/1.1\r\nhost: x\r\n\r\n")
        .await
        .unwrap();
    let mut answer = [0; 12];
    stream.read_exact(&mut answer).await.unwrap();
    assert_eq!(&answer, b"HTTP/1.1 204");
    let took = server.stop().await;
    assert!(took < Duration::from_secs(10), "{took:?}");
}
