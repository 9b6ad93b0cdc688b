//! The node, both servers, and what the one that hears everything must have recorded.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use bitcoin::OutPoint;
use bitcoin::constants::genesis_block;
use satpost_domain::chain::{BlockRef, ChainEvent, TransactionState};
use satpost_domain::ids::{ScriptHash, Txid};
use satpost_domain::limits::REORG_BLOCKS_MAX;

use super::announced::Announced;
use super::node::{BLOCKS_AT_START, SimNode, old_coin, payment};
use super::server::{OnItsWay, Server};
use super::{Append, Fate, Happening};

pub(super) struct World {
    node: Arc<SimNode>,
    /// Hears everything and never dies.
    perfect: Server,
    /// Hears what fate lets it hear.
    broken: Server,
    fates: Vec<Fate>,
    told: Announced,
    /// How often the node was started again.
    restarts: usize,
    announced: u64,
    /// The most blocks there were: what is far below may be forgotten.
    highest: usize,
}

impl World {
    pub(super) async fn new(fates: Vec<Fate>, appends: Vec<Append>) -> Self {
        let node = Arc::new(SimNode::new(genesis_block(bitcoin::Network::Regtest)));
        Self {
            perfect: Server::new(&node, &[]).await,
            broken: Server::new(&node, &appends).await,
            node,
            fates,
            told: Announced::default(),
            restarts: 0,
            announced: 0,
            highest: 0,
        }
    }

    pub(super) async fn happen(&mut self, happening: &Happening) {
        match *happening {
            Happening::Pay { coin, variant } => {
                // The same few, so that they leave and come back.
                let payment = payment(old_coin(coin), variant, (coin + variant) % 5);
                self.node.inner().accept(&payment);
            }
            Happening::Child {
                parent,
                variant,
                to,
            } => self.pay_on(parent, variant, to),
            Happening::Evict { number } => {
                let mut node = self.node.inner();
                let waiting = node.mempool.len().max(1);
                node.evict(usize::from(number) % waiting);
            }
            Happening::Mine {
                choice,
                unseen,
                pays,
            } => {
                let unseen =
                    unseen.map(|(coin, variant)| payment(old_coin(coin), variant + 10, variant));
                self.node.inner().mine(choice, unseen, pays);
            }
            Happening::MineEmpty { blocks } => self.mine_empty(blocks),
            Happening::Reorganise {
                depth,
                lost,
                blocks,
            } => {
                // Only now and then below the block where the servers began.
                let keep = if lost == 3 { 2 } else { BLOCKS_AT_START };
                self.node
                    .inner()
                    .reorganise(depth.into(), keep, usize::from(lost));
                self.mine_empty(blocks);
            }
            Happening::Restart { keeps_mempool } => {
                self.announce();
                self.node.inner().restart(keeps_mempool);
                self.told.restart();
                self.restarts += 1;
                self.perfect.disconnect().await;
                self.broken.disconnect().await;
            }
            Happening::Deliver { count } => {
                for _ in 0..count {
                    self.perfect.take().await;
                    self.broken.take().await;
                }
            }
            Happening::Heartbeat => {
                self.perfect.heartbeat().await;
                self.broken.heartbeat().await;
            }
        }
        self.announce();
    }

    fn pay_on(&mut self, parent: u8, variant: u8, to: u8) {
        let mut node = self.node.inner();
        let waiting = node.mempool.len().max(1);
        if let Some(parent) = node.mempool.get(usize::from(parent) % waiting) {
            let coin = OutPoint::new(parent.compute_txid(), 0);
            node.accept(&payment(coin, variant, to));
        }
    }

    fn mine_empty(&mut self, blocks: u8) {
        for _ in 0..blocks {
            self.node.inner().mine(0, None, 200);
        }
    }

    /// Sends what was announced on its way to both.
    fn announce(&mut self) {
        self.highest = self.highest.max(self.node.inner().best.len());
        for notice in self.node.announcements() {
            self.told.hear(&notice, &self.node.inner());
            let number = self.announced;
            let fate = self.fates[usize::try_from(number).unwrap() % self.fates.len()];
            self.announced += 1;
            for (server, fate) in [(&mut self.perfect, Fate::Arrives), (&mut self.broken, fate)] {
                let notice = notice.clone();
                server.queue.push_back(OnItsWay {
                    number,
                    notice,
                    fate,
                });
                server.announced = self.announced;
            }
        }
        self.told.compare(&self.node.inner());
    }

    /// Everything arrives, and everything is compared.
    pub(super) async fn settle(&mut self) {
        self.perfect.audit().await;
        self.broken.audit().await;
        for server in [&self.perfect, &self.broken] {
            self.compare(server).await;
            assert_lawful(&server.history());
        }
        let best = self.node.inner().best.clone();
        // Where the log began again after a reorganisation that reached below its first block,
        // other blocks were recorded.
        if !began_again(&self.perfect) && !began_again(&self.broken) {
            assert_eq!(self.perfect.facts(&best), self.broken.facts(&best));
            self.assert_nothing_is_missing();
        }
    }

    /// A server that hears everything records everything, and sees no gap where there is none.
    fn assert_nothing_is_missing(&self) {
        assert_eq!(self.perfect.resyncs, 1 + self.restarts, "resyncs");
        let history = self.perfect.history().into_iter();
        let history: Vec<ChainEvent> = history.map(|(_, event)| event).collect();
        self.told
            .assert_recorded(&history, &self.node.inner().watched());
    }

