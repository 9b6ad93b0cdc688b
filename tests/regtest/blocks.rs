//! What blocks bring and take back.

use bitcoin::Amount;
use satpost_domain::chain::{ChainEvent, ReplacedIn, ReplacedVia};
use satpost_tests::node::RegtestNode;

use crate::server::{Server, Step};
use crate::spend::{coin, output_to, spend};

const PAYMENT: Amount = Amount::from_sat(5_000_000);

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn takes_a_payment_back_and_confirms_it_in_another_block() {
    let node = RegtestNode::start();
    let server = Server::follow(&node).await;
    let address = node.new_address();
    server.watch(&address).await;
    let paid = node.send(&address, PAYMENT);
    let block = node.mine(1)[0];
    let confirmed = [Step::Seen(1), Step::Confirmed(102)];
    server.until_steps(paid, &confirmed).await;

    node.invalidate_block(&block);
    let mut steps = [confirmed.as_slice(), &[Step::Unconfirmed(102)]].concat();
    server.until_steps(paid, &steps).await;
    node.generate_block(&[]);
    node.mine(1);
    steps.push(Step::Confirmed(103));
    server.until_steps(paid, &steps).await;
    server.until_it_agrees_with(&node).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn follows_a_longer_branch_and_back_again() {
    let node = RegtestNode::start();
    let server = Server::follow(&node).await;
    let address = node.new_address();
    server.watch(&address).await;
    let paid = node.send(&address, PAYMENT);
    let branch = node.mine(3);
    let confirmed = [Step::Seen(1), Step::Confirmed(102)];
    server.until_steps(paid, &confirmed).await;
    server.until_it_agrees_with(&node).await;

    node.invalidate_block(&branch[0]);
    node.generate_block(&[]);
    server.until_it_agrees_with(&node).await;
    node.reconsider_block(&branch[0]);
    server.until_it_agrees_with(&node).await;
    let again = [Step::Unconfirmed(102), Step::Confirmed(102)];
    let steps = [confirmed, again].concat();
    server.until_steps(paid, &steps).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn names_the_transaction_in_a_block_that_took_the_place() {
    let node = RegtestNode::start();
    let server = Server::follow(&node).await;
    let address = node.new_address();
    server.watch(&address).await;
    let coin = coin(&node);
    let other = spend(&node, &[coin], &node.new_address(), 2_000);
    let paid = spend(&node, &[coin], &address, 1_000);
    let paid = node.broadcast(&paid).unwrap();
    server.until_steps(paid, &[Step::Seen(1)]).await;

    let by = other.compute_txid();
    node.generate_block_with(&[other]);
    let replaced = Step::Replaced(by, ReplacedVia::Direct, ReplacedIn::Block);
    server.until_steps(paid, &[Step::Seen(1), replaced]).await;
    server.until_it_agrees_with(&node).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn tells_of_a_payment_that_was_never_in_the_mempool() {
    let node = RegtestNode::start();
    let server = Server::follow(&node).await;
    let address = node.new_address();
    server.watch(&address).await;
    let payment = spend(&node, &[coin(&node)], &address, 1_000);
    let paid = payment.compute_txid();
    node.generate_block_with(&[payment]);
    server.until_steps(paid, &[Step::Confirmed(102)]).await;
    server.until_it_agrees_with(&node).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn tells_of_a_payment_and_its_spend_in_one_block() {
    let node = RegtestNode::start();
    let server = Server::follow(&node).await;
    let address = node.new_address();
    server.watch(&address).await;
    let paid = node.send(&address, PAYMENT);
    let spending = spend(
        &node,
        &[output_to(&node, paid, &address)],
        &node.new_address(),
        1_000,
    );
    let spender = node.broadcast(&spending).unwrap();
    node.mine(1);
    for txid in [paid, spender] {
        let steps = [Step::Seen(1), Step::Confirmed(102)];
        server.until_steps(txid, &steps).await;
    }
    server.until_it_agrees_with(&node).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn evicts_a_coinbase_whose_block_was_taken_back() {
    let node = RegtestNode::start();
    let server = Server::follow(&node).await;
    let address = node.new_address();
    server.watch(&address).await;
    let block = node.mine_to(1, &address)[0];
    server.until_it_agrees_with(&node).await;
    node.invalidate_block(&block);
    server.until_it_agrees_with(&node).await;
    let events = server.events().await;
    let steps = crate::server::steps(&events).into_values().next();
    let expected = vec![Step::Confirmed(102), Step::Unconfirmed(102), Step::Evicted];
    assert_eq!(steps, Some(expected));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn evicts_what_spends_a_coinbase_that_is_immature_again() {
    let node = RegtestNode::start();
    let server = Server::follow(&node).await;
    let address = node.new_address();
    server.watch(&address).await;
    // The only coin is the coinbase of block 1, which needs block 100 on top of it.
    let paid = node.send(&address, PAYMENT);
    server.until_steps(paid, &[Step::Seen(1)]).await;
    let block = bitcoincore_rpc::RpcApi::get_block_hash(node.rpc(), 100).unwrap();
    node.invalidate_block(&block);
    // The reorganisation reaches below the block where the log began.
    server
        .until_steps(paid, &[Step::Seen(1), Step::Evicted])
        .await;
    server.until_it_agrees_with(&node).await;
    let events = server.events().await;
    let starts = events
        .iter()
        .filter(|event| matches!(event, ChainEvent::EpochStarted { .. }));
    assert_eq!(starts.count(), 2);
}
