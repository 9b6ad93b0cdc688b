//! Transactions to the node: what it takes is known at once, what it refuses is told in its words.

use bitcoin::consensus::encode::serialize_hex;
use bitcoin::{Amount, OutPoint};
use bitcoincore_rpc::RpcApi as _;
use reqwest::StatusCode;
use satpost_tests::node::RegtestNode;
use serde_json::{Value, json};

use super::stage::Esplora;
use crate::spend::{coin, spend};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn broadcasts_once_twice_and_not_after_it_was_mined() {
    let node = RegtestNode::start();
    let folder = tempfile::tempdir().unwrap();
    let esplora = Esplora::start(&node, &folder).await;
    let address = node.new_address();
    let transaction = spend(&node, &[coin(&node)], &address, 1_000);
    let (hex, txid) = (serialize_hex(&transaction), transaction.compute_txid());
    let told = esplora.post("/tx", hex.clone()).await;
    assert_eq!(
        (told.status, told.text()),
        (StatusCode::OK, txid.to_string())
    );
    assert_eq!(told.header("cache-control"), "public, max-age=0");
    assert_eq!(told.header("content-type"), "text/plain");
    let seen = esplora.json(&format!("/address/{address}/txs")).await;
    assert_eq!(seen[0]["txid"], txid.to_string());

    let again = esplora.get(&format!("/broadcast?tx={hex}")).await;
    assert_eq!(
        (again.status, again.text()),
        (StatusCode::OK, txid.to_string())
    );

    node.mine(1);
    esplora.until_at(&node).await;
    let mined = esplora.post("/tx", hex).await;
    assert_eq!(mined.status, StatusCode::BAD_REQUEST);
    let text = mined.text();
    assert!(
        text.starts_with("sendrawtransaction RPC error -27: "),
        "{text}"
    );

    for body in ["", "zz", "00"] {
        let refused = esplora.post("/tx", body).await;
        assert_eq!(refused.status, StatusCode::BAD_REQUEST);
        let text = refused.text();
        assert!(
            text.starts_with("sendrawtransaction RPC error -22: "),
            "{text}"
        );
    }
    esplora.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn submits_a_package_and_tests_without_submitting() {
    let node = RegtestNode::start();
    let folder = tempfile::tempdir().unwrap();
    let esplora = Esplora::start(&node, &folder).await;
    let address = node.new_address();
    let parent = spend(&node, &[coin(&node)], &address, 1_000);
    // The parent is not broadcast, so the wallet must be told what the child spends.
    let outpoint = OutPoint::new(parent.compute_txid(), 0);
    let left = parent.output[0].value - Amount::from_sat(2_000);
    let inputs = json!([{ "txid": outpoint.txid, "vout": 0 }]);
    let outputs = json!([{ node.new_address().to_string(): left.to_btc() }]);
    let raw = node.call("createrawtransaction", &[inputs, outputs]);
    let spent = json!([{
        "txid": outpoint.txid, "vout": 0, "amount": parent.output[0].value.to_btc(),
        "scriptPubKey": parent.output[0].script_pubkey.to_hex_string(),
    }]);
    let child = node.call("signrawtransactionwithwallet", &[raw, spent]);
    assert_eq!(child["complete"], true, "{child}");
    let package = json!([serialize_hex(&parent), child["hex"]]).to_string();

    let trial = esplora.post("/txs/test", package.clone()).await;
    assert_eq!(trial.status, StatusCode::OK, "{}", trial.text());
    let trial: Value = serde_json::from_slice(&trial.body).unwrap();
    assert_eq!(
        (&trial[0]["allowed"], &trial[1]["allowed"]),
        (&json!(true), &json!(true))
    );
    assert!(node.mempool().is_empty());

    let answer = esplora.post("/txs/package?maxfeerate=0.5", package).await;
    assert_eq!(answer.status, StatusCode::OK, "{}", answer.text());
    let result: Value = serde_json::from_slice(&answer.body).unwrap();
    assert_eq!(result["package_msg"], "success");
    let wtxid = parent.compute_wtxid().to_string();
    assert_eq!(
        result["tx-results"][wtxid]["txid"],
        outpoint.txid.to_string()
    );
    let seen = esplora.json(&format!("/address/{address}/txs")).await;
    assert_eq!(seen.as_array().unwrap().len(), 2);
    assert_eq!(node.rpc().get_raw_mempool().unwrap().len(), 2);
    esplora.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn refuses_packages_that_cannot_be() {
    let node = RegtestNode::start();
    let folder = tempfile::tempdir().unwrap();
    let esplora = Esplora::start(&node, &folder).await;
    let long = "00".repeat(60);
    let cases = [
        (
            json!(vec![&long; 26]),
            "",
            "Exceeded maximum of 25 transactions",
        ),
        (
            json!([long, "00"]),
            "",
            "Invalid transaction size for item 1",
        ),
        (
            json!(["zz".repeat(60)]),
            "",
            "Invalid transaction hex for item 0",
        ),
        (json!([long]), "?maxfeerate=much", "Invalid maxfeerate"),
        (json!([long]), "?maxfeerate=NaN", "Invalid maxfeerate"),
        (json!([long]), "?maxburnamount=x", "Invalid maxburnamount"),
    ];
    for (body, query, text) in cases {
        let path = format!("/txs/package{query}");
        let answer = esplora.post(&path, body.to_string()).await;
        assert_eq!(
            (answer.status.as_u16(), answer.text().as_str()),
            (400, text)
        );
    }
    for body in ["[]", "{", "{}"] {
        let answer = esplora.post("/txs/package", body).await;
        assert_eq!(answer.status, StatusCode::BAD_REQUEST, "{body}");
        assert_eq!(answer.header("content-type"), "text/plain");
    }
    esplora.stop().await;
}
