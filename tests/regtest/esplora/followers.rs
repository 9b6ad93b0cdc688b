//! The real binaries: `satpostd` with the Esplora API, and `satpost-electrs` as harnesses start it.

#![allow(
    clippy::disallowed_methods,
    reason = "these are real processes, which take real time"
)]

use std::fs;
use std::io::{BufRead as _, BufReader, Write as _};
use std::net::{SocketAddr, TcpStream};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use bitcoin::Amount;
use satpost_tests::node::RegtestNode;
use satpost_tests::process::{ServerProcess, binaries, free_address};
use serde_json::{Value, json};

use super::stage::{PATIENCE, PAUSE};

fn http() -> reqwest::Client {
    rustls::crypto::ring::default_provider()
        .install_default()
        .ok();
    reqwest::Client::builder()
        .tls_certs_only([])
        .build()
        .unwrap()
}

async fn get(http: &reqwest::Client, url: String) -> (u16, String, String) {
    let response = http.get(url).send().await.unwrap();
    let kind = response.headers()["content-type"]
        .to_str()
        .unwrap()
        .to_owned();
    (
        response.status().as_u16(),
        kind,
        response.text().await.unwrap(),
    )
}

async fn until_height(http: &reqwest::Client, base: &str, height: u64) {
    for _ in 0..PATIENCE.as_millis() / PAUSE.as_millis() {
        let (status, _, text) = get(http, format!("{base}/blocks/tip/height")).await;
        if (status, text) == (200, height.to_string()) {
            return;
        }
        tokio::time::sleep(PAUSE).await;
    }
    panic!("{base} does not come to block {height}");
}

