//! The real binaries as processes: built once, started on free ports, killed and started again.

#![allow(
    clippy::disallowed_methods,
    reason = "these are real processes, which take real time"
)]

use std::fs::{self, File, OpenOptions};
use std::io::{Read as _, Write as _};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::ops::Range;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::OnceLock;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use uuid::Uuid;

/// How long a server may take until it answers; a debug build that replays needs some of it.
const START_DEADLINE: Duration = Duration::from_secs(30);
/// How long a server may take to stop when it is asked to.
const STOP_DEADLINE: Duration = Duration::from_secs(15);

/// The folder of the binaries: `SATPOST_BINARIES` if that names one, else the folder of this test,
/// after building them in its profile.
///
/// Cargo builds binaries by itself only for tests of their own package. Asked for together with all
/// tests, they are the ones a run over the whole workspace has built already.
///
/// # Panics
/// When they do not build.
#[must_use]
pub fn binaries() -> &'static Path {
    static FOLDER: OnceLock<PathBuf> = OnceLock::new();
    FOLDER.get_or_init(|| {
        if let Some(ready) = std::env::var_os("SATPOST_BINARIES") {
            return PathBuf::from(ready);
        }
        let test = std::env::current_exe().expect("a test knows its own path");
        let profile_folder = test
            .ancestors()
            .find(|folder| folder.ends_with("debug") || folder.ends_with("release"))
            .expect("tests lie in the folder of their profile");
        let target = profile_folder
            .parent()
            .expect("a profile lies in the target folder");
        let mut build = Command::new(env!("CARGO"));
        build
            .args([
                "build",
                "--quiet",
                "--workspace",
                "--all-features",
                "--bins",
                "--tests",
            ])
            .arg("--target-dir")
            .arg(target)
            .current_dir(env!("CARGO_MANIFEST_DIR"));
        // What cargo tells a test about its package would make some build scripts run again, and with
        // them everything that depends on theirs.
        for (name, _) in std::env::vars_os() {
            let told_by_cargo = ["CARGO_PKG_", "CARGO_MANIFEST_", "CARGO_BIN_EXE_", "OUT_DIR"];
            if told_by_cargo
                .iter()
                .any(|prefix| name.to_string_lossy().starts_with(prefix))
            {
                build.env_remove(name);
            }
        }
        if profile_folder.ends_with("release") {
            build.arg("--release");
        }
        let status = build.status().expect("cargo runs");
        assert!(status.success(), "the binaries do not build");
        profile_folder.to_owned()
    })
}

/// Ports that the kernel gives to nobody by itself (`ip_local_port_range`, ip(7)), so no connection of
/// another test takes one between two starts of a server.
const PORTS: Range<u16> = 12_000..32_000;

/// A loopback port that was free a moment ago; unlike port 0 it stays the same over restarts. No two
/// of one process are the same.
///
/// # Panics
/// When no port can be had.
#[must_use]
pub fn free_address() -> SocketAddr {
    static NEXT: OnceLock<AtomicUsize> = OnceLock::new();
    // Other processes begin somewhere else.
    let next = NEXT.get_or_init(|| AtomicUsize::new(Uuid::new_v4().as_fields().1.into()));
    (0..PORTS.len())
        .map(|_| next.fetch_add(1, Ordering::Relaxed) % PORTS.len())
        .filter_map(|place| PORTS.clone().nth(place))
        .map(|port| SocketAddr::from(([127, 0, 0, 1], port)))
        .find(|address| TcpListener::bind(address).is_ok())
        .expect("a free loopback port")
}

/// Flags of a server whose clients all come from one address and ask without a pause. The settings
/// are written beside the data folder.
///
/// # Panics
/// When they cannot be written.
#[must_use]
pub fn without_rate_limits(folder: &Path) -> Vec<String> {
    let settings = folder.join("satpost.toml");
    let text =
        "[server]\nlimit_peers = false\nrequests_per_second = 1000000\nrequests_burst = 1000000\n";
    fs::write(&settings, text).expect("settings can be written");
    vec![
        "--config".to_owned(),
        settings.to_string_lossy().into_owned(),
    ]
}

/// A `satpostd serve` in a data folder of the caller's.
pub struct ServerProcess {
    child: Child,
    arguments: Vec<String>,
    log: PathBuf,
    /// Where the API listens.
    pub api: SocketAddr,
    /// Where the operator routes listen.
    pub operators: SocketAddr,
    /// The data folder.
    pub data_dir: PathBuf,
}

