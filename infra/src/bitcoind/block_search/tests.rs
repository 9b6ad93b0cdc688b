//! One watched script, and blocks that pay to it and spend from it.

use bitcoin::hashes::Hash as _;
use bitcoin::{Block, Transaction};

use super::*;
use crate::bitcoind::test_blocks::{block, coin, coinbase, output, raw, transaction};

const WATCHED: &[u8] = &[1; 22];
const ALSO_WATCHED: &[u8] = &[3; 34];
const OTHER: &[u8] = &[2; 22];

fn hash(script: &[u8]) -> ScriptHash {
    ScriptHash::new([script[0]; 32])
}

fn script(script: &[u8]) -> Option<ScriptHash> {
    (script == WATCHED || script == ALSO_WATCHED).then(|| hash(script))
}

fn no_coin(_: &OutPoint) -> Option<Coin> {
    None
}

fn elsewhere(vout: u32) -> OutPoint {
    OutPoint {
        txid: Txid::new([0xee; 32]),
        vout,
    }
}

fn of(transactions: &[&Transaction]) -> Block {
    let mut all = vec![coinbase(1)];
    all.extend(transactions.iter().copied().cloned());
    block(bitcoin::BlockHash::all_zeros(), all)
}

fn touch(script: &[u8], received: &[(u32, u64)], spent_sat: u64) -> Touch {
    Touch {
        script_hash: hash(script),
        received_sat: received.iter().map(|(_, value)| value).sum(),
        spent_sat,
        outputs: received.to_vec(),
    }
}

fn sighting(transaction: &Transaction, index: u32, touches: Vec<Touch>) -> Sighting {
    Sighting {
        txid: coin(transaction, 0).txid,
        index,
        touches,
        inputs: crate::bitcoind::convert::inputs(transaction),
    }
}

#[test]
fn finds_a_payment_in_its_place() {
    let other = transaction(&[elsewhere(0)], &[(OTHER, 1)]);
    let payment = transaction(&[elsewhere(1)], &[(OTHER, 1), (WATCHED, 5), (WATCHED, 6)]);
    let found = search(&raw(&of(&[&other, &payment]), None), script, no_coin).unwrap();
    let touches = vec![touch(WATCHED, &[(1, 5), (2, 6)], 0)];
    assert_eq!(found.sightings, [sighting(&payment, 2, touches)]);
    assert_eq!(found.header.time_secs, 7);
}

#[test]
fn finds_a_coinbase_that_pays() {
    let mut coinbase = coinbase(4);
    coinbase.output.push(output((WATCHED, 50)));
    let block = block(bitcoin::BlockHash::all_zeros(), vec![coinbase.clone()]);
    for spent in [None, Some(&[vec![]][..])] {
        let found = search(&raw(&block, spent), script, no_coin).unwrap();
        let touches = vec![touch(WATCHED, &[(1, 50)], 0)];
        assert_eq!(found.sightings, [sighting(&coinbase, 0, touches)]);
    }
}

#[test]
fn finds_a_spend_by_its_script_though_nobody_knows_the_coin() {
    let spend = transaction(&[elsewhere(0), elsewhere(1)], &[(OTHER, 9)]);
    let spent = [vec![], vec![output((OTHER, 3)), output((WATCHED, 7))]];
    let found = search(&raw(&of(&[&spend]), Some(&spent)), script, no_coin).unwrap();
    let touches = vec![touch(WATCHED, &[], 7)];
    assert_eq!(found.sightings, [sighting(&spend, 1, touches)]);
}

#[test]
fn finds_a_spend_by_its_coin_when_the_node_does_not_tell() {
    let spend = transaction(&[elsewhere(0), elsewhere(1)], &[(OTHER, 9)]);
    let known = |outpoint: &OutPoint| {
        (*outpoint == elsewhere(1)).then(|| Coin {
            script_hash: hash(WATCHED),
            value_sat: 7,
        })
    };
    let found = search(&raw(&of(&[&spend]), None), script, known).unwrap();
    let touches = vec![touch(WATCHED, &[], 7)];
    assert_eq!(found.sightings, [sighting(&spend, 1, touches)]);
}

#[test]
fn finds_the_same_in_a_block_that_spends_its_own_coins_whether_the_node_tells_or_not() {
    let payment = transaction(&[elsewhere(0)], &[(WATCHED, 5), (ALSO_WATCHED, 6)]);
    let coins = [coin(&payment, 1), coin(&payment, 0)];
    let spend = transaction(&coins, &[(OTHER, 9), (ALSO_WATCHED, 2)]);
    let block = of(&[&payment, &spend]);
    let spent = [
        vec![],
        vec![output((OTHER, 20))],
        vec![output((ALSO_WATCHED, 6)), output((WATCHED, 5))],
    ];
    let told = search(&raw(&block, Some(&spent)), script, no_coin).unwrap();
    let untold = search(&raw(&block, None), script, no_coin).unwrap();
    assert_eq!(told, untold);
    let touches = vec![touch(WATCHED, &[], 5), touch(ALSO_WATCHED, &[(1, 2)], 6)];
    assert_eq!(told.sightings[1], sighting(&spend, 2, touches));
}

#[test]
fn finds_a_tracked_transaction_that_touches_nothing() {
    let first = transaction(&[elsewhere(0)], &[(OTHER, 1)]);
    let tracked = transaction(&[elsewhere(1)], &[(OTHER, 2)]);
    let block = raw(&of(&[&first, &tracked]), None);
    let all = transactions(&block).unwrap();
    assert_eq!(all.len(), 3);
    assert_eq!(
        (&all[0].inputs, &all[2].inputs),
        (&vec![], &vec![elsewhere(1)])
    );
    let is_tracked = |txid: &Txid| *txid == coin(&tracked, 0).txid;
    let found = search_with_tracked(&block, script, no_coin, &all, is_tracked).unwrap();
    assert_eq!(found.sightings, [sighting(&tracked, 2, vec![])]);
}
