//! Messages find the key that their recipient uses now.

use std::sync::Arc;

use reqwest::Method;
use satpost_api_types::clients::RotateMessagingKeyRequest;
use satpost_api_types::messages::{
    AcknowledgeMessagesResponse, FetchMessagesResponse, SendMessageResponse, receipt_bytes,
};
use satpost_api_types::problem::ProblemCode as Code;
use satpost_domain::ids::parse_hex;
use satpost_domain::mailbox::Mailbox;
use satpost_domain::{ClientId, MessagingKey, StreamId, hash};
use satpost_event_store::EventStore;
use satpost_event_store::memory::MemoryEventStore;
use satpost_projections::push_outbox::DueKind;
use satpost_tests::http_server::{HttpServer, ServerOptions};
use satpost_tests::signed_request::{Answer, Request, RequestKey};

use super::push::use_push_target;
use super::wallet::{Wallet, then};

/// The number of the wallet that rotates.
const BOB: u64 = 2;

async fn start(store: &MemoryEventStore, processes: bool) -> HttpServer {
    HttpServer::start_with(ServerOptions {
        store: Arc::new(store.clone()) as Arc<dyn EventStore>,
        processes,
        ..ServerOptions::default()
    })
    .await
}

/// The wallet of Bob with another messaging key.
async fn rotate(server: &HttpServer, wallet: &Wallet) -> Wallet {
    let next = Wallet {
        messaging: RequestKey::new(1_001),
        ..Wallet::new(BOB)
    };
    let path = "/v1/clients/self/messaging-key";
    let answer = Request::command(Method::PUT, path, &wallet.identity)
        .json(&RotateMessagingKeyRequest {
            client_id: wallet.identity.hex(),
            messaging_key: next.messaging.hex(),
        })
        .proven_by(&next.messaging)
        .send(server)
        .await;
    answer.expect_empty(204);
    next
}

/// Waits until messages to `wallet` are passed on.
async fn forwarded(server: &HttpServer, wallet: &Wallet) {
    let key = MessagingKey::new(wallet.messaging.bytes()).unwrap();
    let mailbox = StreamId::mailbox(key);
    loop {
        let state = server.handler.state::<Mailbox>(&mailbox).await.unwrap();
        if state.forward().is_some() {
            return;
        }
        tokio::task::yield_now().await;
    }
}

async fn line_after(server: &HttpServer, sent: &Answer, wallet: &Wallet) -> FetchMessagesResponse {
    let line = then(sent, wallet.query("/v1/messages"), server).await;
    line.expect(200)
}

#[tokio::test]
async fn a_message_to_a_former_key_reaches_the_present_one() {
    let server = start(&MemoryEventStore::new(), true).await;
    let alice = Wallet::registered(1, &server).await;
    let old = Wallet::registered(BOB, &server).await;
    alice.send(&old, 1, &server).await;
    let new = rotate(&server, &old).await;
    forwarded(&server, &old).await;

    let sent = alice.message(&old, 2).send(&server).await;
    let answer: SendMessageResponse = sent.expect(201);
    let line = line_after(&server, &sent, &new).await;
    assert_eq!(line.messages.len(), 1);
    assert_eq!(
        (line.messages[0].seq, &line.messages[0].id),
        (1, &answer.id)
    );

    // The receipt is about the key that was written to: its sender knows no other.
    let digest = hash::sha256(&[2; 512]);
    let holds = |recipient: &Wallet| {
        let recipient = recipient.messaging.bytes();
        let (accepted_at, expires_at) = (answer.accepted_at, answer.expires_at);
        let signed = receipt_bytes(&recipient, digest.as_bytes(), accepted_at, expires_at);
        let key = ClientId::new(server.keys.public_key()).unwrap();
        let receipt = parse_hex(&answer.receipt).unwrap();
        key.verify(&signed, &receipt).is_ok()
    };
    assert!(holds(&old) && !holds(&new));

    // What came before the rotation is still fetched with the former key, and let go.
    let before = old.fetch(&server).await;
    assert_eq!(before.messages.len(), 1);
    let drained = old.acknowledge(1, &before.head.chain).send(&server).await;
    let answer: AcknowledgeMessagesResponse = drained.expect(200);
    assert_eq!((answer.deleted, answer.receipt.is_some()), (1, true));
    assert!(
        line_after(&server, &drained, &old)
            .await
            .messages
            .is_empty()
    );
    server.stop().await;
}

