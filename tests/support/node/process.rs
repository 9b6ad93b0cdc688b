//! The node as a process: found, started on free ports, awaited, ended.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use bitcoincore_rpc::{Auth, Client, RpcApi};

use crate::process::free_address;

/// How long the node may take to start or to stop on a busy machine.
const PATIENCE: Duration = Duration::from_secs(60);
/// Between two looks.
const PAUSE: Duration = Duration::from_millis(25);
/// How often other ports are tried when someone else was faster.
const START_ATTEMPTS: usize = 5;

/// The ports of a node, all on loopback.
#[derive(Debug, Clone, Copy)]
pub(super) struct Ports {
    pub(super) rpc: u16,
    pub(super) zmq_sequence: u16,
    pub(super) zmq_rawtx: u16,
}

/// A `bitcoind` that is the test's own child. Ended when dropped.
pub(super) struct NodeProcess {
    child: Child,
    ports: Ports,
    cookie: PathBuf,
    arguments: Vec<String>,
}

impl NodeProcess {
    /// Starts `bitcoind` with its data in `folder`, where `bitcoin.conf` is already, and waits until
    /// it answers.
    pub(super) fn start(folder: &Path, arguments: &[&str]) -> Self {
        let arguments: Vec<String> = arguments.iter().map(ToString::to_string).collect();
        let mut failure = String::new();
        for _ in 0..START_ATTEMPTS {
            let ports = free_ports();
            let mut process = Self {
                child: spawn(folder, ports, &arguments),
                ports,
                cookie: folder.join("regtest/.cookie"),
                arguments: arguments.clone(),
            };
            match process.wait_until_ready(folder) {
                Ok(()) => return process,
                Err(error) => failure = error,
            }
        }
        panic!("bitcoind did not start in {START_ATTEMPTS} attempts: {failure}");
    }

    /// Starts it again on the same ports. Another program may have a connection from one of them
    /// for a moment, so this is tried more than once as well.
    pub(super) fn start_again(&mut self, folder: &Path) {
        let mut failure = String::new();
        for _ in 0..START_ATTEMPTS {
            self.kill();
            self.child = spawn(folder, self.ports, &self.arguments);
            match self.wait_until_ready(folder) {
                Ok(()) => return,
                Err(error) => failure = error,
            }
        }
        panic!("bitcoind did not start again in {START_ATTEMPTS} attempts: {failure}");
    }

    pub(super) fn ports(&self) -> Ports {
        self.ports
    }

    pub(super) fn cookie(&self) -> PathBuf {
        self.cookie.clone()
    }

    /// Ends it at once. Harmless when it has ended.
    pub(super) fn kill(&mut self) {
        // Both fail only when the process has ended and been awaited.
        drop(self.child.kill());
        drop(self.child.wait());
        // The next start writes a new one; until then nobody must take this one for it.
        drop(fs::remove_file(&self.cookie));
    }

    /// Waits until it has ended by itself, after it was asked to.
    pub(super) fn wait_until_ended(&mut self) {
        let ended = poll(|| {
            let status = self.child.try_wait().expect("the child is ours");
            status.map(|_| Ok(()))
        });
        ended.expect("bitcoind stops when it was asked to");
    }

    fn wait_until_ready(&mut self, folder: &Path) -> Result<(), String> {
        let url = format!("http://127.0.0.1:{}", self.ports.rpc);
        poll(|| {
            if let Some(status) = self.child.try_wait().expect("the child is ours") {
                return Some(Err(format!(
                    "it ended with {status}: {}",
                    last_words(folder)
                )));
            }
            if !self.cookie.exists() {
                return None;
            }
            let client = Client::new(&url, Auth::CookieFile(self.cookie.clone())).ok()?;
            client.get_block_count().ok()?;
            Some(publishes(&client))
        })
        .map_err(|error| format!("{error}: {}", last_words(folder)))
    }
}

/// A node that cannot bind a ZMQ address says so in its log and goes on without it.
fn publishes(client: &Client) -> Result<(), String> {
    let topics: serde_json::Value = client
        .call("getzmqnotifications", &[])
        .map_err(|error| error.to_string())?;
    match topics.as_array().map_or(0, Vec::len) {
        2 => Ok(()),
        _ => Err(format!("the node publishes {topics}")),
    }
}

impl Drop for NodeProcess {
    fn drop(&mut self) {
        self.kill();
    }
}

fn spawn(folder: &Path, ports: Ports, arguments: &[String]) -> Child {
    let program = bitcoind();
    Command::new(&program)
        .arg(format!("-datadir={}", folder.display()))
        .arg(format!("-rpcport={}", ports.rpc))
        .arg(format!(
            "-zmqpubsequence=tcp://127.0.0.1:{}",
            ports.zmq_sequence
        ))
        .arg(format!("-zmqpubrawtx=tcp://127.0.0.1:{}", ports.zmq_rawtx))
        .arg("-printtoconsole=0")
        .args(arguments)
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()
        .unwrap_or_else(|error| panic!("{} cannot be run: {error}", program.display()))
}

/// Finds `bitcoind` where `scripts/node path` finds it. A machine without one fails the test: a test
/// that skips itself would say that all is well.
#[expect(
    clippy::disallowed_methods,
    reason = "the environment says where the node is"
)]
fn bitcoind() -> PathBuf {
    if let Some(path) = std::env::var_os("BITCOIND_EXE") {
        return PathBuf::from(path);
    }
    let fetched = Path::new(env!("CARGO_MANIFEST_DIR")).join("../.tools/node/bin/bitcoind");
    std::env::var_os("PATH")
        .iter()
        .flat_map(std::env::split_paths)
        .map(|folder| folder.join("bitcoind"))
        .chain([fetched])
        .find(|path| path.is_file())
        .expect("there is no bitcoind on this machine; this fetches one: scripts/node path")
}

/// Three ports that were free a moment ago. The listeners are closed together, so the ports differ.
fn free_ports() -> Ports {
    let [rpc, zmq_sequence, zmq_rawtx] = [(); 3].map(|()| free_address().port());
    Ports {
        rpc,
        zmq_sequence,
        zmq_rawtx,
    }
}

/// Calls `look` until it has an answer, as long as there is patience.
#[expect(
    clippy::disallowed_methods,
    reason = "a fixture waits for a real process"
)]
pub(super) fn poll(mut look: impl FnMut() -> Option<Result<(), String>>) -> Result<(), String> {
    let start = Instant::now();
    while start.elapsed() < PATIENCE {
        if let Some(answer) = look() {
            return answer;
        }
        std::thread::sleep(PAUSE);
    }
    Err(format!("nothing happened for {} s", PATIENCE.as_secs()))
}

/// The end of the node's log.
fn last_words(folder: &Path) -> String {
    let log = fs::read(folder.join("regtest/debug.log")).unwrap_or_default();
    let log = String::from_utf8_lossy(&log);
    let lines: Vec<&str> = log.lines().rev().take(8).collect();
    lines.into_iter().rev().collect::<Vec<_>>().join("\n")
}
