//! The node, the wallet, and the server with its log.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use satpost_commands::Handler;
use satpost_commands::ports::{Clock, EventLog as _, IdSource};
use satpost_commands::testing::{CountingIds, StepClock, context};
use satpost_commands::unwatch_addresses::unwatch_addresses;
use satpost_commands::watch_addresses::watch_addresses;
use satpost_domain::chain::{Chain, ChainEvent, HistoryEvent, event_id};
use satpost_domain::network::Network;
use satpost_domain::watchlist::{Birthday, WatchBounds, WatchWish};
use satpost_domain::{ClientId, EventId, StreamId, Timestamp};
use satpost_event_store::memory::MemoryEventStore;
use satpost_infra::bitcoind::check;
use satpost_infra::event_log::StoredEventLog;
use satpost_projections::read_model::ProjectionSnapshot;
use satpost_projections::watched_scripts::HistoryWish;
use satpost_projections::{ReadModel, runner};
use satpost_tests::mortal_log::MortalLog;

use super::node::{Kind, OURS, PastNode, script};
use super::server::Server;
use super::{Death, Happening, truth};
use crate::watcher::world::assert_lawful;

/// How long history may take, by the clock of the test.
const PATIENCE: Duration = Duration::from_secs(120);
/// Long enough for what must not happen to happen, and for an audit.
const QUIET: Duration = Duration::from_secs(20);
const PAUSE: Duration = Duration::from_millis(50);

pub(super) struct World {
    node: Arc<PastNode>,
    log: StoredEventLog,
    clock: Arc<StepClock>,
    ids: Arc<CountingIds>,
    server: Server,
    deaths: Vec<Death>,
    snapshots: Vec<ProjectionSnapshot>,
    /// Commands so far, and wishes whose balance was found to be right.
    commands: u64,
    pub(super) checked: usize,
}

impl World {
    /// A node with a past, and a server that has just been started.
    pub(super) fn new(kind: Kind, past: &[Happening], deaths: Vec<Death>) -> Self {
        let node = Arc::new(PastNode::new(kind));
        let log = StoredEventLog::new(Arc::new(MemoryEventStore::new()));
        // After all blocks.
        let clock = Arc::new(StepClock::new(Timestamp::from_millis(2_000_000_000_000)));
        let ids = Arc::new(CountingIds::default());
        for happening in past {
            at_the_node(&node, happening, 1);
        }
        let writer = MortalLog::new(log.clone(), 0, false);
        let server = Server::start(&node, writer, ReadModel::new(), ports(&clock, &ids));
        let mut world = Self {
            node,
            log,
            clock,
            ids,
            server,
            deaths,
            snapshots: Vec::new(),
            commands: 0,
            checked: 0,
        };
        world.deaths.reverse();
        world
    }

    pub(super) async fn happen(&mut self, happening: &Happening, pause: Duration) {
        match happening {
            Happening::Watch { script, birthday } => self.watch(*script, *birthday).await,
            Happening::Unwatch { script } => self.unwatch(*script).await,
            Happening::Prune { kept } => self.prune(*kept).await,
            Happening::Snapshot => self.snapshots = self.server.read_model.snapshots(),
            Happening::Kill => self.start_again(false).await,
            other => {
                let least = self.first_block().await;
                at_the_node(&self.node, other, least);
            }
        }
        let died = tokio::time::timeout(pause, self.server.death()).await;
        if died.is_ok() {
            self.start_again(true).await;
        }
        self.check_what_is_complete().await;
    }

    /// Below what the log began with a node that has forgotten blocks cannot lead it.
    async fn first_block(&self) -> usize {
        if self.node.inner().pruned_below == 0 {
            return 1;
        }
        let history = self.server.history().await.into_iter();
        let mut starts = history.filter_map(|(_, event)| match event {
            ChainEvent::EpochStarted { tip, .. } => Some(tip.height as usize + 1),
            _ => None,
        });
        starts.next_back().unwrap_or(1)
    }

    /// A node keeps the blocks that the watcher has not read.
    async fn prune(&self, kept: u8) {
        let chain = self.server.chain().await;
        let fork = chain.recent_blocks().find(|block| {
            let node = self.node.inner();
            node.best.get(block.height as usize) == Some(&block.hash)
        });
        if let Some(fork) = fork {
            let below = (fork.height as usize).saturating_sub(kept.into());
            self.node.inner().prune(below);
        }
    }

