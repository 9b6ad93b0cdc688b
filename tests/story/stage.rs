//! What the story needs around it: a node, a push service, a server, a shell that remembers its variables.

use std::fs::{self, File};
use std::net::{SocketAddr, TcpStream};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use satpost_tests::files::files_below;
use satpost_tests::process::{ServerProcess, binaries, free_address};

use crate::cluster::Cluster;
use crate::readme::Step;

/// How long a step may take until it tells what the README says: a state has to travel from the
/// node over the server to the wallet.
const STEP_DEADLINE: Duration = Duration::from_secs(30);

pub(crate) struct Stage {
    folder: tempfile::TempDir,
    checkout: PathBuf,
    node_ports: [SocketAddr; 3],
    push_service: Child,
    push_address: SocketAddr,
    server: ServerProcess,
    /// Where the log is, unless it is in the data folder.
    cluster: Option<Cluster>,
}

impl Stage {
    /// Starts everything `make run` starts, on free ports.
    pub(crate) fn set() -> Self {
        Self::set_over(|_| None, &[])
    }

    /// The same with further flags of the server.
    pub(crate) fn set_with(flags: &[&str]) -> Self {
        Self::set_over(|_| None, flags)
    }

    /// The same with the log on a server of the EventStoreDB protocol.
    pub(crate) fn set_with_a_cluster() -> Self {
        Self::set_over(|folder| Some(Cluster::start(&folder.join("cluster"))), &[])
    }

    fn set_over(cluster: impl FnOnce(&Path) -> Option<Cluster>, further: &[&str]) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let checkout = Path::new(env!("CARGO_MANIFEST_DIR")).join("..");
        let node_ports = [free_address(), free_address(), free_address()];
        let push_address = free_address();
        let node_dir = folder.path().join("node");
        let started = node_script(&checkout, &node_ports, &node_dir)
            .args(["start", &node_dir.to_string_lossy()])
            .status()
            .unwrap();
        assert!(
            started.success(),
            "the node did not start; `scripts/node path` finds or fetches one"
        );
        let push_log = File::create(folder.path().join("push-service.log")).unwrap();
        let push_service = Command::new(binaries().join("push-service"))
            .args(["--listen", &push_address.to_string()])
            .stdin(Stdio::null())
            .stdout(push_log.try_clone().unwrap())
            .stderr(push_log)
            .spawn()
            .unwrap();
        wait_for(push_address);
        let [rpc, sequence, rawtx] = node_ports;
        let flags = [
            ("--network", "regtest".to_owned()),
            ("--node-rpc-url", format!("http://{rpc}")),
            (
                "--node-rpc-cookie",
                node_dir
                    .join("regtest/.cookie")
                    .to_string_lossy()
                    .into_owned(),
            ),
            ("--node-zmq-sequence", format!("tcp://{sequence}")),
            ("--node-zmq-rawtx", format!("tcp://{rawtx}")),
            ("--push-allow", "127.0.0.1".to_owned()),
        ];
        let cluster = cluster(folder.path());
        let log = cluster
            .iter()
            .map(|cluster| ("--log", cluster.connection()));
        let flags: Vec<String> = flags
            .into_iter()
            .chain(log)
            .flat_map(|(flag, value)| [flag.to_owned(), value])
            .chain(further.iter().map(|flag| (*flag).to_owned()))
            .collect();
        let server = ServerProcess::start(&folder.path().join("satpost"), &flags);
        Self {
            folder,
            checkout,
            node_ports,
            push_service,
            push_address,
            server,
            cluster,
        }
    }

    /// Plays a step. One that asks for a state is asked again until it tells what the README says.
    pub(crate) fn play(&mut self, step: &Step) {
        let until = Instant::now() + STEP_DEADLINE;
        loop {
            let output = self.shell(&step.command);
            let told = String::from_utf8_lossy(&output.stdout).into_owned();
            if output.status.success() && step.is_told_by(&told) {
                return;
            }
            let asks_again = output.status.success() && !step.expected.is_empty();
            assert!(
                asks_again && Instant::now() < until,
                "$ {}\n{told}{}\nserver:\n{}",
                step.command,
                String::from_utf8_lossy(&output.stderr),
                self.server.log_tail()
            );
            thread::sleep(Duration::from_millis(100));
        }
    }

    /// Runs a line that must succeed; what it told.
    pub(crate) fn told(&self, line: &str) -> String {
        let output = self.shell(line);
        assert!(
            output.status.success(),
            "$ {line}\n{}{}\nserver:\n{}",
            String::from_utf8_lossy(&output.stdout),
            String::from_utf8_lossy(&output.stderr),
            self.server.log_tail()
        );
        String::from_utf8(output.stdout)
            .unwrap()
            .trim_end()
            .to_owned()
    }

    /// The server.
    pub(crate) const fn server(&self) -> &ServerProcess {
        &self.server
    }

    /// Where the push service listens.
    pub(crate) const fn push_address(&self) -> SocketAddr {
        self.push_address
    }

    /// The folder of everything on the stage.
    pub(crate) fn folder(&self) -> &Path {
        self.folder.path()
    }

    /// Kills the server as a power switch would, and starts it again.
    pub(crate) fn kill_and_start_the_server(&mut self) {
        self.server.kill();
        self.server.start_again();
    }

    /// The message of the story came once, and is not given out again.
    pub(crate) fn the_message_came_once(&self) {
        let list = self.shell("satpost --home bob list-messages");
        let list = String::from_utf8(list.stdout).unwrap();
        assert_eq!(list.matches("the tea is ready").count(), 1, "{list}");
        let again = self.shell("satpost --home bob fetch-messages");
        assert!(again.status.success());
        assert!(!String::from_utf8_lossy(&again.stdout).contains("the tea is ready"));
    }

    /// Ends the server in good order.
    pub(crate) fn stop_the_server(&mut self) {
        assert_eq!(self.server.stop(), Some(0), "{}", self.server.log_tail());
    }

    /// No file has the words of the message, neither beside the server nor on the cluster.
    pub(crate) fn no_words_are_left_behind(&mut self) {
        let mut files = files_below(&self.server.data_dir);
        if let Some(cluster) = self.cluster.take() {
            let folder = cluster.folder.clone();
            cluster.stop();
            files.extend(files_below(&folder));
        }
        for file in files {
            let bytes = fs::read(&file).unwrap();
            assert!(
                !contains(&bytes, b"the tea is ready"),
                "{} holds the words of a message",
                file.display()
            );
        }
    }

    /// What the operator's tool says about what was closed.
    pub(crate) fn what_was_closed_is_gone(&self) {
        self.operate(&["erasure", "verify"], []);
    }

    /// What the operator's tool says about the projections.
    pub(crate) fn rebuilt_projections_equal_the_live_ones(&self) {
        let log = self.cluster.iter();
        let log = log.flat_map(|cluster| ["--log".to_owned(), cluster.connection()]);
        self.operate(&["rebuild", "--check"], log);
    }

    /// Runs a tool of the operator on the data of the server; it has to succeed.
    fn operate(&self, tool: &[&str], arguments: impl IntoIterator<Item = String>) {
        let output = Command::new(binaries().join("satpostd"))
            .args(tool)
            .arg("--data-dir")
            .arg(&self.server.data_dir)
            .args(arguments)
            .output()
            .unwrap();
        assert!(
            output.status.success(),
            "{}{}",
            String::from_utf8_lossy(&output.stdout),
            String::from_utf8_lossy(&output.stderr)
        );
    }

    /// Runs a line in the folder of the stage; variables of earlier lines are there.
    pub(crate) fn shell(&self, line: &str) -> Output {
        let line = line.replace(
            "http://127.0.0.1:8422",
            &format!("http://{}", self.push_address),
        );
        let variables = self.folder.path().join("variables");
        let script = format!(
            "set -eu -o pipefail; cd {checkout:?}; [ ! -f {variables:?} ] || . {variables:?}\n{line}\n\
             [ -z \"${{address:-}}\" ] || printf 'address=%s\\n' \"$address\" > {variables:?}",
            checkout = self.checkout,
        );
        let script = script.replace(
            "--home ",
            &format!("--home {}/", self.folder.path().display()),
        );
        let path = format!(
            "{}:{}",
            binaries().display(),
            std::env::var("PATH").unwrap_or_default()
        );
        node_script_environment(
            &mut Command::new("bash"),
            &self.node_ports,
            &self.folder.path().join("node"),
        )
        .args(["-c", &script])
        .env("PATH", path)
        .env("SATPOST_SERVER", self.server.url())
        .stdin(Stdio::null())
        .output()
        .unwrap()
    }
}

