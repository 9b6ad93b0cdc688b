//! What every answer must be, computed anew from the node's own decoded blocks (`getblock` with
//! verbosity 3) and mempool: no index, no code of the server.

use std::collections::{BTreeMap, BTreeSet};

use bitcoin::hashes::{Hash as _, sha256};
use satpost_tests::node::RegtestNode;
use serde_json::{Map, Value, json};

/// A transaction and where it is.
pub(super) struct Known {
    pub(super) transaction: Value,
    /// Height, hash, time.
    pub(super) place: Option<(u64, String, u64)>,
}

/// The chain and the mempool.
pub(super) struct Truth {
    pub(super) blocks: Vec<Value>,
    pub(super) known: BTreeMap<String, Known>,
    /// In the order of the chain, then those of the mempool.
    pub(super) order: Vec<String>,
    /// Outpoint → who spends it, with which input.
    pub(super) spends: BTreeMap<(String, u64), (String, u64)>,
}

pub(super) fn satoshi(bitcoins: &Value) -> u64 {
    (bitcoins.as_f64().unwrap() * 1e8).round() as u64
}

pub(super) fn script_hash(hex: &str) -> String {
    let script = bitcoin::ScriptBuf::from_hex(hex).unwrap();
    hex::encode(sha256::Hash::hash(script.as_bytes()).to_byte_array())
}

impl Truth {
    pub(super) fn of(node: &RegtestNode) -> Self {
        let mut truth = Self {
            blocks: Vec::new(),
            known: BTreeMap::new(),
            order: Vec::new(),
            spends: BTreeMap::new(),
        };
        for height in 0..=node.height() {
            let hash = node.call("getblockhash", &[json!(height)]);
            let block = node.call("getblock", &[hash.clone(), json!(3)]);
            let place = (
                height,
                hash.as_str().unwrap().to_owned(),
                block["time"].as_u64().unwrap(),
            );
            for transaction in block["tx"].as_array().unwrap() {
                truth.add(transaction.clone(), Some(place.clone()));
            }
            truth.blocks.push(block);
        }
        for txid in node.mempool() {
            let transaction = node.call("getrawtransaction", &[json!(txid), json!(1)]);
            truth.add(transaction, None);
        }
        truth
    }

    fn add(&mut self, transaction: Value, place: Option<(u64, String, u64)>) {
        let txid = transaction["txid"].as_str().unwrap().to_owned();
        for (vin, input) in transaction["vin"].as_array().unwrap().iter().enumerate() {
            if let Some(spent) = input["txid"].as_str() {
                let outpoint = (spent.to_owned(), input["vout"].as_u64().unwrap());
                self.spends.insert(outpoint, (txid.clone(), vin as u64));
            }
        }
        self.order.push(txid.clone());
        self.known.insert(txid, Known { transaction, place });
    }

    pub(super) fn status(&self, txid: &str) -> Value {
        match self.known.get(txid).and_then(|known| known.place.as_ref()) {
            Some((height, hash, time)) => json!({
                "confirmed": true, "block_height": height, "block_hash": hash, "block_time": time,
            }),
            None => json!({ "confirmed": false }),
        }
    }

    fn output(&self, txid: &str, vout: u64) -> &Value {
        &self.known[txid].transaction["vout"][usize::try_from(vout).unwrap()]
    }

    /// A transaction as Esplora tells it, without the words of its scripts.
    pub(super) fn transaction(&self, txid: &str) -> Value {
        let raw = &self.known[txid].transaction;
        let mut paid_in = 0;
        let inputs: Vec<Value> = raw["vin"]
            .as_array()
            .unwrap()
            .iter()
            .map(|input| {
                let (value, expected) = self.input(input);
                paid_in += value;
                expected
            })
            .collect();
        let outputs: Vec<Value> = raw["vout"].as_array().unwrap().iter().map(output).collect();
        let paid_out: u64 = outputs
            .iter()
            .map(|output| output["value"].as_u64().unwrap())
            .sum();
        let is_coinbase = inputs[0]["is_coinbase"] == true;
        json!({
            "txid": txid, "version": raw["version"], "locktime": raw["locktime"],
            "vin": inputs, "vout": outputs, "size": raw["size"], "weight": raw["weight"],
            "fee": if is_coinbase { 0 } else { paid_in - paid_out },
            "status": self.status(txid),
        })
    }

    fn input(&self, input: &Value) -> (u64, Value) {
        let mut expected = Map::new();
        let is_coinbase = input["coinbase"].is_string();
        expected.insert("is_coinbase".into(), json!(is_coinbase));
        expected.insert("sequence".into(), input["sequence"].clone());
        if let Some(witness) = input["txinwitness"].as_array() {
            expected.insert("witness".into(), json!(witness));
        }
        if is_coinbase {
            expected.insert("txid".into(), json!("0".repeat(64)));
            expected.insert("vout".into(), json!(u32::MAX));
            expected.insert("prevout".into(), Value::Null);
            expected.insert("scriptsig".into(), input["coinbase"].clone());
            return (0, Value::Object(expected));
        }
        let (txid, vout) = (
            input["txid"].as_str().unwrap(),
            input["vout"].as_u64().unwrap(),
        );
        let prevout = self.output(txid, vout);
        expected.insert("txid".into(), json!(txid));
        expected.insert("vout".into(), json!(vout));
        expected.insert("prevout".into(), output(prevout));
        expected.insert("scriptsig".into(), input["scriptSig"]["hex"].clone());
        (satoshi(&prevout["value"]), Value::Object(expected))
    }