    async fn start_again(&mut self, from_snapshot: bool) {
        let death = self.deaths.pop();
        let (appends, stores) = death.map_or((0, false), |death| (death.appends, death.stores));
        let writer = MortalLog::new(self.log.clone(), appends.into(), stores);
        let read_model = if from_snapshot {
            ReadModel::restore_from(&self.snapshots)
        } else {
            ReadModel::new()
        };
        let ports = ports(&self.clock, &self.ids);
        let server = Server::start(&self.node, writer, read_model, ports);
        std::mem::replace(&mut self.server, server).kill().await;
    }

    async fn watch(&mut self, number: u8, birthday: Birthday) {
        let wish = WatchWish {
            birthday: Some(birthday),
            ..WatchWish::default()
        };
        self.commands += 1;
        loop {
            let watches = vec![(script(number).into(), wish)];
            let bounds = WatchBounds::new(Network::Regtest, None);
            let context = context(self.commands);
            let watched = watch_addresses(&self.server.handler, context, holder(), watches, bounds);
            tokio::select! {
                watched = watched => {
                    watched.unwrap();
                    return;
                }
                () = self.server.death() => {}
            }
            // Nobody was told whether it happened: the same request comes again.
            self.start_again(true).await;
        }
    }

    async fn unwatch(&mut self, number: u8) {
        self.commands += 1;
        loop {
            let scripts = vec![script(number).hash()];
            let context = context(self.commands);
            let unwatched = unwatch_addresses(&self.server.handler, context, holder(), scripts);
            tokio::select! {
                // What is not watched is refused.
                _ = unwatched => return,
                () = self.server.death() => {}
            }
            self.start_again(true).await;
        }
    }

    fn wishes(&self) -> Vec<HistoryWish> {
        self.server.read_model.watched_scripts().wishes().collect()
    }

    /// Whatever says now that it is complete is right. Looked at between two appends only.
    async fn check_what_is_complete(&mut self) {
        let model = &self.server.read_model;
        if !model.is_live() || model.position() != self.log.head().await.unwrap() {
            return;
        }
        let node = self.node.inner();
        let mut checked = 0;
        for wish in self.server.read_model.watched_scripts().wishes() {
            if let Some(known) = truth::complete(model, &wish) {
                truth::assert_coins_in_blocks(model, &node, &wish, &known);
                checked += 1;
            }
        }
        drop(node);
        self.checked += checked;
    }

    /// The node stands still, and the server comes to know everything.
    pub(super) async fn settle(&mut self) {
        let wants_all = self.node.inner().kind.seed.is_multiple_of(2);
        for number in 0..if wants_all { OURS } else { 1 } {
            self.watch(number, Birthday::Height(3)).await;
        }
        self.deaths.clear();
        self.start_again(true).await;
        let settled = tokio::time::timeout(PATIENCE, self.until_complete()).await;
        assert!(settled.is_ok(), "{}", self.standing());
        // The mempool is seen by the next look at the node.
        tokio::time::sleep(QUIET / 2).await;
        self.check_everything().await;
        let (before, audits) = (self.server.history().await.len(), self.audits().await);
        tokio::time::sleep(QUIET).await;
        // Nothing happens when nothing happens.
        let audits = self.audits().await - audits;
        let history = self.server.history().await;
        assert!(audits > 0);
        assert_eq!(history.len(), before + audits, "{:#?}", &history[before..]);
    }

    fn standing(&self) -> String {
        let coins = self.server.read_model.coins();
        let wishes = self.wishes().into_iter();
        let wishes: Vec<_> = wishes
            .map(|wish| (wish, coins.coverage(&wish.script)))
            .collect();
        let model = &self.server.read_model;
        format!(
            "tip {:?}, node {:?}, gap {}, {wishes:#?}",
            coins.tip(),
            self.node.inner().tip(),
            model.transaction_status().gap_open()
        )
    }

    async fn audits(&self) -> usize {
        let history = self.server.history().await;
        let audits = history
            .iter()
            .filter(|(_, event)| matches!(event, ChainEvent::AuditPassed { .. }));
        audits.count()
    }