impl Drop for Stage {
    fn drop(&mut self) {
        self.push_service.kill().ok();
        self.push_service.wait().ok();
        let node_dir = self.folder.path().join("node");
        node_script(&self.checkout, &self.node_ports, &node_dir)
            .args(["stop", &node_dir.to_string_lossy()])
            .status()
            .ok();
    }
}

fn node_script(checkout: &Path, ports: &[SocketAddr; 3], dir: &Path) -> Command {
    let mut command = Command::new(checkout.join("scripts/node"));
    node_script_environment(&mut command, ports, dir);
    command.stdin(Stdio::null());
    command
}

fn node_script_environment<'a>(
    command: &'a mut Command,
    ports: &[SocketAddr; 3],
    dir: &Path,
) -> &'a mut Command {
    let [rpc, sequence, rawtx] = ports;
    command
        .env("SATPOST_NODE_DIR", dir)
        .env("SATPOST_NODE_RPC_PORT", rpc.port().to_string())
        .env(
            "SATPOST_NODE_ZMQ_SEQUENCE_PORT",
            sequence.port().to_string(),
        )
        .env("SATPOST_NODE_ZMQ_RAWTX_PORT", rawtx.port().to_string())
}

fn wait_for(address: SocketAddr) {
    let until = Instant::now() + STEP_DEADLINE;
    while TcpStream::connect(address).is_err() {
        assert!(Instant::now() < until, "nothing listens on {address}");
        thread::sleep(Duration::from_millis(10));
    }
}

fn contains(haystack: &[u8], needle: &[u8]) -> bool {
    haystack
        .windows(needle.len())
        .any(|window| window == needle)
}
