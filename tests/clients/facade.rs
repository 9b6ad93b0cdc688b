//! Official clients of EventStoreDB against our log: they append,
//! read, follow and are refused as they would be by the real server.

use std::net::SocketAddr;
use std::sync::Arc;

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

use crate::script::Script;

/// Runs the script of a language against a facade and gives what it printed.
async fn facade_client(language: fn(&str) -> Script, address: SocketAddr, mode: &str) -> String {
    language("facade").run(&[&address.to_string(), mode]).await
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
    facade_client(Script::node, served.address, "append").await;
    assert_eq!(kinds(&served.store, "node-a").await, ["counted"; 5]);
    assert_eq!(kinds(&served.store, "node-b").await, ["kept", "counted"]);
    assert_eq!(kinds(&served.store, "node-c").await, ["counted"]);
}

#[tokio::test]
async fn the_client_for_python_appends_reads_and_follows() {
    let served = served(with_append()).await;
    facade_client(Script::python, served.address, "append").await;
    assert_eq!(kinds(&served.store, "python-a").await, ["counted"; 5]);
    assert_eq!(kinds(&served.store, "python-b").await, ["kept", "counted"]);
    assert_eq!(kinds(&served.store, "python-c").await, ["kept", "counted"]);
}

#[tokio::test]
async fn clients_may_only_read_unless_appending_is_switched_on() {
    let served = served(FacadeOptions::default()).await;
    facade_client(Script::node, served.address, "read-only").await;
    facade_client(Script::python, served.address, "read-only").await;
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

    let printed = facade_client(Script::python, served.address, "meaning").await;
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
    facade_client(Script::node, address, "read-only").await;
    assert_eq!(server.stop(), Some(0), "{}", server.log_tail());
}
