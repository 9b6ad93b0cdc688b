//! The part of a server that follows a node: the real watcher, handler and projections over the
//! log in memory, which outlives the server like a disk does.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use bitcoin::hashes::Hash as _;
use bitcoin::{Address, Txid};
use prometheus::Registry;
use satpost_commands::ports::EventLog;
use satpost_commands::unwatch_addresses::unwatch_addresses;
use satpost_commands::watch_addresses::watch_addresses;
use satpost_commands::{CommandContext, Handler};
use satpost_domain::chain::{Chain, ChainEvent, ReplacedIn, ReplacedVia};
use satpost_domain::ids::{RequestDigest, ScriptHash};
use satpost_domain::limits::{FINAL_DEPTH_DEFAULT, NODE_AUDIT};
use satpost_domain::network::Network;
use satpost_domain::script::Script;
use satpost_domain::watchlist::{Birthday, WatchBounds, WatchWish};
use satpost_domain::{ClientId, CommandId, Event, EventId, Position, Revision, StreamId};
use satpost_event_store::memory::MemoryEventStore;
use satpost_infra::bitcoind::backfill::{BackfillMetrics, Backfiller, LiveJoin};
use satpost_infra::bitcoind::rpc::NodeRpc;
use satpost_infra::bitcoind::{self, CoreRpc, NodeAuth, NodeConfig, NodeMetrics, NodeStatus};
use satpost_infra::event_log::StoredEventLog;
use satpost_infra::system::{SystemClock, SystemIds};
use satpost_projections::{ReadModel, runner};
use satpost_tests::node::RegtestNode;
use tokio::sync::watch;
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;

use crate::{milestones, truth};

/// How long anything may take on a busy machine.
const PATIENCE: Duration = Duration::from_secs(40);
/// Between two looks.
const PAUSE: Duration = Duration::from_millis(20);

/// One step of a transaction, as its event tells it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Step {
    /// It entered the mempool for the nth time.
    Seen(u32),
    /// It is in the block at this height.
    Confirmed(u32),
    /// The block at this height was taken back.
    Unconfirmed(u32),
    /// This one took its place.
    Replaced(Txid, ReplacedVia, ReplacedIn),
    /// It was dropped.
    Evicted,
}

/// What of a server follows a node.
pub(crate) struct Server {
    pub(crate) log: StoredEventLog,
    pub(crate) handler: Handler,
    pub(crate) read_model: Arc<ReadModel>,
    pub(crate) backfill: BackfillMetrics,
    final_depth: u32,
    pub(crate) status: watch::Receiver<NodeStatus>,
    pub(crate) metrics: NodeMetrics,
    stop: CancellationToken,
    tasks: JoinSet<()>,
}

/// How the server of a test reaches `node`.
pub(crate) fn config(node: &RegtestNode) -> NodeConfig {
    NodeConfig {
        network: Network::Regtest,
        rpc_url: node.rpc_url(),
        rpc_auth: NodeAuth::Cookie(node.rpc_cookie()),
        zmq_sequence: Some(node.zmq_sequence_url()),
        zmq_rawtx: Some(node.zmq_rawtx_url()),
        final_depth: FINAL_DEPTH_DEFAULT,
        audit_every: NODE_AUDIT,
    }
}

impl Server {
    /// Starts with an empty log and waits until it follows the node.
    pub(crate) async fn follow(node: &RegtestNode) -> Self {
        let server = Self::start(config(node), empty_log());
        server.until_live().await;
        server
    }

    /// Starts over `log`.
    pub(crate) fn start(config: NodeConfig, log: StoredEventLog) -> Self {
        let rpc = CoreRpc::new(config.rpc_url.clone(), config.rpc_auth.clone());
        let writer = Arc::new(log.clone());
        Self::start_over(config, log, writer, Arc::new(rpc))
    }

    /// Starts over `log`, with other ways to write to it and to ask the node.
    pub(crate) fn start_over(
        config: NodeConfig,
        log: StoredEventLog,
        writer: Arc<dyn EventLog>,
        rpc: Arc<dyn NodeRpc>,
    ) -> Self {
        let handler = Handler::new(writer, Arc::new(SystemClock), Arc::new(SystemIds::new()));
        let final_depth = config.final_depth;
        let read_model = Arc::new(ReadModel::new());
        let stop = CancellationToken::new();
        let mut tasks = JoinSet::new();
        let (model, source, stopped) = (Arc::clone(&read_model), log.clone(), stop.clone());
        tasks.spawn(async move {
            runner::run(&model, &source, |_| (), stopped.cancelled_owned()).await;
        });
        let (status_sender, status) = watch::channel(NodeStatus::Connecting);
        let metrics = NodeMetrics::register(&Registry::new()).unwrap();
        let counted = metrics.clone();
        let join = Arc::new(LiveJoin::default());
        let backfill = BackfillMetrics::register(&Registry::new()).unwrap();
        let backfiller = Backfiller {
            rpc: Arc::new(CoreRpc::for_history(
                config.rpc_url.clone(),
                config.rpc_auth.clone(),
            )),
            handler: handler.clone(),
            network: config.network,
            read_model: Arc::clone(&read_model),
            join: Arc::clone(&join),
            metrics: backfill.clone(),
        };
        let (model, follower, stopped) = (Arc::clone(&read_model), handler.clone(), stop.clone());
        let joined = join;
        tasks.spawn(async move {
            // Like the server, the watcher starts when the read model knows what is watched.
            while !model.is_live() {
                tokio::time::sleep(PAUSE).await;
            }
            bitcoind::run(
                config,
                rpc,
                follower,
                model,
                (status_sender, counted),
                joined,
                stopped,
            )
            .await;
        });
        tasks.spawn(backfiller.run(stop.clone()));
        Self {
            log,
            handler,
            read_model,
            backfill,
            final_depth,
            status,
            metrics,
            stop,
            tasks,
        }
    }

