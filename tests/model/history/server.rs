//! The part of a server that follows a node and reads history: the real watcher, back-fill, handler and
//! projections, over the log in memory, which outlives the server like a disk does. It asks the node
//! once a second, because nothing is announced here.

use std::sync::Arc;
use std::time::Duration;

use prometheus::Registry;
use satpost_commands::Handler;
use satpost_commands::ports::{Clock, EventLog as _, IdSource};
use satpost_domain::chain::{Chain, ChainEvent};
use satpost_domain::network::Network;
use satpost_domain::{Event, EventId, Revision, StreamId};
use satpost_infra::bitcoind::backfill::{BackfillMetrics, Backfiller, LiveJoin};
use satpost_infra::bitcoind::{self, NodeAuth, NodeConfig, NodeMetrics, NodeStatus};
use satpost_infra::event_log::StoredEventLog;
use satpost_projections::{ReadModel, runner};
use satpost_tests::mortal_log::MortalLog;
use tokio::sync::watch;
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;

use super::node::PastNode;

const PAUSE: Duration = Duration::from_millis(20);
/// Shallow, so that milestones are passed and taken back.
const FINAL_DEPTH: u32 = 6;

pub(super) struct Server {
    pub(super) handler: Handler,
    pub(super) read_model: Arc<ReadModel>,
    writer: Arc<MortalLog>,
    tasks: JoinSet<()>,
}

impl Server {
    /// Starts over what `writer` writes to, with the projections as they are in `read_model`.
    pub(super) fn start(
        node: &Arc<PastNode>,
        writer: MortalLog,
        read_model: ReadModel,
        (clock, ids): (Arc<dyn Clock>, Arc<dyn IdSource>),
    ) -> Self {
        let log = writer.log().clone();
        let writer = Arc::new(writer);
        let handler = Handler::new(Arc::clone(&writer) as _, clock, ids);
        let read_model = Arc::new(read_model);
        let join = Arc::new(LiveJoin::default());
        let stop = CancellationToken::new();
        let mut tasks = JoinSet::new();
        let (model, stopped) = (Arc::clone(&read_model), stop.clone());
        tasks.spawn(async move {
            runner::run(&model, &log, |_| (), stopped.cancelled_owned()).await;
        });
        let backfiller = Backfiller {
            rpc: Arc::clone(node) as _,
            handler: handler.clone(),
            network: Network::Regtest,
            read_model: Arc::clone(&read_model),
            join: Arc::clone(&join),
            metrics: BackfillMetrics::register(&Registry::new()).unwrap(),
        };
        tasks.spawn(backfiller.run(stop.clone()));
        let (rpc, follower, model) = (Arc::clone(node), handler.clone(), Arc::clone(&read_model));
        tasks.spawn(async move {
            // Like the server, the watcher starts when the read model knows what is watched.
            while !model.is_live() {
                tokio::time::sleep(PAUSE).await;
            }
            let metrics = NodeMetrics::register(&Registry::new()).unwrap();
            let status = watch::channel(NodeStatus::Connecting).0;
            let told = (status, metrics);
            bitcoind::run(config(), rpc, follower, model, told, join, stop).await;
        });
        Self {
            handler,
            read_model,
            writer,
            tasks,
        }
    }

    /// Waits until it dies at an append.
    pub(super) async fn death(&self) {
        self.writer.death().await;
    }

    /// Ends at once, wherever it is.
    pub(super) async fn kill(mut self) {
        self.tasks.shutdown().await;
    }

    /// The chain as it is in the log.
    pub(super) async fn chain(&self) -> Arc<Chain> {
        let stream = StreamId::chain(Network::Regtest);
        self.handler.state::<Chain>(&stream).await.unwrap()
    }

    pub(super) fn log(&self) -> &StoredEventLog {
        self.writer.log()
    }

    /// Everything in the log of the chain, with its ids.
    pub(super) async fn history(&self) -> Vec<(EventId, ChainEvent)> {
        let stream = StreamId::chain(Network::Regtest);
        let mut history = Vec::new();
        loop {
            let from = Revision(history.len() as u64);
            let page = self.log().read(&stream, from, 10_000).await.unwrap();
            history.extend(page.events.into_iter().map(|envelope| {
                let Event::Chain(event) = envelope.event else {
                    panic!("{:?} is no event of a chain", envelope.event);
                };
                (envelope.event_id, event)
            }));
            if page.end_of_stream {
                return history;
            }
        }
    }
}

/// Nothing is announced: the watcher asks.
fn config() -> NodeConfig {
    NodeConfig {
        network: Network::Regtest,
        rpc_url: String::new(),
        rpc_auth: NodeAuth::Cookie(std::path::PathBuf::new()),
        zmq_sequence: None,
        zmq_rawtx: None,
        final_depth: FINAL_DEPTH,
        audit_every: Duration::from_secs(7),
    }
}
