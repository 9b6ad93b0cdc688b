//! A node that has forgotten the blocks from which history is to be read.

use serde_json::Value;

use super::*;
use crate::spend::keep;

/// Prunes when it is told to, in small files.
const PRUNES: [&str; 2] = ["-prune=1", "-fastprune"];

/// Makes the node forget its blocks up to one that is higher than `height`.
fn forget_all_above(node: &RegtestNode, height: u64) {
    for _ in 0..40 {
        node.mine(20);
    }
    let pruned: Value = node.call("pruneblockchain", &[json!(node.height() - 300)]);
    assert!(
        pruned.as_u64().is_some_and(|pruned| pruned > height),
        "{pruned}"
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_pruned_node_gives_the_balance_and_says_where_history_begins() {
    let node = RegtestNode::start_with(&PRUNES);
    let address = node.new_address();
    some_history(&node, &address);
    forget_all_above(&node, 107);
    let server = Server::follow(&node).await;
    server.watch_since(&address, BIRTH).await;
    until_known(&server, &address).await;
    assert_coins(&server, &node, &address);
    let coverage = server.read_model.coins().coverage(&hash(&address)).unwrap();
    assert!(coverage.from > 107, "{coverage:?}");
    assert_eq!(coverage.wanted, 0);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_coin_that_was_spent_in_a_forgotten_block_is_not_in_a_complete_balance() {
    let node = RegtestNode::start_with(&PRUNES);
    let address = node.new_address();
    let spent = node.send(&address, PAYMENT);
    keep(&node, &output_to(&node, spent, &address));
    let stays = node.send(&address, PAYMENT);
    keep(&node, &output_to(&node, stays, &address));
    node.mine(1);
    let server = Server::follow(&node).await;
    server.watch_since(&address, BIRTH).await;
    until_known(&server, &address).await;
    assert_eq!(
        balance(&server, &address).confirmed_sat,
        2 * PAYMENT.to_sat()
    );

    // Nobody watches while the coin is spent, and then the block is gone.
    server.unwatch(&address).await;
    let elsewhere = node.new_address();
    let spending = spend(
        &node,
        &[output_to(&node, spent, &address)],
        &elsewhere,
        1_000,
    );
    node.broadcast(&spending).unwrap();
    node.mine(1);
    let spent_at = node.height();
    server.until_it_agrees_with(&node).await;
    forget_all_above(&node, spent_at);
    server.until_it_agrees_with(&node).await;

    server.watch_since(&address, BIRTH).await;
    until_known(&server, &address).await;
    assert_coins(&server, &node, &address);
    assert_eq!(balance(&server, &address).confirmed_sat, PAYMENT.to_sat());
    let unspent = node_unspent(&node, &address);
    assert_eq!(
        unspent.first().map(|coin| &coin.0),
        Some(&stays.to_string())
    );
    let gone =
        |event: &ChainEvent| matches!(event, ChainEvent::History(HistoryEvent::CoinGone { .. }));
    let events = server.events().await;
    assert_eq!(events.iter().filter(|event| gone(event)).count(), 1);
    let coverage = server.read_model.coins().coverage(&hash(&address)).unwrap();
    assert!(coverage.is_pruned() && u64::from(coverage.from) > spent_at);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_a_taken_back_block_had_spent_of_a_forgotten_one_is_found_again() {
    // It does not tell what a block spends, so that only known coins are missed when they are spent.
    let node = RegtestNode::start_with(&["-prune=1", "-fastprune", "-rest=0"]);
    let address = node.new_address();
    let paid = node.send(&address, PAYMENT);
    keep(&node, &output_to(&node, paid, &address));
    node.mine(1);
    forget_all_above(&node, 102);
    let elsewhere = node.new_address();
    let spending = spend(
        &node,
        &[output_to(&node, paid, &address)],
        &elsewhere,
        1_000,
    );
    let server = Server::follow(&node).await;
    let block = node.generate_block_with(&[spending]);
    server.until_it_agrees_with(&node).await;
    server.watch_since(&address, BIRTH).await;
    until_known(&server, &address).await;
    assert_eq!(balance(&server, &address), Balance::default());

    node.invalidate_block(&block);
    node.generate_block(&[]);
    node.generate_block(&[]);
    server.until_it_agrees_with(&node).await;
    until_known(&server, &address).await;
    assert_eq!(balance(&server, &address).confirmed_sat, PAYMENT.to_sat());
    assert_coins(&server, &node, &address);
}
