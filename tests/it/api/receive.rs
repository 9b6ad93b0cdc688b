//! All the ways to receive messages: stream, socket, fetch; one cursor, and CBOR beside JSON.

mod cbor;
mod drain;
mod frames;
mod reader;
mod reconnects;
mod socket;
mod stream;
mod takeover;
mod wallet;
mod web_socket;
mod window;

use std::time::Duration;

use satpost_api_types::live::LiveDelivery;
use satpost_api_types::messages::{SignedHead, head_bytes};
use satpost_domain::ClientId;
use satpost_domain::ids::parse_hex;
use satpost_tests::http_server::{HttpServer, ServerOptions};

use super::wallet::Wallet;

/// Longer than anything takes that is expected to happen.
const PATIENCE: Duration = Duration::from_secs(30);
/// Long enough for what must not happen to happen.
const MOMENT: Duration = Duration::from_millis(300);
/// How often a condition is looked at.
const PAUSE: Duration = Duration::from_millis(20);

/// A sender and a recipient.
async fn pair(server: &HttpServer) -> (Wallet, Wallet) {
    (
        Wallet::registered(1, server).await,
        Wallet::registered(2, server).await,
    )
}

/// Sends `count` messages of the smallest size, filled with 1, 2 and so on, and waits until they
/// can be seen.
async fn send(count: u8, alice: &Wallet, bob: &Wallet, server: &HttpServer) {
    for byte in 1..=count {
        let sent = alice.message(bob, byte).send(server).await;
        assert_eq!(sent.status.as_u16(), 201, "{}", sent.text());
        let position = sent.header("satpost-position").unwrap().parse().unwrap();
        assert!(server.read_model.wait_for(position, PATIENCE).await);
    }
}

/// A server that soon gives up a reader that takes nothing, and a recipient for whom about 11 MB wait (in
/// base64): more than the buffers of both ends hold.
async fn full_and_impatient() -> (HttpServer, Wallet) {
    let server = HttpServer::start_with(ServerOptions {
        reader_stall_max: Duration::from_secs(1),
        ..ServerOptions::default()
    })
    .await;
    let (alice, bob) = pair(&server).await;
    for _ in 0..512 {
        let sent = alice.message_of(&bob, vec![1; 16 * 1024]);
        assert_eq!(sent.send(&server).await.status.as_u16(), 201);
    }
    (server, bob)
}

/// The server has signed the queue of `wallet` at this message.
fn verify(head: &SignedHead, wallet: &Wallet, server: &HttpServer) {
    let chain = parse_hex(&head.chain).unwrap();
    let signed = head_bytes(&wallet.messaging.bytes(), head.seq, &chain);
    let signature = parse_hex(&head.signature).unwrap();
    let key = ClientId::new(server.keys.public_key()).unwrap();
    key.verify(&signed, &signature).unwrap();
}

/// The message is the one with this seq and filling, and its head fits it.
fn expect(told: &LiveDelivery, seq: u64, byte: u8, wallet: &Wallet, server: &HttpServer) {
    assert_eq!(told.message.seq, seq);
    assert_eq!(told.message.body.as_deref(), Some(&[byte; 512][..]));
    assert_eq!(
        (told.head.seq, &told.head.chain),
        (seq, &told.message.chain)
    );
    verify(&told.head, wallet, server);
}

/// Waits until a metric of the server says so.
async fn until_metric(line: &str, server: &HttpServer) {
    let url = format!("{}/metrics", server.operator_base());
    let mut metrics = String::new();
    for _ in 0..PATIENCE.as_millis() / PAUSE.as_millis() {
        let answer = server.http.get(&url).send().await.unwrap();
        metrics = answer.text().await.unwrap();
        if metrics.lines().any(|told| told == line) {
            return;
        }
        tokio::time::sleep(PAUSE).await;
    }
    panic!("{line} is not in {metrics}");
}

/// Waits until so many streams or sockets are open.
async fn until_open(kind: &str, count: usize, server: &HttpServer) {
    let line = format!("satpost_http_live_readers{{kind=\"{kind}\"}} {count}");
    until_metric(&line, server).await;
}
