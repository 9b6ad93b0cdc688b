//! What the README does not tell: the other verbs of the wallet, for people and for programs, with the
//! real binaries and a real node.

use serde_json::Value;

use crate::readme::Step;
use crate::stage::Stage;

/// Exit codes of the wallet.
const REFUSED: Option<i32> = Some(3);
const NOTHING: Option<i32> = Some(6);

impl Stage {
    /// Asks until all pieces are told, in order.
    fn until_told(&mut self, command: &str, pieces: &[&str]) {
        self.play(&Step {
            command: command.to_owned(),
            expected: pieces.iter().map(|piece| (*piece).to_owned()).collect(),
        });
    }

    /// Runs a verb of a wallet for programs: one JSON object a line.
    fn json(&self, home: &str, verb: &str) -> Vec<Value> {
        let told = self.told(&format!("satpost --home {home} --json {verb}"));
        let lines = told.lines();
        lines
            .map(|line| serde_json::from_str(line).unwrap_or_else(|_| panic!("{verb}: {line}")))
            .collect()
    }

    /// What the node answers.
    fn node(&self, call: &str) -> String {
        self.told(&format!("scripts/node cli {call}"))
    }
}

#[test]
fn the_verbs_of_the_wallet_do_what_they_say() {
    let mut stage = Stage::set();
    stage.told("satpost --home alice create && satpost --home alice register-client");
    let first = watch_descriptor(&mut stage);
    let paid = coins(&mut stage, &first);
    listen(&mut stage, &first, &paid);
    rescan(&mut stage);
    push(&mut stage);
    stage.stop_the_server();
    stage.what_was_closed_is_gone();
}

/// A wallet of the node's has a descriptor; Alice watches it. Gives its first address.
fn watch_descriptor(stage: &mut Stage) -> String {
    stage.node("createwallet savings");
    let listed: Value =
        serde_json::from_str(&stage.node("-rpcwallet=savings listdescriptors")).unwrap();
    let descriptors = listed["descriptors"].as_array().unwrap();
    let receiving = descriptors.iter().find(|entry| {
        let is_wpkh = entry["desc"].as_str().unwrap().starts_with("wpkh(");
        is_wpkh && entry["internal"] == Value::Bool(false)
    });
    let descriptor = receiving.unwrap()["desc"].as_str().unwrap();
    let watch = format!("watch-descriptor '{descriptor}' --gap 5");
    let told = stage.told(&format!("satpost --home alice {watch}"));
    assert_eq!(told, "5 scripts watched, 5 new");
    let again = stage.json("alice", &watch);
    assert_eq!(
        (&again[0]["added"], &again[0]["watched"][0]),
        (&0.into(), &5.into())
    );
    assert_eq!(stage.json("alice", "list-addresses").len(), 5);
    let derived = stage.node(&format!("deriveaddresses '{descriptor}' '[0,0]'"));
    let derived: Vec<String> = serde_json::from_str(&derived).unwrap();
    let used = derived[0].clone();
    stage.node(&format!("-rpcwallet=miner sendtoaddress {used} 0.25"));
    stage.until_told(
        "satpost --home alice list-transactions",
        &[&used, "seen in mempool"],
    );
    // The first script is used now, so one more is watched behind it.
    let grown = stage.json("alice", &watch);
    assert_eq!(
        (&grown[0]["added"], &grown[0]["watched"][0]),
        (&1.into(), &6.into())
    );
    used
}

/// What the address has, coming and confirmed, with proof. Gives the transaction.
fn coins(stage: &mut Stage, address: &str) -> String {
    let coming = ["0 sat confirmed", "25000000 sat coming"];
    stage.until_told("satpost --home alice get-balance", &coming);
    stage.node("-rpcwallet=miner -generate 1");
    stage.until_told(
        "satpost --home alice get-balance",
        &["25000000 sat confirmed", "0 sat coming"],
    );
    let balance = stage.json("alice", "balance");
    assert_eq!(balance[0]["confirmed_sat"], 25_000_000);
    let coins = stage.json("alice", "list-utxos");
    assert_eq!(coins.len(), 1);
    assert_eq!(coins[0]["value_sat"], 25_000_000);
    let txid = coins[0]["txid"].as_str().unwrap().to_owned();
    let height = stage.node("getblockcount");
    let told = stage.told("satpost --home alice utxos");
    let place = format!("25000000 sat, in block {height}");
    assert!(told.starts_with(&txid) && told.ends_with(&place), "{told}");
    let hash = stage.node("getbestblockhash");
    let proven = format!("proven to be in block {hash}");
    stage.until_told(
        "satpost --home alice list-transactions --verify",
        &[&txid, &proven],
    );
    let listed = stage.json("alice", "list-transactions --verify");
    assert_eq!(listed[0]["address"], address);
    assert!(listed[0]["proof"].is_object(), "{}", listed[0]);
    txid
}

