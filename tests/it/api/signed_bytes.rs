//! Every byte of what a signature covers, changed on the wire: nothing of it is ever carried out.
//! The verifier's own tests change every bit; these go the whole way from the socket to the log.

use std::fmt::Write as _;
use std::time::Duration;

use futures_util::StreamExt as _;
use reqwest::Method;
use satpost_api_types::addresses::{WatchAddressesRequest, WatchEntry};
use satpost_event_store::EventStore as _;
use satpost_tests::http_server::HttpServer;
use satpost_tests::signed_request::Request;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;

use super::wallet::Wallet;

/// How long one answer may take.
const ANSWER_MAX: Duration = Duration::from_secs(20);
/// How many requests are under way at once.
const AT_ONCE: usize = 16;
/// Headers that the signature covers, or consists of.
const COVERED: [&str; 5] = [
    "host",
    "signature-input",
    "signature",
    "content-digest",
    "idempotency-key",
];

/// A request as bytes, and which of them count.
struct Wire {
    bytes: Vec<u8>,
    counts: Vec<usize>,
}

impl Wire {
    fn of(request: &Request<'_>, server: &HttpServer) -> Self {
        let mut query = request.query.clone();
        if !query.is_empty() {
            query.insert(0, '?');
        }
        let target = format!("{} {}{query}", request.method, request.path);
        let mut head = format!("{target} HTTP/1.1\r\nconnection: close\r\n");
        let mut counts: Vec<usize> = (0..target.len()).collect();
        for (name, value) in request.sign(server) {
            let start = head.len();
            write!(head, "{name}: {value}").unwrap();
            if COVERED.contains(&name) {
                counts.extend(start..head.len());
            }
            head.push_str("\r\n");
        }
        let body = request.body.as_ref().map_or(&[][..], |(_, bytes)| bytes);
        write!(head, "content-length: {}\r\n\r\n", body.len()).unwrap();
        counts.extend(head.len()..head.len() + body.len());
        let bytes = [head.as_bytes(), body].concat();
        Self { bytes, counts }
    }

    fn flipped(&self, at: usize) -> Vec<u8> {
        let mut bytes = self.bytes.clone();
        bytes[at] ^= 1;
        bytes
    }
}

/// The status that the bytes are answered with.
async fn status(server: &HttpServer, bytes: &[u8]) -> u16 {
    let mut stream = TcpStream::connect(server.address()).await.unwrap();
    // A server that refuses the head may have closed before the body is sent.
    stream.write_all(bytes).await.ok();
    let mut answer = Vec::new();
    tokio::time::timeout(ANSWER_MAX, stream.read_to_end(&mut answer))
        .await
        .expect("the server answers and closes")
        .ok();
    let answer = String::from_utf8_lossy(&answer).into_owned();
    let status = answer
        .strip_prefix("HTTP/1.1 ")
        .and_then(|rest| rest.get(..3));
    status
        .and_then(|status| status.parse().ok())
        .unwrap_or_else(|| panic!("no answer: {answer:?}"))
}

/// Sends the request with each byte changed, one at a time; every one must be refused.
async fn refuses_every_flip(server: &HttpServer, wire: &Wire) {
    let flips = wire.counts.iter().map(|&at| async move {
        let bytes = wire.flipped(at);
        (at, status(server, &bytes).await)
    });
    let mut answers = futures_util::stream::iter(flips).buffer_unordered(AT_ONCE);
    let mut tried = 0;
    while let Some((at, status)) = answers.next().await {
        assert!(
            (400..500).contains(&status),
            "byte {at} changed and answered with {status}:\n{}",
            String::from_utf8_lossy(&wire.flipped(at))
        );
        tried += 1;
    }
    assert_eq!(tried, wire.counts.len());
}

#[tokio::test]
async fn carries_out_no_command_with_any_byte_changed() {
    let server = HttpServer::start().await;
    let wallet = Wallet::registered(1, &server).await;
    let address = "bcrt1qw508d6qejxtdg4y5r3zarvary0c5xw7kygt080";
    let watch = WatchAddressesRequest {
        addresses: vec![WatchEntry::Address(address.to_owned())],
        ..WatchAddressesRequest::default()
    };
    let command = Request::command(Method::POST, "/v1/addresses", &wallet.identity).json(&watch);
    let wire = Wire::of(&command, &server);
    let before = server.store.head().await.unwrap();
    refuses_every_flip(&server, &wire).await;
    assert_eq!(server.store.head().await.unwrap(), before);
    // As it was signed it is carried out, and once.
    assert_eq!(status(&server, &wire.bytes).await, 200);
    assert!(server.store.head().await.unwrap() > before);
    assert_eq!(status(&server, &wire.bytes).await, 401);
    server.stop().await;
}

#[tokio::test]
async fn answers_no_query_with_any_byte_changed() {
    let server = HttpServer::start().await;
    let wallet = Wallet::registered(1, &server).await;
    let query = wallet.query("/v1/messages?after=0&limit=2");
    let wire = Wire::of(&query, &server);
    refuses_every_flip(&server, &wire).await;
    assert_eq!(status(&server, &wire.bytes).await / 100, 2);
    server.stop().await;
}
