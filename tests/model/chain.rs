//! The chain aggregate against a naive node: random payments, replacements, blocks and
//! reorganisations, of which the log hears some at once and the rest at the next reconcile.

use std::collections::BTreeMap;

use proptest::prelude::*;
use satpost_domain::aggregate::Aggregate;
use satpost_domain::chain::{
    BlockRef, Chain, ChainCommand, ChainEvent, Conflict, OutPoint, RemovalCause, ReplacedIn,
    ReplacedVia, Sighting, Touch, TransactionState,
};
use satpost_domain::ids::{BlockHash, ScriptHash, Txid};
use satpost_domain::limits::REORG_BLOCKS_MAX;
use satpost_domain::time::Timestamp;

mod node;

use node::Node;

const GENESIS: BlockHash = BlockHash::new([0; 32]);
const AT: Timestamp = Timestamp::from_millis(7);
/// How many transactions there are; numbers 2n and 2n+1 spend the same output.
const TRANSACTIONS: u8 = 8;

/// Something that happens at the node.
#[derive(Debug, Clone)]
enum Happening {
    /// A transaction is broadcast; it takes the place of the one it conflicts with.
    Broadcast { transaction: u8 },
    /// A transaction is dropped from the mempool.
    Drop { transaction: u8 },
    /// A block with some of the mempool, and perhaps a transaction nobody has seen.
    Mine { choice: u8, unseen: Option<u8> },
    /// So many blocks without transactions.
    MineEmpty { blocks: u16 },
    /// The last blocks become stale; some of their transactions do not return to the mempool.
    Reorganise { depth: u8, lost: u8 },
    /// The watcher compares everything.
    Reconcile,
}

fn happening() -> impl Strategy<Value = Happening> {
    let transaction = 0..TRANSACTIONS;
    prop_oneof![
        6 => transaction.clone().prop_map(|transaction| Happening::Broadcast { transaction }),
        2 => transaction.clone().prop_map(|transaction| Happening::Drop { transaction }),
        5 => (any::<u8>(), proptest::option::of(transaction))
            .prop_map(|(choice, unseen)| Happening::Mine { choice, unseen }),
        1 => (1..400_u16).prop_map(|blocks| Happening::MineEmpty { blocks }),
        3 => (1..5_u8, any::<u8>())
            .prop_map(|(depth, lost)| Happening::Reorganise { depth, lost }),
        2 => Just(Happening::Reconcile),
    ]
}

fn txid(transaction: u8) -> Txid {
    Txid::new([transaction; 32])
}

fn sighting(transaction: u8) -> Sighting {
    // Every third transaction touches a second script.
    let scripts = if transaction.is_multiple_of(3) {
        1..3
    } else {
        1..2
    };
    Sighting {
        txid: txid(transaction),
        index: 0,
        touches: scripts
            .map(|script| Touch {
                script_hash: ScriptHash::new([script; 32]),
                received_sat: 1,
                spent_sat: 0,
                outputs: vec![(u32::from(script), 1)],
            })
            .collect(),
        inputs: vec![OutPoint {
            txid: Txid::new([0xee; 32]),
            vout: u32::from(transaction / 2),
        }],
    }
}

/// The log under test, with everything that was ever appended to it.
struct Log {
    chain: Chain,
    history: Vec<ChainEvent>,
    paths: BTreeMap<(Txid, ScriptHash), Path>,
}

/// The way of one transaction as one script's holder sees it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Path {
    place: Place,
    /// The highest incarnation that any event has named.
    incarnation: u32,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Place {
    Mempool,
    Confirmed(BlockRef),
    Gone { replaced: bool },
}

impl Log {
    fn new(node: &Node) -> Self {
        let mut log = Self {
            chain: Chain::default(),
            history: Vec::new(),
            paths: BTreeMap::new(),
        };
        log.start(node.tip());
        log
    }

    fn start(&mut self, tip: BlockRef) {
        self.tell(&ChainCommand::Start {
            genesis: GENESIS,
            tip,
            at: AT,
        });
    }

    /// Gives a command to the log; a refusal changes nothing.
    fn tell(&mut self, command: &ChainCommand) {
        let Ok(events) = self.chain.decide(command) else {
            return;
        };
        for event in &events {
            self.chain.evolve(event);
            self.follow(event);
        }
        self.history.extend(events);
        let chain = &self.chain;
        // How often one that went was in the mempool is remembered for ever.
        self.paths.retain(|(txid, _), path| {
            chain.tracked(txid).is_some() || matches!(path.place, Place::Gone { .. })
        });
        let again = chain.decide(command);
        assert!(
            again.is_err() || again.is_ok_and(|events| events.is_empty()),
            "a repeat of {command:?} appends something"
        );
    }

