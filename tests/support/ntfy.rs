//! A real push service: the ntfy server as a process on loopback, and a phone's app that listens at it as
//! UnifiedPush distributors do.

use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde::Deserialize;

use crate::process::free_address;

/// How long the server may take until it answers.
const START_DEADLINE: Duration = Duration::from_secs(20);
/// How long a message may take to its listener.
const ARRIVAL_DEADLINE: Duration = Duration::from_secs(10);

/// A running server; it ends when this is dropped.
pub struct Ntfy {
    process: Child,
    address: SocketAddr,
    http: reqwest::Client,
    _folder: tempfile::TempDir,
}

/// One line of the listener's stream.
#[derive(Deserialize)]
struct Line {
    event: String,
    #[serde(default)]
    message: String,
    #[serde(default)]
    encoding: String,
}

impl Ntfy {
    /// Starts it, configured as the public instances are: pushes to a topic count against the phone that listens
    /// there, so a topic without a listener takes none.
    ///
    /// # Panics
    /// When it is not there (`scripts/ntfy` fetches it) or does not start.
    pub async fn start() -> Self {
        let folder = tempfile::tempdir().expect("a temporary folder");
        let config = folder.path().join("server.yml");
        std::fs::write(&config, "").expect("a file in it");
        let address = free_address();
        let process = Command::new(program())
            .arg("serve")
            .arg("--config")
            .arg(&config)
            .args(["--listen-http", &address.to_string()])
            .args(["--base-url", &format!("http://{address}")])
            .arg("--visitor-subscriber-rate-limiting")
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .expect("ntfy can be started; run: scripts/ntfy");
        // Fails when another test of this process was faster, which is as good.
        rustls::crypto::ring::default_provider()
            .install_default()
            .ok();
        let server = Self {
            process,
            address,
            http: reqwest::Client::builder()
                .no_proxy()
                .build()
                .expect("the system has certificates"),
            _folder: folder,
        };
        let healthy = async {
            let url = format!("http://{address}/v1/health");
            while server.http.get(&url).send().await.is_err() {
                tokio::time::sleep(Duration::from_millis(20)).await;
            }
        };
        tokio::time::timeout(START_DEADLINE, healthy)
            .await
            .expect("ntfy answers in time");
        server
    }

    /// Where the server of an app pushes to, as a UnifiedPush distributor tells it.
    #[must_use]
    pub fn endpoint(&self, topic: &str) -> String {
        format!("http://{}/{topic}?up=1", self.address)
    }

    /// Listens at a topic, like a phone.
    ///
    /// # Panics
    /// When the server does not answer.
    pub async fn listen(&self, topic: &str) -> Listener {
        let url = format!("http://{}/{topic}/json", self.address);
        let response = self.http.get(url).send().await.expect("ntfy answers");
        let mut listener = Listener {
            response,
            unread: Vec::new(),
        };
        assert_eq!(listener.next_line().await.event, "open");
        listener
    }
}

impl Drop for Ntfy {
    fn drop(&mut self) {
        // It may have ended already; then there is nothing to kill.
        self.process.kill().ok();
        self.process.wait().ok();
    }
}

/// A phone that listens.
pub struct Listener {
    response: reqwest::Response,
    unread: Vec<u8>,
}

impl Listener {
    /// The next push, as it came.
    ///
    /// # Panics
    /// When none comes in time.
    pub async fn receive(&mut self) -> Vec<u8> {
        loop {
            let line = self.next_line().await;
            if line.event == "message" {
                assert_eq!(line.encoding, "base64", "a push is no text");
                return STANDARD.decode(line.message).expect("base64");
            }
        }
    }

    async fn next_line(&mut self) -> Line {
        loop {
            if let Some(end) = self.unread.iter().position(|byte| *byte == b'\n') {
                let line: Vec<u8> = self.unread.drain(..=end).collect();
                return serde_json::from_slice(&line).expect("a line is JSON");
            }
            let chunk = tokio::time::timeout(ARRIVAL_DEADLINE, self.response.chunk());
            let chunk = chunk.await.expect("a push comes in time");
            let chunk = chunk.expect("the stream does not break").expect("nor end");
            self.unread.extend_from_slice(&chunk);
        }
    }
}

/// `NTFY_EXE`, or what `scripts/ntfy` has fetched.
#[allow(
    clippy::disallowed_methods,
    reason = "the tests' own environment, as with bitcoind"
)]
fn program() -> PathBuf {
    std::env::var_os("NTFY_EXE").map_or_else(
        || {
            let checkout = Path::new(env!("CARGO_MANIFEST_DIR")).parent();
            checkout
                .expect("the tests crate is a folder of the checkout")
                .join(".tools/ntfy/bin/ntfy")
        },
        PathBuf::from,
    )
}
