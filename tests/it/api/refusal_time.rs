//! A refusal tells nothing by the time it takes: whether a recipient exists, or whether a token was ever
//! good. Measured from outside, over real connections, in random turns.

use std::time::Duration;

use satpost_api_types::mailboxes::{DeliveryTokenUse, StrangerPolicy};
use satpost_tests::http_server::{HttpServer, ServerOptions};
use satpost_tests::random::Random;
use satpost_tests::signed_request::fresh;
use satpost_tests::timing::{Measurement, T_MAX, largest_t};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;
use tokio::time::Instant;

use super::strangers::{revoke, token, token_text};
use super::wallet::Wallet;

/// Short, so that a test sees many refusals; the server's own is longer.
const REFUSAL_TIME: Duration = Duration::from_millis(10);
/// The difference that must be found. Timers have steps of a millisecond.
const DIFFERENCE: Duration = Duration::from_millis(2);
/// How long one comparison goes on.
const MEASURED_FOR: Duration = Duration::from_millis(3_500);
/// How many connections ask at the same time.
const CONNECTIONS: u64 = 8;
/// How many measurements a comparison needs to mean something.
const MEASUREMENTS_MIN: usize = 600;

async fn server_with(refusal_time: Duration) -> HttpServer {
    let options = ServerOptions {
        refusal_time,
        ..ServerOptions::default()
    };
    HttpServer::start_with(options).await
}

/// A kind of request that is refused: which server, and the headers and recipients it varies over.
struct Kind<'s> {
    server: &'s HttpServer,
    recipients: Vec<String>,
    token: Option<String>,
}

impl Kind<'_> {
    /// The bytes of one request; as long as those of the other kinds.
    fn request(&self, turns: &mut Random) -> Vec<u8> {
        let recipient = turns.number_below(self.recipients.len() as u64);
        let recipient = &self.recipients[usize::try_from(recipient).unwrap()];
        let token = self.token.as_ref();
        let token = token.map_or_else(String::new, |token| format!("delivery-token: {token}\r\n"));
        let head = format!(
            "POST /v1/queues/{recipient}/messages HTTP/1.1\r\nhost: {}\r\nidempotency-key: {}\r\n{token}content-type: application/octet-stream\r\ncontent-length: 512\r\n\r\n",
            self.server.authority(),
            fresh(),
        );
        let mut bytes = head.into_bytes();
        bytes.extend([7; 512]);
        bytes
    }
}

/// Sends one request and reads its answer, which is a refusal; tells how long its first byte took.
async fn ask(stream: &mut TcpStream, request: &[u8]) -> Duration {
    let mut answer = vec![0; 4096];
    let started = Instant::now();
    stream.write_all(request).await.unwrap();
    let mut filled = stream.read(&mut answer).await.unwrap();
    let took = started.elapsed();
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    while !answer[..filled].ends_with(b"}") {
        let more = stream.read(&mut answer[filled..]).await.unwrap();
        assert!(more > 0, "cut off: {}", text(&answer[..filled]));
        filled += more;
    }
    assert!(answer.starts_with(b"HTTP/1.1 403 "), "{}", text(&answer));
    took
}

/// Asks in random turns until the time is over, on one connection to each server.
async fn measure(kinds: [&Kind<'_>; 2], seed: u64, until: Instant) -> Vec<Measurement> {
    let mut streams = Vec::new();
    for kind in kinds {
        let stream = TcpStream::connect(kind.server.address()).await.unwrap();
        stream.set_nodelay(true).unwrap();
        streams.push(stream);
    }
    let mut turns = Random::new(seed);
    let mut measurements = Vec::new();
    while Instant::now() < until {
        let second = turns.number_below(2) == 1;
        let request = kinds[usize::from(second)].request(&mut turns);
        let took = ask(&mut streams[usize::from(second)], &request).await;
        measurements.push(Measurement {
            second,
            time: took.as_secs_f64(),
        });
    }
    // The first answers of a connection carry what it cost to open it.
    measurements.split_off(measurements.len().min(5))
}

/// The t of two kinds.
async fn compare(first: &Kind<'_>, second: &Kind<'_>) -> f64 {
    let until = Instant::now() + MEASURED_FOR;
    let asked = (0..CONNECTIONS).map(|seed| measure([first, second], seed, until));
    let measurements = futures_util::future::join_all(asked).await.concat();
    let count = measurements.len();
    assert!(count >= MEASUREMENTS_MIN, "only {count} measurements");
    largest_t(&measurements)
}

async fn refusing(server: &HttpServer, numbers: std::ops::Range<u64>) -> Vec<String> {
    let mut recipients = Vec::new();
    for number in numbers {
        let wallet = Wallet::registered(number, server).await;
        wallet.set_policy(StrangerPolicy::Refuse, server).await;
        recipients.push(wallet.messaging.hex());
    }
    recipients
}

#[tokio::test]
async fn a_refusal_takes_as_long_whatever_the_reason() {
    let server = server_with(REFUSAL_TIME).await;
    let kind = |recipients: Vec<String>, token: Option<String>| Kind {
        server: &server,
        recipients,
        token,
    };
    let exists = kind(refusing(&server, 1..5).await, None);
    let missing = (11..15).map(|number| Wallet::new(number).messaging.hex());
    let missing = kind(missing.collect(), None);
    let t = compare(&exists, &missing).await;
    assert!(t < T_MAX, "existing and missing recipients differ: t = {t}");

    let bob = Wallet::registered(20, &server).await;
    bob.set_policy(StrangerPolicy::Refuse, &server).await;
    bob.add_tokens(&[(token(1), DeliveryTokenUse::Lasting)], &server)
        .await;
    revoke(&bob, &[token(1)], &server).await;
    let bob = vec![bob.messaging.hex()];
    let revoked = kind(bob.clone(), Some(token_text(1)));
    let stranger = kind(bob, Some(token_text(2)));
    let t = compare(&revoked, &stranger).await;
    assert!(t < T_MAX, "revoked and unknown tokens differ: t = {t}");
    server.stop().await;
}

#[tokio::test]
async fn the_measure_finds_a_difference_where_there_is_one() {
    let (quick, slow) = tokio::join!(
        server_with(REFUSAL_TIME),
        server_with(REFUSAL_TIME + DIFFERENCE)
    );
    let missing = |server| Kind {
        server,
        recipients: vec![Wallet::new(9).messaging.hex()],
        token: None,
    };
    let t = compare(&missing(&quick), &missing(&slow)).await;
    assert!(
        t > T_MAX,
        "a difference of {DIFFERENCE:?} was not found: t = {t}"
    );
    quick.stop().await;
    slow.stop().await;
}
