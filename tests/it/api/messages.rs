//! Sending, fetching, acknowledging.

use std::time::Duration;

use reqwest::Method;
use satpost_api_types::messages::{
    AcknowledgeMessagesRequest, AcknowledgeMessagesResponse, AcknowledgeParked,
    FetchMessagesResponse, ParkMessages, ParkedMessage, QueueResponse, SendMessageResponse,
    WipeQueueResponse, head_bytes, receipt_bytes,
};
use satpost_api_types::problem::ProblemCode as Code;
use satpost_domain::ids::{Digest, parse_hex};
use satpost_domain::mailbox::{chain_start, extend_chain};
use satpost_domain::{ClientId, MessagingKey, hash};
use satpost_tests::faulty_store::Fault;
use satpost_tests::http_server::HttpServer;
use satpost_tests::signed_request::Request;
use tokio::time::Instant;

use super::wallet::{Wallet, then};

async fn pair(server: &HttpServer) -> (Wallet, Wallet) {
    (
        Wallet::registered(1, server).await,
        Wallet::registered(2, server).await,
    )
}

fn verify(server: &HttpServer, message: &[u8], signature: &str) {
    let key = ClientId::new(server.keys.public_key()).unwrap();
    let signature = parse_hex(signature).unwrap();
    key.verify(message, &signature).unwrap();
}

#[tokio::test]
async fn delivers_a_message_with_a_receipt_and_a_signed_head() {
    let server = HttpServer::start().await;
    let (alice, bob) = pair(&server).await;
    let sent = alice.send(&bob, 7, &server).await;
    let digest = *hash::sha256(&[7; 512]).as_bytes();
    let recipient = bob.messaging.bytes();
    let receipt = receipt_bytes(&recipient, &digest, sent.accepted_at, sent.expires_at);
    verify(&server, &receipt, &sent.receipt);

    let fetched = bob.fetch(&server).await;
    let [message] = &fetched.messages[..] else {
        panic!("{fetched:?}");
    };
    assert_eq!((message.seq, &message.id), (1, &sent.id));
    assert_eq!(message.body.as_deref(), Some(&[7; 512][..]));
    let mailbox = MessagingKey::new(recipient).unwrap();
    let id = message.id.parse().unwrap();
    let chain = extend_chain(chain_start(&mailbox), 1, id, Digest::new(digest));
    assert_eq!(message.chain, chain.to_string());
    assert_eq!((fetched.head.seq, &fetched.head.chain), (1, &message.chain));
    let head = head_bytes(&recipient, 1, chain.as_bytes());
    verify(&server, &head, &fetched.head.signature);
    server.stop().await;
}

#[tokio::test]
async fn delivers_in_order_in_pages_until_acknowledged() {
    let server = HttpServer::start().await;
    let (alice, bob) = pair(&server).await;
    for byte in 1..=5 {
        alice.send(&bob, byte, &server).await;
    }
    let page: FetchMessagesResponse = bob
        .query("/v1/messages?limit=2")
        .send(&server)
        .await
        .expect(200);
    assert_eq!((page.cursor, page.more), (2, true));
    // The head never goes beyond what was delivered.
    assert_eq!(page.head.seq, 2);
    let rest: FetchMessagesResponse = bob
        .query("/v1/messages?after=2&max_bytes=1024")
        .send(&server)
        .await
        .expect(200);
    let seqs: Vec<_> = rest.messages.iter().map(|message| message.seq).collect();
    assert_eq!((seqs, rest.more), (vec![3, 4], true));

    let acknowledged = bob.acknowledge(2, &page.head.chain).send(&server).await;
    let done: AcknowledgeMessagesResponse = acknowledged.expect(200);
    assert_eq!(done.deleted, 2);
    let after = then(&acknowledged, bob.query("/v1/messages"), &server).await;
    let after: FetchMessagesResponse = after.expect(200);
    assert_eq!(after.messages.first().map(|message| message.seq), Some(3));
    let repeated = bob.acknowledge(2, &page.head.chain).send(&server).await;
    assert_eq!(
        repeated.expect::<AcknowledgeMessagesResponse>(200).deleted,
        0
    );
    server.stop().await;
}

