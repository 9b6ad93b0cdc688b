//! What the blocks say of a script, computed from them alone, and whether a server says the same.

use std::collections::{BTreeMap, BTreeSet};

use satpost_domain::chain::{BlockRef, OutPoint};
use satpost_domain::ids::{BlockHash, ScriptHash, Txid};
use satpost_domain::limits::COINBASE_MATURITY;
use satpost_domain::watchlist::Birthday;
use satpost_projections::ReadModel;
use satpost_projections::coins::{Balance, Coverage, Origin, UnspentCoin};
use satpost_projections::transaction_status::Status;
use satpost_projections::watched_scripts::HistoryWish;

use super::node::Inner;

/// A coin in a block.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Coin {
    value_sat: u64,
    height: u32,
    coinbase: bool,
}

/// What a transaction of a block does to the script.
#[derive(Debug)]
struct Fact {
    block: BlockRef,
    received_sat: u64,
    /// The coins that it spends.
    spent: Vec<Coin>,
}

/// One script on one branch.
struct Truth {
    unspent: BTreeMap<OutPoint, Coin>,
    facts: BTreeMap<Txid, Fact>,
}

impl Truth {
    fn of(node: &Inner, tip: BlockHash, script: ScriptHash) -> Self {
        let mut truth = Self {
            unspent: BTreeMap::new(),
            facts: BTreeMap::new(),
        };
        for block in node.branch(tip) {
            for (index, payment) in block.payments.iter().enumerate() {
                let mut fact = Fact {
                    block: block.at,
                    received_sat: 0,
                    spent: Vec::new(),
                };
                let spent = payment.inputs.iter();
                fact.spent
                    .extend(spent.filter_map(|input| truth.unspent.remove(input)));
                for (outpoint, to, value_sat) in payment.outputs() {
                    if to == script {
                        fact.received_sat += value_sat;
                        let coin = Coin {
                            value_sat,
                            height: block.at.height,
                            coinbase: index == 0,
                        };
                        truth.unspent.insert(outpoint, coin);
                    }
                }
                if fact.received_sat > 0 || !fact.spent.is_empty() {
                    truth.facts.insert(payment.txid, fact);
                }
            }
        }
        truth
    }
}

/// What is known of `wish` when nothing is missing by what the server says.
pub(super) fn complete(model: &ReadModel, wish: &HistoryWish) -> Option<Coverage> {
    if model.transaction_status().gap_open() {
        return None;
    }
    let coverage = model.coins().coverage(&wish.script)?;
    let is_complete = coverage.satisfies(wish.birthday, wish.passes_before);
    is_complete.then_some(coverage)
}

/// A balance that says that it is complete is right as of its block, whatever the node says by now.
pub(super) fn assert_coins_in_blocks(
    model: &ReadModel,
    node: &Inner,
    wish: &HistoryWish,
    known: &Coverage,
) {
    let coins = model.coins();
    let tip = coins.tip().expect("a complete balance has a block");
    let truth = Truth::of(node, tip.hash, wish.script);
    if let Birthday::Height(height) = wish.birthday {
        assert!(known.wanted <= height, "{known:?} for {wish:?}");
    }
    let told: BTreeMap<OutPoint, Coin> = coins
        .unspent(&wish.script, None)
        .filter_map(|coin| Some((coin.outpoint, in_block(&coin)?)))
        .collect();
    for (outpoint, coin) in &told {
        let right = truth.unspent.get(outpoint);
        assert_eq!(right, Some(coin), "{outpoint:?}, {known:?}, {tip:?}");
    }
    for (outpoint, coin) in &truth.unspent {
        let known = coin.height < known.wanted || told.contains_key(outpoint);
        assert!(known, "{outpoint:?}, {coin:?} is missing at {tip:?}");
    }
    let mut expected = (0, 0);
    for coin in told.values() {
        let immature = coin.coinbase && coin.height + COINBASE_MATURITY > tip.height + 1;
        let part = if immature {
            &mut expected.1
        } else {
            &mut expected.0
        };
        *part += coin.value_sat;
    }
    let balance = coins.balance(&wish.script);
    assert_eq!((balance.confirmed_sat, balance.immature_sat), expected);
}

