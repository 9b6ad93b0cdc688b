//! Blocks as bytes, over REST and without it, and what is found in them.

use std::collections::HashMap;
use std::sync::Arc;

use bitcoin::consensus::encode::serialize;
use bitcoin::{Amount, BlockHash};
use bitcoincore_rpc::RpcApi as _;
use satpost_domain::chain::ChainEvent;
use satpost_domain::ids;
use satpost_infra::bitcoind::block_search;
use satpost_infra::bitcoind::block_stream::{ScannedBlock, Wanted, scan_blocks};
use satpost_infra::bitcoind::rpc::{NodeRpc, RpcError};
use satpost_infra::bitcoind::scanner::{self, Visitor};
use satpost_infra::bitcoind::{CoreRpc, NodeAuth};
use satpost_tests::node::RegtestNode;
use serde_json::json;

use crate::server::{Server, Step};

const PAYMENT: Amount = Amount::from_sat(1_000_000);

/// A node with coins that serves no blocks over REST.
fn node_without_rest() -> RegtestNode {
    let node = RegtestNode::start_empty(&["-rest=0"]);
    node.call("createwallet", &[json!("miner")]);
    node.mine(101);
    node
}

fn rpc(node: &RegtestNode) -> CoreRpc {
    CoreRpc::new(node.rpc_url(), NodeAuth::Cookie(node.rpc_cookie()))
}

fn own_hash(hash: BlockHash) -> ids::BlockHash {
    hash.to_string().parse().unwrap()
}

/// Mines a block in which some transactions spend outputs of others in it.
fn block_with_chains(node: &RegtestNode) -> BlockHash {
    for _ in 0..6 {
        node.send(&node.new_address(), PAYMENT);
    }
    node.send(&node.new_address(), Amount::from_sat(4_900_000_000));
    node.mine(1)[0]
}

/// What a block spends, as the node says it in its other form: (satoshi, script in hex).
fn spent_by_rpc(node: &RegtestNode, hash: BlockHash) -> Vec<(u64, String)> {
    let block = node.call("getblock", &[json!(hash.to_string()), json!(3)]);
    let transactions = block["tx"].as_array().unwrap();
    let inputs = transactions
        .iter()
        .flat_map(|body| body["vin"].as_array().unwrap());
    let spent = inputs.filter_map(|input| input.get("prevout"));
    spent
        .map(|output| {
            let value = Amount::from_btc(output["value"].as_f64().unwrap()).unwrap();
            let script = output["scriptPubKey"]["hex"].as_str().unwrap();
            (value.to_sat(), script.to_owned())
        })
        .collect()
}

#[derive(Default)]
struct Spent(Vec<(u64, String)>);