fn flags(node: &RegtestNode, folder: &Path, settings: &str) -> Vec<String> {
    let file = folder.join("satpost.toml");
    fs::write(&file, settings).unwrap();
    [
        ("--config", file.to_string_lossy().into_owned()),
        ("--node-rpc-url", node.rpc_url()),
        (
            "--node-rpc-cookie",
            node.rpc_cookie().to_string_lossy().into_owned(),
        ),
        ("--node-zmq-sequence", node.zmq_sequence_url()),
        ("--node-zmq-rawtx", node.zmq_rawtx_url()),
    ]
    .into_iter()
    .flat_map(|(flag, value)| [flag.to_owned(), value])
    .collect()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn satpostd_serves_it_on_both_listeners_and_goes_on_after_a_kill() {
    let node = RegtestNode::start();
    let folder = tempfile::tempdir().unwrap();
    let mut flags = flags(
        &node,
        folder.path(),
        "[esplora]\nenabled = true\nindex = \"all\"\n",
    );
    let own = free_address();
    flags.extend(["--esplora-listen".to_owned(), own.to_string()]);
    let mut server = ServerProcess::start(&folder.path().join("satpost"), &flags);
    let http = http();
    let public = format!("http://{}/esplora", server.api);
    for base in [
        public.clone(),
        format!("http://{own}"),
        format!("http://{own}/api"),
    ] {
        until_height(&http, &base, 101).await;
        let (status, kind, text) = get(&http, format!("{base}/nothing")).await;
        assert_eq!((status, kind.as_str()), (404, "text/plain"));
        assert!(text.starts_with("endpoint does not exist"), "{text}");
    }
    // A client that asks for it may be told in its own form only there.
    let (status, kind, _) = get(&http, format!("http://{}/v1/nothing", server.api)).await;
    assert_eq!((status, kind.as_str()), (404, "application/problem+json"));
    let metrics = get(&http, format!("http://{}/metrics", server.operators))
        .await
        .2;
    assert!(
        metrics.contains("operation=\"get_tip_height\""),
        "{metrics}"
    );

    server.kill();
    let address = node.new_address();
    let paid = node.send(&address, Amount::from_sat(5_000));
    node.mine(1);
    server.start_again();
    until_height(&http, &public, 102).await;
    let (_, _, list) = get(&http, format!("{public}/address/{address}/txs")).await;
    assert!(list.contains(&paid.to_string()), "{list}");
    assert_eq!(server.stop(), Some(0), "{}", server.log_tail());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn satpostd_serves_it_nowhere_unless_told_to_and_then_only_what_is_watched() {
    let node = RegtestNode::start();
    let folder = tempfile::tempdir().unwrap();
    let http = http();
    let off = ServerProcess::start(&folder.path().join("off"), &flags(&node, folder.path(), ""));
    let (status, kind, _) = get(
        &http,
        format!("http://{}/esplora/blocks/tip/height", off.api),
    )
    .await;
    assert_eq!((status, kind.as_str()), (404, "application/problem+json"));
    drop(off);

    let settings = flags(&node, folder.path(), "[esplora]\nenabled = true\n");
    let watched = ServerProcess::start(&folder.path().join("watched"), &settings);
    let base = format!("http://{}/esplora", watched.api);
    until_height(&http, &base, 101).await;
    let address = node.new_address();
    let (status, _, text) = get(&http, format!("{base}/address/{address}/utxo")).await;
    assert_eq!(
        (status, text.as_str()),
        (400, "Address is not watched by this server")
    );
}

/// A `satpost-electrs` of the test's own; ended when dropped.
struct Electrs {
    child: Child,
    electrum: SocketAddr,
    http: SocketAddr,
}

impl Electrs {
    /// As the crate `electrsd` starts Blockstream's server.
    fn start(node: &RegtestNode, folder: &Path) -> Self {
        let [electrum, http, monitoring] = [(); 3].map(|()| free_address());
        let cookie = fs::read_to_string(node.rpc_cookie()).unwrap();
        let rpc = node.rpc_url();
        let child = Command::new(binaries().join("satpost-electrs"))
            .arg("-vvv")
            .args([
                "--db-dir",
                &folder.to_string_lossy(),
                "--network",
                "regtest",
            ])
            .args(["--cookie", &cookie, "--jsonrpc-import"])
            .args(["--daemon-rpc-addr", rpc.strip_prefix("http://").unwrap()])
            .args([
                "--electrum-rpc-addr",
                &format!("0.0.0.0:{}", electrum.port()),
            ])
            .args([
                "--monitoring-addr",
                &format!("0.0.0.0:{}", monitoring.port()),
            ])
            .args(["--http-addr", &format!("0.0.0.0:{}", http.port())])
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        Self {
            child,
            electrum,
            http,
        }
    }

    /// Tells it to look at the node, as harnesses do after they have mined.
    fn trigger(&self) {
        let pid = self.child.id().to_string();
        let status = Command::new("kill").args(["-USR1", &pid]).status();
        assert!(status.unwrap().success());
    }

    fn connect(&self) -> BufReader<TcpStream> {
        let since = Instant::now();
        loop {
            if let Ok(stream) = TcpStream::connect(self.electrum) {
                stream.set_read_timeout(Some(PATIENCE)).unwrap();
                return BufReader::new(stream);
            }
            assert!(
                since.elapsed() < PATIENCE,
                "satpost-electrs does not listen"
            );
            std::thread::sleep(PAUSE);
        }
    }
}

impl Drop for Electrs {
    fn drop(&mut self) {
        // Both fail only when it has ended.
        drop(self.child.kill());
        drop(self.child.wait());
    }
}

fn line(stream: &mut BufReader<TcpStream>) -> Value {
    let mut line = String::new();
    stream.read_line(&mut line).unwrap();
    serde_json::from_str(&line).unwrap()
}

fn ask(stream: &mut BufReader<TcpStream>, method: &str, parameters: &Value) -> Value {
    let request = json!({ "jsonrpc": "2.0", "id": 1, "method": method, "params": parameters });
    stream
        .get_mut()
        .write_all(format!("{request}\n").as_bytes())
        .unwrap();
    line(stream)
}

#[test]
fn satpost_electrs_does_what_a_harness_expects_of_electrs() {
    let node = RegtestNode::start();
    let folder = tempfile::tempdir().unwrap();
    let electrs = Electrs::start(&node, folder.path());
    let mut client = electrs.connect();
    let version = ask(
        &mut client,
        "server.version",
        &json!(["test", ["1.4", "1.6"]]),
    );
    assert_eq!(version["result"][1], "1.4");
    let tip = ask(&mut client, "blockchain.headers.subscribe", &json!([]));
    assert_eq!(tip["result"]["height"], 101);
    let header = node.call("getblockheader", &[json!(node.best_block()), json!(false)]);
    assert_eq!(tip["result"]["hex"], header);
    assert_eq!(
        ask(&mut client, "server.ping", &json!([]))["result"],
        Value::Null
    );

    node.mine(2);
    electrs.trigger();
    let push = line(&mut client);
    assert_eq!(push["method"], "blockchain.headers.subscribe");
    // One push for both blocks, or one for each.
    let push = if push["params"][0]["height"] == 103 {
        push
    } else {
        line(&mut client)
    };
    assert_eq!(push["params"][0]["height"], 103);
    // What is pushed can be asked for.
    let mut http = TcpStream::connect(electrs.http).unwrap();
    http.write_all(b"GET /blocks/tip/height HTTP/1.0\r\n\r\n")
        .unwrap();
    http.set_read_timeout(Some(Duration::from_secs(10)))
        .unwrap();
    let answer = std::io::read_to_string(http).unwrap();
    assert!(answer.ends_with("\r\n\r\n103"), "{answer}");

    let paid = node.send(&node.new_address(), Amount::from_sat(9_000));
    node.mine(1);
    electrs.trigger();
    while line(&mut client)["params"][0]["height"] != 104 {}
    let raw = ask(
        &mut client,
        "blockchain.transaction.get",
        &json!([paid.to_string()]),
    );
    let transaction = node.call("gettransaction", &[json!(paid.to_string())]);
    assert_eq!(raw["result"], transaction["hex"]);
    let unknown = ask(
        &mut client,
        "blockchain.transaction.get",
        &json!(["00".repeat(32)]),
    );
    assert_eq!(unknown["error"]["code"], 2);
    let nothing = ask(&mut client, "blockchain.nothing", &json!([]));
    assert_eq!(nothing["error"]["code"], -32_601);
}
