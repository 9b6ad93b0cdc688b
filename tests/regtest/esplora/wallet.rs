//! A wallet on top of the client library of BDK, unchanged: finds its coins by walking addresses,
//! pays, and sees the payment confirm.

use std::collections::HashMap;

use bitcoin::consensus::encode::deserialize_hex;
use bitcoin::{Address, Amount, OutPoint, Transaction};
use esplora_client::{BlockingClient, Builder};
use satpost_tests::node::RegtestNode;
use serde_json::json;

use super::stage::Esplora;

/// So many unused addresses in a row end the walk.
const GAP: usize = 5;

/// Every coin of the addresses, as wallets find them: history first, then what nothing spends.
fn sync(client: &BlockingClient, addresses: &[Address]) -> HashMap<OutPoint, Amount> {
    let (mut coins, mut spent, mut unused) = (HashMap::new(), Vec::new(), 0);
    for address in addresses {
        let script = address.script_pubkey();
        let mut page = client.get_scripthash_txs(&script, None).unwrap();
        let mut all = Vec::new();
        while let Some(last) = page.last().map(|last| last.txid) {
            let full = page.iter().filter(|tx| tx.status.confirmed).count() == 25;
            all.append(&mut page);
            if full {
                page = client.get_scripthash_txs(&script, Some(last)).unwrap();
            }
        }
        unused = if all.is_empty() { unused + 1 } else { 0 };
        for tx in all {
            let body = tx.to_tx();
            assert_eq!(body.compute_txid(), tx.txid);
            spent.extend(body.input.iter().map(|input| input.previous_output));
            for (vout, output) in (0..).zip(&body.output) {
                if output.script_pubkey == script {
                    coins.insert(OutPoint::new(tx.txid, vout), output.value);
                }
            }
        }
        if unused == GAP {
            break;
        }
    }
    for outpoint in spent {
        coins.remove(&outpoint);
    }
    coins
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn finds_its_coins_pays_and_sees_it_confirm() {
    let node = RegtestNode::start();
    let folder = tempfile::tempdir().unwrap();
    let esplora = Esplora::start(&node, &folder).await;
    let addresses: Vec<Address> = (0..10).map(|_| node.new_address()).collect();
    // While the miner has no other coin that it could take for this.
    node.send(&addresses[2], Amount::from_sat(70_000));
    // More than a page to one address.
    for _ in 0..27 {
        node.mine_to(1, &addresses[0]);
    }
    node.mine(100);
    esplora.until_at(&node).await;
    let base = esplora.base.clone();
    let told = tokio::task::spawn_blocking(move || {
        let client = Builder::new(&base).build_blocking();
        let coins = sync(&client, &addresses);
        assert_eq!(coins.len(), 28);
        let stats = client.get_address_stats(&addresses[0]).unwrap();
        assert_eq!(stats.chain_stats.tx_count, 27);
        assert_eq!(client.get_address_utxos(&addresses[0]).unwrap().len(), 27);

        let (coin, value) = coins
            .iter()
            .find(|(_, value)| value.to_sat() == 70_000)
            .unwrap();
        let inputs = json!([{ "txid": coin.txid, "vout": coin.vout }]);
        let amount = (*value - Amount::from_sat(500)).to_btc();
        let outputs = json!([{ addresses[3].to_string(): amount }]);
        let raw = node.call("createrawtransaction", &[inputs, outputs]);
        let signed = node.call("signrawtransactionwithwallet", &[raw]);
        let payment: Transaction = deserialize_hex(signed["hex"].as_str().unwrap()).unwrap();
        let txid = client.broadcast(&payment).unwrap();
        assert_eq!(txid, payment.compute_txid());
        // Known at once, and the coin is gone.
        assert!(!client.get_tx_status(&txid).unwrap().confirmed);
        assert!(!sync(&client, &addresses).contains_key(coin));
        let spend = client
            .get_output_status(&coin.txid, u64::from(coin.vout))
            .unwrap();
        assert_eq!(spend.unwrap().txid, Some(txid));
        node.mine(1);
        (node, client, txid)
    });
    let (node, client, txid) = told.await.unwrap();
    esplora.until_at(&node).await;
    let proof = tokio::task::spawn_blocking(move || {
        let status = client.get_tx_status(&txid).unwrap();
        assert_eq!(status.block_hash, Some(client.get_tip_hash().unwrap()));
        let header = client
            .get_header_by_hash(&status.block_hash.unwrap())
            .unwrap();
        let proof = client.get_merkle_block(&txid).unwrap().unwrap();
        assert_eq!(proof.header, header);
        let (mut matches, mut indexes) = (Vec::new(), Vec::new());
        let root = proof
            .txn
            .extract_matches(&mut matches, &mut indexes)
            .unwrap();
        (root == header.merkle_root, matches == [txid])
    });
    assert_eq!(proof.await.unwrap(), (true, true));
    esplora.stop().await;
}
