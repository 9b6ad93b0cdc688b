//! The way that every transaction must have gone in the log of a server that heard everything,
//! computed from the announcements alone.

use std::collections::{BTreeMap, BTreeSet};

use satpost_domain::chain::ChainEvent;
use satpost_domain::ids::{ScriptHash, Txid};
use satpost_infra::bitcoind::feed::Notice;

use super::node::Inner;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Move {
    Entered,
    Confirmed,
    Returned,
    Left,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Place {
    Mempool,
    Block,
    Nowhere,
}

/// What was announced.
#[derive(Default)]
pub(super) struct Announced {
    ways: BTreeMap<Txid, Vec<Move>>,
    places: BTreeMap<Txid, Place>,
    /// Transactions of which the node did not announce everything.
    untold: BTreeSet<Txid>,
}

impl Announced {
    pub(super) fn hear(&mut self, notice: &Notice, node: &Inner) {
        match notice {
            Notice::Added { txid, .. } => {
                if self.place(txid) == Place::Nowhere {
                    self.go(*txid, Place::Mempool, Move::Entered);
                }
            }
            Notice::Removed { txid, .. } => self.go(*txid, Place::Nowhere, Move::Left),
            Notice::Connected(hash) => {
                for txid in node.transactions_in(hash) {
                    self.go(txid, Place::Block, Move::Confirmed);
                }
            }
            Notice::Disconnected(hash) => {
                for txid in node.transactions_in(hash) {
                    self.go(txid, Place::Mempool, Move::Returned);
                }
            }
            Notice::Opened | Notice::Gap(_) => panic!("a node announces no {notice:?}"),
        }
    }

    /// The node was started again, so that nothing before is complete.
    pub(super) fn restart(&mut self) {
        self.untold.extend(self.places.keys());
    }

    /// What was taken back and did not return is not announced.
    pub(super) fn compare(&mut self, node: &Inner) {
        let waiting: BTreeSet<Txid> = node.mempool.iter().map(super::node::id).collect();
        let places = self.places.iter();
        let missing =
            places.filter(|(txid, place)| **place == Place::Mempool && !waiting.contains(txid));
        self.untold.extend(missing.map(|(txid, _)| *txid));
    }

    fn place(&self, txid: &Txid) -> Place {
        self.places.get(txid).copied().unwrap_or(Place::Nowhere)
    }

    fn go(&mut self, txid: Txid, place: Place, step: Move) {
        self.places.insert(txid, place);
        self.ways.entry(txid).or_default().push(step);
    }

    /// Every way in the log of a server that heard everything is the announced one, and of what
    /// touches watched scripts none is missing.
    pub(super) fn assert_recorded(&self, history: &[ChainEvent], watched: &BTreeSet<Txid>) {
        let mut recorded: BTreeMap<(Txid, ScriptHash), Vec<Move>> = BTreeMap::new();
        for event in history {
            let Some(script) = event.touched_script() else {
                continue;
            };
            let (txid, step) = match event {
                ChainEvent::TransactionSeen { txid, .. } => (txid, Move::Entered),
                ChainEvent::TransactionConfirmed { txid, .. } => (txid, Move::Confirmed),
                ChainEvent::TransactionUnconfirmed { txid, .. } => (txid, Move::Returned),
                ChainEvent::TransactionReplaced { txid, .. }
                | ChainEvent::TransactionEvicted { txid, .. } => (txid, Move::Left),
                _ => continue,
            };
            let way = recorded.entry((*txid, *script)).or_default();
            // What took the place may be found after the transaction has left.
            if step != Move::Left || way.last() != Some(&Move::Left) {
                way.push(step);
            }
        }
        for ((txid, _), way) in &recorded {
            if !self.untold.contains(txid) {
                assert_eq!(Some(way), self.ways.get(txid), "{txid}");
            }
        }
        let known: BTreeSet<Txid> = recorded.keys().map(|(txid, _)| *txid).collect();
        let missing = watched
            .difference(&known)
            .find(|txid| self.ways.contains_key(txid));
        assert_eq!(missing, None);
    }
}
