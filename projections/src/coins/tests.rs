//! Coins that come, go and come back.

use satpost_domain::Timestamp;
use satpost_domain::chain::{BlockRef, ChainEvent, HistoryEvent, OutPoint, Touch};
use satpost_domain::ids::{BlockHash, ScriptHash, Txid};
use satpost_domain::limits::REORG_BLOCKS_MAX;
use satpost_domain::watchlist::Birthday;

use super::{Balance, Coins, Origin, Reading};
use crate::projection::Projection;
use crate::test_log::TestLog;

const SCRIPT: ScriptHash = ScriptHash::new([1; 32]);

fn txid(name: u8) -> Txid {
    Txid::new([name; 32])
}

fn block(height: u32) -> BlockRef {
    let mut hash = [7; 32];
    hash[..4].copy_from_slice(&height.to_be_bytes());
    BlockRef {
        height,
        hash: BlockHash::new(hash),
    }
}

const fn outpoint(name: u8) -> OutPoint {
    OutPoint {
        txid: Txid::new([name; 32]),
        vout: 0,
    }
}

fn touch(received_sat: u64, spent_sat: u64) -> Touch {
    Touch {
        script_hash: SCRIPT,
        received_sat,
        spent_sat,
        outputs: Vec::from_iter((received_sat > 0).then_some((0, received_sat))),
    }
}

/// A projection and the log it follows, with the tip at 1,000.
struct Life {
    log: TestLog,
    coins: Coins,
}

impl Life {
    fn new() -> Self {
        let mut life = Self {
            log: TestLog::default(),
            coins: Coins::default(),
        };
        life.tell(ChainEvent::EpochStarted {
            genesis: block(0).hash,
            tip: block(1_000),
            at: Timestamp::from_millis(1),
        });
        life
    }

    fn tell(&mut self, event: impl Into<ChainEvent>) {
        let envelope = self.log.chain(event.into());
        self.coins.apply(&envelope);
        let bytes = self.coins.snapshot();
        let restored = Coins::restore(&bytes).unwrap();
        assert_eq!(restored.snapshot(), bytes);
        assert_eq!(restored.recent.len(), self.coins.recent.len());
    }

    fn see(&mut self, name: u8, touch: Touch, inputs: &[OutPoint]) {
        self.tell(ChainEvent::TransactionSeen {
            txid: txid(name),
            touch,
            inputs: inputs.to_vec(),
            incarnation: 1,
            at: Timestamp::from_millis(1),
        });
    }

    fn confirm(&mut self, name: u8, touch: Touch, inputs: &[OutPoint], height: u32, index: u32) {
        self.tell(ChainEvent::TransactionConfirmed {
            txid: txid(name),
            touch,
            inputs: inputs.to_vec(),
            block: block(height),
            index,
            backfilled: true,
        });
    }

    fn evict(&mut self, name: u8) {
        self.tell(ChainEvent::TransactionEvicted {
            txid: txid(name),
            script_hash: SCRIPT,
            incarnation: 1,
        });
    }

    fn extend(&mut self, blocks: usize) {
        for _ in 0..blocks {
            let tip = self.coins.tip().unwrap();
            let connected = ChainEvent::BlockConnected {
                block: block(tip.height + 1),
                previous: tip.hash,
                time_secs: 0,
            };
            let envelope = self.log.chain(connected);
            self.coins.apply(&envelope);
        }
    }

    fn balance(&self) -> Balance {
        self.coins.balance(&SCRIPT)
    }

    fn unspent(&self) -> Vec<(u8, Origin)> {
        let coins = self.coins.unspent(&SCRIPT, None);
        coins
            .map(|coin| (coin.outpoint.txid.as_bytes()[0], coin.origin))
            .collect()
    }
}

const fn confirmed(sat: u64) -> Balance {
    Balance {
        confirmed_sat: sat,
        immature_sat: 0,
        incoming_sat: 0,
        outgoing_sat: 0,
    }
}

const fn at(height: u32) -> Origin {
    Origin::Block {
        height,
        coinbase: false,
    }
}

