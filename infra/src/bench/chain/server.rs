//! What of a server follows a node, over the embedded log on the disk.

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use satpost_commands::watch_addresses::watch_addresses;
use satpost_commands::{CommandContext, Handler};
use satpost_domain::ids::RequestDigest;
use satpost_domain::limits::ADDRESSES_PER_REQUEST_MAX;
use satpost_domain::network::Network;
use satpost_domain::script::{Script, ScriptSizeError};
use satpost_domain::watchlist::{WatchBounds, WatchWish};
use satpost_domain::{ClientId, CommandId};
use satpost_projections::{ReadModel, runner};
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;

use super::coins::WATCHED;
use super::synthetic::script;
use crate::bench::BenchError;
use crate::config::LogLocation;
use crate::event_log::StoredEventLog;
use crate::log_engine::LogEngine;
use crate::system::{SystemClock, SystemIds};

const PATIENCE: Duration = Duration::from_secs(30);
/// Whoever watches; never checked here.
const CLIENT: ClientId = ClientId::from_stored([7; 32]);

/// The log, its read model, and what keeps them together.
pub(super) struct Server {
    pub(super) handler: Handler,
    pub(super) read_model: Arc<ReadModel>,
    pub(super) stop: CancellationToken,
    pub(super) tasks: JoinSet<()>,
    engine: LogEngine,
}

impl Server {
    /// Opens a new log in `folder`, and watches the first scripts.
    pub(super) async fn open(folder: &Path) -> Result<Self, BenchError> {
        let stop = CancellationToken::new();
        let engine = LogEngine::open(folder, &LogLocation::embedded(), &stop)
            .await
            .map_err(BenchError::of("the log"))?;
        let log = StoredEventLog::new(engine.store());
        let ids = Arc::new(SystemIds::new());
        let handler = Handler::new(Arc::new(log.clone()), Arc::new(SystemClock), ids);
        let read_model = Arc::new(ReadModel::new());
        let mut tasks = JoinSet::new();
        let (model, stopped) = (Arc::clone(&read_model), stop.clone());
        tasks.spawn(async move {
            runner::run(&model, &log, |_| (), stopped.cancelled_owned()).await;
        });
        let server = Self {
            handler,
            read_model,
            stop,
            tasks,
            engine,
        };
        server.watch().await?;
        Ok(server)
    }

    async fn watch(&self) -> Result<(), BenchError> {
        let numbers: Vec<u64> = (0..WATCHED).collect();
        for (request, numbers) in numbers.chunks(ADDRESSES_PER_REQUEST_MAX).enumerate() {
            let mut id = [1; 16];
            id[..8].copy_from_slice(&request.to_le_bytes());
            let context = CommandContext {
                command_id: CommandId::new(id),
                request_digest: RequestDigest::new(id),
            };
            let watches = numbers.iter().map(|number| {
                let script = Script::new(script(*number).as_bytes())?;
                Ok((script.into(), WatchWish::default()))
            });
            let watches = watches.collect::<Result<Vec<_>, ScriptSizeError>>();
            let watches = watches.map_err(BenchError::of("a script"))?;
            let bounds = WatchBounds::new(Network::Regtest, None);
            let watched = watch_addresses(&self.handler, context, CLIENT, watches, bounds)
                .await
                .map_err(BenchError::of("watching"))?;
            if !self.read_model.wait_for(watched.position, PATIENCE).await {
                return Err(BenchError::of("the read model")("it does not move"));
            }
        }
        Ok(())
    }

    /// Ends everything and closes the log.
    pub(super) async fn stop(mut self) {
        self.stop.cancel();
        while self.tasks.join_next().await.is_some() {}
        drop(self.engine);
    }
}
