//! The node of the tests does what the other tests build on.

use bitcoin::Amount;
use bitcoincore_rpc::RpcApi;
use satpost_tests::node::RegtestNode;
use serde_json::json;

const ONE_BITCOIN: Amount = Amount::ONE_BTC;

#[test]
fn publishes_without_a_limit_on_an_address_for_each_topic() {
    let node = RegtestNode::start();
    let notifications = node.call("getzmqnotifications", &[]);
    for (topic, address) in [
        ("pubsequence", node.zmq_sequence_url()),
        ("pubrawtx", node.zmq_rawtx_url()),
    ] {
        let expected = json!({ "type": topic, "address": address, "hwm": 0 });
        assert!(
            notifications.as_array().unwrap().contains(&expected),
            "{notifications}"
        );
    }
}

#[test]
fn has_no_peers_and_listens_for_none() {
    let node = RegtestNode::start_empty(&[]);
    let network = node.call("getnetworkinfo", &[]);
    assert_eq!(network["connections"], 0);
    assert_eq!(network["localaddresses"], json!([]));
    assert_eq!(network["networks"][0]["name"], "ipv4");
}

#[test]
fn pays_replaces_and_mines() {
    let node = RegtestNode::start();
    assert_eq!(node.height(), 101);
    let paid = node.send(&node.new_address(), ONE_BITCOIN);
    assert_eq!(node.mempool(), [paid]);

    let replacement = node.bump_fee(&paid);
    assert_eq!(node.mempool(), [replacement]);

    let block = node.generate_block(&[replacement]);
    assert_eq!(node.best_block(), block);
    assert!(node.mempool().is_empty());
}

#[test]
fn goes_back_a_block_and_forward_again() {
    let node = RegtestNode::start();
    let paid = node.send(&node.new_address(), ONE_BITCOIN);
    let block = node.mine(1)[0];

    node.invalidate_block(&block);
    assert_eq!((node.height(), node.mempool()), (101, vec![paid]));

    node.reconsider_block(&block);
    assert_eq!((node.height(), node.best_block()), (102, block));
}

#[test]
fn mines_a_transaction_that_was_never_in_the_mempool() {
    let node = RegtestNode::start();
    let paid = node.send(&node.new_address(), ONE_BITCOIN);
    let transaction = node.rpc().get_raw_transaction(&paid, None).unwrap();
    let mut other = RegtestNode::start_empty(&[]);
    for height in 1..=101 {
        let block = node.rpc().get_block_hash(height).unwrap();
        let block = node.rpc().get_block_hex(&block).unwrap();
        other.call("submitblock", &[json!(block)]);
    }
    other.call("createwallet", &[json!("miner")]);
    let block = other.generate_block_with(&[transaction]);
    let mined = other.rpc().get_block(&block).unwrap();
    assert_eq!(mined.txdata[1].compute_txid(), paid);
    other.kill();
}

#[test]
fn keeps_its_chain_its_mempool_and_its_ports_over_a_restart() {
    let mut node = RegtestNode::start();
    let url = node.rpc_url();
    let paid = node.send(&node.new_address(), ONE_BITCOIN);
    node.restart();
    assert_eq!((node.height(), node.rpc_url()), (101, url));
    assert_eq!(node.mempool(), [paid]);
    node.send(&node.new_address(), ONE_BITCOIN);
}

#[test]
fn starts_again_after_it_was_killed() {
    let mut node = RegtestNode::start();
    node.kill();
    node.start_again();
    node.mine(1);
    assert!(node.height() >= 1);
}
