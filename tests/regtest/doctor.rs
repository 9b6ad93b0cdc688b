//! What the doctor finds about real nodes: good ones, and ones that are set up badly, down or wrong.

use std::path::Path;
use std::process::{Command, Output};

use satpost_domain::network::Network;
use satpost_infra::bitcoind::doctor::{Code, Examination, Severity, examine};
use satpost_infra::bitcoind::{CoreRpc, NodeAuth};
use satpost_tests::node::RegtestNode;
use satpost_tests::process::binaries;

fn login(node: &RegtestNode) -> NodeAuth {
    NodeAuth::Cookie(node.rpc_cookie())
}

async fn examined(node: &RegtestNode, auth: NodeAuth, network: Network) -> Examination {
    let rpc = CoreRpc::new(node.rpc_url(), auth);
    examine(&rpc, network, Path::new(env!("CARGO_MANIFEST_DIR"))).await
}

/// What is found about a node with these arguments; the disk of the machine is its own affair.
async fn found(arguments: &[&str]) -> (Severity, Vec<Code>) {
    let node = RegtestNode::start_empty(arguments);
    let mut examination = examined(&node, login(&node), Network::Regtest).await;
    assert!(examination.node.is_some());
    let disk = [Code::DiskLow, Code::DiskFull];
    examination
        .findings
        .retain(|finding| !disk.contains(&finding.code));
    let codes = examination.findings.iter().map(|finding| finding.code);
    (examination.severity(), codes.collect())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn has_nothing_to_say_about_a_good_node() {
    let found = found(&["-blockfilterindex=1"]).await;
    assert_eq!(found, (Severity::Ok, vec![]));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn names_notifications_that_can_be_lost() {
    let arguments = [
        "-blockfilterindex=1",
        "-zmqpubsequencehwm=1000",
        "-zmqpubrawtxhwm=1000",
    ];
    let found = found(&arguments).await;
    assert_eq!(
        found,
        (Severity::Lossy, vec![Code::SequenceDrops, Code::RawtxDrops])
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn names_what_would_work_better() {
    let (severity, codes) = found(&["-rest=0"]).await;
    assert_eq!(
        (severity, codes),
        (Severity::Advice, vec![Code::RestOff, Code::FiltersMissing])
    );
    let (severity, codes) = found(&["-prune=550"]).await;
    assert_eq!(
        (severity, codes),
        (Severity::Advice, vec![Code::Pruned, Code::FiltersMissing])
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn tells_a_wrong_network_a_wrong_password_and_a_node_that_is_down_apart() {
    let mut node = RegtestNode::start_empty(&[]);
    let worst = |examination: Examination| {
        assert_eq!(examination.severity(), Severity::Unusable);
        examination.findings[0].code
    };
    let other = examined(&node, login(&node), Network::Signet).await;
    assert_eq!(worst(other), Code::OtherNetwork);

    let password = NodeAuth::Password {
        user: "satpost".to_owned(),
        password: "wrong".to_owned().into(),
    };
    assert_eq!(
        worst(examined(&node, password, Network::Regtest).await),
        Code::LoginRefused
    );
    let unreadable = NodeAuth::Cookie("/nonexistent/.cookie".into());
    assert_eq!(
        worst(examined(&node, unreadable, Network::Regtest).await),
        Code::LoginRefused
    );

    let cookie = std::fs::read(node.rpc_cookie()).unwrap();
    node.stop();
    std::fs::write(node.rpc_cookie(), cookie).unwrap();
    let down = examined(&node, login(&node), Network::Regtest).await;
    assert!(down.node.is_none());
    assert_eq!(worst(down), Code::NodeUnreachable);
}

fn doctor(node: &RegtestNode, more: &[&str]) -> Output {
    let folder = tempfile::tempdir().unwrap();
    Command::new(binaries().join("satpostd"))
        .arg("doctor")
        .args(["--node-rpc-url", &node.rpc_url()])
        .arg("--node-rpc-cookie")
        .arg(node.rpc_cookie())
        .args(["--node-zmq-sequence", &node.zmq_sequence_url()])
        .args(["--node-zmq-rawtx", &node.zmq_rawtx_url()])
        .arg("--data-dir")
        .arg(folder.path().join("data"))
        .args(more)
        .output()
        .unwrap()
}

#[test]
fn the_tool_says_what_to_write_into_the_configuration_of_the_node() {
    let node = RegtestNode::start_empty(&["-zmqpubsequencehwm=5"]);
    let table = doctor(&node, &[]);
    let text = String::from_utf8(table.stdout).unwrap();
    assert!(
        text.contains("in bitcoin.conf: zmqpubsequencehwm=0"),
        "{text}"
    );
    assert_eq!(table.status.code(), Some(20), "{text}");

    let lines = doctor(&node, &["--json"]);
    let object: serde_json::Value = serde_json::from_slice(&lines.stdout).unwrap();
    assert_eq!(object["severity"], "lossy");
    assert_eq!(object["findings"][0]["code"], "sequence_drops");
    assert_eq!(object["node"]["network"], "regtest");

    let other = doctor(&node, &["--network", "mainnet"]);
    assert_eq!(other.status.code(), Some(30));
    let none = Command::new(binaries().join("satpostd"))
        .arg("doctor")
        .output()
        .unwrap();
    assert_eq!(none.status.code(), Some(78));
}
