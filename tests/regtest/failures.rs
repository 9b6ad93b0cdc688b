//! Whatever is lost, down, killed or wrong: afterwards the log says what the node says.

use bitcoin::Amount;
use satpost_domain::chain::ChainEvent;
use satpost_domain::network::Network;
use satpost_infra::bitcoind::NodeStatus;
use satpost_tests::node::RegtestNode;

use crate::relay::Relay;
use crate::server::{Server, Step, config, empty_log, head};

const PAYMENT: Amount = Amount::from_sat(1_000_000);

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn makes_good_what_happened_while_the_server_was_down() {
    let node = RegtestNode::start();
    // Every payment has a coin of its own.
    node.mine(4);
    let server = Server::follow(&node).await;
    let address = node.new_address();
    server.watch(&address).await;
    let stale = node.send(&address, PAYMENT);
    let block = node.mine(1)[0];
    let replaced = node.send(&address, PAYMENT);
    server.until_it_agrees_with(&node).await;
    let log = server.stop().await;

    node.invalidate_block(&block);
    let bumped = node.bump_fee(&replaced);
    let waiting = node.send(&address, PAYMENT);
    node.generate_block(&[]);
    node.generate_block(&[stale]);

    let server = Server::start(config(&node), log);
    server.until_it_agrees_with(&node).await;
    let steps = [
        Step::Seen(1),
        Step::Confirmed(106),
        Step::Unconfirmed(106),
        Step::Confirmed(107),
    ];
    assert_eq!(server.steps(stale).await, steps);
    assert!(matches!(
        server.steps(replaced).await[..],
        [Step::Seen(1), Step::Replaced(by, ..)] if by == bumped
    ));
    assert_eq!(server.steps(waiting).await, [Step::Seen(1)]);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn tells_nothing_again_after_a_restart() {
    let node = RegtestNode::start();
    let server = Server::follow(&node).await;
    let address = node.new_address();
    server.watch(&address).await;
    node.send(&address, PAYMENT);
    node.mine(2);
    node.send(&address, PAYMENT);
    server.until_it_agrees_with(&node).await;
    let before = crate::server::steps(&server.events().await);
    let log = server.kill().await;
    let position = head(&log).await;

    let server = Server::start(config(&node), log);
    server.until_live().await;
    server.until_it_agrees_with(&node).await;
    let log = server.log.clone();
    assert_eq!(crate::server::steps(&server.events().await), before);
    // The gap of the start and its end are all that is new.
    let news = server.events().await.into_iter().rev().take(2);
    let news: Vec<_> = news.collect();
    assert!(matches!(
        news[..],
        [ChainEvent::FeedRestored { .. }, ChainEvent::FeedGap { .. }]
    ));
    assert!(head(&log).await > position);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn follows_a_node_that_was_killed_and_started_again() {
    let mut node = RegtestNode::start();
    // A stop in good order writes everything down; a kill loses what came after it.
    node.restart();
    let server = Server::follow(&node).await;
    let address = node.new_address();
    server.watch(&address).await;
    let paid = node.send(&address, PAYMENT);
    node.mine(1);
    server
        .until_steps(paid, &[Step::Seen(1), Step::Confirmed(102)])
        .await;
    node.kill();
    server
        .until_status(|status| matches!(status, NodeStatus::Down { .. }))
        .await;
    node.start_again();
    let later = node.send(&address, PAYMENT);
    node.mine(3);
    server.until_live().await;
    server.until_it_agrees_with(&node).await;
    assert!(matches!(
        server.steps(later).await.last(),
        Some(Step::Confirmed(_))
    ));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn makes_good_every_loss_of_notifications() {
    let node = RegtestNode::start();
    let (sequence, rawtx) = (
        Relay::of(&node.zmq_sequence_url()),
        Relay::of(&node.zmq_rawtx_url()),
    );
    let mut config = config(&node);
    config.zmq_sequence = Some(sequence.endpoint());
    config.zmq_rawtx = Some(rawtx.endpoint());
    let server = Server::start(config, empty_log());
    server.until_live().await;
    let address = node.new_address();
    server.watch(&address).await;

    for lose_every in [3, 2, 1] {
        sequence.lose_every(lose_every);
        rawtx.lose_every(lose_every);
        for _ in 0..3 {
            let paid = node.send(&address, PAYMENT);
            node.bump_fee(&paid);
            let block = node.mine(1)[0];
            node.invalidate_block(&block);
            node.generate_block(&[]);
            node.send(&address, PAYMENT);
        }
        server.until_it_agrees_with(&node).await;
    }
    let gaps = server.events().await.into_iter();
    let gaps = gaps.filter(|event| matches!(event, ChainEvent::FeedGap { .. }));
    assert!(gaps.count() > 1, "what was lost was noticed");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn needs_no_announced_bodies() {
    let node = RegtestNode::start();
    let mut config = config(&node);
    config.zmq_rawtx = None;
    let server = Server::start(config, empty_log());
    server.until_live().await;
    let address = node.new_address();
    server.watch(&address).await;
    let paid = node.send(&address, PAYMENT);
    server.until_steps(paid, &[Step::Seen(1)]).await;
    server.until_it_agrees_with(&node).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn records_nothing_of_a_node_on_another_network() {
    let node = RegtestNode::start();
    let mut config = config(&node);
    config.network = Network::Signet;
    let server = Server::start(config, empty_log());
    let status = server
        .until_status(|status| !matches!(status, NodeStatus::Connecting))
        .await;
    let expected = NodeStatus::WrongNetwork {
        configured: Network::Signet,
        found: "regtest".to_owned(),
    };
    assert_eq!(status, expected);
    let log = server.stop().await;
    assert_eq!(head(&log).await, satpost_domain::Position::START);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn waits_for_a_node_that_is_down() {
    let mut node = RegtestNode::start();
    let config = config(&node);
    node.stop();
    let server = Server::start(config, empty_log());
    server
        .until_status(|status| matches!(status, NodeStatus::Down { .. }))
        .await;
    node.start_again();
    server.until_live().await;
    let address = node.new_address();
    server.watch(&address).await;
    let paid = node.send(&address, PAYMENT);
    server.until_steps(paid, &[Step::Seen(1)]).await;
    server.until_it_agrees_with(&node).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn agrees_with_the_node_wherever_the_server_was_killed() {
    let node = RegtestNode::start();
    let server = Server::follow(&node).await;
    let address = node.new_address();
    server.watch(&address).await;
    let mut log = server.stop().await;
    for round in 0..8 {
        let server = Server::start(config(&node), log);
        for _ in 0..2 {
            let paid = node.send(&address, PAYMENT);
            node.bump_fee(&paid);
            let block = node.mine(1)[0];
            node.invalidate_block(&block);
            node.mine(1);
        }
        tokio::time::sleep(std::time::Duration::from_millis(40 * round)).await;
        log = server.kill().await;
    }
    let server = Server::start(config(&node), log);
    server.until_it_agrees_with(&node).await;
}