    pub(super) fn spend(&self, txid: &str, vout: u64) -> Value {
        match self.spends.get(&(txid.to_owned(), vout)) {
            Some((by, vin)) => {
                json!({ "spent": true, "txid": by, "vin": vin, "status": self.status(by) })
            }
            None => json!({ "spent": false }),
        }
    }

    /// Every script that an output has and that can be spent.
    pub(super) fn scripts(&self) -> BTreeSet<(String, Option<String>)> {
        self.known
            .values()
            .flat_map(|known| known.transaction["vout"].as_array().unwrap())
            .filter(|output| output["scriptPubKey"]["type"] != "nulldata")
            .map(|output| {
                let script = &output["scriptPubKey"];
                (
                    script["hex"].as_str().unwrap().to_owned(),
                    script["address"].as_str().map(str::to_owned),
                )
            })
            .collect()
    }

    /// What a transaction does with a script: how many outputs, how much; inputs, how much.
    fn touch(&self, txid: &str, script: &str) -> [u64; 4] {
        let raw = &self.known[txid].transaction;
        let mut touch = [0; 4];
        for output in raw["vout"].as_array().unwrap() {
            if output["scriptPubKey"]["hex"] == script {
                touch[0] += 1;
                touch[1] += satoshi(&output["value"]);
            }
        }
        for input in raw["vin"].as_array().unwrap() {
            let Some(spent) = input["txid"].as_str() else {
                continue;
            };
            let output = self.output(spent, input["vout"].as_u64().unwrap());
            if output["scriptPubKey"]["hex"] == script {
                touch[2] += 1;
                touch[3] += satoshi(&output["value"]);
            }
        }
        touch
    }

    /// The transactions of a script in blocks, newest first, and those in the mempool.
    pub(super) fn history(&self, script: &str) -> (Vec<String>, BTreeSet<String>) {
        let (mut confirmed, mut unconfirmed) = (Vec::new(), BTreeSet::new());
        for txid in &self.order {
            if self.touch(txid, script) == [0; 4] {
                continue;
            }
            if self.known[txid].place.is_some() {
                confirmed.push(txid.clone());
            } else {
                unconfirmed.insert(txid.clone());
            }
        }
        confirmed.reverse();
        (confirmed, unconfirmed)
    }

    pub(super) fn totals<'a>(
        &self,
        script: &str,
        txids: impl Iterator<Item = &'a String>,
    ) -> Value {
        let (mut count, mut sum) = (0, [0; 4]);
        for txid in txids {
            count += 1;
            let touch = self.touch(txid, script);
            sum.iter_mut().zip(touch).for_each(|(all, one)| *all += one);
        }
        json!({
            "tx_count": count, "funded_txo_count": sum[0], "funded_txo_sum": sum[1],
            "spent_txo_count": sum[2], "spent_txo_sum": sum[3],
        })
    }

    /// The unspent outputs of a script, by outpoint.
    pub(super) fn unspent(&self, script: &str) -> BTreeMap<(String, u64), Value> {
        let mut unspent = BTreeMap::new();
        for (txid, known) in &self.known {
            let is_genesis = known
                .place
                .as_ref()
                .is_some_and(|(height, ..)| *height == 0);
            for output in known.transaction["vout"].as_array().unwrap() {
                let vout = output["n"].as_u64().unwrap();
                let outpoint = (txid.clone(), vout);
                if output["scriptPubKey"]["hex"] != script
                    || is_genesis
                    || self.spends.contains_key(&outpoint)
                {
                    continue;
                }
                let value = satoshi(&output["value"]);
                let status = self.status(txid);
                let entry = json!({ "txid": txid, "vout": vout, "status": status, "value": value });
                unspent.insert(outpoint, entry);
            }
        }
        unspent
    }

    /// A block as Esplora tells it.
    pub(super) fn block(&self, height: usize) -> Value {
        let block = &self.blocks[height];
        json!({
            "id": block["hash"], "height": block["height"], "version": block["version"],
            "timestamp": block["time"], "tx_count": block["nTx"], "size": block["size"],
            "weight": block["weight"], "merkle_root": block["merkleroot"],
            "previousblockhash": block["previousblockhash"], "mediantime": block["mediantime"],
            "nonce": block["nonce"], "difficulty": block["difficulty"],
            "bits": u32::from_str_radix(block["bits"].as_str().unwrap(), 16).unwrap(),
        })
    }
}

fn output(output: &Value) -> Value {
    let script = &output["scriptPubKey"];
    let kind = match script["type"].as_str().unwrap() {
        "pubkey" => "p2pk",
        "pubkeyhash" => "p2pkh",
        "scripthash" => "p2sh",
        "witness_v0_keyhash" => "v0_p2wpkh",
        "witness_v0_scripthash" => "v0_p2wsh",
        "witness_v1_taproot" => "v1_p2tr",
        "nulldata" => "op_return",
        _ => "unknown",
    };
    let mut expected = Map::new();
    expected.insert("scriptpubkey".into(), script["hex"].clone());
    expected.insert("scriptpubkey_type".into(), json!(kind));
    expected.insert("value".into(), json!(satoshi(&output["value"])));
    if let Some(address) = script["address"].as_str() {
        expected.insert("scriptpubkey_address".into(), json!(address));
    }
    Value::Object(expected)
}

/// Takes the words of scripts out of an answer: the node names operations otherwise.
pub(super) fn without_words(mut answer: Value) -> Value {
    match &mut answer {
        Value::Object(members) => {
            members.retain(|name, _| !name.ends_with("_asm"));
            for member in members.values_mut() {
                *member = without_words(member.take());
            }
        }
        Value::Array(entries) => {
            for entry in entries {
                *entry = without_words(entry.take());
            }
        }
        _ => {}
    }
    answer
}