    /// Checks that an event is the next step of the state machine.
    fn follow(&mut self, event: &ChainEvent) {
        let (key, next) = match event {
            ChainEvent::TransactionSeen {
                txid,
                touch,
                incarnation,
                ..
            } => {
                let key = (*txid, touch.script_hash);
                let before = self.paths.get(&key);
                assert!(
                    before.is_none_or(|path| matches!(path.place, Place::Gone { .. })
                        && path.incarnation < *incarnation),
                    "{event:?} after {before:?}"
                );
                (
                    key,
                    Path {
                        place: Place::Mempool,
                        incarnation: *incarnation,
                    },
                )
            }
            ChainEvent::TransactionConfirmed {
                txid, touch, block, ..
            } => {
                let key = (*txid, touch.script_hash);
                let before = self.paths.get(&key).copied();
                assert!(
                    before.is_none_or(|path| !matches!(path.place, Place::Confirmed(_))),
                    "{event:?} after {before:?}"
                );
                let incarnation = before.map_or(0, |path| path.incarnation);
                (
                    key,
                    Path {
                        place: Place::Confirmed(*block),
                        incarnation,
                    },
                )
            }
            ChainEvent::TransactionUnconfirmed {
                txid,
                script_hash,
                block,
                ..
            } => {
                let key = (*txid, *script_hash);
                let before = self.paths[&key];
                assert_eq!(before.place, Place::Confirmed(*block), "{event:?}");
                (
                    key,
                    Path {
                        place: Place::Mempool,
                        incarnation: before.incarnation + 1,
                    },
                )
            }
            ChainEvent::TransactionReplaced {
                txid,
                script_hash,
                incarnation,
                ..
            }
            | ChainEvent::TransactionEvicted {
                txid,
                script_hash,
                incarnation,
            } => {
                let key = (*txid, *script_hash);
                let before = self.paths[&key];
                let replaced = matches!(event, ChainEvent::TransactionReplaced { .. });
                // What took the place of an evicted transaction may be known only later.
                let may_go = before.place == Place::Mempool
                    || replaced && before.place == Place::Gone { replaced: false };
                assert!(
                    may_go && before.incarnation == *incarnation,
                    "{event:?} after {before:?}"
                );
                (
                    key,
                    Path {
                        place: Place::Gone { replaced },
                        incarnation: *incarnation,
                    },
                )
            }
            ChainEvent::EpochStarted { .. }
            | ChainEvent::BlockConnected { .. }
            | ChainEvent::BlockDisconnected { .. }
            | ChainEvent::AuditPassed { .. }
            | ChainEvent::DepthReached { .. }
            | ChainEvent::TransactionFinal { .. }
            | ChainEvent::CoinbaseMatured { .. }
            | ChainEvent::FeedGap { .. }
            | ChainEvent::FeedRestored { .. }
            | ChainEvent::History(_) => return,
        };
        self.paths.insert(key, next);
    }

    fn tell_block(&mut self, node: &Node, height: usize) {
        let (hash, transactions) = &node.blocks[height];
        let conflicts = transactions.iter().map(|transaction| Conflict {
            txid: txid(transaction ^ 1),
            by: txid(*transaction),
            via: ReplacedVia::Direct,
        });
        self.tell(&ChainCommand::ConnectBlock {
            block: BlockRef {
                height: u32::try_from(height).unwrap(),
                hash: *hash,
            },
            previous: node.blocks[height - 1].0,
            time_secs: 0,
            sightings: transactions.iter().copied().map(sighting).collect(),
            conflicts: conflicts.collect(),
            depths: Vec::new(),
            final_depth: 6,
        });
    }

    fn tell_seen(&mut self, transactions: impl Iterator<Item = u8>) {
        self.tell(&ChainCommand::SeeTransactions {
            sightings: transactions.map(sighting).collect(),
            at: AT,
        });
    }

    fn tell_removed(&mut self, transaction: u8, cause: RemovalCause) {
        self.tell(&ChainCommand::RemoveTransactions {
            removals: vec![(txid(transaction), cause)],
        });
    }

    fn tell_disconnected(&mut self, hash: BlockHash) {
        self.tell(&ChainCommand::DisconnectBlock { hash });
    }

    /// What the watcher does at a start and after every gap.
    fn reconcile(&mut self, node: &Node) {
        while let Some(tip) = self.chain.tip().filter(|tip| !node.has(tip)) {
            self.tell_disconnected(tip.hash);
            if self.chain.tip() == Some(tip) {
                self.start(node.at((tip.height as usize).saturating_sub(REORG_BLOCKS_MAX)));
            }
        }
        let tip = self.chain.tip().expect("the chain is started");
        for height in tip.height as usize + 1..node.blocks.len() {
            self.tell_block(node, height);
        }
        self.tell_seen(node.mempool.iter().copied());
        for transaction in 0..TRANSACTIONS {
            if !node.mempool.contains(&transaction) {
                self.tell_removed(transaction, RemovalCause::Evicted);
            }
        }
        self.compare(node);
    }