#[tokio::test]
async fn refuses_an_acknowledgement_that_is_ahead_or_of_another_chain() {
    let server = HttpServer::start().await;
    let (alice, bob) = pair(&server).await;
    alice.send(&bob, 1, &server).await;
    let chain = bob.fetch(&server).await.head.chain;
    let ahead = bob.acknowledge(2, &chain).send(&server).await;
    ahead.expect_problem(Code::AckAheadOfDelivery);
    let other = bob.acknowledge(1, &"00".repeat(32)).send(&server).await;
    let problem = other.expect_problem(Code::ChainMismatch);
    assert!(
        !format!("{problem:?}").contains(&chain),
        "the chain is a proof of delivery"
    );
    assert_eq!(bob.fetch(&server).await.messages.len(), 1);
    server.stop().await;
}

#[tokio::test]
async fn parks_a_message_without_blocking_the_rest() {
    let server = HttpServer::start().await;
    let (alice, bob) = pair(&server).await;
    let first = alice.send(&bob, 1, &server).await;
    alice.send(&bob, 2, &server).await;
    let park = AcknowledgeMessagesRequest::Park(ParkMessages {
        park: vec![ParkedMessage {
            id: first.id.clone(),
            reason: "decrypt".to_owned(),
        }],
    });
    let parked = bob.done_with(&park).send(&server).await;
    let line = then(&parked, bob.query("/v1/messages"), &server).await;
    let line: FetchMessagesResponse = line.expect(200);
    assert_eq!(line.messages.len(), 1);
    assert_eq!(line.messages[0].seq, 2);

    let aside = bob.query("/v1/messages?parked=true").send(&server).await;
    let aside: FetchMessagesResponse = aside.expect(200);
    assert_eq!(aside.messages[0].id, first.id);
    assert_eq!(aside.messages[0].parked.as_deref(), Some("decrypt"));
    assert_eq!(
        aside.head.seq, 0,
        "a parked listing delivers nothing of the line"
    );
    assert!(!aside.more);

    let ids = AcknowledgeMessagesRequest::Parked(AcknowledgeParked {
        parked: vec![first.id],
    });
    let done: AcknowledgeMessagesResponse = bob.done_with(&ids).send(&server).await.expect(200);
    assert_eq!(done.deleted, 1);
    server.stop().await;
}

#[tokio::test]
async fn refuses_to_park_what_is_not_there_or_too_much() {
    let server = HttpServer::start().await;
    let (_, bob) = pair(&server).await;
    let park = |count: usize, reason: &str| {
        let message = ParkedMessage {
            id: "ab".repeat(16),
            reason: reason.to_owned(),
        };
        let park = vec![message; count];
        AcknowledgeMessagesRequest::Park(ParkMessages { park })
    };
    let unknown = bob.done_with(&park(1, "other")).send(&server).await;
    unknown.expect_problem(Code::UnknownMessage);
    let too_many = bob.done_with(&park(65, "other")).send(&server).await;
    assert_eq!(too_many.expect_problem(Code::LimitExceeded).limit, Some(64));
    let no_reason = bob.done_with(&park(1, "bored")).send(&server).await;
    no_reason.expect_problem(Code::Malformed);
    server.stop().await;
}

#[tokio::test]
async fn refuses_messages_of_the_wrong_form() {
    let server = HttpServer::start().await;
    let (alice, bob) = pair(&server).await;
    let unpadded = alice.message_of(&bob, vec![0; 511]).send(&server).await;
    unpadded.expect_problem(Code::NotPadded);
    let large = alice
        .message_of(&bob, vec![0; 16 * 1024 + 1])
        .send(&server)
        .await;
    assert_eq!(large.expect_problem(Code::TooLarge).limit, Some(16 * 1024));
    let short_lived = alice.message(&bob, 1).header("ttl", 59).send(&server).await;
    short_lived.expect_problem(Code::TtlOutOfBounds);
    let timeless = alice
        .message(&bob, 1)
        .header("ttl", "soon")
        .send(&server)
        .await;
    timeless.expect_problem(Code::Malformed);
    let json = alice
        .message(&bob, 1)
        .body("application/json", vec![b' '; 512])
        .send(&server)
        .await;
    json.expect_problem(Code::UnsupportedMediaType);
    server.stop().await;
}

#[tokio::test]
async fn tells_senders_the_same_about_every_mailbox_that_takes_nothing() {
    let server = HttpServer::start().await;
    let alice = Wallet::registered(1, &server).await;
    let unknown = alice.message(&Wallet::new(7), 1).send(&server).await;
    unknown.expect_problem(Code::DeliveryRefused);
    let stranger = Wallet::new(8).message(&alice, 1).send(&server).await;
    stranger.expect_problem(Code::NotRegistered);
    let path = format!("/v1/queues/{}/messages", "00".repeat(32));
    let no_key = Request::command(Method::POST, &path, &alice.identity)
        .body("application/octet-stream", vec![0; 512]);
    no_key.send(&server).await.expect_problem(Code::InvalidKey);
    server.stop().await;
}

