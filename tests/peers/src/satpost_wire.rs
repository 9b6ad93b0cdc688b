//! Our log as a server: this program again, with the facade that speaks the protocol of
//! EventStoreDB, driven by that database's own client over `BatchAppend`.

use std::path::Path;
use std::process::Command;
use std::sync::Arc;

use async_trait::async_trait;
use eventstore::{
    BatchAppendClient, BatchAppendOptions, Client, Error, EventData, ExpectedRevision,
};
use rustix::process::Signal;
use satpost_event_store::embedded::{EmbeddedEventStore, EmbeddedOptions};
use satpost_eventstoredb::facade::{self, FacadeOptions};
use satpost_infra::bench::BenchError;
use satpost_infra::bench::contender::{Answer, Contender, Running, Writer};
use tokio::net::TcpListener;
use tokio::signal::unix::{SignalKind, signal};
use tokio_util::sync::CancellationToken;
use uuid::Uuid;

use crate::server::{Server, free_port};

const NAME: &str = "satpost, EventStoreDB protocol";
/// More than there are writers.
const CONNECTIONS_MAX: usize = 8_192;

/// The embedded log behind its facade.
pub(crate) struct SatpostWire;

/// Serves the log in `folder` on loopback until SIGTERM: what the benchmark starts.
pub(crate) async fn serve(folder: &Path, port: u16) -> anyhow::Result<()> {
    let options = EmbeddedOptions::new(folder);
    let store = tokio::task::spawn_blocking(move || EmbeddedEventStore::open(&options)).await??;
    let listener = TcpListener::bind(("127.0.0.1", port)).await?;
    let stop = CancellationToken::new();
    let (mut terminated, stopping) = (signal(SignalKind::terminate())?, stop.clone());
    tokio::spawn(async move {
        terminated.recv().await;
        stopping.cancel();
    });
    let options = FacadeOptions {
        append: true,
        connections_max: CONNECTIONS_MAX,
        ..FacadeOptions::default()
    };
    Ok(facade::serve(listener, Arc::new(store), options, stop).await?)
}

#[async_trait]
impl Contender for SatpostWire {
    fn name(&self) -> &'static str {
        NAME
    }

    async fn start(&self, folder: &Path) -> Result<Box<dyn Running>, BenchError> {
        let port = free_port()?;
        let program = std::env::current_exe().map_err(BenchError::of(NAME))?;
        let mut command = Command::new(program);
        command
            .args(["--serve-port", &port.to_string(), "--serve"])
            .arg(folder.join("data"));
        let server = Server::start(NAME, command, port, folder).await?;
        Ok(Box::new(RunningWire(server)))
    }
}

struct RunningWire(Server);

#[async_trait]
impl Running for RunningWire {
    async fn writer(&self) -> Result<Box<dyn Writer>, BenchError> {
        let settings = format!("esdb://127.0.0.1:{}?tls=false", self.0.port);
        let settings = settings.parse().map_err(BenchError::of(NAME))?;
        let client = Client::new(settings).map_err(BenchError::of(NAME))?;
        let session = client.batch_append(&BatchAppendOptions::default()).await;
        Ok(Box::new(WireWriter {
            session: session.map_err(BenchError::of(NAME))?,
            _client: client,
        }))
    }

    fn server(&self) -> Option<u32> {
        Some(self.0.id())
    }

    async fn stop(self: Box<Self>) -> Result<(), BenchError> {
        self.0.stop(Signal::TERM).await
    }
}

struct WireWriter {
    session: BatchAppendClient,
    _client: Client,
}

#[async_trait]
impl Writer for WireWriter {
    async fn append(
        &mut self,
        stream: &str,
        expected: Option<u64>,
        id: [u8; 16],
        body: Vec<u8>,
    ) -> Result<Answer, BenchError> {
        let expected = expected.map_or(ExpectedRevision::NoStream, ExpectedRevision::Exact);
        let event = EventData::binary("message_accepted", body.into()).id(Uuid::from_bytes(id));
        let appended = self.session.append_to_stream(stream, expected, vec![event]);
        match appended.await {
            Ok(_) => Ok(Answer::Appended),
            Err(Error::WrongExpectedVersion { .. }) => Ok(Answer::Conflict),
            Err(error) => Err(BenchError::of(NAME)(error)),
        }
    }
}