    /// Stops and leaves the log.
    pub(crate) async fn stop(mut self) -> StoredEventLog {
        self.stop.cancel();
        while let Some(ended) = self.tasks.join_next().await {
            ended.unwrap();
        }
        self.log
    }

    /// Ends at once, wherever it is, and leaves the log.
    pub(crate) async fn kill(mut self) -> StoredEventLog {
        self.tasks.shutdown().await;
        self.log
    }

    /// Waits until it follows the node.
    pub(crate) async fn until_live(&self) {
        self.until_status(NodeStatus::is_live).await;
    }

    /// Waits for a status.
    pub(crate) async fn until_status(&self, wanted: impl FnMut(&NodeStatus) -> bool) -> NodeStatus {
        let mut status = self.status.clone();
        let waiting = status.wait_for(wanted);
        if let Ok(status) = tokio::time::timeout(PATIENCE, waiting).await {
            return status.unwrap().clone();
        }
        panic!("the status stays {:?}", *self.status.borrow());
    }

    /// Watches `address`, and returns when a reader sees it.
    pub(crate) async fn watch(&self, address: &Address) {
        let script = Script::new(address.script_pubkey().as_bytes()).unwrap();
        let mut id = [0; 16];
        id.copy_from_slice(&script.hash().as_bytes()[..16]);
        let context = CommandContext {
            command_id: CommandId::new(id),
            request_digest: RequestDigest::new(id),
        };
        let watches = vec![(script.into(), WatchWish::default())];
        let bounds = WatchBounds::new(Network::Regtest, None);
        let watched = watch_addresses(&self.handler, context, holder(), watches, bounds)
            .await
            .unwrap();
        assert!(self.read_model.wait_for(watched.position, PATIENCE).await);
    }

    /// Watches `address` with a birthday, or changes it.
    pub(crate) async fn watch_since(&self, address: &Address, birthday: Option<Birthday>) {
        self.watch_all_since(std::slice::from_ref(address), birthday)
            .await;
    }

    /// Watches all of them in one command.
    pub(crate) async fn watch_all_since(&self, addresses: &[Address], birthday: Option<Birthday>) {
        let fresh = *self.handler.ids().watch_id().as_bytes();
        let context = CommandContext {
            command_id: CommandId::new(fresh),
            request_digest: RequestDigest::new(fresh),
        };
        let wish = WatchWish {
            birthday,
            ..WatchWish::default()
        };
        let watches = addresses.iter().map(|address| {
            let script = Script::new(address.script_pubkey().as_bytes()).unwrap();
            (script.into(), wish)
        });
        let bounds = WatchBounds::new(Network::Regtest, None);
        let watched = watch_addresses(&self.handler, context, holder(), watches.collect(), bounds)
            .await
            .unwrap();
        assert!(self.read_model.wait_for(watched.position, PATIENCE).await);
    }

    /// Does not watch `address` any more, and returns when a reader sees it.
    pub(crate) async fn unwatch(&self, address: &Address) {
        let script = Script::new(address.script_pubkey().as_bytes()).unwrap();
        let fresh = *self.handler.ids().watch_id().as_bytes();
        let context = CommandContext {
            command_id: CommandId::new(fresh),
            request_digest: RequestDigest::new(fresh),
        };
        let position = unwatch_addresses(&self.handler, context, holder(), vec![script.hash()]);
        let position = position.await.unwrap();
        assert!(self.read_model.wait_for(position, PATIENCE).await);
    }

    /// The scripts that are watched.
    pub(crate) fn watched(&self) -> Vec<ScriptHash> {
        self.read_model.watched_scripts().hashes(&holder())
    }

    /// The chain as it is in the log.
    pub(crate) async fn chain(&self) -> Arc<Chain> {
        let stream = StreamId::chain(Network::Regtest);
        self.handler.state::<Chain>(&stream).await.unwrap()
    }

    /// Every event of the chain so far.
    pub(crate) async fn events(&self) -> Vec<ChainEvent> {
        let events = self.events_with_ids().await.into_iter();
        events.map(|(_, event)| event).collect()
    }