#[tokio::test]
async fn refuses_a_message_when_the_mailbox_is_full() {
    let server = HttpServer::start().await;
    let (alice, bob) = pair(&server).await;
    // 512 messages of 16 KiB are the 8 MiB that fit.
    for _ in 0..512 {
        let sent = alice
            .message_of(&bob, vec![1; 16 * 1024])
            .send(&server)
            .await;
        sent.expect::<SendMessageResponse>(201);
    }
    let refused = alice.message(&bob, 1).send(&server).await;
    refused.expect_problem(Code::QueueFull);
    server.stop().await;
}

#[tokio::test]
async fn tells_depth_and_wipes() {
    let server = HttpServer::start().await;
    let (alice, bob) = pair(&server).await;
    alice.send(&bob, 1, &server).await;
    alice.send(&bob, 2, &server).await;
    let queue: QueueResponse = bob.query("/v1/queue").send(&server).await.expect(200);
    assert_eq!((queue.messages, queue.bytes, queue.parked), (2, 1024, 0));
    let wiped = Request::command(Method::DELETE, "/v1/queue", &bob.messaging)
        .send(&server)
        .await;
    let answer: WipeQueueResponse = wiped.expect(200);
    assert_eq!(answer.deleted, 2);
    let page = then(&wiped, bob.query("/v1/messages"), &server).await;
    let page: FetchMessagesResponse = page.expect(200);
    let gone: Vec<_> = page
        .messages
        .iter()
        .map(|message| message.gone.as_deref())
        .collect();
    assert_eq!(gone, [Some("wiped"), Some("wiped")]);
    assert!(page.messages.iter().all(|message| message.body.is_none()));
    server.stop().await;
}

#[tokio::test]
async fn wakes_a_fetch_that_waits() {
    let server = HttpServer::start().await;
    let (alice, bob) = pair(&server).await;
    let started = Instant::now();
    let fetch = bob.query("/v1/messages").header("prefer", "wait=30");
    let (fetched, ()) = tokio::join!(fetch.send(&server), async {
        tokio::time::sleep(Duration::from_millis(300)).await;
        alice.send(&bob, 9, &server).await;
    });
    let page: FetchMessagesResponse = fetched.expect(200);
    assert_eq!(page.messages.len(), 1);
    assert_eq!(fetched.header("preference-applied"), Some("wait=30"));
    let waited = started.elapsed();
    assert!(waited > Duration::from_millis(300), "{waited:?}");
    assert!(waited < Duration::from_secs(5), "{waited:?}");
    server.stop().await;
}

#[tokio::test]
async fn says_when_nothing_came() {
    let server = HttpServer::start().await;
    let (_, bob) = pair(&server).await;
    let fetched = bob
        .query("/v1/messages")
        .header("prefer", "wait=1")
        .send(&server)
        .await;
    fetched.expect_empty(204);
    assert_eq!(fetched.header("preference-applied"), Some("wait=1"));
    let at_once = bob.fetch(&server).await;
    assert!(at_once.messages.is_empty() && !at_once.more);
    server.stop().await;
}

#[tokio::test]
async fn ends_a_fetch_that_waits_when_the_server_stops() {
    let server = HttpServer::start().await;
    let (_, bob) = pair(&server).await;
    let fetch = bob.query("/v1/messages").header("prefer", "wait=30");
    let headers = fetch.sign(&server);
    let mut request = server.http.get(format!("{}/v1/messages", server.base()));
    for (name, value) in &headers {
        request = request.header(*name, value);
    }
    let waiting = tokio::spawn(request.send());
    tokio::time::sleep(Duration::from_millis(300)).await;
    let took = server.stop().await;
    assert!(took < Duration::from_secs(5), "{took:?}");
    assert_eq!(waiting.await.unwrap().unwrap().status().as_u16(), 204);
}

#[tokio::test]
async fn never_skips_a_message_whose_body_is_lost() {
    let server = HttpServer::start().await;
    let (alice, bob) = pair(&server).await;
    alice.send(&bob, 1, &server).await;
    server.store.set(Fault::LostPayloads);
    let fetched = bob.query("/v1/messages").send(&server).await;
    let problem = fetched.expect_problem(Code::Internal);
    assert_eq!(problem.detail, None);
    server.store.set(Fault::None);
    assert_eq!(bob.fetch(&server).await.messages.len(), 1);
    server.stop().await;
}
