//! Transactions made by hand: which coin goes where, and for which fee.

use bitcoin::consensus::encode::deserialize_hex;
use bitcoin::{Address, Amount, OutPoint, Transaction, Txid};
use bitcoincore_rpc::RpcApi as _;
use satpost_tests::node::RegtestNode;
use serde_json::json;

/// A signed transaction, not broadcast, that spends `coins` of the miner, sends what they hold
/// less `fee_sat` to `address`, and can be replaced.
pub(crate) fn spend(
    node: &RegtestNode,
    coins: &[OutPoint],
    address: &Address,
    fee_sat: u64,
) -> Transaction {
    let value: Amount = coins.iter().map(|coin| value(node, coin)).sum();
    let inputs: Vec<_> = coins
        .iter()
        .map(|coin| json!({ "txid": coin.txid, "vout": coin.vout, "sequence": 0xffff_fffd_u32 }))
        .collect();
    let amount = (value - Amount::from_sat(fee_sat)).to_btc();
    let outputs = json!([{ address.to_string(): amount }]);
    let raw = node.call("createrawtransaction", &[json!(inputs), outputs]);
    let signed = node.call("signrawtransactionwithwallet", &[raw]);
    assert_eq!(signed["complete"], true, "{signed}");
    deserialize_hex(signed["hex"].as_str().unwrap()).unwrap()
}

/// The first coin of the miner that is confirmed and can be spent.
pub(crate) fn coin(node: &RegtestNode) -> OutPoint {
    let unspent = node.rpc().list_unspent(Some(1), None, None, None, None);
    let coin = unspent
        .unwrap()
        .into_iter()
        .next()
        .expect("the miner has a coin");
    OutPoint::new(coin.txid, coin.vout)
}

/// The output of a transaction that pays to `address`.
pub(crate) fn output_to(node: &RegtestNode, txid: Txid, address: &Address) -> OutPoint {
    let transaction = node.rpc().get_transaction(&txid, None).unwrap();
    let transaction = transaction.transaction().unwrap();
    let script = address.script_pubkey();
    let vout = transaction
        .output
        .iter()
        .position(|output| output.script_pubkey == script)
        .expect("it pays to the address");
    OutPoint::new(txid, u32::try_from(vout).unwrap())
}

fn value(node: &RegtestNode, coin: &OutPoint) -> Amount {
    let transaction = node.rpc().get_transaction(&coin.txid, None).unwrap();
    let transaction = transaction.transaction().unwrap();
    transaction.output[coin.vout as usize].value
}

/// Keeps the miner's wallet from spending a coin by itself.
pub(crate) fn keep(node: &RegtestNode, coin: &OutPoint) {
    let coins = json!([{ "txid": coin.txid, "vout": coin.vout }]);
    assert_eq!(
        node.call("lockunspent", &[json!(false), coins]),
        json!(true)
    );
}
