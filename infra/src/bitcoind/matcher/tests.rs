//! One watched script, and transactions that pay to it, spend from it, or do neither.

use bitcoin::absolute::LockTime;
use bitcoin::transaction::Version;
use bitcoin::{Amount, ScriptBuf, TxIn, TxOut};
use satpost_domain::aggregate::Aggregate as _;
use satpost_domain::chain::{BlockRef, ChainCommand};
use satpost_domain::ids::{BlockHash, CommandId, EventId, RequestDigest, WatchId};
use satpost_domain::script::Script;
use satpost_domain::watchlist::{WatchOptions, WatchlistEvent};
use satpost_domain::{
    ClientId, Envelope, Metadata, Position, Revision, Sealed, StreamId, Timestamp,
};
use satpost_projections::Projection as _;

use super::*;

const WATCHED: [u8; 22] = [1; 22];
const OTHER: [u8; 22] = [2; 22];
const AT: Timestamp = Timestamp::from_millis(0);

fn watched() -> WatchedScripts {
    let mut watched = WatchedScripts::default();
    watched.apply(&Envelope {
        stream: StreamId::watchlist(ClientId::from_stored([9; 32])),
        revision: Revision(0),
        position: Position::new(1, 0),
        event_id: EventId::new([0; 16]),
        metadata: Metadata {
            command_id: CommandId::new([0; 16]),
            request_digest: RequestDigest::new([0; 16]),
            recorded_at: AT,
        },
        event: WatchlistEvent::AddressWatched {
            id: WatchId::new([1; 16]),
            target: Sealed::Present(Script::new(&WATCHED).unwrap().into()),
            options: WatchOptions::default(),
            at: AT,
        }
        .into(),
    });
    watched
}

/// Spends `coins` and pays `outputs` of (script, satoshi).
fn transaction(coins: &[OutPoint], outputs: &[([u8; 22], u64)]) -> Transaction {
    let input = |coin: &OutPoint| {
        let text = format!("{}:{}", coin.txid, coin.vout);
        TxIn {
            previous_output: text.parse().unwrap(),
            ..TxIn::default()
        }
    };
    let output = |(script, value): &([u8; 22], u64)| TxOut {
        value: Amount::from_sat(*value),
        script_pubkey: ScriptBuf::from_bytes(script.to_vec()),
    };
    Transaction {
        version: Version::TWO,
        lock_time: LockTime::ZERO,
        input: coins.iter().map(input).collect(),
        output: outputs.iter().map(output).collect(),
    }
}

fn elsewhere() -> OutPoint {
    OutPoint {
        txid: Txid::new([0xee; 32]),
        vout: 3,
    }
}

fn id(transaction: &Transaction) -> Txid {
    convert::txid(transaction.compute_txid())
}

fn coin(transaction: &Transaction, vout: u32) -> OutPoint {
    let txid = id(transaction);
    OutPoint { txid, vout }
}

fn matched(chain: &Chain, bodies: &[&Transaction]) -> Vec<Sighting> {
    let candidates: Vec<_> = (0..)
        .zip(bodies)
        .map(|(index, body)| Candidate {
            txid: id(body),
            index,
            body,
        })
        .collect();
    sightings(&watched(), chain, &candidates)
}

/// A chain that has seen `transactions` in the mempool.
fn chain_with(transactions: &[&Transaction]) -> Chain {
    let mut chain = Chain::default();
    let genesis = BlockHash::new([0; 32]);
    let tip = BlockRef {
        height: 0,
        hash: genesis,
    };
    let start = ChainCommand::Start {
        genesis,
        tip,
        at: AT,
    };
    let sightings = matched(&chain, transactions);
    let see = ChainCommand::SeeTransactions { sightings, at: AT };
    for command in [start, see] {
        for event in chain.decide(&command).unwrap() {
            chain.evolve(&event);
        }
    }
    chain
}

#[test]
fn adds_up_what_a_transaction_pays_to_one_script() {
    let payment = transaction(&[elsewhere()], &[(WATCHED, 5), (OTHER, 6), (WATCHED, 7)]);
    let found = matched(&Chain::default(), &[&payment]);
    let touch = Touch {
        script_hash: Script::new(&WATCHED).unwrap().hash(),
        received_sat: 12,
        spent_sat: 0,
        outputs: vec![(0, 5), (2, 7)],
    };
    let expected = Sighting {
        txid: id(&payment),
        index: 0,
        touches: vec![touch],
        inputs: vec![elsewhere()],
    };
    assert_eq!(found, vec![expected]);
}

#[test]
fn passes_over_what_touches_no_watched_script() {
    let payment = transaction(&[elsewhere()], &[(OTHER, 6)]);
    assert_eq!(matched(&Chain::default(), &[&payment]), vec![]);
}

#[test]
fn finds_the_spend_of_a_coin_in_the_log() {
    let payment = transaction(&[elsewhere()], &[(OTHER, 1), (WATCHED, 7)]);
    let spend = transaction(&[coin(&payment, 1)], &[(OTHER, 6)]);
    let not = transaction(&[coin(&payment, 0)], &[(OTHER, 1)]);
    let found = matched(&chain_with(&[&payment]), &[&not, &spend]);
    assert_eq!(found.len(), 1);
    assert_eq!((found[0].txid, found[0].index), (id(&spend), 1));
    let touch = &found[0].touches[0];
    assert_eq!((touch.received_sat, touch.spent_sat), (0, 7));
}

#[test]
fn finds_a_spend_beside_the_payment_in_any_order() {
    let payment = transaction(&[elsewhere()], &[(WATCHED, 7)]);
    let spend = transaction(&[coin(&payment, 0)], &[(WATCHED, 2), (OTHER, 4)]);
    for order in [[&payment, &spend], [&spend, &payment]] {
        let found = matched(&Chain::default(), &order);
        let spend = found.iter().find(|found| found.txid == id(&spend));
        let touch = &spend.expect("the spend is found").touches[0];
        assert_eq!((touch.received_sat, touch.spent_sat), (2, 7));
    }
}

#[test]
fn keeps_a_tracked_transaction_whose_script_nobody_watches_any_more() {
    let payment = transaction(&[elsewhere()], &[(WATCHED, 7)]);
    let chain = chain_with(&[&payment]);
    let candidate = Candidate {
        txid: id(&payment),
        index: 4,
        body: &payment,
    };
    let found = sightings(&WatchedScripts::default(), &chain, &[candidate]);
    assert_eq!(found.len(), 1);
    assert_eq!(found[0].touches, vec![]);
}
