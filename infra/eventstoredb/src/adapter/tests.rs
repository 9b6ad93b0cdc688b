//! The adapter against servers that misbehave in the ways its crate cannot bear, each as a test.

#![allow(
    clippy::result_large_err,
    reason = "a script answers with the status that tonic wants"
)]

mod broken_connections;
mod ended_processes;
mod fake_cluster;
mod traps;

use std::net::SocketAddr;
use std::path::Path;
use std::sync::Arc;

use satpost_domain::{EventId, StreamId};
use satpost_event_store::payload_store::{LocalPayloadStore, LocalPayloadStoreOptions};
use satpost_event_store::{EventStore, NewStoredEvent};
use tokio::net::TcpListener;
use tokio_util::sync::CancellationToken;

use super::{ConnectionString, EventStoreDb, EventStoreDbOptions};
use crate::facade::{self, FacadeOptions};

fn adapter(address: SocketAddr, folder: &Path) -> EventStoreDb {
    adapter_to(&format!("esdb://{address}?tls=false"), folder)
}

fn adapter_to(connection: &str, folder: &Path) -> EventStoreDb {
    let connection = ConnectionString::parse(connection).unwrap();
    let payloads = LocalPayloadStoreOptions::new(folder.join("payloads"));
    let payloads = Arc::new(LocalPayloadStore::open(&payloads).unwrap());
    EventStoreDb::open(&EventStoreDbOptions::new(connection, folder), payloads).unwrap()
}

/// Serves `store` over the protocol until the token that comes back is cancelled.
async fn serve(store: Arc<dyn EventStore>, address: SocketAddr) -> (SocketAddr, CancellationToken) {
    let listener = TcpListener::bind(address).await.unwrap();
    let address = listener.local_addr().unwrap();
    let stop = CancellationToken::new();
    let options = FacadeOptions {
        append: true,
        ..FacadeOptions::default()
    };
    let serving = facade::serve(listener, store, options, stop.clone());
    tokio::spawn(async move { serving.await.unwrap() });
    (address, stop)
}

fn any_port() -> SocketAddr {
    SocketAddr::from(([127, 0, 0, 1], 0))
}

fn stream(name: &str) -> StreamId {
    format!("mailbox-{name}").parse().unwrap()
}

fn event(number: u64) -> NewStoredEvent {
    let mut id = [7; 16];
    id[..8].copy_from_slice(&number.to_be_bytes());
    NewStoredEvent {
        id: EventId::new(id),
        kind: "message_accepted".into(),
        schema: 1,
        body: number.to_le_bytes().to_vec(),
        metadata: b"from a test".to_vec(),
        payload: None,
    }
}
