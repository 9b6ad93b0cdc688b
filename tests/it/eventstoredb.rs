//! The real `satpostd` with its log on a server of the EventStoreDB protocol: our facade.

use std::fs;
use std::net::SocketAddr;
use std::sync::Arc;

use satpost_api_types::mailboxes::StrangerPolicy;
use satpost_api_types::messages::{AcknowledgeMessagesRequest, AcknowledgeThrough, Delivery};
use satpost_client::http::{FetchMessages, HttpClient, HttpOptions};
use satpost_client::keys::{IdentitySecret, MessagingSecret};
use satpost_client::seed::Seed;
use satpost_domain::limits::MESSAGE_SIZE_BUCKETS;
use satpost_domain::{CommandId, Position};
use satpost_event_store::EventStore;
use satpost_event_store::memory::MemoryEventStore;
use satpost_eventstoredb::facade::{self, FacadeOptions};
use satpost_tests::process::{ServerProcess, free_address};
use tokio::net::TcpListener;
use tokio_util::sync::CancellationToken;

/// Serves `log` at `address`, for as long as the test runs.
async fn serve(log: Arc<dyn EventStore>, address: SocketAddr) {
    let listener = TcpListener::bind(address).await.unwrap();
    let options = FacadeOptions {
        append: true,
        ..FacadeOptions::default()
    };
    tokio::spawn(facade::serve(
        listener,
        log,
        options,
        CancellationToken::new(),
    ));
}

struct Phone {
    identity: IdentitySecret,
    messaging: MessagingSecret,
    http: HttpClient,
}

impl Phone {
    async fn register(url: &str, number: u8) -> Self {
        let seed = Seed::from_entropy(&[number; 16]).unwrap();
        let base = satpost_client::base_url::parse(url).unwrap();
        let phone = Self {
            identity: IdentitySecret::derive(&seed),
            messaging: MessagingSecret::derive(&seed, 0),
            http: HttpClient::new(base, HttpOptions::default()).unwrap(),
        };
        phone
            .http
            .register_client(&phone.identity, &phone.messaging)
            .await
            .unwrap();
        let opened = phone
            .http
            .set_stranger_policy(&phone.messaging, StrangerPolicy::Open);
        opened.await.unwrap();
        phone
    }

    async fn send(&self, to: &Self, number: u8) {
        let body = vec![number; MESSAGE_SIZE_BUCKETS[0]];
        let command = CommandId::new([number; 16]);
        self.http
            .send_message(&self.identity, &to.messaging.public(), &body, None, command)
            .await
            .unwrap();
    }

    /// The bodies that wait, and the last message's place.
    async fn fetch(&self) -> (Vec<Vec<u8>>, Option<Delivery>) {
        let page = self
            .http
            .fetch_messages(&self.messaging, FetchMessages::default())
            .await
            .unwrap();
        let mut messages = page.map_or_else(Vec::new, |page| page.messages);
        let bodies = messages
            .iter()
            .map(|delivery| delivery.body.as_deref().unwrap().to_vec())
            .collect();
        (bodies, messages.pop())
    }

    async fn acknowledge(&self, last: &Delivery) {
        let request = AcknowledgeMessagesRequest::Through(AcknowledgeThrough {
            through: last.seq,
            chain: last.chain.clone(),
        });
        self.http
            .acknowledge_messages(&self.messaging, &request)
            .await
            .unwrap();
    }
}

fn body(number: u8) -> Vec<u8> {
    vec![number; MESSAGE_SIZE_BUCKETS[0]]
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn carries_messages_over_restarts_and_a_rebuild() {
    let address = free_address();
    let log: Arc<dyn EventStore> = Arc::new(MemoryEventStore::new());
    let folder = tempfile::tempdir().unwrap();
    let data = folder.path().join("satpost");
    let connection = format!("esdb://{address}?tls=false");
    let extra = ["--log".to_owned(), connection];
    serve(Arc::clone(&log), address).await;
    let start = {
        let data = data.clone();
        move || ServerProcess::start(&data, &extra)
    };
    let mut server = tokio::task::spawn_blocking(start).await.unwrap();
    let alice = Phone::register(&server.url(), 1).await;
    let bob = Phone::register(&server.url(), 2).await;
    alice.send(&bob, 11).await;
    alice.send(&bob, 12).await;
    let (bodies, _) = bob.fetch().await;
    assert_eq!(bodies, [body(11), body(12)]);
    assert!(log.head().await.unwrap() > Position::START);

    // Stopped in good order, and started again: everything is there.
    let mut server = tokio::task::spawn_blocking(move || {
        assert_eq!(server.stop(), Some(0), "{}", server.log_tail());
        server.start_again();
        server
    })
    .await
    .unwrap();
    let (bodies, last) = bob.fetch().await;
    assert_eq!(bodies, [body(11), body(12)]);
    bob.acknowledge(&last.unwrap()).await;
    alice.send(&bob, 13).await;

    // Killed, and started without its snapshots: everything is built again from the log.
    let _server = tokio::task::spawn_blocking(move || {
        server.kill();
        let snapshots = data.join("projections");
        if snapshots.exists() {
            fs::remove_dir_all(snapshots).unwrap();
        }
        server.start_again();
        server
    })
    .await
    .unwrap();
    let (bodies, _) = bob.fetch().await;
    assert_eq!(bodies, [body(13)]);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn waits_for_a_cluster_that_is_not_there_yet() {
    let address = free_address();
    let folder = tempfile::tempdir().unwrap();
    let data = folder.path().join("satpost");
    let extra = ["--log".to_owned(), format!("esdb://{address}?tls=false")];
    let starting = tokio::task::spawn_blocking(move || ServerProcess::start(&data, &extra));
    tokio::time::sleep(std::time::Duration::from_millis(700)).await;
    serve(Arc::new(MemoryEventStore::new()), address).await;
    let server = starting.await.unwrap();
    Phone::register(&server.url(), 1).await;
}
