//! What a transaction reaches by staying where it is.

use super::forgetting::bury;
use super::*;
use crate::limits::COINBASE_MATURITY;

/// Connects the next block on `branch`, which makes the wished depth of transaction 1.
fn connect_next(chain: &mut Chain, branch: u8, depth: u32) -> Vec<ChainEvent> {
    let tip = chain.tip().expect("the chain is started");
    let mut command = connect(block(tip.height + 1, branch), tip, vec![]);
    if let ChainCommand::ConnectBlock { depths, .. } = &mut command {
        let wish = |to| DepthWish {
            txid: txid(1),
            script_hash: script(to),
            depth,
        };
        // Twice the same, and a script that it does not touch.
        *depths = vec![wish(4), wish(4), wish(9)];
    }
    when(chain, &command)
}

fn disconnect(chain: &mut Chain) -> Vec<ChainEvent> {
    let hash = chain.tip().expect("the chain is started").hash;
    when(chain, &ChainCommand::DisconnectBlock { hash })
}

/// A chain with transaction 1 in block 101, the tip.
fn confirmed_at_101(index: u32) -> Chain {
    let sighting = Sighting {
        index,
        ..payment(1, &[4])
    };
    given(&[
        start(),
        connect(block(101, 0), block(100, 0), vec![sighting]),
    ])
}

fn reached(depth: u32, at: BlockRef) -> ChainEvent {
    ChainEvent::DepthReached {
        txid: txid(1),
        script_hash: script(4),
        depth,
        block: at,
    }
}

fn finalized(at: BlockRef) -> ChainEvent {
    ChainEvent::TransactionFinal {
        txid: txid(1),
        script_hash: script(4),
        depth: FINAL_DEPTH,
        block: at,
    }
}

#[test]
fn tells_of_a_wished_depth_in_the_block_that_makes_it() {
    let mut chain = confirmed_at_101(1);
    let events = connect_next(&mut chain, 0, 2);
    assert_eq!(events[1..], [reached(2, block(102, 0))]);
    // A depth that the block does not make is skipped.
    assert_eq!(connect_next(&mut chain, 0, 2).len(), 1);
    assert_eq!(connect_next(&mut chain, 0, 1).len(), 1);
    assert_eq!(connect_next(&mut chain, 0, 0).len(), 1);
}

#[test]
fn tells_of_a_depth_again_when_another_block_makes_it() {
    let mut chain = confirmed_at_101(1);
    connect_next(&mut chain, 0, 2);
    assert_eq!(
        disconnect(&mut chain),
        vec![ChainEvent::BlockDisconnected {
            block: block(102, 0)
        }]
    );
    let events = connect_next(&mut chain, 7, 2);
    assert_eq!(events[1..], [reached(2, block(102, 7))]);
}

#[test]
fn tells_that_a_transaction_is_final_and_that_a_final_one_was_taken_back() {
    let mut chain = confirmed_at_101(1);
    bury(&mut chain, 4);
    let events = connect_next(&mut chain, 0, FINAL_DEPTH);
    let at = block(106, 0);
    assert_eq!(events[1..], [reached(FINAL_DEPTH, at), finalized(at)]);
    for _ in 0..5 {
        assert_eq!(disconnect(&mut chain).len(), 1);
    }
    let unconfirmed = |was_final| ChainEvent::TransactionUnconfirmed {
        txid: txid(1),
        script_hash: script(4),
        block: block(101, 0),
        was_final,
    };
    assert_eq!(disconnect(&mut chain)[1], unconfirmed(true));

    // In its next block it is not final yet.
    let tip = chain.tip().expect("the chain is started");
    when(
        &mut chain,
        &connect(block(101, 0), tip, vec![payment(1, &[4])]),
    );
    assert_eq!(disconnect(&mut chain)[1], unconfirmed(false));
}

#[test]
fn tells_that_a_transaction_is_final_again_in_another_block() {
    let mut chain = confirmed_at_101(1);
    bury(&mut chain, 5);
    disconnect(&mut chain);
    let events = connect_next(&mut chain, 7, 0);
    assert_eq!(events[1..], [finalized(block(106, 7))]);
}

#[test]
fn tells_that_a_coinbase_can_be_spent_by_the_next_block() {
    let mut chain = confirmed_at_101(0);
    bury(&mut chain, COINBASE_MATURITY as usize - 2);
    let events = connect_next(&mut chain, 0, 0);
    let matured = ChainEvent::CoinbaseMatured {
        txid: txid(1),
        script_hash: script(4),
        // The coinbase of block 101 can be spent in block 201, by the rules of consensus.
        block: block(200, 0),
    };
    assert_eq!(events[1..], [matured]);
    assert_eq!(connect_next(&mut chain, 0, 0).len(), 1);
}

#[test]
fn tells_no_maturity_of_other_transactions() {
    let mut chain = confirmed_at_101(1);
    bury(&mut chain, COINBASE_MATURITY as usize - 2);
    assert_eq!(connect_next(&mut chain, 0, 0).len(), 1);
}

#[test]
fn names_what_took_the_place_of_an_evicted_transaction_once_it_is_known() {
    let mut chain = given(&[start(), see(vec![payment(1, &[4])]), evict(1)]);
    let cause = RemovalCause::Replaced {
        by: txid(2),
        via: ReplacedVia::Direct,
        replaced_in: ReplacedIn::Mempool,
    };
    let removals = vec![(txid(1), cause)];
    let late = ChainCommand::RemoveTransactions { removals };
    let replaced = ChainEvent::TransactionReplaced {
        txid: txid(1),
        script_hash: script(4),
        incarnation: 1,
        by: txid(2),
        via: ReplacedVia::Direct,
        replaced_in: ReplacedIn::Mempool,
    };
    assert_eq!(when(&mut chain, &late), vec![replaced]);
    assert_eq!(when(&mut chain, &late), vec![]);
    assert_eq!(when(&mut chain, &evict(1)), vec![]);
}

#[test]
fn notes_that_an_audit_found_nothing() {
    let mut chain = given(&[start()]);
    let audit = ChainCommand::NoteAudit {
        blocks: 1,
        transactions: 7,
        at: AT,
    };
    let passed = ChainEvent::AuditPassed {
        tip: block(100, 0),
        blocks: 1,
        transactions: 7,
        at: AT,
    };
    assert_eq!(when(&mut chain, &audit), vec![passed]);
}