    /// Every event of the chain so far, with its id.
    pub(crate) async fn events_with_ids(&self) -> Vec<(EventId, ChainEvent)> {
        let stream = StreamId::chain(Network::Regtest);
        let mut events = Vec::new();
        loop {
            let from = Revision(events.len() as u64);
            let page = self.log.read(&stream, from, 10_000).await.unwrap();
            events.extend(page.events.into_iter().map(|envelope| {
                let Event::Chain(event) = envelope.event else {
                    panic!("{:?} is no event of a chain", envelope.event);
                };
                (envelope.event_id, event)
            }));
            if page.end_of_stream {
                return events;
            }
        }
    }

    /// The steps of a transaction that touches one watched script.
    pub(crate) async fn steps(&self, txid: Txid) -> Vec<Step> {
        let all = steps(&self.events().await);
        let mut paths = all.into_iter().filter(|((of, _), _)| *of == txid);
        let steps = paths.next().map(|(_, steps)| steps).unwrap_or_default();
        assert!(paths.next().is_none(), "{txid} touches two scripts");
        steps
    }

    /// Waits until the steps of a transaction are `expected`.
    pub(crate) async fn until_steps(&self, txid: Txid, expected: &[Step]) {
        let mut steps = self.steps(txid).await;
        for _ in 0..PATIENCE.as_millis() / PAUSE.as_millis() {
            if steps == expected {
                return;
            }
            tokio::time::sleep(PAUSE).await;
            steps = self.steps(txid).await;
        }
        let events = self.events().await;
        panic!("the steps stay {steps:?}, expected {expected:?}; the log: {events:#?}");
    }

    /// Waits until the log says what the node says, and checks that it told nothing twice.
    pub(crate) async fn until_it_agrees_with(&self, node: &RegtestNode) {
        let mut difference = truth::difference(self, node).await;
        for _ in 0..PATIENCE.as_millis() / PAUSE.as_millis() {
            if difference.is_none() {
                let events = self.events().await;
                truth::assert_lawful(&events);
                let chain = self.chain().await;
                milestones::assert_kept(&events, &chain, self.final_depth);
                return;
            }
            tokio::time::sleep(PAUSE).await;
            difference = truth::difference(self, node).await;
        }
        panic!("the log and the node differ: {}", difference.unwrap());
    }
}

/// A log without events.
pub(crate) fn empty_log() -> StoredEventLog {
    StoredEventLog::new(Arc::new(MemoryEventStore::new()))
}

/// The client that watches; any valid key will do.
fn holder() -> ClientId {
    // The base point of the curve.
    let mut bytes = [0x66; 32];
    bytes[0] = 0x58;
    ClientId::new(bytes).unwrap()
}

/// The steps of every transaction and script, in order.
pub(crate) fn steps(events: &[ChainEvent]) -> BTreeMap<(Txid, ScriptHash), Vec<Step>> {
    let mut paths: BTreeMap<_, Vec<Step>> = BTreeMap::new();
    for event in events {
        let (txid, script, step) = match event {
            ChainEvent::TransactionSeen {
                txid,
                touch,
                incarnation,
                ..
            } => (txid, touch.script_hash, Step::Seen(*incarnation)),
            ChainEvent::TransactionConfirmed {
                txid, touch, block, ..
            } => (txid, touch.script_hash, Step::Confirmed(block.height)),
            ChainEvent::TransactionUnconfirmed {
                txid,
                script_hash,
                block,
                ..
            } => (txid, *script_hash, Step::Unconfirmed(block.height)),
            ChainEvent::TransactionReplaced {
                txid,
                script_hash,
                by,
                via,
                replaced_in,
                ..
            } => {
                let step = Step::Replaced(node_txid(*by), *via, *replaced_in);
                (txid, *script_hash, step)
            }
            ChainEvent::TransactionEvicted {
                txid, script_hash, ..
            } => (txid, *script_hash, Step::Evicted),
            ChainEvent::EpochStarted { .. }
            | ChainEvent::BlockConnected { .. }
            | ChainEvent::BlockDisconnected { .. }
            | ChainEvent::AuditPassed { .. }
            | ChainEvent::DepthReached { .. }
            | ChainEvent::TransactionFinal { .. }
            | ChainEvent::CoinbaseMatured { .. }
            | ChainEvent::FeedGap { .. }
            | ChainEvent::FeedRestored { .. }
            | ChainEvent::History(_) => continue,
        };
        paths
            .entry((node_txid(*txid), script))
            .or_default()
            .push(step);
    }
    paths
}

/// A transaction id in the type of the node's client.
pub(crate) fn node_txid(txid: satpost_domain::ids::Txid) -> Txid {
    let mut bytes = *txid.as_bytes();
    bytes.reverse();
    Txid::from_byte_array(bytes)
}

/// The position of the last event of the log.
pub(crate) async fn head(log: &StoredEventLog) -> Position {
    log.head().await.unwrap()
}
