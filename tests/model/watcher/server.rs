//! A server around the real follower: the loop of the watcher in miniature, one step at a time.

use std::collections::{BTreeSet, VecDeque};
use std::sync::Arc;

use satpost_commands::ports::EventLog;
use satpost_commands::testing::{CountingIds, Fault, FaultyLog, StepClock};
use satpost_commands::watch_addresses::watch_addresses;
use satpost_commands::{CommandContext, Handler};
use satpost_domain::chain::{Chain, ChainEvent, GapKind};
use satpost_domain::ids::{BlockHash, RequestDigest};
use satpost_domain::limits::NODE_REMOVAL_HOLD;
use satpost_domain::network::Network;
use satpost_domain::script::Script;
use satpost_domain::watchlist::{WatchBounds, WatchWish};
use satpost_domain::{ClientId, CommandId, Event, EventId, StreamId, Timestamp};
use satpost_infra::bitcoind::feed::Notice;
use satpost_infra::bitcoind::follower::{Comparison, FollowError, Follower};
use satpost_infra::bitcoind::rpc::NodeRpc as _;
use satpost_infra::bitcoind::{NodeMetrics, NodeStatus, check};
use satpost_projections::ReadModel;
use tokio::sync::watch;

use super::node::{SimNode, WATCHED, script};
use super::{Append, Fate};

const FINAL_DEPTH: u32 = 6;

/// An announcement on its way.
pub(super) struct OnItsWay {
    /// Its number among all announcements.
    pub(super) number: u64,
    pub(super) notice: Notice,
    pub(super) fate: Fate,
}

pub(super) struct Server {
    node: Arc<SimNode>,
    log: Arc<FaultyLog>,
    read_model: Arc<ReadModel>,
    follower: Follower,
    status: watch::Sender<NodeStatus>,
    pub(super) queue: VecDeque<OnItsWay>,
    /// How many announcements there were when the node was last read as a whole.
    read_at: u64,
    /// How many there were.
    pub(super) announced: u64,
    /// Announcements were lost since the last one that arrived.
    lost: bool,
    pub(super) resyncs: usize,
}

fn follower(node: &Arc<SimNode>, log: &Arc<FaultyLog>, read_model: &Arc<ReadModel>) -> Follower {
    Follower::new(
        Arc::clone(node) as _,
        handler(log),
        Network::Regtest,
        FINAL_DEPTH,
        Arc::clone(read_model),
        NodeMetrics::register(&prometheus::Registry::new()).unwrap(),
    )
}

fn handler(log: &Arc<FaultyLog>) -> Handler {
    Handler::new(
        Arc::clone(log) as Arc<dyn EventLog>,
        Arc::new(StepClock::new(Timestamp::from_millis(1_000_000))),
        Arc::new(CountingIds::default()),
    )
}

impl Server {
    pub(super) async fn new(node: &Arc<SimNode>, appends: &[Append]) -> Self {
        let log = Arc::new(FaultyLog::default());
        let read_model = Arc::new(ReadModel::new());
        watch_all(&log, &read_model).await;
        log.fail_next(appends.iter().map(|append| match append {
            Append::Works => None,
            Append::DiesBefore => Some(Fault::LostUnknown),
            Append::DiesAfter => Some(Fault::StoredUnknown),
        }));
        let mut server = Self {
            follower: follower(node, &log, &read_model),
            node: Arc::clone(node),
            log,
            read_model,
            status: watch::channel(NodeStatus::Connecting).0,
            queue: VecDeque::new(),
            read_at: 0,
            announced: 0,
            lost: false,
            resyncs: 0,
        };
        server.start().await;
        server
    }

    /// Starts, again and again until it did not die.
    pub(super) async fn start(&mut self) {
        loop {
            // A new process remembers nothing.
            self.follower = follower(&self.node, &self.log, &self.read_model);
            if self.begin().await.is_ok() && self.try_resync(GapKind::Start).await.is_ok() {
                return;
            }
        }
    }

    async fn begin(&mut self) -> Result<(), FollowError> {
        if self.follower.chain().await?.tip().is_none() {
            let height = self.node.info().await?.blocks;
            let hash = self.node.best_block().await?;
            let tip = satpost_domain::chain::BlockRef { height, hash };
            let genesis = check::genesis(Network::Regtest);
            self.follower.start(genesis, tip).await?;
        }
        Ok(())
    }

    async fn try_resync(&mut self, kind: GapKind) -> Result<(), FollowError> {
        self.resyncs += 1;
        self.follower.note_gap(kind).await?;
        self.follower.resync(None, &self.status).await?;
        self.follower.note_restored().await?;
        self.read_at = self.announced;
        Ok(())
    }

