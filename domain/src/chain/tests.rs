//! Given, when, then.

use super::*;
use crate::aggregate::Aggregate;
use crate::ids::{BlockHash, ScriptHash, Txid};
use crate::time::Timestamp;

mod forgetting;
mod ids;
mod milestones;

const AT: Timestamp = Timestamp::from_millis(1_000);
/// Smaller than what the server uses, so that the chains of the tests are short.
const FINAL_DEPTH: u32 = 6;
const GENESIS: BlockHash = BlockHash::new([0x6e; 32]);

fn txid(name: u8) -> Txid {
    Txid::new([name; 32])
}

fn script(name: u8) -> ScriptHash {
    ScriptHash::new([name; 32])
}

/// The block at `height` on the branch `branch`.
fn block(height: u32, branch: u8) -> BlockRef {
    let mut hash = [branch; 32];
    hash[..4].copy_from_slice(&height.to_be_bytes());
    BlockRef {
        height,
        hash: BlockHash::new(hash),
    }
}

fn outpoint(name: u8, vout: u32) -> OutPoint {
    OutPoint {
        txid: txid(name),
        vout,
    }
}

/// A payment of 5,000 sat to `to` by output 0, which spends output 7 of the transaction 0xff.
fn payment(name: u8, to: &[u8]) -> Sighting {
    Sighting {
        txid: txid(name),
        index: 0,
        touches: to.iter().map(|to| pays(*to)).collect(),
        inputs: vec![outpoint(0xff, 7)],
    }
}

fn pays(to: u8) -> Touch {
    Touch {
        script_hash: script(to),
        received_sat: 5_000,
        spent_sat: 0,
        outputs: vec![(u32::from(to), 5_000)],
    }
}

fn start() -> ChainCommand {
    ChainCommand::Start {
        genesis: GENESIS,
        tip: block(100, 0),
        at: AT,
    }
}

fn connect(at: BlockRef, on: BlockRef, sightings: Vec<Sighting>) -> ChainCommand {
    ChainCommand::ConnectBlock {
        block: at,
        previous: on.hash,
        time_secs: 1_700_000_000,
        sightings,
        conflicts: Vec::new(),
        depths: Vec::new(),
        final_depth: FINAL_DEPTH,
    }
}

fn see(sightings: Vec<Sighting>) -> ChainCommand {
    ChainCommand::SeeTransactions { sightings, at: AT }
}

fn evict(name: u8) -> ChainCommand {
    ChainCommand::RemoveTransactions {
        removals: vec![(txid(name), RemovalCause::Evicted)],
    }
}

/// A chain after `commands`, each of which must be accepted.
fn given(commands: &[ChainCommand]) -> Chain {
    let mut chain = Chain::default();
    for command in commands {
        when(&mut chain, command);
    }
    chain
}

/// Decides and applies.
fn when(chain: &mut Chain, command: &ChainCommand) -> Vec<ChainEvent> {
    let events = chain.decide(command).expect("the command is accepted");
    for event in &events {
        chain.evolve(event);
    }
    events
}

fn confirmed(name: u8, to: u8, at: BlockRef) -> ChainEvent {
    ChainEvent::TransactionConfirmed {
        txid: txid(name),
        touch: pays(to),
        inputs: vec![outpoint(0xff, 7)],
        block: at,
        index: 0,
        backfilled: false,
    }
}

fn seen(name: u8, to: u8, incarnation: u32) -> ChainEvent {
    ChainEvent::TransactionSeen {
        txid: txid(name),
        touch: pays(to),
        inputs: vec![outpoint(0xff, 7)],
        incarnation,
        at: AT,
    }
}

fn evicted(name: u8, from: u8, incarnation: u32) -> ChainEvent {
    ChainEvent::TransactionEvicted {
        txid: txid(name),
        script_hash: script(from),
        incarnation,
    }
}

