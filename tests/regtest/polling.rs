//! A node that announces nothing, and the audit of one that does.

use std::time::Duration;

use bitcoin::Amount;
use satpost_domain::chain::{ChainEvent, GapKind, ReplacedIn, ReplacedVia};
use satpost_infra::bitcoind::{NodeStatus, Source};
use satpost_tests::node::RegtestNode;

use crate::server::{Server, Step, config, empty_log};

const PAYMENT: Amount = Amount::from_sat(5_000_000);

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn asks_a_node_that_announces_nothing() {
    let node = RegtestNode::start();
    node.mine(2);
    let mut config = config(&node);
    (config.zmq_sequence, config.zmq_rawtx) = (None, None);
    let server = Server::start(config, empty_log());
    let polled = |status: &NodeStatus| {
        matches!(
            status,
            NodeStatus::Live {
                source: Source::Polled,
                ..
            }
        )
    };
    server.until_status(polled).await;
    assert_eq!(server.metrics.gaps(GapKind::Polling), 1);

    let address = node.new_address();
    server.watch(&address).await;
    let paid = node.send(&address, PAYMENT);
    server.until_steps(paid, &[Step::Seen(1)]).await;
    let bumped = node.bump_fee(&paid);
    let replaced = Step::Replaced(bumped, ReplacedVia::Direct, ReplacedIn::Mempool);
    server.until_steps(paid, &[Step::Seen(1), replaced]).await;
    let block = node.mine(1)[0];
    server
        .until_steps(bumped, &[Step::Seen(1), Step::Confirmed(104)])
        .await;
    node.invalidate_block(&block);
    node.generate_block(&[]);
    server.until_it_agrees_with(&node).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn audits_what_it_was_told() {
    let node = RegtestNode::start();
    let mut config = config(&node);
    config.audit_every = Duration::from_secs(1);
    let server = Server::start(config, empty_log());
    server.until_live().await;
    let address = node.new_address();
    server.watch(&address).await;
    let paid = node.send(&address, PAYMENT);
    server.until_steps(paid, &[Step::Seen(1)]).await;
    let mut passed = Vec::new();
    for _ in 0..400 {
        let events = server.events().await.into_iter();
        passed = events
            .filter_map(|event| match event {
                ChainEvent::AuditPassed { transactions, .. } => Some(transactions),
                _ => None,
            })
            .collect();
        if passed.contains(&1) {
            break;
        }
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    assert!(passed.contains(&1), "{passed:?}");
    assert_eq!(server.metrics.gaps(GapKind::Audit), 0);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn finds_a_payment_as_soon_as_its_address_is_watched() {
    let node = RegtestNode::start();
    // Every payment has a coin of its own.
    node.mine(10);
    let server = Server::follow(&node).await;
    let (address, other) = (node.new_address(), node.new_address());
    // The other is watched and seen, so that the first has passed unnoticed.
    let paid = node.send(&address, PAYMENT);
    server.watch(&other).await;
    let noticed = node.send(&other, PAYMENT);
    server.until_steps(noticed, &[Step::Seen(1)]).await;

    // Best of a few: a busy machine may be slow once, a heartbeat would be slow half of the time.
    let mut best = Duration::MAX;
    let mut waiting = vec![(paid, address)];
    for _ in 0..4 {
        let address = node.new_address();
        waiting.push((node.send(&address, Amount::from_sat(10_000)), address));
    }
    tokio::time::sleep(Duration::from_millis(1_500)).await;
    for (paid, address) in waiting {
        let began = tokio::time::Instant::now();
        server.watch(&address).await;
        server.until_steps(paid, &[Step::Seen(1)]).await;
        best = best.min(began.elapsed());
    }
    assert!(best < Duration::from_millis(300), "{best:?}");
}
