//! Official clients of EventStoreDB in other languages, unmodified, against our log: they append,
//! read, follow and are refused as they would be by the real server.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::Arc;
use std::time::Duration;

use satpost_commands::ports::{Clock, EventLog as _, Expected, NewEvent};
use satpost_domain::client::ClientEvent;
use satpost_domain::{
    ClientId, CommandId, Event, EventId, Metadata, PushTargetId, RequestDigest, StreamId, Timestamp,
};
use satpost_event_store::EventStore;
use satpost_event_store::memory::MemoryEventStore;
use satpost_eventstoredb::facade::{self, FacadeOptions};
use satpost_infra::event_log::StoredEventLog;
use satpost_infra::log_facade::StoredEventMeaning;
use satpost_infra::system::SystemClock;
use satpost_tests::process::{ServerProcess, free_address};
use tokio::net::TcpListener;
use tokio_util::sync::{CancellationToken, DropGuard};

/// How long one client may take for everything it does.
const CLIENT_DEADLINE: Duration = Duration::from_secs(100);

fn checkout() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR"))
        .parent()
        .expect("the tests crate is a folder of the checkout")
        .to_owned()
}

/// A language with an official client.
#[derive(Clone, Copy)]
enum Language {
    Node,
    Python,
}

/// Runs the script of a language against a facade and gives what it printed.
async fn drive(language: Language, address: SocketAddr, mode: &str) -> String {
    let home = checkout().join(".tools/clients");
    let scripts = checkout().join("tests/clients");
    let mut command = match language {
        Language::Node => {
            let mut node = Command::new("node");
            node.env("NODE_PATH", home.join("node/node_modules"));
            node.arg(scripts.join("node/facade.cjs"));
            node
        }
        Language::Python => {
            let mut python = Command::new(home.join("python/bin/python"));
            python.env("PYTHONDONTWRITEBYTECODE", "1");
            python.arg(scripts.join("python/facade.py"));
            python
        }
    };
    assert!(
        home.join("stamp").exists(),
        "the official clients are missing; run: scripts/clients"
    );
    command.arg(address.to_string()).arg(mode);
    let mut command = tokio::process::Command::from(command);
    command.kill_on_drop(true);
    let output = tokio::time::timeout(CLIENT_DEADLINE, command.output())
        .await
        .expect("the client ends in time")
        .expect("the client can be started; run: scripts/clients");
    assert!(
        output.status.success(),
        "{}\n{}",
        String::from_utf8_lossy(&output.stdout),
        String::from_utf8_lossy(&output.stderr)
    );
    String::from_utf8(output.stdout).expect("the scripts print text")
}

/// A log in memory behind a facade; it stops when this is dropped.
struct Served {
    store: MemoryEventStore,
    address: SocketAddr,
    _stop: DropGuard,
}

async fn served(options: FacadeOptions) -> Served {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let store = MemoryEventStore::new();
    let stop = CancellationToken::new();
    let serving = facade::serve(listener, Arc::new(store.clone()), options, stop.clone());
    tokio::spawn(async move {
        serving
            .await
            .expect("the facade serves until it is stopped");
    });
    Served {
        store,
        address,
        _stop: stop.drop_guard(),
    }
}

fn with_append() -> FacadeOptions {
    FacadeOptions {
        append: true,
        clock: Some(Arc::new(SystemClock)),
        ..FacadeOptions::default()
    }
}

/// What lies in a stream after a client was there, by types.
async fn kinds(store: &MemoryEventStore, stream: &str) -> Vec<String> {
    let stream: StreamId = stream.parse().unwrap();
    let page = store.read_stream_back(&stream, None, 100).await.unwrap();
    page.events
        .into_iter()
        .rev()
        .map(|event| event.kind)
        .collect()
}

#[tokio::test]
async fn the_client_for_node_appends_reads_and_follows() {
    let served = served(with_append()).await;
    drive(Language::Node, served.address, "append").await;
    assert_eq!(kinds(&served.store, "node-a").await, ["counted"; 5]);
    assert_eq!(kinds(&served.store, "node-b").await, ["kept", "counted"]);
    assert_eq!(kinds(&served.store, "node-c").await, ["counted"]);
}

#[tokio::test]
async fn the_client_for_python_appends_reads_and_follows() {
    let served = served(with_append()).await;
    drive(Language::Python, served.address, "append").await;
    assert_eq!(kinds(&served.store, "python-a").await, ["counted"; 5]);
    assert_eq!(kinds(&served.store, "python-b").await, ["kept", "counted"]);
    assert_eq!(kinds(&served.store, "python-c").await, ["kept", "counted"]);
}

#[tokio::test]
async fn clients_may_only_read_unless_appending_is_switched_on() {
    let served = served(FacadeOptions::default()).await;
    drive(Language::Node, served.address, "read-only").await;
    drive(Language::Python, served.address, "read-only").await;
    assert_eq!(served.store.head().await.unwrap().major(), 0);
}

#[tokio::test]
async fn a_person_can_read_what_happened() {
    let served = served(FacadeOptions {
        meaning: Arc::new(StoredEventMeaning),
        ..FacadeOptions::default()
    })
    .await;
    let log = StoredEventLog::new(Arc::new(served.store.clone()) as Arc<dyn EventStore>);
    let recorded_at = Timestamp::from_millis(1_700_000_000_000);
    assert!(SystemClock.now() > recorded_at);
    let event = NewEvent {
        id: EventId::new([7; 16]),
        event: Event::Client(ClientEvent::PushTargetVerified {
            id: PushTargetId::new([9; 16]),
            at: recorded_at,
        }),
        metadata: Metadata {
            command_id: CommandId::new([1; 16]),
            request_digest: RequestDigest::new([2; 16]),
            recorded_at,
        },
        payload: None,
    };
    let stream = StreamId::client(ClientId::from_stored([3; 32]));
    log.append(&stream, Expected::NoStream, vec![event], Vec::new())
        .await
        .unwrap();

    let printed = drive(Language::Python, served.address, "meaning").await;
    let shown: serde_json::Value = serde_json::from_str(&printed).unwrap();
    assert_eq!(shown["recorded_at"], 1_700_000_000.0, "{shown}");
    assert_eq!(shown["id"], "07".repeat(16), "{shown}");
    assert_eq!(shown["schema"], 1, "{shown}");
    let happened = shown["event"].to_string();
    assert!(happened.contains(&"09".repeat(16)), "{shown}");
}

#[tokio::test(flavor = "multi_thread")]
async fn the_server_serves_its_log_where_it_is_told_to() {
    let folder = tempfile::tempdir().unwrap();
    let address = free_address();
    let flag = ["--eventstoredb-listen".to_owned(), address.to_string()];
    let mut server = ServerProcess::start(&folder.path().join("satpost"), &flag);
    drive(Language::Node, address, "read-only").await;
    assert_eq!(server.stop(), Some(0), "{}", server.log_tail());
}