fn connected(at: BlockRef, on: BlockRef) -> ChainEvent {
    ChainEvent::BlockConnected {
        block: at,
        previous: on.hash,
        time_secs: 1_700_000_000,
    }
}

#[test]
fn starts_at_the_tip_it_is_given() {
    let mut chain = Chain::default();
    let events = when(&mut chain, &start());
    let expected = ChainEvent::EpochStarted {
        genesis: GENESIS,
        tip: block(100, 0),
        at: AT,
    };
    assert_eq!(events, vec![expected]);
    assert_eq!(chain.tip(), Some(block(100, 0)));
    assert_eq!(chain.genesis(), Some(GENESIS));
    assert_eq!(when(&mut chain, &start()), vec![]);
}

#[test]
fn refuses_everything_but_a_start_before_it_is_started() {
    for command in [
        connect(block(1, 0), block(0, 0), vec![]),
        see(vec![payment(1, &[1])]),
        evict(1),
        ChainCommand::NoteGap {
            kind: GapKind::Start,
            at: AT,
        },
        ChainCommand::NoteRestored { at: AT },
    ] {
        assert_eq!(
            Chain::default().decide(&command),
            Err(ChainError::NotStarted)
        );
    }
}

#[test]
fn refuses_the_chain_of_another_genesis() {
    let other = BlockHash::new([1; 32]);
    let command = ChainCommand::Start {
        genesis: other,
        tip: block(100, 0),
        at: AT,
    };
    assert_eq!(
        given(&[start()]).decide(&command),
        Err(ChainError::OtherGenesis {
            known: GENESIS,
            given: other
        })
    );
}

#[test]
fn tells_each_watched_script_of_a_transaction_in_the_mempool() {
    let mut chain = given(&[start()]);
    let events = when(&mut chain, &see(vec![payment(1, &[4, 5])]));
    assert_eq!(events, vec![seen(1, 4, 1), seen(1, 5, 1)]);
    assert!(chain.is_in_mempool(&txid(1)));
    let coin = Coin {
        script_hash: script(5),
        value_sat: 5_000,
    };
    assert_eq!(chain.coin(&outpoint(1, 5)), Some(coin));
}

#[test]
fn tells_nothing_twice_of_a_transaction_that_stays_in_the_mempool() {
    let mut chain = given(&[start(), see(vec![payment(1, &[4])])]);
    assert_eq!(when(&mut chain, &see(vec![payment(1, &[4])])), vec![]);
}

#[test]
fn tells_a_script_that_is_watched_later_of_a_transaction_in_the_mempool() {
    let mut chain = given(&[start(), see(vec![payment(1, &[4])])]);
    let events = when(&mut chain, &see(vec![payment(1, &[4, 5])]));
    assert_eq!(events, vec![seen(1, 5, 1)]);
}

#[test]
fn puts_the_block_first_and_its_transactions_after_it() {
    let mut chain = given(&[start(), see(vec![payment(1, &[4])])]);
    let (old, new) = (block(100, 0), block(101, 0));
    let command = connect(new, old, vec![payment(1, &[4]), payment(2, &[5])]);
    let events = when(&mut chain, &command);
    let expected = vec![
        connected(new, old),
        confirmed(1, 4, new),
        confirmed(2, 5, new),
    ];
    assert_eq!(events, expected);
    assert_eq!(chain.tip(), Some(new));
    assert_eq!(
        when(&mut chain, &command),
        vec![],
        "a repeat appends nothing"
    );
}

#[test]
fn confirms_for_a_script_that_is_no_longer_watched() {
    let mut chain = given(&[start(), see(vec![payment(1, &[4])])]);
    let (old, new) = (block(100, 0), block(101, 0));
    let events = when(&mut chain, &connect(new, old, vec![payment(1, &[])]));
    assert_eq!(events, vec![connected(new, old), confirmed(1, 4, new)]);
}