    /// After a comparison the log says what the node says.
    async fn compare(&self, server: &Server) {
        let chain = server.chain().await;
        let node = self.node.inner();
        assert_eq!(chain.tip().map(|tip| tip.hash), node.best.last().copied());
        let oldest = chain.recent_blocks().last().unwrap();
        let waiting: BTreeSet<Txid> = node.mempool.iter().map(super::node::id).collect();
        for txid in node.watched() {
            let state = chain.tracked(&txid).map(|tracked| tracked.state);
            match node.place_of(&txid) {
                Some((height, hash)) => {
                    let block = BlockRef { height, hash };
                    let is_old = height <= oldest.height
                        || self.highest - height as usize > REORG_BLOCKS_MAX;
                    let confirmed = state == Some(TransactionState::Confirmed(block));
                    assert!(confirmed || is_old, "{txid} is {state:?} at {height}");
                }
                None => assert_eq!(state, Some(TransactionState::Mempool), "{txid}"),
            }
        }
        for (txid, tracked) in chain.all_tracked() {
            let place = node
                .place_of(txid)
                .map(|(height, hash)| BlockRef { height, hash });
            match tracked.state {
                TransactionState::Mempool => assert!(waiting.contains(txid), "{txid}"),
                TransactionState::Confirmed(block) => assert_eq!(Some(block), place, "{txid}"),
                TransactionState::Gone { .. } => {
                    let nowhere = place.is_none_or(|place| place.height <= oldest.height)
                        && !waiting.contains(txid);
                    assert!(nowhere, "{txid} is gone and {place:?}");
                }
            }
        }
    }
}

fn began_again(server: &Server) -> bool {
    let history = server.history();
    let starts = history
        .iter()
        .filter(|(_, event)| matches!(event, ChainEvent::EpochStarted { .. }));
    starts.count() > 1
}

/// Where one transaction is for one script, by the log.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Place {
    Mempool,
    Confirmed(BlockRef),
    Gone { replaced: bool },
}

/// Every event is a step that the one before it allows, so none comes twice.
pub(crate) fn assert_lawful(history: &[(satpost_domain::EventId, ChainEvent)]) {
    let mut places: BTreeMap<(Txid, ScriptHash), (Place, u32)> = BTreeMap::new();
    let mut milestones = BTreeSet::new();
    for (id, event) in history {
        if let ChainEvent::BlockDisconnected { block } = event {
            milestones.retain(|(_, by)| by != block);
        }
        if let ChainEvent::DepthReached { block, .. }
        | ChainEvent::TransactionFinal { block, .. }
        | ChainEvent::CoinbaseMatured { block, .. } = event
        {
            assert!(milestones.insert((*id, *block)), "{event:?} came twice");
            continue;
        }
        let Some(script) = event.touched_script() else {
            continue;
        };
        let (txid, lawful, mut next) = step(event, |txid| places.get(&(txid, *script)).copied());
        if let Place::Confirmed(_) = next.0 {
            // A script that is watched late takes part in the stay that the transaction is in.
            let all = (txid, ScriptHash::new([0; 32]))..=(txid, ScriptHash::new([0xff; 32]));
            let stays = places.range(all).map(|(_, (_, incarnation))| *incarnation);
            next.1 = next.1.max(stays.max().unwrap_or(0));
        }
        let before = places.insert((txid, *script), next);
        assert!(lawful, "{event:?} after {before:?}");
    }
}

/// Of whom the event is, whether it may follow, and where it leads.
fn step(
    event: &ChainEvent,
    before: impl Fn(Txid) -> Option<(Place, u32)>,
) -> (Txid, bool, (Place, u32)) {
    match event {
        ChainEvent::TransactionSeen {
            txid, incarnation, ..
        } => {
            let lawful = match before(*txid) {
                None => true,
                Some((Place::Gone { .. }, earlier)) => earlier < *incarnation,
                Some(_) => false,
            };
            (*txid, lawful, (Place::Mempool, *incarnation))
        }
        ChainEvent::TransactionConfirmed { txid, block, .. } => {
            let before = before(*txid);
            let lawful = !matches!(before, Some((Place::Confirmed(_), _)));
            let incarnation = before.map_or(0, |(_, incarnation)| incarnation);
            (*txid, lawful, (Place::Confirmed(*block), incarnation))
        }
        ChainEvent::TransactionUnconfirmed { txid, block, .. } => {
            let before = before(*txid);
            let lawful = before.is_some_and(|(place, _)| place == Place::Confirmed(*block));
            let incarnation = before.map_or(0, |(_, incarnation)| incarnation);
            (*txid, lawful, (Place::Mempool, incarnation + 1))
        }
        ChainEvent::TransactionReplaced {
            txid, incarnation, ..
        } => {
            let allowed = [
                Some((Place::Mempool, *incarnation)),
                Some((Place::Gone { replaced: false }, *incarnation)),
            ];
            let lawful = allowed.contains(&before(*txid));
            (
                *txid,
                lawful,
                (Place::Gone { replaced: true }, *incarnation),
            )
        }
        ChainEvent::TransactionEvicted {
            txid, incarnation, ..
        } => {
            let lawful = before(*txid) == Some((Place::Mempool, *incarnation));
            (
                *txid,
                lawful,
                (Place::Gone { replaced: false }, *incarnation),
            )
        }
        other => panic!("{other:?} is no step"),
    }
}
