//! A repeat of a command gives the first answer, also after a restart of the server.

use std::path::Path;
use std::sync::Arc;

use satpost_api_types::addresses::WatchAddressesResponse;
use satpost_api_types::messages::{AcknowledgeMessagesResponse, SendMessageResponse};
use satpost_api_types::problem::ProblemCode as Code;
use satpost_event_store::EventStore;
use satpost_event_store::embedded::{EmbeddedEventStore, EmbeddedOptions};
use satpost_event_store::memory::MemoryEventStore;
use satpost_tests::faulty_store::Fault;
use satpost_tests::http_server::HttpServer;

use super::wallet::Wallet;

async fn on_disk(folder: &Path) -> Arc<dyn EventStore> {
    let options = EmbeddedOptions {
        segment_bytes: 1024 * 1024,
        blob_segment_bytes: 1024 * 1024,
        ..EmbeddedOptions::new(folder)
    };
    let opened = tokio::task::spawn_blocking(move || EmbeddedEventStore::open(&options));
    Arc::new(opened.await.unwrap().unwrap())
}

#[tokio::test]
async fn gives_the_first_answer_to_a_repeated_send() {
    let server = HttpServer::start().await;
    let alice = Wallet::registered(1, &server).await;
    let bob = Wallet::registered(2, &server).await;
    let message = alice.message(&bob, 7);
    let first = message.send(&server).await;
    let second = message.send(&server).await;
    assert_eq!(first.header("idempotent-replayed"), None);
    assert_eq!(second.header("idempotent-replayed"), Some("true"));
    let (first, second): (SendMessageResponse, SendMessageResponse) =
        (first.expect(201), second.expect(201));
    assert_eq!(second, first);
    assert_eq!(bob.fetch(&server).await.messages.len(), 1);

    let key = message.idempotency_key.clone().unwrap();
    let other_body = alice
        .message(&bob, 8)
        .idempotency_key(&key)
        .send(&server)
        .await;
    other_body.expect_problem(Code::IdempotencyMismatch);
    let other_ttl = message.header("ttl", 3_600).send(&server).await;
    other_ttl.expect_problem(Code::IdempotencyMismatch);
    server.stop().await;
}

async fn repeats_after_a_restart(open: impl AsyncFn() -> Arc<dyn EventStore>) {
    let server = HttpServer::start_over(open().await).await;
    let alice = Wallet::registered(1, &server).await;
    let bob = Wallet::registered(2, &server).await;
    let message = alice.message(&bob, 7);
    let watch = alice.watch(&["bcrt1qw508d6qejxtdg4y5r3zarvary0c5xw7kygt080"]);
    let sent: SendMessageResponse = message.send(&server).await.expect(201);
    let watched: WatchAddressesResponse = watch.send(&server).await.expect(200);
    let chain = bob.fetch(&server).await.head.chain;
    let acknowledge = bob.acknowledge(1, &chain);
    let done: AcknowledgeMessagesResponse = acknowledge.send(&server).await.expect(200);
    assert_eq!(done.deleted, 1);
    server.stop().await;

    let server = HttpServer::start_over(open().await).await;
    let again = message.send(&server).await;
    assert_eq!(again.header("idempotent-replayed"), Some("true"));
    let again: SendMessageResponse = again.expect(201);
    assert_eq!((again.id, again.accepted_at), (sent.id, sent.accepted_at));
    let rewatched: WatchAddressesResponse = watch.send(&server).await.expect(200);
    assert_eq!(rewatched, watched);
    let redone: AcknowledgeMessagesResponse = acknowledge.send(&server).await.expect(200);
    // The server of this test has another key after each start.
    assert_eq!((redone.deleted, redone.at), (done.deleted, done.at));
    // What was acknowledged does not come back.
    assert!(bob.fetch(&server).await.messages.is_empty());
    server.stop().await;
}

#[tokio::test]
async fn gives_the_first_answer_after_a_restart_in_memory() {
    let store = MemoryEventStore::new();
    repeats_after_a_restart(async || Arc::new(store.clone()) as Arc<dyn EventStore>).await;
}

#[tokio::test]
async fn gives_the_first_answer_after_a_restart_on_disk() {
    let folder = tempfile::tempdir().unwrap();
    repeats_after_a_restart(async || on_disk(folder.path()).await).await;
}

#[tokio::test]
async fn changes_nothing_while_the_log_takes_nothing() {
    let server = HttpServer::start().await;
    let alice = Wallet::registered(1, &server).await;
    let bob = Wallet::registered(2, &server).await;
    let message = alice.message(&bob, 7);
    for (fault, code) in [
        (Fault::Unavailable, Code::Unavailable),
        (Fault::Full, Code::StorageFull),
    ] {
        server.store.set(fault);
        let refused = message.send(&server).await;
        let problem = refused.expect_problem(code);
        assert!(refused.header("retry-after").is_some());
        assert!(!format!("{problem:?}").contains("secret"), "{problem:?}");
    }
    server.store.set(Fault::Conflict);
    message.send(&server).await.expect_problem(Code::Conflict);
    server.store.set(Fault::None);
    message
        .send(&server)
        .await
        .expect::<SendMessageResponse>(201);
    assert_eq!(bob.fetch(&server).await.messages.len(), 1);
    server.stop().await;
}
