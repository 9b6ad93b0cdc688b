//! Two servers on two nodes that have the same chain record the same facts under the same ids.

use std::collections::BTreeMap;

use bitcoin::{Amount, BlockHash};
use bitcoincore_rpc::RpcApi as _;
use satpost_domain::EventId;
use satpost_domain::chain::ChainEvent;
use satpost_tests::node::RegtestNode;
use serde_json::json;

use crate::server::{Server, config, empty_log};

const PAYMENT: Amount = Amount::from_sat(5_000_000);

/// Hands every block of `from` above `height` to `to`.
fn carry_blocks(from: &RegtestNode, to: &RegtestNode, height: u64) {
    for height in height + 1..=from.height() {
        let hash = from.rpc().get_block_hash(height).unwrap();
        let block = from.rpc().get_block_hex(&hash).unwrap();
        to.call("submitblock", &[json!(block)]);
    }
}

async fn follow(node: &RegtestNode) -> Server {
    let mut config = config(node);
    config.final_depth = 6;
    let server = Server::start(config, empty_log());
    server.until_live().await;
    server
}

/// What the chain itself says, by event id: everything that names a block.
async fn facts(server: &Server) -> BTreeMap<EventId, ChainEvent> {
    let events = server.events_with_ids().await.into_iter();
    events
        .filter(|(_, event)| {
            matches!(
                event,
                ChainEvent::BlockConnected { .. }
                    | ChainEvent::BlockDisconnected { .. }
                    | ChainEvent::TransactionConfirmed { .. }
                    | ChainEvent::TransactionUnconfirmed { .. }
                    | ChainEvent::DepthReached { .. }
                    | ChainEvent::TransactionFinal { .. }
                    | ChainEvent::CoinbaseMatured { .. }
            )
        })
        .collect()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn two_servers_on_two_nodes_record_the_same_facts_under_the_same_ids() {
    let here = RegtestNode::start();
    here.mine(3);
    let there = RegtestNode::start_empty(&[]);
    carry_blocks(&here, &there, 0);
    let servers = [follow(&here).await, follow(&there).await];
    let (address, other) = (here.new_address(), here.new_address());
    for server in &servers {
        server.watch(&address).await;
        server.watch(&other).await;
    }

    // A payment that only one node sees in its mempool, a coinbase, depths and finality.
    here.send(&address, PAYMENT);
    here.mine_to(1, &other);
    here.mine(6);
    carry_blocks(&here, &there, 104);
    // A reorganisation that both go through.
    let stale: BlockHash = here.best_block();
    let fork = here.height() - 1;
    here.invalidate_block(&stale);
    there.invalidate_block(&stale);
    here.send(&other, PAYMENT);
    here.mine(4);
    carry_blocks(&here, &there, fork);
    for (server, node) in servers.iter().zip([&here, &there]) {
        server.until_it_agrees_with(node).await;
    }

    let [here, there] = [facts(&servers[0]).await, facts(&servers[1]).await];
    assert!(
        here.values()
            .any(|event| matches!(event, ChainEvent::TransactionFinal { .. }))
    );
    let ids = |facts: &BTreeMap<EventId, ChainEvent>| facts.keys().copied().collect::<Vec<_>>();
    assert_eq!(ids(&here), ids(&there));
    assert_eq!(here, there);
}
