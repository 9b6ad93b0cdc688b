//! Whatever ends a payload, nothing of it is left in any file within a minute: messages that are
//! acknowledged, parked and done with, wiped, expired or their client retired; addresses that are
//! watched no longer; push targets that are replaced or removed.

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use reqwest::Method;
use satpost_api_types::addresses::{UnwatchAddressesRequest, WatchEntry};
use satpost_api_types::messages::{
    AcknowledgeMessagesRequest, AcknowledgeParked, ParkMessages, ParkedMessage,
};
use satpost_api_types::push::SetPushTargetRequest;
use satpost_commands::Handler;
use satpost_domain::hash::sha256;
use satpost_domain::{PayloadId, Position};
use satpost_event_store::EventStore;
use satpost_event_store::embedded::{EmbeddedEventStore, EmbeddedOptions};
use satpost_event_store::payload_store::canary::Canaries;
use satpost_infra::erasure::check::{BYTES_GRACE, check};
use satpost_infra::event_log::StoredEventLog;
use satpost_infra::processes::{self, Checkpoint};
use satpost_infra::system::{SystemClock, SystemIds};
use satpost_tests::http_server::HttpServer;
use satpost_tests::signed_request::{Answer, Request};
use tokio::task::JoinSet;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use super::wallet::Wallet;

const KEPT: &str = "bcrt1qw508d6qejxtdg4y5r3zarvary0c5xw7kygt080";
const DROPPED: &str = "bcrt1qrp33g0q5c5txsp9arysrx4k6zdkfs4nce4xj0gdcccefvpysxf3qzf4jry";

/// 512 bytes that are nowhere else.
fn body(number: u8) -> Vec<u8> {
    let pieces = (0..16_u8).map(|piece| *sha256(&[number, piece]).as_bytes());
    pieces.flatten().collect()
}

fn target(number: u8) -> SetPushTargetRequest {
    let mut p256dh = [4; 65];
    p256dh[1..].copy_from_slice(&body(number)[..64]);
    SetPushTargetRequest::WebPush {
        endpoint: format!("https://push.example/{}", sha256(&[number])),
        p256dh: URL_SAFE_NO_PAD.encode(p256dh),
        auth: URL_SAFE_NO_PAD.encode(&body(number)[64..80]),
    }
}

fn success(answer: &Answer) {
    assert!(answer.status.is_success(), "{}", answer.text());
}

/// The processes of a server.
fn start_processes(
    data: &Path,
    store: &Arc<EmbeddedEventStore>,
    server: &HttpServer,
    stop: &CancellationToken,
) -> JoinSet<()> {
    let log = StoredEventLog::new(Arc::clone(store) as Arc<dyn EventStore>);
    let ids = Arc::new(SystemIds::new());
    let handler = Handler::new(Arc::new(log.clone()), server.clock.clone(), ids);
    let checkpoint = Checkpoint::load(&data.join("processes"), "clients").unwrap();
    let mut processes = JoinSet::new();
    processes.spawn(processes::run_expiry(
        handler.clone(),
        server.read_model.clone(),
        stop.clone(),
    ));
    processes.spawn(processes::run_client_processes(
        handler,
        Arc::new(log),
        checkpoint,
        stop.clone(),
    ));
    processes
}

/// Every payload there is, with its bytes.
async fn payloads(store: &EmbeddedEventStore) -> Vec<(PayloadId, Vec<u8>)> {
    let mut payloads = Vec::new();
    for event in store.read_all(Position::START, 1_000).await.unwrap() {
        if let Some(id) = event.payload {
            let bytes = store.payload(id).await.unwrap();
            payloads.push((id, bytes.expect("nothing is closed yet")));
        }
    }
    payloads
}

async fn send(server: &HttpServer, from: &Wallet, to: &Wallet, number: u8) {
    let message = from.message_of(to, body(number)).header("ttl", 60);
    success(&message.send(server).await);
}

async fn set_push(server: &HttpServer, wallet: &Wallet, number: u8) {
    let set = Request::command(Method::PUT, "/v1/push", &wallet.identity).json(&target(number));
    success(&set.send(server).await);
}

/// The wallets of the scene, and what each of them has before it lets go of it.
struct Scene {
    sender: Wallet,
    reader: Wallet,
    parker: Wallet,
    wiper: Wallet,
    sleeper: Wallet,
    leaver: Wallet,
}