impl Visitor for Spent {
    fn spent(&mut self, value_sat: u64, script: &[u8]) {
        self.0.push((value_sat, hex::encode(script)));
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_block_over_rest_is_the_block_over_rpc_with_what_it_spends() {
    let node = RegtestNode::start();
    let rpc = rpc(&node);
    for hash in [
        block_with_chains(&node),
        node.rpc().get_block_hash(0).unwrap(),
    ] {
        let raw = rpc.raw_block(own_hash(hash)).await.unwrap();
        let expected = node.rpc().get_block(&hash).unwrap();
        assert_eq!(raw.bytes, serialize(&expected));
        assert_eq!(serialize(&rpc.block(raw.hash).await.unwrap()), raw.bytes);
        let mut spent = Spent::default();
        let bytes = raw
            .spent
            .as_ref()
            .expect("this node tells what a block spends");
        let header = scanner::walk(&raw.bytes, Some(bytes), &mut spent).unwrap();
        assert_eq!(header.hash, raw.hash);
        assert_eq!(spent.0, spent_by_rpc(&node, hash));
        let found = block_search::transactions(&raw).unwrap();
        let ids: Vec<String> = found.iter().map(|body| body.txid.to_string()).collect();
        let expected = expected
            .txdata
            .iter()
            .map(|body| body.compute_txid().to_string());
        assert_eq!(ids, expected.collect::<Vec<_>>());
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn without_rest_blocks_come_over_rpc_and_say_nothing_of_what_they_spend() {
    let node = node_without_rest();
    let hash = block_with_chains(&node);
    let raw = rpc(&node).raw_block(own_hash(hash)).await.unwrap();
    assert_eq!(raw.bytes, serialize(&node.rpc().get_block(&hash).unwrap()));
    assert_eq!(raw.spent, None);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn says_that_the_node_has_no_such_block() {
    let unknown = ids::BlockHash::new([7; 32]);
    for node in [
        RegtestNode::start_empty(&[]),
        RegtestNode::start_empty(&["-rest=0"]),
    ] {
        let answer = rpc(&node).raw_block(unknown).await;
        assert!(
            matches!(&answer, Err(RpcError::NoBlock { hash, .. }) if *hash == unknown),
            "{answer:?}"
        );
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn hashes_of_many_blocks_end_at_the_tip() {
    let node = RegtestNode::start();
    let hashes = rpc(&node).block_hashes(99, 500).await.unwrap();
    let expected = (99..=101).map(|height| own_hash(node.rpc().get_block_hash(height).unwrap()));
    assert_eq!(hashes, expected.collect::<Vec<_>>());
    assert_eq!(rpc(&node).block_hashes(102, 5).await, Ok(vec![]));
}

async fn scanned(
    node: &RegtestNode,
    script: Vec<u8>,
    heights: std::ops::RangeInclusive<u32>,
) -> Vec<ScannedBlock> {
    let hash = ids::ScriptHash::new([5; 32]);
    let look_up = move |found: &[u8]| (found == script).then_some(hash);
    let mut blocks = scan_blocks(
        Arc::new(rpc(node)),
        Wanted::Heights(heights),
        look_up,
        HashMap::new(),
    );
    let mut all = Vec::new();
    while let Some(block) = blocks.next().await {
        all.push(block.unwrap());
    }
    all
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn finds_payment_and_spend_in_history_with_rest_and_without() {
    for node in [RegtestNode::start(), node_without_rest()] {
        let address = node.new_address();
        let paid = node.send(&address, PAYMENT);
        node.mine(1);
        let coin = node
            .rpc()
            .list_unspent(None, None, Some(&[&address]), None, None)
            .unwrap();
        let inputs = json!([{ "txid": paid.to_string(), "vout": coin[0].vout }]);
        let outputs = json!([{ node.new_address().to_string(): 0.0099 }]);
        let spend = node.call("createrawtransaction", &[inputs, outputs]);
        let signed = node.call("signrawtransactionwithwallet", &[spend]);
        let spend = node.call("sendrawtransaction", &[signed["hex"].clone()]);
        node.mine(1);

        let blocks = scanned(&node, address.script_pubkey().to_bytes(), 90..=200).await;
        let heights: Vec<u32> = blocks.iter().map(|block| block.block.height).collect();
        assert_eq!(heights, (90..=103).collect::<Vec<_>>());
        let found: Vec<_> = blocks
            .iter()
            .flat_map(|block| &block.sightings)
            .map(|found| {
                (
                    found.txid.to_string(),
                    found.touches[0].received_sat,
                    found.touches[0].spent_sat,
                )
            })
            .collect();
        let spend = spend.as_str().unwrap().to_owned();
        assert_eq!(
            found,
            [(paid.to_string(), 1_000_000, 0), (spend, 0, 1_000_000)]
        );
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn reports_the_spend_of_a_coin_that_is_older_than_its_watch() {
    let node = RegtestNode::start();
    let address = node.new_address();
    node.send(&address, PAYMENT);
    node.mine(1);
    let server = Server::follow(&node).await;
    server.watch(&address).await;
    // Everything the wallet has goes elsewhere, the old coin among it.
    let elsewhere = node.new_address().to_string();
    let answer = node.call("sendall", &[json!([elsewhere])]);
    let spend: bitcoin::Txid = answer["txid"].as_str().unwrap().parse().unwrap();
    node.mine(1);
    server.until_steps(spend, &[Step::Confirmed(103)]).await;
    let spent: Vec<u64> = server
        .events()
        .await
        .into_iter()
        .filter_map(|event| match event {
            ChainEvent::TransactionConfirmed { touch, .. } => Some(touch.spent_sat),
            _ => None,
        })
        .collect();
    assert_eq!(spent, [PAYMENT.to_sat()]);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn follows_a_node_without_rest() {
    let node = node_without_rest();
    let server = Server::follow(&node).await;
    let address = node.new_address();
    server.watch(&address).await;
    let paid = node.send(&address, PAYMENT);
    node.mine(1);
    server
        .until_steps(paid, &[Step::Seen(1), Step::Confirmed(102)])
        .await;
    node.call("sendall", &[json!([node.new_address().to_string()])]);
    node.mine(2);
    server.until_it_agrees_with(&node).await;
}