/// Changes as they happen, each once.
fn listen(stage: &mut Stage, address: &str, paid: &str) {
    let quiet = stage.shell("satpost --home alice listen --timeout 1");
    assert_eq!(quiet.status.code(), NOTHING, "everything was listed before");
    let txid = stage.node(&format!("-rpcwallet=miner sendtoaddress {address} 0.125"));
    let told = stage.told("satpost --home alice listen --timeout 5");
    assert!(
        told.contains(&txid) && told.contains("+12500000 sat"),
        "{told}"
    );
    assert!(
        told.contains("seen in mempool") && !told.contains(paid),
        "{told}"
    );
    let quiet = stage.shell("satpost --home alice listen --timeout 1");
    assert_eq!(quiet.status.code(), NOTHING, "it was shown before");
    let all = stage.json("alice", "listen --all --timeout 4");
    let steps = |of: &str| all.iter().filter(|line| line["txid"] == of).count();
    assert_eq!((steps(paid), steps(&txid)), (2, 1), "{all:?}");
    assert!(all.iter().all(|line| line["position"].is_string()));
}

/// The history of an address from before it was watched.
fn rescan(stage: &mut Stage) {
    let address = stage.node("-rpcwallet=miner getnewaddress");
    stage.node(&format!("-rpcwallet=miner sendtoaddress {address} 0.0625"));
    stage.node("-rpcwallet=miner -generate 1");
    stage.told("satpost --home bob create && satpost --home bob register-client");
    stage.told(&format!("satpost --home bob watch-address {address}"));
    assert_eq!(stage.json("bob", "get-balance")[0]["confirmed_sat"], 0);
    let height: u32 = stage.node("getblockcount").parse().unwrap();
    let rescan = format!("rescan-addresses --from-height {} {address}", height - 1);
    stage.until_told(
        &format!("satpost --home bob {rescan}"),
        &["their history is known"],
    );
    let again = stage.json("bob", &rescan);
    assert_eq!(again[0]["complete"], true, "{}", again[0]);
    assert_eq!(
        stage.json("bob", "get-balance")[0]["confirmed_sat"],
        6_250_000
    );
    let bad = stage.shell("satpost --home bob --json rescan-addresses --from-height 1 nonsense");
    assert_eq!(bad.status.code(), REFUSED);
    let error: Value = serde_json::from_slice(&bad.stderr).unwrap();
    assert!(error["error"].is_string(), "{error}");
}

/// Bob is woken for a message, once.
fn push(stage: &mut Stage) {
    let card = "satpost --home alice add-contact \"$(satpost --home bob show-card)\" --name bob";
    stage.told(card);
    stage.told("satpost --home bob add-contact \"$(satpost --home alice show-card)\" --name alice");
    let none = stage.shell("satpost --home bob wait-for-wake --timeout 1");
    assert!(!none.status.success(), "there is no push target yet");
    // The stage knows where the push service really is.
    let set = "satpost --home bob --json set-push-target --service http://127.0.0.1:8422";
    assert_eq!(stage.told(set), r#"{"push":"active"}"#);
    stage.told("satpost --home alice send-message bob 'are you awake?'");
    assert_eq!(stage.json("bob", "wait-for-wake")[0]["woken"], true);
    let fetched = stage.told("satpost --home bob fetch-messages");
    assert!(fetched.contains("are you awake?"), "{fetched}");
    let silent = stage.shell("satpost --home bob --json wait-for-wake --timeout 1");
    assert_eq!(silent.status.code(), NOTHING);
    assert_eq!(silent.stdout, b"{\"woken\":false}\n");
    assert_eq!(stage.json("bob", "remove-push-target")[0]["push"], "none");
}