    /// The contract: after a reconcile the log says what the node says.
    fn compare(&self, node: &Node) {
        assert_eq!(self.chain.tip(), Some(node.tip()));
        for transaction in 0..TRANSACTIONS {
            let tracked = self.chain.tracked(&txid(transaction));
            let state = tracked.map(|tracked| tracked.state);
            if node.mempool.contains(&transaction) {
                assert_eq!(state, Some(TransactionState::Mempool), "{transaction}");
            } else if let Some(block) = node.block_of(transaction) {
                let forgotten = node.highest - block.height as usize > REORG_BLOCKS_MAX;
                let confirmed = state == Some(TransactionState::Confirmed(block));
                assert!(
                    confirmed || forgotten && state.is_none(),
                    "{transaction} is {state:?}"
                );
            } else {
                let gone = matches!(state, None | Some(TransactionState::Gone { .. }));
                assert!(gone, "{transaction} is {state:?}");
            }
        }
    }
}

/// Lets something happen at the node, and tells the log when `told`.
fn happen(node: &mut Node, log: &mut Log, happening: &Happening, told: bool) {
    match *happening {
        Happening::Broadcast { transaction } => {
            if node.is_spent(transaction) || !node.mempool.insert(transaction) {
                return;
            }
            let replaced = node.mempool.remove(&(transaction ^ 1));
            if told && replaced {
                let cause = RemovalCause::Replaced {
                    by: txid(transaction),
                    via: ReplacedVia::Direct,
                    replaced_in: ReplacedIn::Mempool,
                };
                log.tell_removed(transaction ^ 1, cause);
            }
            if told {
                log.tell_seen(std::iter::once(transaction));
            }
        }
        Happening::Drop { transaction } => {
            if node.mempool.remove(&transaction) && told {
                log.tell_removed(transaction, RemovalCause::Evicted);
            }
        }
        Happening::Mine { choice, unseen } => {
            let chosen = |transaction: &u8| choice & (1 << transaction) != 0;
            let mut transactions: Vec<u8> = node.mempool.iter().copied().filter(chosen).collect();
            let unseen = unseen.filter(|unseen| {
                !node.is_spent(*unseen)
                    && !transactions.contains(unseen)
                    && !transactions.contains(&(unseen ^ 1))
            });
            transactions.extend(unseen);
            for transaction in &transactions {
                node.mempool.remove(transaction);
                node.mempool.remove(&(transaction ^ 1));
            }
            node.mine(transactions);
            if told {
                log.tell_block(node, node.blocks.len() - 1);
            }
        }
        Happening::MineEmpty { blocks } => {
            for _ in 0..blocks {
                node.mine(Vec::new());
                if told {
                    log.tell_block(node, node.blocks.len() - 1);
                }
            }
        }
        Happening::Reorganise { depth, lost } => reorganise(node, log, depth, lost, told),
        Happening::Reconcile => log.reconcile(node),
    }
}

fn reorganise(node: &mut Node, log: &mut Log, depth: u8, lost: u8, told: bool) {
    for _ in 0..depth {
        if node.blocks.len() == 1 {
            return;
        }
        let (hash, transactions) = node.blocks.pop().expect("there is more than block 0");
        if told {
            log.tell_disconnected(hash);
        }
        for transaction in transactions {
            let returns =
                lost & (1 << transaction) == 0 && !node.mempool.contains(&(transaction ^ 1));
            if returns {
                node.mempool.insert(transaction);
            }
            if told && returns {
                log.tell_seen(std::iter::once(transaction));
            } else if told {
                log.tell_removed(transaction, RemovalCause::Evicted);
            }
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig {
        cases: 256,
        failure_persistence: Some(Box::new(
            proptest::test_runner::FileFailurePersistence::WithSource("regressions"),
        )),
        ..ProptestConfig::default()
    })]

    #[test]
    fn says_what_the_node_says_after_every_reconcile(
        happenings in proptest::collection::vec((happening(), prop::bool::weighted(0.7)), 1..60),
    ) {
        let mut node = Node::new();
        let mut log = Log::new(&node);
        for (happening, told) in &happenings {
            happen(&mut node, &mut log, happening, *told);
        }
        log.reconcile(&node);
        log.reconcile(&node);

        let mut replayed = Chain::default();
        for event in &log.history {
            replayed.evolve(event);
        }
        prop_assert_eq!(&replayed, &log.chain, "a replay gives the same state");
    }

    #[test]
    fn needs_no_reconcile_when_everything_is_told(
        happenings in proptest::collection::vec(happening(), 1..60),
    ) {
        // A reorganisation below the block where the log began needs a start, so there is none.
        let mut node = Node::new();
        for _ in 0..300 {
            node.mine(Vec::new());
        }
        let mut log = Log::new(&Node { blocks: node.blocks[..2].to_vec(), ..Node::new() });
        for height in 2..node.blocks.len() {
            log.tell_block(&node, height);
        }
        for happening in &happenings {
            happen(&mut node, &mut log, happening, true);
            log.compare(&node);
        }
    }
}
