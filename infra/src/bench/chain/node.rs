//! A regtest node of the benchmark's own, on free ports of loopback, ended when it is dropped.

use std::net::TcpListener;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use bitcoincore_rpc::{Auth, Client, RpcApi as _};
use satpost_domain::limits::{FINAL_DEPTH_DEFAULT, NODE_AUDIT};
use satpost_domain::network::Network;
use serde_json::{Value, json};

use crate::bench::BenchError;
use crate::bitcoind::{CoreRpc, NodeAuth, NodeConfig};

/// How long the node may take to start.
const PATIENCE: Duration = Duration::from_secs(60);
const PAUSE: Duration = Duration::from_millis(25);
/// What it runs with: it reaches nothing, and nobody reaches it.
const ARGUMENTS: [&str; 13] = [
    "-regtest",
    "-server",
    "-rest",
    "-listen=0",
    "-listenonion=0",
    "-dnsseed=0",
    "-connect=0",
    "-softwareexpiry=0",
    "-disablewallet",
    "-printtoconsole=0",
    "-zmqpubsequencehwm=0",
    "-zmqpubrawtxhwm=0",
    "-minrelaytxfee=0.00001",
];

/// A running node.
pub(super) struct Node {
    child: Child,
    client: Client,
    config: NodeConfig,
}

impl Node {
    /// Starts `program` with its data in `folder`.
    pub(super) fn start(program: &Path, folder: &Path) -> Result<Self, BenchError> {
        let [rpc, sequence, rawtx] =
            free_ports().map_err(BenchError::io("bind a port for", program))?;
        let config = NodeConfig {
            network: Network::Regtest,
            rpc_url: format!("http://127.0.0.1:{rpc}"),
            rpc_auth: NodeAuth::Cookie(folder.join("regtest/.cookie")),
            zmq_sequence: Some(format!("tcp://127.0.0.1:{sequence}")),
            zmq_rawtx: Some(format!("tcp://127.0.0.1:{rawtx}")),
            final_depth: FINAL_DEPTH_DEFAULT,
            audit_every: NODE_AUDIT,
        };
        let mut child = Command::new(program)
            .arg(format!("-datadir={}", folder.display()))
            .arg(format!("-rpcport={rpc}"))
            .arg(format!("-zmqpubsequence=tcp://127.0.0.1:{sequence}"))
            .arg(format!("-zmqpubrawtx=tcp://127.0.0.1:{rawtx}"))
            .args(ARGUMENTS)
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .map_err(BenchError::io("run", program))?;
        match connect(&mut child, &config.rpc_url, &folder.join("regtest/.cookie")) {
            Ok(client) => Ok(Self {
                child,
                client,
                config,
            }),
            Err(error) => {
                end(&mut child);
                Err(error)
            }
        }
    }

    /// How it is reached.
    pub(super) fn config(&self) -> NodeConfig {
        self.config.clone()
    }

    /// Its adapter.
    pub(super) fn rpc(&self) -> CoreRpc {
        CoreRpc::new(self.config.rpc_url.clone(), self.config.rpc_auth.clone())
    }

    /// Asks it anything; waits for the answer on this thread.
    pub(super) fn call(&self, method: &str, arguments: &[Value]) -> Result<Value, BenchError> {
        tokio::task::block_in_place(|| self.client.call(method, arguments))
            .map_err(BenchError::of(method))
    }

    /// Mines one block of these raw transactions, and answers with its hash.
    pub(super) fn generate(&self, to: &str, transactions: &[String]) -> Result<String, BenchError> {
        let answer = self.call("generateblock", &[json!(to), json!(transactions)])?;
        text(&answer["hash"])
    }
}

/// A text of an answer.
pub(super) fn text(value: &Value) -> Result<String, BenchError> {
    let text = value.as_str().map(str::to_owned);
    text.ok_or_else(|| {
        BenchError::of("the node")(format!("it says {value} where a text is expected"))
    })
}

fn connect(child: &mut Child, url: &str, cookie: &Path) -> Result<Client, BenchError> {
    let start = Instant::now();
    while start.elapsed() < PATIENCE {
        if let Ok(Some(status)) = child.try_wait() {
            return Err(BenchError::of("the node")(format!(
                "it ended with {status}"
            )));
        }
        let client = Client::new(url, Auth::CookieFile(cookie.to_owned())).ok();
        if let Some(client) = client.filter(|client| client.get_block_count().is_ok()) {
            return Ok(client);
        }
        std::thread::sleep(PAUSE);
    }
    Err(BenchError::of("the node")("it does not answer"))
}

/// Three ports that were free a moment ago. The listeners are closed together, so the ports differ.
fn free_ports() -> std::io::Result<[u16; 3]> {
    let bind = || TcpListener::bind(("127.0.0.1", 0));
    let listeners = [bind()?, bind()?, bind()?];
    let [one, two, three] = &listeners;
    Ok([
        one.local_addr()?.port(),
        two.local_addr()?.port(),
        three.local_addr()?.port(),
    ])
}

/// Its data is of no use to anybody, so it is not asked to write it down.
fn end(child: &mut Child) {
    drop(child.kill());
    drop(child.wait());
}

impl Drop for Node {
    fn drop(&mut self) {
        end(&mut self.child);
    }
}