impl Scene {
    async fn set(server: &HttpServer) -> Self {
        let scene = Self {
            sender: Wallet::registered(1, server).await,
            reader: Wallet::registered(2, server).await,
            parker: Wallet::registered(3, server).await,
            wiper: Wallet::registered(4, server).await,
            sleeper: Wallet::registered(5, server).await,
            leaver: Wallet::registered(6, server).await,
        };
        let recipients = [
            &scene.reader,
            &scene.parker,
            &scene.wiper,
            &scene.sleeper,
            &scene.leaver,
        ];
        for (number, recipient) in (1..).zip(recipients) {
            send(server, &scene.sender, recipient, number).await;
        }
        success(&scene.reader.watch(&[DROPPED]).send(server).await);
        success(&scene.leaver.watch(&[KEPT]).send(server).await);
        for (number, wallet) in (11..).zip([&scene.reader, &scene.parker, &scene.leaver]) {
            set_push(server, wallet, number).await;
        }
        scene
    }

    /// Ends everything that was there.
    async fn close(&self, server: &HttpServer) {
        let page = self.reader.fetch(server).await;
        let last = page.messages.last().unwrap();
        let done = self.reader.acknowledge(last.seq, &last.chain);
        success(&done.send(server).await);

        let id = self.parker.fetch(server).await.messages[0].id.clone();
        let park = AcknowledgeMessagesRequest::Park(ParkMessages {
            park: vec![ParkedMessage {
                id: id.clone(),
                reason: "decrypt".to_owned(),
            }],
        });
        success(&self.parker.done_with(&park).send(server).await);
        let done = AcknowledgeMessagesRequest::Parked(AcknowledgeParked { parked: vec![id] });
        success(&self.parker.done_with(&done).send(server).await);

        let wipe = Request::command(Method::DELETE, "/v1/queue", &self.wiper.messaging);
        success(&wipe.send(server).await);

        let unwatch = UnwatchAddressesRequest {
            addresses: vec![WatchEntry::Address(DROPPED.to_owned())],
        };
        let identity = &self.reader.identity;
        let unwatch = Request::command(Method::DELETE, "/v1/addresses", identity).json(&unwatch);
        success(&unwatch.send(server).await);
        set_push(server, &self.reader, 21).await;
        let remove = Request::command(Method::DELETE, "/v1/push", &self.parker.identity);
        success(&remove.send(server).await);

        let retire = Request::command(Method::DELETE, "/v1/clients/self", &self.leaver.identity);
        success(&retire.send(server).await);
        // The sleeper's message expires.
        server.clock.set_offset_ms(61_000);
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn nothing_is_left_of_what_ended_whatever_ended_it() {
    let folder = tempfile::tempdir().unwrap();
    let data = folder.path().join("data");
    // Small files are searched quickly.
    let options = EmbeddedOptions {
        segment_bytes: 1024 * 1024,
        blob_segment_bytes: 1024 * 1024,
        ..EmbeddedOptions::new(&data)
    };
    let store = Arc::new(EmbeddedEventStore::open(&options).unwrap());
    let server = HttpServer::start_over(Arc::clone(&store) as Arc<dyn EventStore>).await;
    let stop = CancellationToken::new();
    let mut processes = start_processes(&data, &store, &server, &stop);
    let scene = Scene::set(&server).await;
    let mut canaries = Canaries::default();
    let ending = payloads(&store).await;
    assert_eq!(ending.len(), 5 + 2 + 3);
    canaries.remember(&data, &ending).unwrap();
    let kept = scene.sender.message_of(&scene.sender, body(99));
    success(&kept.send(&server).await);
    assert!(!canaries.traces(&data).unwrap().is_empty());

    scene.close(&server).await;
    let closed = Instant::now();
    loop {
        let traces = canaries.traces(&data).unwrap();
        if traces.is_empty() {
            break;
        }
        assert!(closed.elapsed() < BYTES_GRACE, "still there: {traces:?}");
        tokio::time::sleep(Duration::from_millis(200)).await;
    }
    for (id, _) in &ending {
        assert_eq!(store.payload(*id).await.unwrap(), None);
    }
    server.stop().await;
    stop.cancel();
    while processes.join_next().await.is_some() {}
    drop(store);
    let checked = check(&data, &SystemClock, &|_, _| ()).unwrap();
    assert_eq!(checked.findings, []);
    // The sender's own message and the push target that replaced another one.
    let numbers = (checked.open, checked.readable, checked.closed);
    assert_eq!(numbers, (2, 2, ending.len() as u64));
}
