//! Depths, finality and maturity, on a real chain.

use std::collections::BTreeSet;

use bitcoin::Amount;
use satpost_domain::chain::{BlockRef, Chain, ChainEvent, DepthSet, TransactionState};
use satpost_domain::ids::{BlockHash, ScriptHash, Txid};
use satpost_tests::node::RegtestNode;

use crate::server::{Server, config, empty_log};

const PAYMENT: Amount = Amount::from_sat(5_000_000);
const FINAL_DEPTH: u32 = 6;

/// What is reached, of which transaction and script, by which block.
type Milestone = (What, Txid, ScriptHash, BlockHash);

#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum What {
    Depth(u32),
    Final,
    Matured,
}

fn milestone(event: &ChainEvent) -> Option<(Milestone, BlockRef)> {
    let (what, txid, script_hash, block) = match event {
        ChainEvent::DepthReached {
            txid,
            script_hash,
            depth,
            block,
        } => (What::Depth(*depth), txid, script_hash, block),
        ChainEvent::TransactionFinal {
            txid,
            script_hash,
            block,
            ..
        } => (What::Final, txid, script_hash, block),
        ChainEvent::CoinbaseMatured {
            txid,
            script_hash,
            block,
        } => (What::Matured, txid, script_hash, block),
        _ => return None,
    };
    Some(((what, *txid, *script_hash, block.hash), *block))
}

/// Every milestone came once while its block was in the chain, and none is missing now, but those that
/// history reached before it was read.
pub(crate) fn assert_kept(events: &[ChainEvent], chain: &Chain, final_depth: u32) {
    let mut standing: BTreeSet<Milestone> = BTreeSet::new();
    let mut backfilled: BTreeSet<Txid> = BTreeSet::new();
    let mut tip = None;
    for event in events {
        match event {
            ChainEvent::TransactionConfirmed {
                txid,
                backfilled: true,
                ..
            } => {
                backfilled.insert(*txid);
            }
            ChainEvent::BlockConnected { block, .. } => tip = Some(*block),
            ChainEvent::BlockDisconnected { block } => {
                standing.retain(|(.., by)| *by != block.hash);
            }
            _ => {}
        }
        if let Some((milestone, block)) = milestone(event) {
            assert_eq!(Some(block), tip, "{event:?} is not of the tip");
            assert!(standing.insert(milestone), "{event:?} came twice");
        }
    }
    let remembered: Vec<BlockRef> = chain.recent_blocks().collect();
    // The oldest may be where the log began, which connected nothing.
    for block in &remembered[..remembered.len() - 1] {
        for expected in expected_of(chain, *block, final_depth) {
            let is_old = backfilled.contains(&expected.1);
            assert!(
                is_old || standing.contains(&expected),
                "{expected:?} is missing"
            );
        }
    }
}

/// What the block makes, computed from where transactions are now.
fn expected_of(chain: &Chain, block: BlockRef, final_depth: u32) -> Vec<Milestone> {
    let wished = DepthSet::default();
    let mut expected = Vec::new();
    for (txid, tracked) in chain.all_tracked() {
        let TransactionState::Confirmed(own) = tracked.state else {
            continue;
        };
        let depth = (block.height + 1).saturating_sub(own.height);
        let matures = tracked.is_coinbase && depth == 100;
        let whats = [
            wished.contains(depth).then_some(What::Depth(depth)),
            (depth == final_depth).then_some(What::Final),
            matures.then_some(What::Matured),
        ];
        for what in whats.into_iter().flatten() {
            let scripts = tracked.touches.keys();
            expected.extend(scripts.map(|script| (what, *txid, *script, block.hash)));
        }
    }
    expected
}

/// The milestones so far with the heights of the blocks that made them.
async fn reached(server: &Server) -> Vec<(What, u32)> {
    let events = server.events().await;
    let milestones = events.iter().filter_map(milestone);
    milestones
        .map(|((what, ..), block)| (what, block.height))
        .collect()
}

async fn follow(node: &RegtestNode) -> Server {
    let mut config = config(node);
    config.final_depth = FINAL_DEPTH;
    let server = Server::start(config, empty_log());
    server.until_live().await;
    server
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn tells_of_depths_and_finality_and_again_in_other_blocks() {
    let node = RegtestNode::start();
    let server = follow(&node).await;
    let address = node.new_address();
    server.watch(&address).await;
    node.send(&address, PAYMENT);
    let blocks = node.mine(6);
    server.until_it_agrees_with(&node).await;
    let first = [
        (What::Depth(3), 104),
        (What::Depth(6), 107),
        (What::Final, 107),
    ];
    assert_eq!(reached(&server).await, first);

    node.invalidate_block(&blocks[3]);
    node.mine(3);
    server.until_it_agrees_with(&node).await;
    let again = [(What::Depth(6), 107), (What::Final, 107)];
    assert_eq!(reached(&server).await, [&first[..], &again[..]].concat());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn raises_an_alarm_when_a_final_payment_is_taken_back() {
    let node = RegtestNode::start();
    let server = follow(&node).await;
    let address = node.new_address();
    server.watch(&address).await;
    node.send(&address, PAYMENT);
    let blocks = node.mine(6);
    server.until_it_agrees_with(&node).await;
    node.invalidate_block(&blocks[0]);
    server.until_it_agrees_with(&node).await;
    let events = server.events().await;
    let alarms = events.iter().filter(|event| {
        matches!(
            event,
            ChainEvent::TransactionUnconfirmed {
                was_final: true,
                ..
            }
        )
    });
    assert_eq!(alarms.count(), 1);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn tells_that_a_coinbase_can_be_spent_when_the_node_lets_it_be_spent() {
    let node = RegtestNode::start();
    let server = follow(&node).await;
    let address = node.new_address();
    server.watch(&address).await;
    node.mine_to(1, &address);
    node.mine(98);
    server.until_it_agrees_with(&node).await;
    let matured = |reached: &[(What, u32)]| {
        let mut all = reached.iter().filter(|(what, _)| *what == What::Matured);
        all.next().map(|(_, height)| *height)
    };
    assert_eq!(matured(&reached(&server).await), None);
    node.mine(1);
    server.until_it_agrees_with(&node).await;
    assert_eq!(matured(&reached(&server).await), Some(201));
}