#[test]
fn refuses_a_block_that_does_not_follow_the_tip() {
    let chain = given(&[start()]);
    let tip = block(100, 0);
    for (at, on) in [
        (block(101, 0), block(100, 1)),
        (block(102, 0), tip),
        (block(100, 1), tip),
    ] {
        assert_eq!(
            chain.decide(&connect(at, on, vec![])),
            Err(ChainError::DoesNotConnect { block: at, tip })
        );
    }
}

#[test]
fn names_the_transaction_in_the_block_that_took_the_place() {
    let mut chain = given(&[start(), see(vec![payment(1, &[4]), payment(2, &[5])])]);
    let (old, new) = (block(100, 0), block(101, 0));
    let conflict = |name| Conflict {
        txid: txid(name),
        by: txid(9),
        via: ReplacedVia::Direct,
    };
    let command = ChainCommand::ConnectBlock {
        block: new,
        previous: old.hash,
        time_secs: 1_700_000_000,
        sightings: vec![payment(2, &[5])],
        // A transaction in the block conflicts with nothing, whatever the caller says.
        conflicts: vec![conflict(1), conflict(2), conflict(3)],
        depths: Vec::new(),
        final_depth: FINAL_DEPTH,
    };
    let replaced = ChainEvent::TransactionReplaced {
        txid: txid(1),
        script_hash: script(4),
        incarnation: 1,
        by: txid(9),
        via: ReplacedVia::Direct,
        replaced_in: ReplacedIn::Block,
    };
    assert_eq!(
        when(&mut chain, &command),
        vec![connected(new, old), confirmed(2, 5, new), replaced]
    );
}

#[test]
fn takes_back_every_transaction_of_the_tip() {
    let (old, new) = (block(100, 0), block(101, 0));
    let sightings = vec![payment(1, &[4, 5]), payment(2, &[4])];
    let mut chain = given(&[
        start(),
        see(vec![payment(1, &[4])]),
        connect(new, old, sightings),
    ]);
    let events = when(
        &mut chain,
        &ChainCommand::DisconnectBlock { hash: new.hash },
    );
    let unconfirmed = |name, from| ChainEvent::TransactionUnconfirmed {
        txid: txid(name),
        script_hash: script(from),
        block: new,
        was_final: false,
    };
    let expected = vec![
        ChainEvent::BlockDisconnected { block: new },
        unconfirmed(1, 4),
        unconfirmed(1, 5),
        unconfirmed(2, 4),
    ];
    assert_eq!(events, expected);
    assert_eq!(chain.tip(), Some(old));
    // One had been in the mempool before and entered it again, the other entered it first now.
    assert_eq!(chain.tracked(&txid(1)).map(|it| it.incarnation), Some(2));
    assert_eq!(chain.tracked(&txid(2)).map(|it| it.incarnation), Some(1));
    assert_eq!(when(&mut chain, &evict(2)), vec![evicted(2, 4, 1)]);
}

#[test]
fn confirms_again_in_another_block_after_a_reorganisation() {
    let (fork, stale, new) = (block(100, 0), block(101, 0), block(101, 1));
    let mut chain = given(&[
        start(),
        connect(stale, fork, vec![payment(1, &[4])]),
        ChainCommand::DisconnectBlock { hash: stale.hash },
    ]);
    let events = when(&mut chain, &connect(new, fork, vec![payment(1, &[4])]));
    assert_eq!(events, vec![connected(new, fork), confirmed(1, 4, new)]);
    let tracked = chain.tracked(&txid(1)).expect("it is tracked");
    assert_eq!(tracked.state, TransactionState::Confirmed(new));
}

#[test]
fn refuses_to_take_back_another_block_than_the_tip() {
    let chain = given(&[start(), connect(block(101, 0), block(100, 0), vec![])]);
    let hash = block(100, 0).hash;
    assert_eq!(
        chain.decide(&ChainCommand::DisconnectBlock { hash }),
        Err(ChainError::NotTheTip { hash })
    );
}

