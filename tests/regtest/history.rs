//! What happened to an address before it was watched.

use std::collections::BTreeSet;
use std::time::Duration;

use bitcoin::{Address, Amount, Txid};
use satpost_domain::chain::{ChainEvent, HistoryEvent};
use satpost_domain::ids::ScriptHash;
use satpost_domain::script::Script;
use satpost_domain::watchlist::Birthday;
use satpost_projections::coins::Balance;
use satpost_tests::node::RegtestNode;
use serde_json::json;

use crate::server::{Server, config, empty_log, node_txid};
use crate::spend::{output_to, spend};
use crate::truth;

mod kills;
mod pruned;

const PAYMENT: Amount = Amount::from_sat(5_000_000);
const PATIENCE: Duration = Duration::from_secs(60);

fn hash(address: &Address) -> ScriptHash {
    Script::new(address.script_pubkey().as_bytes())
        .unwrap()
        .hash()
}

/// Waits until the history of `address` is known.
async fn until_known(server: &Server, address: &Address) {
    let script = hash(address);
    let known = || {
        let watched = server.read_model.watched_scripts();
        let coins = server.read_model.coins();
        let mut wishes = watched.wishes().filter(|wish| wish.script == script);
        wishes.all(|wish| {
            let coverage = coins.coverage(&script);
            coverage.is_some_and(|known| known.satisfies(wish.birthday, wish.passes_before))
        })
    };
    let waiting = async {
        while !known() {
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    };
    if tokio::time::timeout(PATIENCE, waiting).await.is_err() {
        panic!(
            "the history stays {:?}",
            server.read_model.coins().coverage(&script)
        );
    }
}

/// The unspent outputs of `address` in the node's set: (txid, vout, satoshi, height).
fn node_unspent(node: &RegtestNode, address: &Address) -> BTreeSet<(String, u64, u64, u64)> {
    let descriptor = format!("addr({address})");
    let answer = node.call("scantxoutset", &[json!("start"), json!([descriptor])]);
    let unspent = answer["unspents"].as_array().unwrap().iter();
    unspent
        .map(|coin| {
            let amount = Amount::from_btc(coin["amount"].as_f64().unwrap()).unwrap();
            (
                coin["txid"].as_str().unwrap().to_owned(),
                coin["vout"].as_u64().unwrap(),
                amount.to_sat(),
                coin["height"].as_u64().unwrap(),
            )
        })
        .collect()
}

/// Compares the coins of `address`, and its balance, with the node's set of unspent outputs. Only
/// when the mempool has nothing for it.
fn assert_coins(server: &Server, node: &RegtestNode, address: &Address) {
    let coins = server.read_model.coins();
    let ours: BTreeSet<_> = coins
        .unspent(&hash(address), None)
        .map(|coin| {
            let satpost_projections::coins::Origin::Block { height, .. } = coin.origin else {
                panic!("{coin:?} is not in a block");
            };
            (
                node_txid(coin.outpoint.txid).to_string(),
                u64::from(coin.outpoint.vout),
                coin.value_sat,
                u64::from(height),
            )
        })
        .collect();
    assert_eq!(ours, node_unspent(node, address));
}

/// The transactions of `address` that the log has in blocks.
async fn recorded(server: &Server, address: &Address) -> BTreeSet<Txid> {
    let script = hash(address);
    let events = server.events().await;
    let mut found = BTreeSet::new();
    for event in events {
        match event {
            ChainEvent::TransactionConfirmed { txid, touch, .. } if touch.script_hash == script => {
                found.insert(node_txid(txid));
            }
            ChainEvent::TransactionUnconfirmed {
                txid, script_hash, ..
            } if script_hash == script => {
                found.remove(&node_txid(txid));
            }
            _ => {}
        }
    }
    found
}

fn balance(server: &Server, address: &Address) -> Balance {
    server.read_model.coins().balance(&hash(address))
}

const BIRTH: Option<Birthday> = Some(Birthday::Height(0));

/// A payment and its spend with change, both long before anybody watches, and a coin that stays.
fn some_history(node: &RegtestNode, address: &Address) -> BTreeSet<Txid> {
    let paid = node.send(address, PAYMENT);
    node.mine(1);
    let spending = spend(node, &[output_to(node, paid, address)], address, 1_000);
    let spent = node.broadcast(&spending).unwrap();
    node.mine(3);
    let stays = node.send(address, PAYMENT);
    node.mine(2);
    BTreeSet::from([paid, spent, stays])
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn finds_what_happened_before_the_registration_with_and_without_filters_and_spent_outputs() {
    for arguments in [&["-blockfilterindex=1"][..], &[], &["-rest=0"]] {
        let node = RegtestNode::start_with(arguments);
        let address = node.new_address();
        let happened = some_history(&node, &address);
        let server = Server::follow(&node).await;
        server.watch_since(&address, BIRTH).await;
        until_known(&server, &address).await;
        assert_coins(&server, &node, &address);
        assert_eq!(recorded(&server, &address).await, happened);
        server.until_it_agrees_with(&node).await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn sees_in_the_mempool_what_spends_a_coin_of_the_past() {
    let node = RegtestNode::start();
    let address = node.new_address();
    let paid = node.send(&address, PAYMENT);
    node.mine(1);
    // To somebody else, so that only the coin connects it with the address.
    let elsewhere = node.new_address();
    let spending = spend(
        &node,
        &[output_to(&node, paid, &address)],
        &elsewhere,
        1_000,
    );
    node.broadcast(&spending).unwrap();
    let server = Server::follow(&node).await;
    server.watch_since(&address, BIRTH).await;
    until_known(&server, &address).await;
    let expected = Balance {
        confirmed_sat: PAYMENT.to_sat(),
        outgoing_sat: PAYMENT.to_sat(),
        ..Balance::default()
    };
    assert_eq!(balance(&server, &address), expected);
    node.mine(1);
    server.until_it_agrees_with(&node).await;
    assert_eq!(balance(&server, &address), Balance::default());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_spend_after_the_registration_of_a_coin_before_it_is_known() {
    let node = RegtestNode::start_with(&["-rest=0"]);
    let address = node.new_address();
    let paid = node.send(&address, PAYMENT);
    node.mine(1);
    let server = Server::follow(&node).await;
    // Watched without a birthday: the coin of the past is not known when its spend is mined.
    server.watch(&address).await;
    let spending = spend(&node, &[output_to(&node, paid, &address)], &address, 1_000);
    node.generate_block_with(&[spending]);
    server.until_it_agrees_with(&node).await;
    server.watch_since(&address, BIRTH).await;
    until_known(&server, &address).await;
    assert_coins(&server, &node, &address);
    let amended = |event: &ChainEvent| {
        matches!(
            event,
            ChainEvent::History(HistoryEvent::TransactionAmended { .. })
        )
    };
    assert_eq!(
        server
            .events()
            .await
            .iter()
            .filter(|event| amended(event))
            .count(),
        1
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_reorganisation_during_the_back_fill_changes_what_it_finds() {
    let node = RegtestNode::start();
    let address = node.new_address();
    let happened = some_history(&node, &address);
    let server = Server::follow(&node).await;
    let stale = node.mine(6);
    server.until_it_agrees_with(&node).await;
    server.watch_since(&address, BIRTH).await;
    node.invalidate_block(&stale[0]);
    for _ in 0..3 {
        node.generate_block(&[]);
    }
    node.mine(5);
    until_known(&server, &address).await;
    server.until_it_agrees_with(&node).await;
    assert_coins(&server, &node, &address);
    assert_eq!(recorded(&server, &address).await, happened);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn goes_on_after_every_kill_and_tells_nothing_twice() {
    let node = RegtestNode::start();
    let address = node.new_address();
    let happened = some_history(&node, &address);
    let mut log = empty_log();
    for kills in 0..4_u64 {
        let server = Server::start(config(&node), log);
        server.until_live().await;
        server.watch_since(&address, BIRTH).await;
        tokio::time::sleep(Duration::from_millis(kills * 60)).await;
        log = server.kill().await;
        node.mine(1);
    }
    let server = Server::start(config(&node), log);
    server.until_live().await;
    until_known(&server, &address).await;
    assert_coins(&server, &node, &address);
    assert_eq!(recorded(&server, &address).await, happened);
    truth::assert_lawful(&server.events().await);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn many_addresses_share_one_pass() {
    let node = RegtestNode::start();
    let addresses: Vec<_> = (0..20).map(|_| node.new_address()).collect();
    for address in &addresses {
        node.send(address, PAYMENT);
    }
    node.mine(1);
    let server = Server::follow(&node).await;
    server.watch_all_since(&addresses, BIRTH).await;
    for address in &addresses {
        until_known(&server, address).await;
        assert_coins(&server, &node, address);
    }
    assert_eq!(server.backfill.blocks(), node.height() + 1);
    // Asked again, nothing is read again.
    server
        .watch_since(&addresses[0], Some(Birthday::Height(50)))
        .await;
    until_known(&server, &addresses[0]).await;
    assert_eq!(server.backfill.blocks(), node.height() + 1);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_coinbase_is_immature_until_it_is_deep_enough() {
    let node = RegtestNode::start();
    let address = node.new_address();
    node.mine_to(1, &address);
    node.mine(98);
    let server = Server::follow(&node).await;
    server.watch_since(&address, BIRTH).await;
    until_known(&server, &address).await;
    let coinbase = balance(&server, &address);
    assert_eq!(coinbase.confirmed_sat, 0);
    assert!(coinbase.immature_sat > 0);
    node.mine(1);
    server.until_it_agrees_with(&node).await;
    let mature = balance(&server, &address);
    assert_eq!(
        (mature.confirmed_sat, mature.immature_sat),
        (coinbase.immature_sat, 0)
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn absurd_birthdays_leave_nothing_to_read_or_everything() {
    let node = RegtestNode::start();
    let address = node.new_address();
    let happened = some_history(&node, &address);
    let server = Server::follow(&node).await;
    let above = u32::try_from(node.height()).unwrap() + 100;
    server
        .watch_since(&address, Some(Birthday::Height(above)))
        .await;
    until_known(&server, &address).await;
    assert_eq!(server.backfill.blocks(), 0);
    assert_eq!(recorded(&server, &address).await, BTreeSet::new());
    let genesis = satpost_domain::network::Network::Regtest.genesis_at();
    server
        .watch_since(&address, Some(Birthday::Time(genesis)))
        .await;
    until_known(&server, &address).await;
    assert_eq!(recorded(&server, &address).await, happened);
    assert_coins(&server, &node, &address);
}
