//! What the node says, against what the log says.

use std::collections::{BTreeMap, BTreeSet};

use bitcoin::Txid;
use bitcoincore_rpc::RpcApi as _;
use satpost_domain::chain::{ChainEvent, TransactionState};
use satpost_domain::ids::ScriptHash;
use satpost_domain::script::Script;
use satpost_tests::node::RegtestNode;

use crate::server::{Server, Step, node_txid, steps};

/// How many blocks are compared.
const DEPTH: u32 = 150;

/// Where a transaction is: in the block with this hash, or in the mempool.
type Place = Option<String>;

/// The first difference between the log and the node, in words.
pub(crate) async fn difference(server: &Server, node: &RegtestNode) -> Option<String> {
    let chain = server.chain().await;
    let tip = chain.tip().map(|tip| tip.hash.to_string());
    let best = node.best_block().to_string();
    if tip.as_deref() != Some(best.as_str()) {
        return Some(format!("the tips are {tip:?} and {best}"));
    }
    if chain.gap_open() {
        return Some("a gap is open".to_owned());
    }
    // Everything above the block where the log began, as deep as the tests reorganise.
    let oldest = chain.recent_blocks().last()?.height;
    let lowest = (oldest + 1).max(chain.tip()?.height.saturating_sub(DEPTH));
    let truth = places(node, lowest);
    let watched: BTreeSet<ScriptHash> = server.watched().into_iter().collect();
    for (txid, place, pays) in &truth {
        let tracked = chain.all_tracked().find(|(id, _)| node_txid(**id) == *txid);
        let state = tracked.map(|(_, tracked)| tracked.state);
        let expected_to_be_known = !pays.is_disjoint(&watched);
        let agree = match (state, place) {
            (None, _) => !expected_to_be_known,
            (Some(TransactionState::Mempool), None) => true,
            (Some(TransactionState::Confirmed(block)), Some(hash)) => {
                block.hash.to_string() == *hash
            }
            _ => false,
        };
        if !agree {
            return Some(format!("{txid} is {state:?} and {place:?}"));
        }
    }
    let known: BTreeSet<Txid> = truth.iter().map(|(txid, ..)| *txid).collect();
    chain.all_tracked().find_map(|(txid, tracked)| {
        let gone = matches!(tracked.state, TransactionState::Gone { .. });
        let is_below = matches!(
            tracked.state,
            TransactionState::Confirmed(block) if block.height < lowest
        );
        let agree = gone || is_below || known.contains(&node_txid(*txid));
        (!agree).then(|| format!("{txid} is {:?} and nowhere", tracked.state))
    })
}

/// Every transaction in the blocks from `lowest` on and in the mempool, with the scripts it pays to.
fn places(node: &RegtestNode, lowest: u32) -> Vec<(Txid, Place, BTreeSet<ScriptHash>)> {
    let mut places = Vec::new();
    let mut add = |transaction: &bitcoin::Transaction, place: Place| {
        let scripts = transaction.output.iter().filter_map(|output| {
            let script = Script::new(output.script_pubkey.as_bytes()).ok()?;
            Some(script.hash())
        });
        places.push((transaction.compute_txid(), place, scripts.collect()));
    };
    for height in u64::from(lowest)..=node.height() {
        let hash = node.rpc().get_block_hash(height).unwrap();
        for transaction in &node.rpc().get_block(&hash).unwrap().txdata {
            add(transaction, Some(hash.to_string()));
        }
    }
    for txid in node.mempool() {
        if let Ok(transaction) = node.rpc().get_raw_transaction(&txid, None) {
            add(&transaction, None);
        }
    }
    places
}

/// Every transaction went from place to place as the state machine says, and no event came twice.
pub(crate) fn assert_lawful(events: &[ChainEvent]) {
    let paths: BTreeMap<_, _> = steps(events);
    for ((txid, script), path) in paths {
        let mut before: Option<Step> = None;
        let mut entered = 0;
        for step in &path {
            let in_mempool = matches!(before, Some(Step::Seen(_) | Step::Unconfirmed(_)));
            let in_block = matches!(before, Some(Step::Confirmed(_)));
            let lawful = match step {
                Step::Seen(incarnation) => {
                    let next = *incarnation > entered;
                    entered = *incarnation;
                    next && !in_mempool && !in_block
                }
                Step::Confirmed(_) => !in_block,
                Step::Unconfirmed(height) => {
                    entered += 1;
                    before == Some(Step::Confirmed(*height))
                }
                // What took the place of an evicted transaction may be found later.
                Step::Replaced(..) => in_mempool || before == Some(Step::Evicted),
                Step::Evicted => in_mempool,
            };
            assert!(lawful, "{txid} of {script}: {step:?} in {path:?}");
            before = Some(*step);
        }
    }
}