    pub(super) async fn resync(&mut self, kind: GapKind) {
        if self.try_resync(kind).await.is_err() {
            self.start().await;
        }
    }

    /// Takes the next announcement; false when there is none.
    pub(super) async fn take(&mut self) -> bool {
        let Some(next) = self.queue.pop_front() else {
            return false;
        };
        if next.fate == Fate::IsLost {
            self.lost = true;
            return true;
        }
        // The counter of the topic shows what is missing, and what comes twice.
        if std::mem::take(&mut self.lost) {
            self.resync(GapKind::Counter).await;
        }
        self.apply(next.notice.clone(), next.number).await;
        if next.fate == Fate::ComesTwice {
            self.resync(GapKind::Counter).await;
            self.apply(next.notice, next.number).await;
        }
        true
    }

    async fn apply(&mut self, notice: Notice, number: u64) {
        let replayed = number < self.read_at;
        match self.follower.apply(notice, replayed).await {
            Ok(None) => {}
            Ok(Some(kind)) => self.resync(kind).await,
            Err(_) => self.start().await,
        }
    }

    /// The connection broke: what was on its way is lost.
    pub(super) async fn disconnect(&mut self) {
        self.queue.clear();
        self.lost = false;
        self.resync(GapKind::Disconnected).await;
    }

    /// A second passes.
    pub(super) async fn heartbeat(&mut self) {
        while self.take().await {}
        tokio::time::advance(NODE_REMOVAL_HOLD * 41).await;
        if self.follower.end_holds().await.is_err() {
            return self.start().await;
        }
        let tip = self.follower.tip().await.unwrap().hash;
        let agrees = self.node.best_block().await.unwrap() == tip
            && self.node.inner().mempool.len() == self.follower.mempool_size();
        if !agrees {
            self.resync(GapKind::Heartbeat).await;
        } else if self.follower.evict_what_did_not_return().await.is_err() {
            self.start().await;
        }
    }

    /// The full comparison; a resync when it does not hold.
    pub(super) async fn audit(&mut self) {
        self.heartbeat().await;
        let snapshot = self.node.mempool().await.unwrap();
        let blocks = self.follower.compare_blocks().await.unwrap();
        let mempool = self.follower.compare_mempool(&snapshot).await.unwrap();
        let equal = |comparison| matches!(comparison, Comparison::Equal(_));
        if !equal(blocks) || !equal(mempool) {
            self.resync(GapKind::Audit).await;
        }
        let mempool = self.follower.compare_mempool(&snapshot).await.unwrap();
        assert!(equal(mempool), "after a resync an audit finds {mempool:?}");
    }

    pub(super) async fn chain(&self) -> Arc<Chain> {
        self.follower.chain().await.unwrap()
    }

    /// Everything in the log of the chain, with its ids.
    pub(super) fn history(&self) -> Vec<(EventId, ChainEvent)> {
        let envelopes = self.log.history(&StreamId::chain(Network::Regtest));
        let events = envelopes.into_iter().map(|envelope| match envelope.event {
            Event::Chain(event) => (envelope.event_id, event),
            other => panic!("{other:?} is no event of a chain"),
        });
        events.collect()
    }

    /// The ids of what the blocks of `best` say.
    pub(super) fn facts(&self, best: &[BlockHash]) -> BTreeSet<EventId> {
        let history = self.history().into_iter();
        let facts = history.filter(|(_, event)| match event {
            ChainEvent::TransactionConfirmed { block, .. }
            | ChainEvent::DepthReached { block, .. }
            | ChainEvent::TransactionFinal { block, .. }
            | ChainEvent::CoinbaseMatured { block, .. } => best.contains(&block.hash),
            _ => false,
        });
        facts.map(|(id, _)| id).collect()
    }
}

async fn watch_all(log: &Arc<FaultyLog>, read_model: &Arc<ReadModel>) {
    // The base point of the curve.
    let mut bytes = [0x66; 32];
    bytes[0] = 0x58;
    let holder = ClientId::new(bytes).unwrap();
    let watches = (0..WATCHED).map(|number| {
        let script = Script::new(script(number).as_bytes()).unwrap();
        (script.into(), WatchWish::default())
    });
    let bounds = WatchBounds::new(Network::Regtest, None);
    let context = CommandContext {
        command_id: CommandId::new([1; 16]),
        request_digest: RequestDigest::new([1; 16]),
    };
    watch_addresses(&handler(log), context, holder, watches.collect(), bounds)
        .await
        .unwrap();
    read_model.apply_all(&log.history(&StreamId::watchlist(holder)));
}
