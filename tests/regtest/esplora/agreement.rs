//! Every answer equals the one computed from the node, over a chain of random payments with
//! reorganisations, and a restart in between.

#![allow(
    clippy::disallowed_methods,
    reason = "the environment says how much is tried"
)]

use std::collections::BTreeSet;

use bitcoin::consensus::encode::serialize_hex;
use bitcoin::hashes::{Hash as _, sha256d};
use bitcoin::{Amount, Txid};
use bitcoincore_rpc::RpcApi as _;
use reqwest::StatusCode;
use satpost_tests::node::RegtestNode;
use serde_json::{Value, json};
use tempfile::TempDir;

use super::stage::Esplora;
use super::truth::{Truth, satoshi, script_hash, without_words};
use crate::spend::{coin, spend};

/// Rounds of payments and blocks; `SATPOST_ESPLORA_ROUNDS` asks for more.
const ROUNDS: u64 = 6;

/// A generator that is the same everywhere.
struct Random(u64);

impl Random {
    fn below(&mut self, bound: u64) -> u64 {
        self.0 = self
            .0
            .wrapping_mul(6_364_136_223_846_793_005)
            .wrapping_add(1);
        (self.0 >> 33) % bound
    }
}

fn pay(node: &RegtestNode, random: &mut Random) {
    let kinds = ["legacy", "p2sh-segwit", "bech32", "bech32m"];
    let kind = kinds[usize::try_from(random.below(4)).unwrap()];
    let address = node.call("getnewaddress", &[json!(""), json!(kind)]);
    let amount = Amount::from_sat(20_000 + random.below(5_000_000)).to_btc();
    let outputs = match random.below(3) {
        0 => json!([{ address.as_str().unwrap(): amount }, { "data": "5361747073" }]),
        1 => {
            json!([{ address.as_str().unwrap(): amount }, { node.new_address().to_string(): 0.01 }])
        }
        _ => json!([{ address.as_str().unwrap(): amount }]),
    };
    let options = json!({ "fee_rate": 1 + random.below(20) });
    let arguments = [outputs, Value::Null, json!("unset"), Value::Null, options];
    node.call("send", &arguments);
}