#[test]
fn a_coin_comes_confirms_and_is_spent() {
    let mut life = Life::new();
    life.see(1, touch(50, 0), &[outpoint(9)]);
    assert_eq!(
        life.balance(),
        Balance {
            incoming_sat: 50,
            ..Balance::default()
        }
    );
    life.extend(1);
    life.confirm(1, touch(50, 0), &[outpoint(9)], 1_001, 3);
    assert_eq!(life.balance(), confirmed(50));
    life.see(2, touch(20, 50), &[outpoint(1)]);
    let expected = Balance {
        confirmed_sat: 50,
        incoming_sat: 20,
        outgoing_sat: 50,
        immature_sat: 0,
    };
    assert_eq!(life.balance(), expected);
    life.extend(1);
    life.confirm(2, touch(20, 50), &[outpoint(1)], 1_002, 3);
    assert_eq!(life.balance(), confirmed(20));
    life.extend(REORG_BLOCKS_MAX + 1);
    assert_eq!(life.unspent(), [(2, at(1_002))]);
    let kept = &life.coins.scripts[&SCRIPT];
    assert_eq!((kept.coins.len(), kept.recent.len()), (1, 0));
    assert!(kept.spenders.is_empty());
}

#[test]
fn a_reorganisation_gives_a_coin_back() {
    let mut life = Life::new();
    life.extend(1);
    life.confirm(1, touch(50, 0), &[], 1_001, 3);
    life.extend(1);
    life.confirm(2, touch(0, 50), &[outpoint(1)], 1_002, 3);
    assert_eq!(life.balance(), confirmed(0));
    life.tell(ChainEvent::BlockDisconnected {
        block: block(1_002),
    });
    life.tell(ChainEvent::TransactionUnconfirmed {
        txid: txid(2),
        script_hash: SCRIPT,
        block: block(1_002),
        was_final: false,
    });
    assert_eq!(life.balance().outgoing_sat, 50);
    life.evict(2);
    assert_eq!(life.balance(), confirmed(50));
    assert_eq!(life.coins.tip(), Some(block(1_001)));
}

#[test]
fn a_replacement_takes_the_coin_over() {
    let mut life = Life::new();
    life.confirm(1, touch(50, 0), &[], 900, 3);
    life.see(2, touch(30, 50), &[outpoint(1)]);
    life.see(3, touch(20, 50), &[outpoint(1)]);
    life.evict(2);
    let coins = life.coins.unspent(&SCRIPT, None);
    let coins: Vec<_> = coins.map(|coin| (coin.outpoint, coin.spent_by)).collect();
    assert_eq!(coins, [(outpoint(1), Some(txid(3))), (outpoint(3), None)]);
}

#[test]
fn a_spend_waits_for_its_coin() {
    for settled in [false, true] {
        let mut life = Life::new();
        // The watcher knows from the node that 50 are taken, not which coin it is.
        life.extend(1);
        life.confirm(2, touch(20, 50), &[outpoint(1), outpoint(8)], 1_001, 3);
        if settled {
            life.extend(REORG_BLOCKS_MAX + 1);
        }
        life.confirm(1, touch(50, 0), &[], 5, 3);
        assert_eq!(life.unspent(), [(2, at(1_001))]);
    }
}

#[test]
fn an_amended_transaction_spends_what_it_did_not_seem_to() {
    for settled in [false, true] {
        let mut life = Life::new();
        life.extend(1);
        life.confirm(2, touch(20, 0), &[outpoint(1)], 1_001, 3);
        if settled {
            life.extend(REORG_BLOCKS_MAX + 1);
        }
        life.confirm(1, touch(50, 0), &[], 5, 3);
        assert_eq!(life.balance(), confirmed(70));
        life.tell(HistoryEvent::TransactionAmended {
            txid: txid(2),
            touch: touch(20, 50),
            inputs: vec![outpoint(1)],
        });
        assert_eq!(life.balance(), confirmed(20));
    }
}

