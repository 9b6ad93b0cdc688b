//! Only what is watched: exact answers for it, an error of its own for everything else.

use std::sync::Arc;

use bitcoin::{Address, Amount};
use reqwest::StatusCode;
use satpost_api::esplora::EsploraConfig;
use satpost_domain::network::Network;
use satpost_infra::bitcoind::NodeAuth;
use satpost_infra::esplora::{EsploraNode, WatchedScriptsChain};
use satpost_tests::node::RegtestNode;
use serde_json::{Value, json};
use tokio::sync::watch;
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;

use super::stage::Esplora;
use super::truth::{Truth, without_words};
use crate::server::Server;

const PAYMENT: Amount = Amount::from_sat(1_000_000);

fn serve(node: &RegtestNode, server: &Server, is_complete: bool) -> Esplora {
    let auth = NodeAuth::Cookie(node.rpc_cookie());
    let (_, changes) = watch::channel(0);
    let chain = WatchedScriptsChain::new(
        Arc::new(EsploraNode::new(&node.rpc_url(), &auth)),
        Arc::clone(&server.read_model),
        server.handler.clone(),
        Network::Regtest,
        Box::new(move |_, _| is_complete),
        changes,
    );
    let mut config = EsploraConfig::new(Network::Regtest);
    config.workers = 1;
    let stop = CancellationToken::new();
    Esplora::serve(Arc::new(chain), config, stop, JoinSet::new())
}

async fn agrees(esplora: &Esplora, node: &RegtestNode, address: &Address) {
    let truth = Truth::of(node);
    let script = address.script_pubkey().to_hex_string();
    let path = format!("/address/{address}");
    let (confirmed, unconfirmed) = truth.history(&script);
    let expected = json!({
        "address": address.to_string(),
        "chain_stats": truth.totals(&script, confirmed.iter()),
        "mempool_stats": truth.totals(&script, unconfirmed.iter()),
    });
    assert_eq!(esplora.json(&path).await, expected);
    let chain = without_words(esplora.json(&format!("{path}/txs/chain")).await);
    let expected: Vec<Value> = confirmed
        .iter()
        .map(|txid| truth.transaction(txid))
        .collect();
    assert_eq!(chain, json!(expected));
    let waiting = without_words(esplora.json(&format!("{path}/txs/mempool")).await);
    let waiting = waiting.as_array().unwrap();
    assert_eq!(waiting.len(), unconfirmed.len());
    for entry in waiting {
        assert_eq!(*entry, truth.transaction(entry["txid"].as_str().unwrap()));
    }
    let utxo = esplora.json(&format!("{path}/utxo")).await;
    let expected = truth.unspent(&script);
    assert_eq!(utxo.as_array().unwrap().len(), expected.len());
    for entry in utxo.as_array().unwrap() {
        let vout = entry["vout"].as_u64().unwrap();
        let outpoint = (entry["txid"].as_str().unwrap().to_owned(), vout);
        assert_eq!(*entry, expected[&outpoint]);
        let spend = esplora
            .json(&format!("/tx/{}/outspend/{vout}", outpoint.0))
            .await;
        assert_eq!(spend, json!({ "spent": false }));
    }
    for txid in confirmed.iter().chain(&unconfirmed) {
        let answer = esplora.json(&format!("/tx/{txid}")).await;
        assert_eq!(without_words(answer), truth.transaction(txid));
        let status = esplora.json(&format!("/tx/{txid}/status")).await;
        assert_eq!(status, truth.status(txid));
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn answers_for_a_watched_address_over_a_reorganisation() {
    let node = RegtestNode::start();
    node.mine(3);
    let server = Server::follow(&node).await;
    let address = node.new_address();
    server.watch(&address).await;
    let esplora = serve(&node, &server, true);

    node.send(&address, PAYMENT);
    let block = node.mine(1)[0];
    node.send(&address, PAYMENT);
    server.until_it_agrees_with(&node).await;
    agrees(&esplora, &node, &address).await;

    node.invalidate_block(&block);
    node.generate_block(&[]);
    node.generate_block(&[]);
    server.until_it_agrees_with(&node).await;
    agrees(&esplora, &node, &address).await;
    node.mine(1);
    server.until_it_agrees_with(&node).await;
    agrees(&esplora, &node, &address).await;
    esplora.stop().await;
    server.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn never_answers_nothing_when_it_does_not_know() {
    let node = RegtestNode::start();
    let server = Server::follow(&node).await;
    let (watched, other) = (node.new_address(), node.new_address());
    server.watch(&watched).await;
    let paid = node.send(&other, PAYMENT);
    node.mine(1);
    server.until_it_agrees_with(&node).await;
    let esplora = serve(&node, &server, true);
    for path in ["", "/txs", "/txs/chain", "/txs/mempool", "/utxo"] {
        let answer = esplora.get(&format!("/address/{other}{path}")).await;
        assert_eq!(answer.status, StatusCode::BAD_REQUEST, "{path}");
        assert_eq!(answer.text(), "Address is not watched by this server");
        let answer = esplora.get(&format!("/address/{watched}{path}")).await;
        assert_eq!(answer.status, StatusCode::OK, "{path}: {}", answer.text());
    }
    for path in ["", "/status", "/hex", "/merkle-proof", "/outspends"] {
        let answer = esplora.get(&format!("/tx/{paid}{path}")).await;
        assert_eq!(answer.status, StatusCode::BAD_REQUEST, "{path}");
        assert_eq!(answer.text(), "Transaction is not watched by this server");
    }
    // Blocks are everybody's.
    assert_eq!(esplora.text("/blocks/tip/height").await, "102");
    esplora.stop().await;

    let incomplete = serve(&node, &server, false);
    let answer = incomplete.get(&format!("/address/{watched}/utxo")).await;
    assert_eq!(answer.status, StatusCode::SERVICE_UNAVAILABLE);
    assert_eq!(answer.text(), "History of this address is not complete yet");
    assert!(answer.headers.contains_key("retry-after"));
    incomplete.stop().await;
    server.stop().await;
}
