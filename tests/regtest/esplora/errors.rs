//! Refusals, headers and limits, one row each.

use std::time::Duration;

use reqwest::StatusCode;
use satpost_api::Rate;
use satpost_tests::node::RegtestNode;

use super::stage::Esplora;

const MAINNET: &str = "1BvBMSEYstWetqTFn5Au4m4GFg7xJaNVN2";
const UNKNOWN: &str = "0101010101010101010101010101010101010101010101010101010101010101";

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn refuses_with_the_status_and_text_that_clients_know() {
    let node = RegtestNode::start();
    let folder = tempfile::tempdir().unwrap();
    let esplora = Esplora::start(&node, &folder).await;
    let tip = node.best_block();
    let txid = esplora.text(&format!("/block/{tip}/txid/0")).await;
    let cases = [
        (404, "/nothing", "endpoint does not exist \"/nothing\""),
        (404, "/tx", "endpoint does not exist \"/tx\""),
        (400, "/tx/zz", "Invalid hex string"),
        (404, &format!("/tx/{UNKNOWN}"), "Transaction not found"),
        (404, &format!("/tx/{UNKNOWN}/hex"), "Transaction not found"),
        (404, &format!("/tx/{UNKNOWN}/raw"), "Transaction not found"),
        (
            404,
            &format!("/tx/{UNKNOWN}/outspends"),
            "Transaction not found",
        ),
        (
            404,
            &format!("/tx/{UNKNOWN}/merkle-proof"),
            "Transaction not found or is unconfirmed",
        ),
        (400, &format!("/tx/{txid}/outspend/x"), "Invalid number"),
        (404, &format!("/block/{UNKNOWN}"), "Block not found"),
        (404, &format!("/block/{UNKNOWN}/txs"), "Block not found"),
        (404, &format!("/block/{UNKNOWN}/txids"), "Block not found"),
        (404, &format!("/block/{UNKNOWN}/header"), "Block not found"),
        (404, &format!("/block/{UNKNOWN}/raw"), "Block not found"),
        (400, "/block/zz", "Invalid hex string"),
        (
            404,
            &format!("/block/{tip}/txid/1"),
            "tx index out of range",
        ),
        (400, &format!("/block/{tip}/txid/x"), "Invalid number"),
        (
            400,
            &format!("/block/{tip}/txs/25"),
            "start index out of range",
        ),
        (
            400,
            &format!("/block/{tip}/txs/7"),
            "start index must be a multiple of 25",
        ),
        (404, "/block-height/999", "Block not found"),
        (400, "/block-height/x", "Invalid number"),
        (404, "/blocks/999", "Block not found"),
        (
            400,
            &format!("/address/{MAINNET}"),
            "Address on invalid network",
        ),
        (400, "/address/nonsense", "Invalid Bitcoin address"),
        (400, "/scripthash/00", "Invalid scripthash"),
        (400, "/address-prefix/bcrt1", "address search disabled"),
        (400, "/broadcast", "Missing tx"),
        (403, "/block-template", "mining REST endpoints are disabled"),
        (400, "/txs/outspends", "No txids specified"),
        (
            422,
            &format!("/scripthash/{UNKNOWN}/txs?after_txid={UNKNOWN}"),
            "after_txid not found",
        ),
    ];
    for (status, path, text) in cases {
        for prefix in ["", "/api"] {
            let answer = esplora.get(&format!("{prefix}{path}")).await;
            assert_eq!(answer.status.as_u16(), status, "{path}: {}", answer.text());
            assert_eq!(answer.header("content-type"), "text/plain", "{path}");
            let expected = text.replace("exist \"", &format!("exist \"{prefix}"));
            assert_eq!(answer.text(), expected, "{path}");
        }
    }
    // What is unknown and yet a success.
    assert_eq!(esplora.text_of_json("/fee-estimates").await, "{}");
    let status = esplora.text_of_json(&format!("/tx/{UNKNOWN}/status")).await;
    assert_eq!(status, r#"{"confirmed":false}"#);
    let spend = esplora
        .text_of_json(&format!("/tx/{UNKNOWN}/outspend/7"))
        .await;
    assert_eq!(spend, r#"{"spent":false}"#);
    let block = esplora
        .text_of_json(&format!("/block/{UNKNOWN}/status"))
        .await;
    assert_eq!(
        block,
        r#"{"in_best_chain":false,"height":null,"next_best":null}"#
    );
    esplora.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn says_how_long_an_answer_is_right_and_when_it_still_is() {
    let node = RegtestNode::start();
    let folder = tempfile::tempdir().unwrap();
    let esplora = Esplora::start_with(&node, &folder, |config| {
        config.allow_origin = Some("*".to_owned());
    })
    .await;
    let deep = esplora.text("/block-height/91").await;
    let shallow = esplora.text("/block-height/92").await;
    let deep_tx = esplora.text(&format!("/block/{deep}/txid/0")).await;
    let shallow_tx = esplora.text(&format!("/block/{shallow}/txid/0")).await;
    let forever = "public, max-age=157784630";
    let short = "public, max-age=10";
    for (path, expected) in [
        ("/block-height/91".to_owned(), forever),
        ("/block-height/92".to_owned(), short),
        (format!("/block/{shallow}"), forever),
        (format!("/block/{shallow}/txids"), forever),
        (format!("/block/{shallow}/header"), forever),
        (format!("/block/{shallow}/raw"), forever),
        (format!("/block/{shallow}/status"), short),
        (format!("/block/{deep}/txs"), forever),
        (format!("/block/{shallow}/txs"), short),
        (format!("/tx/{deep_tx}"), forever),
        (format!("/tx/{deep_tx}/status"), forever),
        (format!("/tx/{deep_tx}/merkle-proof"), forever),
        (format!("/tx/{shallow_tx}"), short),
        (format!("/tx/{deep_tx}/outspends"), short),
        (format!("/tx/{UNKNOWN}/status"), short),
        ("/blocks/tip/height".to_owned(), short),
        ("/blocks".to_owned(), short),
        ("/mempool".to_owned(), short),
        ("/mempool/recent".to_owned(), "public, max-age=5"),
        ("/fee-estimates".to_owned(), short),
        (format!("/scripthash/{UNKNOWN}"), short),
        (format!("/scripthash/{UNKNOWN}/utxo"), short),
    ] {
        let answer = esplora.get(&path).await;
        assert_eq!(answer.header("cache-control"), expected, "{path}");
        assert_eq!(answer.header("access-control-allow-origin"), "*");
        let tag = answer.header("etag").to_owned();
        let again = esplora.get_with(&path, ("If-None-Match", &tag)).await;
        assert_eq!(again.status, StatusCode::NOT_MODIFIED, "{path}");
        assert_eq!(again.header("cache-control"), expected, "{path}");
        assert!(again.body.is_empty());
    }
    let tip = esplora.get("/blocks/tip/hash").await;
    let tag = tip.header("etag").to_owned();
    node.mine(1);
    esplora.until_at(&node).await;
    let moved = esplora
        .get_with("/blocks/tip/hash", ("If-None-Match", &tag))
        .await;
    assert_eq!(moved.status, StatusCode::OK);
    esplora.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn bounds_bodies_lists_and_peers() {
    let node = RegtestNode::start();
    let folder = tempfile::tempdir().unwrap();
    let esplora = Esplora::start_with(&node, &folder, |config| config.unspent_max = 50).await;
    let large = esplora.post("/tx", vec![b'0'; 1_000_001]).await;
    assert_eq!(large.status, StatusCode::PAYLOAD_TOO_LARGE);
    assert_eq!(large.text(), "Request body too large");
    let miner = node.call(
        "getblock",
        &[serde_json::json!(node.best_block()), 2.into()],
    );
    let script = &miner["tx"][0]["vout"][0]["scriptPubKey"];
    let utxo = esplora
        .get(&format!(
            "/address/{}/utxo",
            script["address"].as_str().unwrap()
        ))
        .await;
    assert_eq!(utxo.status, StatusCode::BAD_REQUEST);
    assert_eq!(utxo.text(), "Too many unspent transaction outputs (>50)");
    let hashes = vec![UNKNOWN; 301];
    let body = serde_json::to_string(&hashes).unwrap();
    let long = esplora.post("/scripthashes/txs", body).await;
    assert_eq!(long.status, StatusCode::UNPROCESSABLE_ENTITY);
    assert_eq!(long.text(), "body too long");
    esplora.stop().await;

    let limited = Esplora::start_with(&node, &folder, |config| {
        config.per_peer = Some(Rate::new(400, Duration::from_secs(3_600)));
    })
    .await;
    let mut refused = None;
    for _ in 0..=400 {
        let answer = limited.get("/blocks/tip/height").await;
        if answer.status == StatusCode::TOO_MANY_REQUESTS {
            refused = Some(answer);
            break;
        }
    }
    let refused = refused.expect("a peer that asks 400 times at once is refused");
    assert_eq!(refused.text(), "Too many requests");
    let after: u64 = refused.header("retry-after").parse().unwrap();
    assert!((1..=3_600).contains(&after));
    limited.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn says_that_the_node_is_away_instead_of_nothing() {
    let mut node = RegtestNode::start();
    let folder = tempfile::tempdir().unwrap();
    let esplora = Esplora::start(&node, &folder).await;
    let hash = node.best_block();
    node.stop();
    // What is indexed is answered; what only the node has is not.
    assert_eq!(esplora.text("/blocks/tip/height").await, "101");
    let block = esplora.get(&format!("/block/{hash}/raw")).await;
    assert_eq!(block.status, StatusCode::GATEWAY_TIMEOUT);
    assert_eq!(block.text(), "daemon unavailable");
    assert_eq!(block.header("retry-after"), "2");
    node.start_again();
    esplora.until_at(&node).await;
    let block = esplora.get(&format!("/block/{hash}/raw")).await;
    assert_eq!(block.status, StatusCode::OK);
    esplora.stop().await;
}