#[test]
fn an_evicted_parent_takes_its_child_with_it_in_either_order() {
    for order in [[1, 2], [2, 1]] {
        let mut life = Life::new();
        life.see(1, touch(50, 0), &[]);
        life.see(2, touch(40, 50), &[outpoint(1)]);
        for name in order {
            life.evict(name);
        }
        assert_eq!(life.unspent(), []);
        assert!(life.coins.scripts.is_empty());
        life.see(1, touch(50, 0), &[]);
        assert_eq!(life.balance().incoming_sat, 50);
    }
}

#[test]
fn a_coinbase_is_immature_until_the_next_block_may_spend_it() {
    let mut life = Life::new();
    life.confirm(1, touch(50, 0), &[], 902, 0);
    assert_eq!(life.balance().immature_sat, 50);
    life.extend(1);
    assert_eq!(life.balance(), confirmed(50));
    life.tell(HistoryEvent::CoinFound {
        script_hash: SCRIPT,
        outpoint: outpoint(4),
        value_sat: 5,
        height: 950,
        coinbase: true,
    });
    assert_eq!(life.balance().immature_sat, 5);
    assert_eq!(life.coins.oldest_height(&SCRIPT), Some(902));
}

/// A back-fill that was asked for from 100 on, read from `from` on, and is complete at the tip.
fn backfilled(life: &mut Life, from: u32) {
    life.tell(HistoryEvent::BackfillStarted {
        scripts: vec![SCRIPT],
        wanted: 100,
        wanted_time_secs: 5_000,
        from,
        at: Timestamp::from_millis(1),
    });
    assert_eq!(life.coins.running().map(|pass| pass.from), Some(from));
    assert!(!satisfied(life, Birthday::Height(100), 0));
    life.tell(HistoryEvent::BackfillAdvanced {
        through: block(1_000),
    });
    life.tell(HistoryEvent::BackfillCompleted {
        from,
        through: block(1_000),
        at: Timestamp::from_millis(1),
    });
    assert_eq!(life.coins.running(), None);
}

fn satisfied(life: &Life, birthday: Birthday, passes_before: u32) -> bool {
    let coverage = life.coins.coverage(&SCRIPT);
    coverage.is_some_and(|coverage| coverage.satisfies(birthday, passes_before))
}

#[test]
fn says_how_far_back_it_knows() {
    let mut life = Life::new();
    let early = Birthday::Height(100);
    assert_eq!(life.coins.coverage(&SCRIPT), None);
    backfilled(&mut life, 100);
    assert!(satisfied(&life, early, 0));
    assert!(!satisfied(&life, Birthday::Height(99), 0));
    let time = |secs: u64| Birthday::Time(Timestamp::from_millis(secs * 1_000));
    assert!(satisfied(&life, time(5_000), 0));
    assert!(!satisfied(&life, time(4_999), 0));
    // Watched only when it had begun, or again since.
    assert!(!satisfied(&life, early, 1));
    life.tell(ChainEvent::BlockDisconnected {
        block: block(1_000),
    });
    let through = life
        .coins
        .coverage(&SCRIPT)
        .map(|coverage| coverage.reading);
    assert_eq!(through, Some(Reading::Through(999)));
}

#[test]
fn what_stands_in_for_forgotten_blocks_is_looked_up_again_when_blocks_are_taken_back() {
    let mut life = Life::new();
    backfilled(&mut life, 300);
    assert!(satisfied(&life, Birthday::Height(100), 0));
    life.tell(ChainEvent::BlockDisconnected {
        block: block(1_000),
    });
    assert_eq!(life.coins.coverage(&SCRIPT), None);
}

#[test]
fn a_coin_that_a_forgotten_block_has_spent_is_gone_for_good() {
    let mut life = Life::new();
    let found = HistoryEvent::CoinFound {
        script_hash: SCRIPT,
        outpoint: outpoint(4),
        value_sat: 5,
        height: 950,
        coinbase: false,
    };
    life.tell(found);
    assert_eq!(life.balance(), confirmed(5));
    life.tell(HistoryEvent::CoinGone {
        script_hash: SCRIPT,
        outpoint: outpoint(4),
    });
    assert_eq!(life.balance(), Balance::default());
    assert!(life.coins.scripts.is_empty());
}