fn in_block(coin: &UnspentCoin) -> Option<Coin> {
    match coin.origin {
        Origin::Block { height, coinbase } => Some(Coin {
            value_sat: coin.value_sat,
            height,
            coinbase,
        }),
        Origin::Mempool => None,
    }
}

/// When the server has seen everything, its coins are those of the mempool as well.
pub(super) fn assert_coins_in_mempool(model: &ReadModel, node: &Inner, wish: &HistoryWish) {
    let coins = model.coins();
    let mut spenders: BTreeMap<OutPoint, Txid> = BTreeMap::new();
    let mut made = BTreeMap::new();
    for payment in &node.mempool {
        spenders.extend(payment.inputs.iter().map(|input| (*input, payment.txid)));
        let outputs = payment.outputs().filter(|(_, to, _)| *to == wish.script);
        made.extend(outputs.map(|(outpoint, _, value_sat)| (outpoint, value_sat)));
    }
    let mut expected = Balance::default();
    let mut incoming = BTreeMap::new();
    for coin in coins.unspent(&wish.script, None) {
        let spender = spenders.get(&coin.outpoint).copied();
        assert_eq!(coin.spent_by, spender, "{coin:?}");
        if coin.origin == Origin::Mempool {
            incoming.insert(coin.outpoint, coin.value_sat);
            expected.incoming_sat += coin.value_sat;
        }
        if spender.is_some() {
            expected.outgoing_sat += coin.value_sat;
        }
    }
    assert_eq!(incoming, made);
    let balance = coins.balance(&wish.script);
    assert_eq!(balance.incoming_sat, expected.incoming_sat);
    assert_eq!(balance.outgoing_sat, expected.outgoing_sat);
}

/// Every transaction of the script since its history begins is recorded where it is, and nothing else.
pub(super) fn assert_transactions(
    model: &ReadModel,
    node: &Inner,
    wish: &HistoryWish,
    known: &Coverage,
) {
    let truth = Truth::of(node, node.tip().hash, wish.script);
    let status = model.transaction_status();
    for (txid, fact) in &truth.facts {
        let all: u64 = fact.spent.iter().map(|coin| coin.value_sat).sum();
        // A node that does not tell what a block spends shows the spends of known coins only.
        let tells = node.kind.tells_spends;
        let seen = fact
            .spent
            .iter()
            .filter(|coin| tells || coin.height >= known.from);
        let seen: u64 = seen.map(|coin| coin.value_sat).sum();
        if fact.block.height < known.from || (fact.received_sat == 0 && seen == 0) {
            continue;
        }
        let record = status.find(&[wish.script], txid);
        let record = record.unwrap_or_else(|| panic!("{txid} {fact:?} is missing, {known:?}"));
        let place = record.place().map(|step| step.state);
        let block = fact.block;
        assert_eq!(place, Some(Status::Confirmed { block }), "{txid}");
        assert_eq!(record.received_sat, fact.received_sat, "{txid}");
        assert!((seen..=all).contains(&record.spent_sat), "{txid} {fact:?}");
    }
    let waiting: BTreeSet<Txid> = node.mempool.iter().map(|payment| payment.txid).collect();
    let records = status.changed_since(&[wish.script], Default::default(), usize::MAX);
    for record in records {
        let place = record.place().map(|step| step.state);
        let truly = truth.facts.get(&record.txid).map(|fact| fact.block);
        let is_right = match place {
            Some(Status::Confirmed { block }) => truly == Some(block),
            Some(Status::Seen | Status::Unconfirmed { .. }) => waiting.contains(&record.txid),
            _ => truly.is_none() && !waiting.contains(&record.txid),
        };
        assert!(is_right, "{record:?} is in {truly:?}");
    }
}
