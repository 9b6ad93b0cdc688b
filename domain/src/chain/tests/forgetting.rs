//! What is forgotten, and when.

use super::*;
use crate::limits::REORG_BLOCKS_MAX;

/// Connects empty blocks on top of the tip.
pub(super) fn bury(chain: &mut Chain, blocks: usize) {
    for _ in 0..blocks {
        let tip = chain.tip().expect("the chain is started");
        when(chain, &connect(block(tip.height + 1, 0), tip, vec![]));
    }
}

#[test]
fn forgets_a_transaction_below_the_deepest_reorganisation_but_not_its_coin() {
    let mut chain = given(&[
        start(),
        connect(block(101, 0), block(100, 0), vec![payment(1, &[4])]),
    ]);
    bury(&mut chain, REORG_BLOCKS_MAX);
    assert!(chain.tracked(&txid(1)).is_some());
    assert_eq!(chain.recent_blocks().len(), REORG_BLOCKS_MAX + 1);
    bury(&mut chain, 1);
    assert!(chain.tracked(&txid(1)).is_none());
    assert_eq!(chain.recent_blocks().len(), REORG_BLOCKS_MAX + 1);
    assert!(chain.coin(&outpoint(1, 4)).is_some());
}

#[test]
fn forgets_a_coin_with_the_transaction_that_spent_it() {
    let spender = Sighting {
        inputs: vec![outpoint(1, 4)],
        ..payment(2, &[5])
    };
    let mut chain = given(&[
        start(),
        connect(
            block(101, 0),
            block(100, 0),
            vec![payment(1, &[4]), spender],
        ),
    ]);
    bury(&mut chain, REORG_BLOCKS_MAX);
    assert!(chain.coin(&outpoint(1, 4)).is_some());
    bury(&mut chain, 1);
    assert!(chain.coin(&outpoint(1, 4)).is_none());
    assert!(chain.coin(&outpoint(2, 5)).is_some());
}

#[test]
fn forgets_a_transaction_that_never_came_back_with_its_coins() {
    let mut chain = given(&[start(), see(vec![payment(1, &[4])]), evict(1)]);
    bury(&mut chain, REORG_BLOCKS_MAX);
    assert!(chain.tracked(&txid(1)).is_some());
    bury(&mut chain, 1);
    assert!(chain.tracked(&txid(1)).is_none());
    assert!(chain.coin(&outpoint(1, 4)).is_none());
}

#[test]
fn keeps_a_transaction_that_waits_in_the_mempool() {
    let mut chain = given(&[start(), see(vec![payment(1, &[4])])]);
    bury(&mut chain, REORG_BLOCKS_MAX + 1);
    assert!(chain.is_in_mempool(&txid(1)));
}

#[test]
fn remembers_how_often_a_forgotten_transaction_was_in_the_mempool() {
    let mut chain = given(&[start(), see(vec![payment(1, &[4])]), evict(1)]);
    bury(&mut chain, REORG_BLOCKS_MAX + 1);
    assert!(chain.tracked(&txid(1)).is_none());
    let again = when(&mut chain, &see(vec![payment(1, &[4])]));
    assert_eq!(again, vec![seen(1, 4, 2)]);
    when(&mut chain, &evict(1));
    bury(&mut chain, REORG_BLOCKS_MAX + 1);

    // It may also come back in a block that is then taken back.
    let tip = chain.tip().expect("the chain is started");
    let at = block(tip.height + 1, 0);
    when(&mut chain, &connect(at, tip, vec![payment(1, &[4])]));
    when(&mut chain, &ChainCommand::DisconnectBlock { hash: at.hash });
    assert_eq!(when(&mut chain, &evict(1)), vec![evicted(1, 4, 3)]);
}