impl ServerProcess {
    /// Starts a server on free ports and waits until it is ready. `extra` are further flags.
    ///
    /// # Panics
    /// When it does not become ready; its log is part of the message.
    #[must_use]
    pub fn start(data_dir: &Path, extra: &[String]) -> Self {
        let api = free_address();
        let operators = free_address();
        let mut arguments: Vec<String> = ["serve", "--data-dir", &data_dir.to_string_lossy()]
            .map(str::to_owned)
            .into();
        arguments.extend(["--listen".to_owned(), api.to_string()]);
        arguments.extend(["--operator-listen".to_owned(), operators.to_string()]);
        arguments.extend_from_slice(extra);
        let log = data_dir.with_extension("server.log");
        let child = spawn(&arguments, &log);
        let mut server = Self {
            child,
            arguments,
            log,
            api,
            operators,
            data_dir: data_dir.to_owned(),
        };
        server.wait_until_listening();
        server
    }

    /// Ends the server as a power switch would end the process, and waits until it is gone.
    ///
    /// # Panics
    /// When it cannot be killed.
    pub fn kill(&mut self) {
        self.child.kill().expect("the server is our child");
        self.child.wait().expect("the server is our child");
    }

    /// Starts the server again with the same folder, ports and flags.
    ///
    /// # Panics
    /// When it does not become ready.
    pub fn start_again(&mut self) {
        self.child = spawn(&self.arguments, &self.log);
        self.wait_until_listening();
    }

    /// Asks the server to stop and returns its exit code.
    ///
    /// # Panics
    /// When it does not stop in time.
    pub fn stop(&mut self) -> Option<i32> {
        let pid = self.child.id().to_string();
        let status = Command::new("kill").args(["-TERM", &pid]).status();
        assert!(
            status.is_ok_and(|status| status.success()),
            "the server takes SIGTERM"
        );
        self.wait_for_exit(STOP_DEADLINE)
    }

    /// Waits until the server has ended by itself and returns its exit code.
    ///
    /// # Panics
    /// When it is still running after `deadline`.
    pub fn wait_for_exit(&mut self, deadline: Duration) -> Option<i32> {
        let until = Instant::now() + deadline;
        loop {
            if let Some(status) = self.child.try_wait().expect("the server is our child") {
                return status.code();
            }
            assert!(
                Instant::now() < until,
                "the server is still running: {}",
                self.log_tail()
            );
            thread::sleep(Duration::from_millis(10));
        }
    }

    /// The exit code of a server that has ended by itself; nothing while it runs.
    ///
    /// # Panics
    /// When the operating system does not know the process.
    pub fn ended(&mut self) -> Option<Option<i32>> {
        let status = self.child.try_wait().expect("the server is our child");
        status.map(|status| status.code())
    }

    /// The base URL of the API.
    #[must_use]
    pub fn url(&self) -> String {
        format!("http://{}", self.api)
    }

    /// The process id.
    #[must_use]
    pub fn pid(&self) -> u32 {
        self.child.id()
    }

    /// Everything the server has said, on both its outputs, over all its starts.
    ///
    /// # Panics
    /// When it cannot be read.
    #[must_use]
    pub fn whole_log(&self) -> String {
        let bytes = fs::read(&self.log).expect("the log of the server can be read");
        String::from_utf8_lossy(&bytes).into_owned()
    }

    /// The last lines the server has logged.
    #[must_use]
    pub fn log_tail(&self) -> String {
        let text = fs::read_to_string(&self.log).unwrap_or_default();
        let lines: Vec<_> = text.lines().collect();
        lines[lines.len().saturating_sub(20)..].join("\n")
    }

    fn wait_until_listening(&mut self) {
        let until = Instant::now() + START_DEADLINE;
        while !answers(self.api) {
            let ended = self.child.try_wait().expect("the server is our child");
            assert!(
                ended.is_none(),
                "the server ended at start: {}",
                self.log_tail()
            );
            assert!(
                Instant::now() < until,
                "the server does not listen: {}",
                self.log_tail()
            );
            thread::sleep(Duration::from_millis(10));
        }
    }
}

/// True when the server has answered a request. It takes connections before it has read its log.
fn answers(api: SocketAddr) -> bool {
    let asked = || -> std::io::Result<String> {
        let mut connection = TcpStream::connect(api)?;
        connection.set_read_timeout(Some(Duration::from_secs(1)))?;
        connection.write_all(
            b"GET /health/live HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n",
        )?;
        let mut answer = String::new();
        connection.read_to_string(&mut answer)?;
        Ok(answer)
    };
    asked().is_ok_and(|answer| answer.starts_with("HTTP/1."))
}

impl Drop for ServerProcess {
    fn drop(&mut self) {
        // It may have ended already; then there is nothing to kill.
        self.child.kill().ok();
        self.child.wait().ok();
    }
}

fn spawn(arguments: &[String], log: &Path) -> Child {
    let output = OpenOptions::new()
        .create(true)
        .append(true)
        .open(log)
        .expect("the log of the server can be written");
    let errors: File = output.try_clone().expect("a file handle can be cloned");
    Command::new(binaries().join("satpostd"))
        .args(arguments)
        .stdin(Stdio::null())
        .stdout(output)
        .stderr(errors)
        .spawn()
        .expect("satpostd was built")
}
