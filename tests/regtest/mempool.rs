//! What enters and leaves the mempool.

use bitcoin::Amount;
use satpost_domain::chain::{ChainEvent, ReplacedIn, ReplacedVia};
use satpost_tests::node::RegtestNode;
use serde_json::json;

use crate::server::{Server, Step};
use crate::spend::{coin, output_to, spend};

const PAYMENT: Amount = Amount::from_sat(5_000_000);

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn tells_of_a_payment_in_the_mempool_and_in_a_block() {
    let node = RegtestNode::start();
    let server = Server::follow(&node).await;
    let address = node.new_address();
    server.watch(&address).await;

    let paid = node.send(&address, PAYMENT);
    server.until_steps(paid, &[Step::Seen(1)]).await;
    node.mine(1);
    let confirmed = [Step::Seen(1), Step::Confirmed(102)];
    server.until_steps(paid, &confirmed).await;
    server.until_it_agrees_with(&node).await;
    let events = server.events().await;
    let received = events.iter().find_map(|event| match event {
        ChainEvent::TransactionConfirmed { touch, .. } => Some(touch.received_sat),
        _ => None,
    });
    assert_eq!(received, Some(PAYMENT.to_sat()));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn tells_of_a_coin_that_is_spent_to_elsewhere() {
    let node = RegtestNode::start();
    let server = Server::follow(&node).await;
    let address = node.new_address();
    server.watch(&address).await;
    let paid = node.send(&address, PAYMENT);
    node.mine(1);
    let coin = output_to(&node, paid, &address);
    let spending = spend(&node, &[coin], &node.new_address(), 1_000);
    let spender = node.broadcast(&spending).unwrap();

    server.until_steps(spender, &[Step::Seen(1)]).await;
    let spent = server
        .events()
        .await
        .into_iter()
        .find_map(|event| match event {
            ChainEvent::TransactionSeen { touch, .. } if touch.spent_sat > 0 => Some(touch),
            _ => None,
        });
    let spent = spent.expect("the spend was seen");
    assert_eq!((spent.spent_sat, spent.received_sat), (PAYMENT.to_sat(), 0));
    node.mine(1);
    server
        .until_steps(spender, &[Step::Seen(1), Step::Confirmed(103)])
        .await;
    server.until_it_agrees_with(&node).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn names_the_transaction_that_paid_a_higher_fee() {
    let node = RegtestNode::start();
    let server = Server::follow(&node).await;
    let address = node.new_address();
    server.watch(&address).await;
    let paid = node.send(&address, PAYMENT);
    server.until_steps(paid, &[Step::Seen(1)]).await;
    let bumped = node.bump_fee(&paid);

    let replaced = Step::Replaced(bumped, ReplacedVia::Direct, ReplacedIn::Mempool);
    server.until_steps(paid, &[Step::Seen(1), replaced]).await;
    server.until_steps(bumped, &[Step::Seen(1)]).await;
    server.until_it_agrees_with(&node).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn names_the_transaction_that_took_the_place_of_an_unwatched_parent() {
    let node = RegtestNode::start();
    let server = Server::follow(&node).await;
    let (between, address) = (node.new_address(), node.new_address());
    server.watch(&address).await;
    let coin = coin(&node);
    let parent = spend(&node, &[coin], &between, 1_000);
    let parent = node.broadcast(&parent).unwrap();
    let child = spend(
        &node,
        &[output_to(&node, parent, &between)],
        &address,
        1_000,
    );
    let child = node.broadcast(&child).unwrap();
    server.until_steps(child, &[Step::Seen(1)]).await;

    let other = spend(&node, &[coin], &node.new_address(), 100_000);
    let other = node.broadcast(&other).unwrap();
    let replaced = Step::Replaced(other, ReplacedVia::Ancestor, ReplacedIn::Mempool);
    server.until_steps(child, &[Step::Seen(1), replaced]).await;
    server.until_it_agrees_with(&node).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn finds_a_payment_that_was_in_the_mempool_before_its_address_was_watched() {
    let node = RegtestNode::start();
    let server = Server::follow(&node).await;
    let address = node.new_address();
    let paid = node.send(&address, PAYMENT);
    // The other payment is seen because it is watched, so the first one has passed unnoticed.
    let other = node.new_address();
    server.watch(&other).await;
    let noticed = node.send(&other, PAYMENT);
    server.until_steps(noticed, &[Step::Seen(1)]).await;
    server.watch(&address).await;
    server.until_steps(paid, &[Step::Seen(1)]).await;
    server.until_it_agrees_with(&node).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn tells_that_a_restarted_node_has_lost_its_mempool() {
    let mut node = RegtestNode::start_empty(&["-persistmempool=0", "-walletbroadcast=0"]);
    node.call("createwallet", &[json!("miner")]);
    node.mine(101);
    let server = Server::follow(&node).await;
    let address = node.new_address();
    server.watch(&address).await;
    let payment = spend(&node, &[coin(&node)], &address, 1_000);
    let paid = node.broadcast(&payment).unwrap();
    server.until_steps(paid, &[Step::Seen(1)]).await;

    node.restart();
    server
        .until_steps(paid, &[Step::Seen(1), Step::Evicted])
        .await;
    server.until_live().await;
    node.broadcast(&payment).unwrap();
    let back = [Step::Seen(1), Step::Evicted, Step::Seen(2)];
    server.until_steps(paid, &back).await;
    server.until_it_agrees_with(&node).await;
}