    async fn until_complete(&self) {
        loop {
            let model = &self.server.read_model;
            let at_tip = model.coins().tip() == Some(self.node.inner().tip());
            let wishes = self.wishes();
            let complete = |wish: &HistoryWish| truth::complete(model, wish).is_some();
            let waiting: BTreeSet<_> = {
                let node = self.node.inner();
                node.mempool.iter().map(|payment| payment.txid).collect()
            };
            let chain = self.server.chain().await;
            let mempool_agrees = chain.mempool().all(|(txid, _)| waiting.contains(txid));
            if model.is_live() && at_tip && mempool_agrees && wishes.iter().all(complete) {
                return;
            }
            tokio::time::sleep(PAUSE).await;
        }
    }

    async fn check_everything(&mut self) {
        let model = &self.server.read_model;
        let wishes = self.wishes();
        for wish in &wishes {
            let known =
                truth::complete(model, wish).unwrap_or_else(|| panic!("{}", self.standing()));
            let node = self.node.inner();
            truth::assert_coins_in_blocks(model, &node, wish, &known);
            truth::assert_coins_in_mempool(model, &node, wish);
            truth::assert_transactions(model, &node, wish, &known);
        }
        self.checked += wishes.len();
        let history = self.server.history().await;
        assert_lawful(&history);
        assert_named(&history);
        self.assert_the_same_after_a_restart().await;
    }

    /// The state that the log gives is the live one, from its first event or from a snapshot.
    async fn assert_the_same_after_a_restart(&self) {
        let live = &self.server.read_model;
        let head = self.log.head().await.unwrap();
        assert!(live.wait_for(head, PATIENCE).await);
        for model in [
            ReadModel::new(),
            ReadModel::restore_from(&self.snapshots),
            ReadModel::restore_from(&live.snapshots()),
        ] {
            let reached = async { while !model.wait_for(head, PATIENCE).await {} };
            runner::run(&model, &self.log, |_| (), reached).await;
            assert_eq!(model.digests(), live.digests());
        }
        let (clock, ids) = ports(&self.clock, &self.ids);
        let other = Handler::new(Arc::new(self.log.clone()), clock, ids);
        let stream = StreamId::chain(Network::Regtest);
        let replayed = other.state::<Chain>(&stream).await.unwrap();
        assert_eq!(*replayed, *self.server.chain().await);
    }
}

/// Every event has the id that its content gives it, a coin is found once, and nothing is amended to
/// what it was.
fn assert_named(history: &[(EventId, ChainEvent)]) {
    let genesis = check::genesis(Network::Regtest);
    let mut once = BTreeSet::new();
    for (id, event) in history {
        assert_eq!(*id, event_id(genesis, event), "{event:?}");
        if let ChainEvent::History(HistoryEvent::CoinFound { outpoint, .. }) = event {
            assert!(once.insert(*outpoint), "{event:?} came twice");
        }
    }
}

fn at_the_node(node: &PastNode, happening: &Happening, least: usize) {
    let mut node = node.inner();
    match happening {
        Happening::Pay { coins, to } => node.pay(coins, to),
        Happening::Replace { number, to } => node.replace(*number, *to),
        Happening::Evict { number } => node.evict(*number),
        Happening::Mine { choice, pays } => node.mine(*choice, *pays),
        Happening::MineEmpty { blocks } => (0..*blocks).for_each(|_| node.mine(0, OURS)),
        Happening::Reorganise {
            depth,
            lost,
            blocks,
        } => {
            node.reorganise((*depth).into(), least, (*lost).into());
            (0..*blocks).for_each(|_| node.mine(0, OURS));
        }
        Happening::Watch { .. }
        | Happening::Unwatch { .. }
        | Happening::Prune { .. }
        | Happening::Snapshot
        | Happening::Kill => {}
    }
}

fn ports(clock: &Arc<StepClock>, ids: &Arc<CountingIds>) -> (Arc<dyn Clock>, Arc<dyn IdSource>) {
    (Arc::clone(clock) as _, Arc::clone(ids) as _)
}

/// The client that watches; any valid key will do.
fn holder() -> ClientId {
    // The base point of the curve.
    let mut bytes = [0x66; 32];
    bytes[0] = 0x58;
    ClientId::new(bytes).unwrap()
}
