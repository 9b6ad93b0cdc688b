//! How many connections may be open, and how long those that are of no use.

use std::time::Duration;

use satpost_api::ConnectionLimits;
use satpost_api_types::problem::{Problem, ProblemCode};
use satpost_domain::limits::CONNECTIONS_REFUSED_POLITELY_MAX;
use satpost_tests::http_server::{HttpServer, ServerOptions};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;
use tokio::time::Instant;

/// How long a head may take.
const HEAD_TIMEOUT: Duration = Duration::from_secs(5);
/// How long the server gets beyond a deadline of its own.
const SLACK: Duration = Duration::from_secs(4);

async fn server_with(total_max: usize, per_peer_max: Option<usize>) -> HttpServer {
    let options = ServerOptions {
        connections: ConnectionLimits {
            total_max,
            per_peer_max,
        },
        ..ServerOptions::default()
    };
    HttpServer::start_with(options).await
}

async fn connect(server: &HttpServer) -> TcpStream {
    TcpStream::connect(server.address()).await.unwrap()
}

/// Asks on an open connection, and reads the answer, which must fit one read.
async fn ask(stream: &mut TcpStream) -> String {
    let asked = b"GET /v1/info HTTP/1.1\r\nhost: x\r\n\r\n";
    stream.write_all(asked).await.ok();
    let mut answer = vec![0; 16 * 1024];
    let read = tokio::time::timeout(SLACK, stream.read(&mut answer)).await;
    let read = read.expect("the server answers").unwrap_or(0);
    String::from_utf8_lossy(&answer[..read]).into_owned()
}

/// Everything until the server closes.
async fn rest(stream: &mut TcpStream, within: Duration) -> String {
    let mut answer = Vec::new();
    tokio::time::timeout(within, stream.read_to_end(&mut answer))
        .await
        .expect("the server closes the connection")
        .ok();
    String::from_utf8_lossy(&answer).into_owned()
}

fn assert_too_many(answer: &str, limit_name: &str, limit: u64) {
    assert!(answer.starts_with("HTTP/1.1 503 "), "{answer:?}");
    let (head, body) = answer.split_once("\r\n\r\n").unwrap();
    let head = head.to_lowercase();
    assert!(head.contains("retry-after: "), "{head}");
    assert!(head.contains("connection: close"), "{head}");
    let problem: Problem = serde_json::from_str(body).unwrap();
    let mut codes = ProblemCode::ALL.iter();
    let code = codes.find(|code| code.as_str() == problem.code);
    assert_eq!(code, Some(&ProblemCode::TooManyConnections));
    assert_eq!(problem.limit_name.as_deref(), Some(limit_name));
    assert_eq!(problem.limit, Some(limit));
}

async fn metric(server: &HttpServer, line: &str) -> bool {
    let url = format!("{}/metrics", server.operator_base());
    let metrics = server.http.get(url).send().await.unwrap();
    let metrics = metrics.text().await.unwrap();
    metrics.lines().any(|found| found == line)
}