#[test]
fn begins_again_below_every_block_it_remembers() {
    let mut chain = given(&[start()]);
    let hash = block(100, 0).hash;
    assert_eq!(
        chain.decide(&ChainCommand::DisconnectBlock { hash }),
        Err(ChainError::TooDeep { oldest: 100 })
    );
    when(
        &mut chain,
        &connect(block(101, 0), block(100, 0), vec![payment(1, &[4])]),
    );
    let below = block(99, 1);
    let events = when(
        &mut chain,
        &ChainCommand::Start {
            genesis: GENESIS,
            tip: below,
            at: AT,
        },
    );
    assert_eq!(
        events[0],
        ChainEvent::BlockDisconnected {
            block: block(101, 0)
        }
    );
    assert!(matches!(
        events[1],
        ChainEvent::TransactionUnconfirmed { .. }
    ));
    assert_eq!(
        events[2],
        ChainEvent::BlockDisconnected {
            block: block(100, 0)
        }
    );
    assert_eq!(chain.tip(), Some(below));
    assert!(chain.is_in_mempool(&txid(1)));
}

#[test]
fn refuses_to_begin_again_inside_the_blocks_it_remembers() {
    let chain = given(&[start(), connect(block(101, 0), block(100, 0), vec![])]);
    let command = ChainCommand::Start {
        genesis: GENESIS,
        tip: block(100, 1),
        at: AT,
    };
    assert!(matches!(
        chain.decide(&command),
        Err(ChainError::DoesNotConnect { .. })
    ));
}

#[test]
fn counts_how_often_a_transaction_enters_the_mempool() {
    let mut chain = given(&[start(), see(vec![payment(1, &[4])])]);
    assert_eq!(when(&mut chain, &evict(1)), vec![evicted(1, 4, 1)]);
    assert_eq!(when(&mut chain, &evict(1)), vec![]);
    let again = when(&mut chain, &see(vec![payment(1, &[4])]));
    assert_eq!(again, vec![seen(1, 4, 2)]);
    assert_eq!(when(&mut chain, &evict(1)), vec![evicted(1, 4, 2)]);
}

#[test]
fn names_the_transaction_that_took_the_place_in_the_mempool() {
    let mut chain = given(&[start(), see(vec![payment(1, &[4])])]);
    let cause = RemovalCause::Replaced {
        by: txid(2),
        via: ReplacedVia::Ancestor,
        replaced_in: ReplacedIn::Mempool,
    };
    let removals = vec![(txid(1), cause), (txid(1), RemovalCause::Evicted)];
    let events = when(&mut chain, &ChainCommand::RemoveTransactions { removals });
    let expected = ChainEvent::TransactionReplaced {
        txid: txid(1),
        script_hash: script(4),
        incarnation: 1,
        by: txid(2),
        via: ReplacedVia::Ancestor,
        replaced_in: ReplacedIn::Mempool,
    };
    assert_eq!(events, vec![expected]);
}

#[test]
fn leaves_a_confirmed_transaction_where_the_chain_says_it_is() {
    let mut chain = given(&[
        start(),
        connect(block(101, 0), block(100, 0), vec![payment(1, &[4])]),
    ]);
    assert_eq!(when(&mut chain, &see(vec![payment(1, &[4])])), vec![]);
    assert_eq!(when(&mut chain, &evict(1)), vec![]);
}

#[test]
fn notes_a_gap_once_until_it_is_restored() {
    let mut chain = given(&[start()]);
    let gap = ChainCommand::NoteGap {
        kind: GapKind::Counter,
        at: AT,
    };
    let restored = ChainCommand::NoteRestored { at: AT };
    assert_eq!(when(&mut chain, &restored), vec![]);
    assert_eq!(when(&mut chain, &gap).len(), 1);
    assert_eq!(when(&mut chain, &gap), vec![]);
    assert!(chain.gap_open());
    assert_eq!(when(&mut chain, &restored).len(), 1);
    assert!(!chain.gap_open());
}
