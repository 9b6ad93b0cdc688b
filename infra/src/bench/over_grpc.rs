//! The adapter for EventStoreDB as a contender: over gRPC on loopback to our facade, behind which a
//! log in memory lies. What it shows is what protocol, client and adapter cost; no disk is waited for.

use std::path::Path;
use std::sync::Arc;

use async_trait::async_trait;
use satpost_event_store::EventStore;
use satpost_event_store::memory::MemoryEventStore;
use satpost_event_store::payload_store::{LocalPayloadStore, LocalPayloadStoreOptions};
use satpost_eventstoredb::adapter::{ConnectionString, EventStoreDb, EventStoreDbOptions};
use satpost_eventstoredb::facade::{self, FacadeError, FacadeOptions};
use tokio::net::TcpListener;
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;

use super::BenchError;
use super::contender::{Contender, Running, Writer};
use super::embedded::{Bodies, StoreWriter, blocking};

/// How it is called in tables.
const NAME: &str = "satpost, adapter over gRPC to memory";

/// Adapter and facade in this process, with a connection between them.
pub struct OverGrpc;

#[async_trait]
impl Contender for OverGrpc {
    fn name(&self) -> &'static str {
        NAME
    }

    async fn start(&self, folder: &Path) -> Result<Box<dyn Running>, BenchError> {
        let listener = TcpListener::bind(("127.0.0.1", 0)).await;
        let listener = listener.map_err(BenchError::of(NAME))?;
        let address = listener.local_addr().map_err(BenchError::of(NAME))?;
        let stop = CancellationToken::new();
        let options = FacadeOptions {
            append: true,
            ..FacadeOptions::default()
        };
        let memory = Arc::new(MemoryEventStore::new());
        let serving = tokio::spawn(facade::serve(listener, memory, options, stop.clone()));
        let payloads = LocalPayloadStoreOptions::new(folder.join("payloads"));
        let payloads = blocking(move || LocalPayloadStore::open(&payloads)).await??;
        let connection = ConnectionString::parse(&format!("esdb://{address}?tls=false"));
        let connection = connection.map_err(BenchError::of(NAME))?;
        let options = EventStoreDbOptions::new(connection, folder.join("adapter"));
        let store = EventStoreDb::open(&options, Arc::new(payloads));
        let store = store.map_err(BenchError::of(NAME))?;
        store.ready().await?;
        Ok(Box::new(RunningOverGrpc {
            store: Arc::new(store),
            serving,
            stop,
        }))
    }
}

struct RunningOverGrpc {
    store: Arc<dyn EventStore>,
    serving: JoinHandle<Result<(), FacadeError>>,
    stop: CancellationToken,
}

#[async_trait]
impl Running for RunningOverGrpc {
    async fn writer(&self) -> Result<Box<dyn Writer>, BenchError> {
        Ok(Box::new(StoreWriter::new(Arc::clone(&self.store), Bodies::Within)))
    }

    async fn stop(self: Box<Self>) -> Result<(), BenchError> {
        let Self {
            store,
            serving,
            stop,
        } = *self;
        blocking(move || drop(store)).await?;
        stop.cancel();
        let served = serving.await.map_err(BenchError::of(NAME))?;
        served.map_err(BenchError::of(NAME))
    }
}