#[tokio::test]
async fn tells_a_connection_too_many_and_takes_one_again_when_another_ends() {
    for (total, per_peer, name) in [
        (2, None, "connections"),
        (9, Some(2), "connections-per-peer"),
    ] {
        let server = server_with(total, per_peer).await;
        let (mut first, mut second) = (connect(&server).await, connect(&server).await);
        assert!(ask(&mut first).await.starts_with("HTTP/1.1 200 "));
        assert!(ask(&mut second).await.starts_with("HTTP/1.1 200 "));
        let mut third = connect(&server).await;
        assert_too_many(&ask(&mut third).await, name, 2);
        assert_eq!(rest(&mut third, SLACK).await, "", "it is closed");
        assert!(metric(&server, "satpost_http_connections 2").await);
        let refused = format!("satpost_http_connections_refused_total{{limit=\"{name}\"}} 1");
        assert!(metric(&server, &refused).await);
        // The others go on.
        assert!(ask(&mut first).await.starts_with("HTTP/1.1 200 "));
        drop(first);
        let until = Instant::now() + SLACK;
        while !ask(&mut connect(&server).await)
            .await
            .starts_with("HTTP/1.1 200 ")
        {
            assert!(
                Instant::now() < until,
                "the place of a connection that ended is not free"
            );
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
        drop(second);
        server.stop().await;
    }
}

#[tokio::test]
async fn closes_at_once_what_comes_when_enough_are_being_told() {
    let server = server_with(1, None).await;
    let mut open = connect(&server).await;
    assert!(ask(&mut open).await.starts_with("HTTP/1.1 200 "));
    let mut told = Vec::new();
    for _ in 0..CONNECTIONS_REFUSED_POLITELY_MAX {
        told.push(connect(&server).await);
    }
    let mut closed = connect(&server).await;
    assert_eq!(rest(&mut closed, Duration::from_secs(2)).await, "");
    assert!(ask(&mut open).await.starts_with("HTTP/1.1 200 "));
    assert_too_many(&ask(&mut told[0]).await, "connections", 1);
    // Those who say nothing are not waited for.
    let last = told.last_mut().unwrap();
    let answer = rest(last, HEAD_TIMEOUT + SLACK).await;
    assert!(
        answer.is_empty() || answer.starts_with("HTTP/1.1 408 "),
        "{answer}"
    );
    drop((open, told));
    server.stop().await;
}

/// Sends a byte of a head now and then, for as long as the server bears it.
async fn drip(stream: TcpStream, head: &'static [u8]) -> (String, Duration) {
    let (mut read, mut write) = stream.into_split();
    let started = Instant::now();
    let dripping = tokio::spawn(async move {
        for byte in head
            .iter()
            .chain(b"x-slow: ".iter())
            .chain([b'a'; 10_000].iter())
        {
            if write.write_all(&[*byte]).await.is_err() {
                return;
            }
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    });
    let mut answer = Vec::new();
    tokio::time::timeout(3 * HEAD_TIMEOUT, read.read_to_end(&mut answer))
        .await
        .expect("the server closes the connection")
        .ok();
    let took = started.elapsed();
    dripping.abort();
    (String::from_utf8_lossy(&answer).into_owned(), took)
}

#[tokio::test]
async fn closes_a_connection_whose_head_drips() {
    let server = HttpServer::start().await;
    let stream = connect(&server).await;
    let (answer, took) = drip(stream, b"GET /v1/info HTTP/1.1\r\nhost: x\r\n").await;
    assert!(
        answer.is_empty() || answer.starts_with("HTTP/1.1 408 "),
        "{answer}"
    );
    assert!(took < HEAD_TIMEOUT + SLACK, "{took:?}");
    server.stop().await;
}

/// A first good request buys no time for the second.
#[tokio::test]
async fn closes_a_connection_whose_second_head_drips() {
    let keep_alive = Duration::from_secs(1);
    let options = ServerOptions {
        keep_alive,
        ..ServerOptions::default()
    };
    let server = HttpServer::start_with(options).await;
    let mut stream = connect(&server).await;
    assert!(ask(&mut stream).await.starts_with("HTTP/1.1 200 "));
    let (answer, took) = drip(stream, b"GET /v1/info HTTP/1.1\r\nhost: x\r\n").await;
    assert!(
        answer.is_empty() || answer.starts_with("HTTP/1.1 408 "),
        "{answer}"
    );
    assert!(took < keep_alive + HEAD_TIMEOUT + SLACK, "{took:?}");
    server.stop().await;
}

#[tokio::test]
async fn reads_a_bounded_part_of_a_head_that_never_ends() {
    let server = HttpServer::start().await;
    let (mut read, mut write) = connect(&server).await.into_split();
    let sending = tokio::spawn(async move {
        let mut sent = 0_usize;
        write
            .write_all(b"GET /v1/info HTTP/1.1\r\nhost: x\r\nx-large: ")
            .await
            .ok();
        while write.write_all(&[b'a'; 16 * 1024]).await.is_ok() {
            sent += 16 * 1024;
        }
        sent
    });
    let mut answer = Vec::new();
    tokio::time::timeout(HEAD_TIMEOUT + SLACK, read.read_to_end(&mut answer))
        .await
        .expect("the server closes the connection")
        .ok();
    let answer = String::from_utf8_lossy(&answer);
    assert!(
        answer.is_empty() || answer.starts_with("HTTP/1.1 4"),
        "{answer}"
    );
    drop(read);
    // What was sent beyond the bound lies in the buffers of the sockets.
    let sent = sending.await.unwrap();
    assert!(sent < 32 * 1024 * 1024, "{sent}");
    server.stop().await;
}