/// Payments, blocks, a branch that is left for a longer one, and what waits at the end.
fn happen(node: &RegtestNode, random: &mut Random) {
    for _ in 0..1 + random.below(4) {
        pay(node, random);
    }
    node.mine(1);
    if random.below(2) == 0 {
        for _ in 0..random.below(3) {
            pay(node, random);
        }
        let depth = 1 + random.below(3);
        node.mine(usize::try_from(depth).unwrap());
        let height = node.height() - depth + 1;
        let hash = node.rpc().get_block_hash(height).unwrap();
        node.invalidate_block(&hash);
        // On the new branch some of it is mined again, some waits.
        let free = node.mempool().into_iter().find(|txid| {
            let entry = node.call("getmempoolentry", &[json!(txid)]);
            entry["depends"] == json!([])
        });
        node.generate_block(&free.into_iter().collect::<Vec<_>>());
        for _ in 0..depth {
            node.generate_block(&[]);
        }
    }
    for _ in 0..random.below(3) {
        pay(node, random);
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn answers_what_the_node_says_over_a_random_chain_with_reorganisations() {
    let node = RegtestNode::start();
    node.mine(10);
    let folder = tempfile::tempdir().unwrap();
    let rounds = std::env::var("SATPOST_ESPLORA_ROUNDS").ok();
    let rounds = rounds.map_or(ROUNDS, |text| text.parse().unwrap());
    let seed = std::env::var("SATPOST_ESPLORA_SEED").ok();
    let seed = seed.map_or(7, |text| text.parse().unwrap());
    let mut random = Random(seed);
    let mut esplora = Esplora::start(&node, &folder).await;
    for round in 0..rounds {
        println!("round {round} of SATPOST_ESPLORA_SEED={seed} SATPOST_ESPLORA_ROUNDS={rounds}");
        if round == rounds / 2 {
            // What happens while it is down is made good at the start.
            esplora.stop().await;
            happen(&node, &mut random);
            esplora = Esplora::start(&node, &folder).await;
        } else {
            happen(&node, &mut random);
        }
        esplora.until_at(&node).await;
        let truth = Truth::of(&node);
        scripts_agree(&esplora, &truth).await;
        if round + 1 == rounds || round == rounds / 2 {
            transactions_agree(&esplora, &node, &truth).await;
            blocks_agree(&esplora, &node, &truth).await;
            mempool_agrees(&esplora, &node, &truth).await;
        }
    }
    esplora.stop().await;
}

async fn transactions_agree(esplora: &Esplora, node: &RegtestNode, truth: &Truth) {
    let interesting = truth.order.iter().enumerate().filter(|(index, txid)| {
        *index < 2 || truth.known[*txid].transaction["vin"][0]["txid"].is_string()
    });
    for (_, txid) in interesting {
        let raw = &truth.known[txid].transaction;
        let path = format!("/tx/{txid}");
        let answer = esplora.json(&path).await;
        assert_eq!(without_words(answer), truth.transaction(txid), "{path}");
        let status = esplora.json(&format!("{path}/status")).await;
        assert_eq!(status, truth.status(txid), "{path}/status");
        assert_eq!(esplora.text(&format!("{path}/hex")).await, raw["hex"]);
        let bytes = esplora.get(&format!("{path}/raw")).await;
        assert_eq!(bytes.header("content-type"), "application/octet-stream");
        assert_eq!(hex::encode(bytes.body), raw["hex"].as_str().unwrap());
        let count = raw["vout"].as_array().unwrap().len() as u64;
        let spends: Vec<Value> = (0..count).map(|vout| truth.spend(txid, vout)).collect();
        let outspend = esplora.json(&format!("{path}/outspend/0")).await;
        assert_eq!(outspend, spends[0], "{path}/outspend/0");
        let outspends = esplora.json(&format!("{path}/outspends")).await;
        assert_eq!(outspends, json!(spends), "{path}/outspends");
        let many = esplora.json(&format!("/txs/outspends?txids={txid}")).await;
        assert_eq!(many, json!([spends]));
        proofs_hold(esplora, node, truth, txid).await;
    }
}

async fn proofs_hold(esplora: &Esplora, node: &RegtestNode, truth: &Truth, txid: &str) {
    let Some((height, hash, _)) = &truth.known[txid].place else {
        for proof in ["merkle-proof", "merkleblock-proof"] {
            let answer = esplora.get(&format!("/tx/{txid}/{proof}")).await;
            assert_eq!(answer.status, StatusCode::NOT_FOUND);
            assert_eq!(answer.text(), "Transaction not found or is unconfirmed");
        }
        return;
    };
    let proof = esplora.json(&format!("/tx/{txid}/merkle-proof")).await;
    assert_eq!(proof["block_height"], *height);
    let mut position = proof["pos"].as_u64().unwrap();
    let mut root = txid.parse::<Txid>().unwrap().to_raw_hash();
    for sibling in proof["merkle"].as_array().unwrap() {
        let sibling: Txid = sibling.as_str().unwrap().parse().unwrap();
        let sibling = sibling.to_byte_array();
        let own = root.to_byte_array();
        let pair = if position.is_multiple_of(2) {
            [own, sibling]
        } else {
            [sibling, own]
        };
        root = sha256d::Hash::hash(&pair.concat());
        position /= 2;
    }
    let block = &truth.blocks[usize::try_from(*height).unwrap()];
    assert_eq!(Txid::from_raw_hash(root).to_string(), block["merkleroot"]);
    if *height > 0 {
        let expected = node.call("gettxoutproof", &[json!([txid]), json!(hash)]);
        let path = format!("/tx/{txid}/merkleblock-proof");
        assert_eq!(esplora.text(&path).await, expected);
    }
}

async fn blocks_agree(esplora: &Esplora, node: &RegtestNode, truth: &Truth) {
    let tip = truth.blocks.len() - 1;
    assert_eq!(esplora.text("/blocks/tip/height").await, tip.to_string());
    let last_ten: Vec<Value> = (tip - 9..=tip).rev().map(|at| truth.block(at)).collect();
    assert_eq!(esplora.json("/blocks").await, json!(last_ten));
    assert_eq!(esplora.json("/blocks/nonsense").await, json!(last_ten));
    let first: Vec<Value> = (0..=3).rev().map(|height| truth.block(height)).collect();
    assert_eq!(esplora.json("/blocks/3").await, json!(first));
    for height in [0, 1, 2].into_iter().chain(tip - 9..=tip) {
        let block = &truth.blocks[height];
        let hash = block["hash"].as_str().unwrap();
        let path = format!("/block/{hash}");
        assert_eq!(esplora.json(&path).await, truth.block(height));
        let at_height = esplora.text(&format!("/block-height/{height}")).await;
        assert_eq!(at_height, hash);
        let header = node.call("getblockheader", &[json!(hash), json!(false)]);
        assert_eq!(esplora.text(&format!("{path}/header")).await, header);
        let next = truth.blocks.get(height + 1).map(|next| &next["hash"]);
        let status = json!({ "in_best_chain": true, "height": height, "next_best": next });
        assert_eq!(esplora.json(&format!("{path}/status")).await, status);
        let raw = node.call("getblock", &[json!(hash), json!(0)]);
        let bytes = esplora.get(&format!("{path}/raw")).await;
        assert_eq!(hex::encode(bytes.body), raw.as_str().unwrap());
        let transactions = block["tx"].as_array().unwrap();
        let txids: Vec<&str> = transactions
            .iter()
            .map(|transaction| transaction["txid"].as_str().unwrap())
            .collect();
        assert_eq!(esplora.json(&format!("{path}/txids")).await, json!(txids));
        let last = txids.len() - 1;
        let at = esplora.text(&format!("{path}/txid/{last}")).await;
        assert_eq!(at, txids[last]);
        let expected: Vec<Value> = txids
            .iter()
            .take(25)
            .map(|txid| truth.transaction(txid))
            .collect();
        let shown = esplora.json(&format!("{path}/txs")).await;
        assert_eq!(without_words(shown), json!(expected), "{path}/txs");
    }
}

async fn scripts_agree(esplora: &Esplora, truth: &Truth) {
    for (script, address) in truth.scripts() {
        let by_hash = format!("/scripthash/{}", script_hash(&script));
        let (confirmed, unconfirmed) = truth.history(&script);
        let chain = truth.totals(&script, confirmed.iter());
        let mempool = truth.totals(&script, unconfirmed.iter());
        let expected = json!({
            "scripthash": script_hash(&script), "chain_stats": chain, "mempool_stats": mempool,
        });
        assert_eq!(esplora.json(&by_hash).await, expected, "{script}");
        if let Some(address) = &address {
            let expected =
                json!({ "address": address, "chain_stats": chain, "mempool_stats": mempool });
            assert_eq!(esplora.json(&format!("/address/{address}")).await, expected);
        }
        let path = address.map_or(by_hash, |address| format!("/address/{address}"));
        pages_agree(esplora, truth, &path, &confirmed, &unconfirmed).await;
        let unspent = esplora.json(&format!("{path}/utxo")).await;
        let unspent: BTreeSet<String> = unspent
            .as_array()
            .unwrap()
            .iter()
            .map(Value::to_string)
            .collect();
        let expected: BTreeSet<String> = truth
            .unspent(&script)
            .into_values()
            .map(|entry| entry.to_string())
            .collect();
        assert_eq!(unspent, expected, "{path}/utxo");
    }
}

async fn pages_agree(
    esplora: &Esplora,
    truth: &Truth,
    path: &str,
    confirmed: &[String],
    unconfirmed: &BTreeSet<String>,
) {
    let mut told: Vec<Value> = Vec::new();
    let mut page = format!("{path}/txs/chain");
    loop {
        let answer = without_words(esplora.json(&page).await);
        let answer = answer.as_array().unwrap().clone();
        assert!(answer.len() <= 25);
        let Some(last) = answer.last() else {
            break;
        };
        page = format!("{path}/txs/chain/{}", last["txid"].as_str().unwrap());
        told.extend(answer);
    }
    let expected: Vec<Value> = confirmed
        .iter()
        .map(|txid| truth.transaction(txid))
        .collect();
    assert_eq!(told, expected, "{path}/txs/chain");

    let waiting = without_words(esplora.json(&format!("{path}/txs/mempool")).await);
    let waiting = waiting.as_array().unwrap().clone();
    let txids = |list: &[Value]| -> BTreeSet<String> {
        let txids = list.iter().map(|entry| entry["txid"].as_str().unwrap());
        txids.map(str::to_owned).collect()
    };
    assert_eq!(txids(&waiting), *unconfirmed, "{path}/txs/mempool");
    for entry in &waiting {
        let txid = entry["txid"].as_str().unwrap();
        assert_eq!(*entry, truth.transaction(txid));
    }
    let first = without_words(esplora.json(&format!("{path}/txs")).await);
    let mut first_page = waiting;
    first_page.extend(expected.iter().take(25).cloned());
    assert_eq!(first, json!(first_page), "{path}/txs");
    if let Some(last) = expected.get(24) {
        let after = format!("{path}/txs?after_txid={}", last["txid"].as_str().unwrap());
        let rest: Vec<&Value> = expected.iter().skip(25).take(25).collect();
        assert_eq!(without_words(esplora.json(&after).await), json!(rest));
    }
}

async fn mempool_agrees(esplora: &Esplora, node: &RegtestNode, truth: &Truth) {
    let entries = node.call("getrawmempool", &[json!(true)]);
    let entries = entries.as_object().unwrap();
    let vsize: u64 = entries
        .values()
        .map(|entry| entry["vsize"].as_u64().unwrap())
        .sum();
    let fees: u64 = entries
        .values()
        .map(|entry| satoshi(&entry["fees"]["base"]))
        .sum();
    let mempool = esplora.json("/mempool").await;
    assert_eq!(mempool["count"], entries.len());
    assert_eq!(
        (&mempool["vsize"], &mempool["total_fee"]),
        (&json!(vsize), &json!(fees))
    );
    let bins = mempool["fee_histogram"].as_array().unwrap();
    let in_bins: u64 = bins.iter().map(|bin| bin[1].as_u64().unwrap()).sum();
    assert_eq!(in_bins, vsize);
    let page = esplora.json("/mempool/txids/page").await;
    let sorted: Vec<&String> = entries
        .keys()
        .collect::<BTreeSet<_>>()
        .into_iter()
        .collect();
    assert_eq!(page, json!(sorted));
    if let Some(first) = sorted.first() {
        let rest = esplora.json(&format!("/mempool/txids/page/{first}")).await;
        assert_eq!(rest, json!(sorted[1..]));
    }
    let recent = esplora.json("/mempool/recent").await;
    assert!(recent.as_array().unwrap().len() <= 10);
    for entry in recent.as_array().unwrap() {
        let txid = entry["txid"].as_str().unwrap();
        let Some(known) = truth.known.get(txid) else {
            continue;
        };
        assert_eq!(entry["vsize"], known.transaction["vsize"]);
        assert_eq!(entry["fee"], truth.transaction(txid)["fee"]);
    }
    let fees = esplora.json("/fee-estimates").await;
    for target in [1, 2, 25, 144, 504, 1_008] {
        let estimate = node.call("estimatesmartfee", &[json!(target)]);
        let rate = estimate
            .get("feerate")
            .map(|rate| satoshi(rate) as f64 / 1e3);
        assert_eq!(
            fees.get(target.to_string()).and_then(Value::as_f64),
            rate,
            "{target}"
        );
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn pages_a_large_block_and_tells_a_stale_one() {
    let node = RegtestNode::start();
    node.mine(4);
    let folder = tempfile::tempdir().unwrap();
    let esplora = Esplora::start(&node, &folder).await;
    let mut random = Random(1);
    for _ in 0..27 {
        pay(&node, &mut random);
    }
    let block = node.mine(1)[0];
    esplora.until_at(&node).await;
    let truth = Truth::of(&node);
    let tip = truth.blocks.last().unwrap();
    let txids: Vec<&Value> = tip["tx"]
        .as_array()
        .unwrap()
        .iter()
        .map(|tx| &tx["txid"])
        .collect();
    assert_eq!(txids.len(), 28);
    let shown = |page: Value| -> Vec<Value> {
        let entries = page.as_array().unwrap().clone();
        entries.iter().map(|entry| entry["txid"].clone()).collect()
    };
    let first = shown(esplora.json(&format!("/block/{block}/txs")).await);
    let second = shown(esplora.json(&format!("/block/{block}/txs/25")).await);
    assert_eq!(json!([first, second].concat()), json!(txids));

    node.invalidate_block(&block);
    node.generate_block(&[]);
    esplora.until_at(&node).await;
    let status = esplora.json(&format!("/block/{block}/status")).await;
    let stale = json!({ "in_best_chain": false, "height": null, "next_best": null });
    assert_eq!(status, stale);
    let page = esplora.json(&format!("/block/{block}/txs/25")).await;
    for transaction in page.as_array().unwrap() {
        assert_eq!(transaction["status"], json!({ "confirmed": false }));
    }
    assert_eq!(
        esplora.json(&format!("/block/{block}")).await["tx_count"],
        28
    );
    esplora.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn tells_a_replacement_and_what_is_left() {
    let node = RegtestNode::start();
    node.mine(2);
    let folder = TempDir::new().unwrap();
    let esplora = Esplora::start(&node, &folder).await;
    let address = node.new_address();
    let from = coin(&node);
    let first = spend(&node, &[from], &address, 1_000);
    let second = spend(&node, &[from], &address, 50_000);
    let outspend = format!("/tx/{}/outspend/{}", from.txid, from.vout);
    for transaction in [&first, &second] {
        let told = esplora.post("/tx", serialize_hex(transaction)).await;
        assert_eq!(told.status, StatusCode::OK, "{}", told.text());
        let txid = transaction.compute_txid().to_string();
        assert_eq!(esplora.json(&outspend).await["txid"], txid);
        let list = esplora
            .json(&format!("/address/{address}/txs/mempool"))
            .await;
        assert_eq!(list.as_array().unwrap().len(), 1);
        assert_eq!(list[0]["txid"], txid);
    }
    let gone = esplora.get(&format!("/tx/{}", first.compute_txid())).await;
    assert_eq!(gone.status, StatusCode::NOT_FOUND);
    esplora.stop().await;
}