#[tokio::test]
async fn a_message_that_is_sent_again_over_a_rotation_is_one_message() {
    let server = start(&MemoryEventStore::new(), true).await;
    let alice = Wallet::registered(1, &server).await;
    let old = Wallet::registered(BOB, &server).await;
    let early = alice.message(&old, 1);
    let late = alice.message(&old, 2);
    let first: SendMessageResponse = early.send(&server).await.expect(201);
    let new = rotate(&server, &old).await;
    forwarded(&server, &old).await;
    let second: SendMessageResponse = late.send(&server).await.expect(201);
    for (message, answer) in [(&early, &first), (&late, &second)] {
        let again = message.send(&server).await;
        assert_eq!(again.header("idempotent-replayed"), Some("true"));
        assert_eq!(&again.expect::<SendMessageResponse>(201), answer);
    }
    let fresh = alice.message(&new, 3).send(&server).await;
    let ids = |line: &FetchMessagesResponse| -> Vec<String> {
        line.messages
            .iter()
            .map(|message| message.id.clone())
            .collect()
    };
    let third: SendMessageResponse = fresh.expect(201);
    assert_eq!(ids(&line_after(&server, &fresh, &old).await), [first.id]);
    let line = line_after(&server, &fresh, &new).await;
    assert_eq!(ids(&line), [second.id, third.id]);
    server.stop().await;
}

#[tokio::test]
async fn a_server_that_ended_before_it_could_pass_messages_on_does_so_after_its_start() {
    let store = MemoryEventStore::new();
    let server = start(&store, false).await;
    let alice = Wallet::registered(1, &server).await;
    let old = Wallet::registered(BOB, &server).await;
    let new = rotate(&server, &old).await;
    let sent = alice.message(&old, 1).send(&server).await;
    // Nobody was told yet: the former mailbox takes it, and its owner fetches it there.
    assert_eq!(line_after(&server, &sent, &old).await.messages.len(), 1);
    server.stop().await;

    let server = start(&store, true).await;
    forwarded(&server, &old).await;
    let sent = alice.message(&old, 2).send(&server).await;
    sent.expect::<SendMessageResponse>(201);
    assert_eq!(line_after(&server, &sent, &new).await.messages.len(), 1);
    assert_eq!(line_after(&server, &sent, &old).await.messages.len(), 1);
    server.stop().await;
}

#[tokio::test]
async fn a_retired_client_gets_nothing_under_any_of_its_keys() {
    let server = start(&MemoryEventStore::new(), true).await;
    let alice = Wallet::registered(1, &server).await;
    let old = Wallet::registered(BOB, &server).await;
    let new = rotate(&server, &old).await;
    forwarded(&server, &old).await;
    let retired = Request::command(Method::DELETE, "/v1/clients/self", &old.identity);
    assert!(retired.send(&server).await.status.is_success());
    let mut problems = Vec::new();
    for wallet in [&old, &new] {
        let answer = loop {
            let answer = alice.message(wallet, 1).send(&server).await;
            // Its mailboxes are closed one after the other.
            if !answer.status.is_success() {
                break answer;
            }
        };
        let mut problem = answer.expect_problem(Code::DeliveryRefused);
        problem.request_id = String::new();
        problems.push(problem);
    }
    assert_eq!(problems[0], problems[1]);
    server.stop().await;
}

#[tokio::test]
async fn a_message_that_is_passed_on_wakes_the_phone() {
    let server = start(&MemoryEventStore::new(), true).await;
    let alice = Wallet::registered(1, &server).await;
    let old = Wallet::registered(BOB, &server).await;
    use_push_target(&server, &old).await;
    let new = rotate(&server, &old).await;
    forwarded(&server, &old).await;
    let woken = || {
        let due = server.read_model.push_outbox().due(None, usize::MAX);
        due.iter()
            .filter(|due| matches!(due.kind, DueKind::Wake { .. }))
            .map(|due| *due.client.as_bytes())
            .collect::<Vec<_>>()
    };
    assert!(woken().is_empty());
    let sent = alice.message(&old, 2).send(&server).await;
    line_after(&server, &sent, &new).await;
    assert_eq!(woken(), [old.identity.bytes()]);
    server.stop().await;
}
