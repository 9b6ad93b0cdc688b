//! A server as a child process: started on loopback, waited for, and ended by its id.

use std::fs::File;
use std::net::TcpListener;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use rustix::process::{Pid, Signal, kill_process};
use satpost_infra::bench::BenchError;
use tokio::net::TcpStream;

/// How long a server may take to listen, and to end.
const TIMEOUT: Duration = Duration::from_secs(30);
/// How long one that is not needed any more, after a failure, may take to end.
const PATIENCE: Duration = Duration::from_secs(5);
/// How long is waited between two looks.
const PAUSE: Duration = Duration::from_millis(10);

/// A server that does not outlive this program.
pub(crate) struct Server {
    name: &'static str,
    child: Child,
    log: PathBuf,
    pub(crate) port: u16,
}

/// A port that nobody listens on now.
pub(crate) fn free_port() -> Result<u16, BenchError> {
    TcpListener::bind(("127.0.0.1", 0))
        .and_then(|listener| listener.local_addr())
        .map(|address| address.port())
        .map_err(BenchError::of("loopback"))
}

impl Server {
    /// Starts `command`, which listens on `port`, and waits until it does. What it says goes into a
    /// file in `folder`.
    pub(crate) async fn start(
        name: &'static str,
        mut command: Command,
        port: u16,
        folder: &Path,
    ) -> Result<Self, BenchError> {
        let log = folder.join("output");
        let output = File::create(&log).map_err(BenchError::io("make", &log))?;
        let errors = output.try_clone().map_err(BenchError::io("share", &log))?;
        let child = command
            .stdin(Stdio::null())
            .stdout(output)
            .stderr(errors)
            .spawn()
            .map_err(BenchError::of(name))?;
        let mut server = Self {
            name,
            child,
            log,
            port,
        };
        let began = Instant::now();
        while TcpStream::connect(("127.0.0.1", port)).await.is_err() {
            let ended = server.child.try_wait().map_err(BenchError::of(name))?;
            if ended.is_some() || began.elapsed() > TIMEOUT {
                return Err(server.failed("it does not listen"));
            }
            tokio::time::sleep(PAUSE).await;
        }
        Ok(server)
    }

    pub(crate) fn id(&self) -> u32 {
        self.child.id()
    }

    fn failed(&self, what: &str) -> BenchError {
        let said = std::fs::read_to_string(&self.log).unwrap_or_default();
        let last: Vec<_> = said.lines().rev().take(5).collect();
        BenchError::of(self.name)(format!("{what}; it said, last line first: {last:?}"))
    }

    fn signal(&self, signal: Signal) -> Result<(), BenchError> {
        let process = Pid::from_child(&self.child);
        kill_process(process, signal).map_err(BenchError::of(self.name))
    }

    /// Asks it to end, and waits until it has.
    pub(crate) async fn stop(mut self, signal: Signal) -> Result<(), BenchError> {
        self.signal(signal)?;
        let began = Instant::now();
        loop {
            let ended = self.child.try_wait();
            if ended.map_err(BenchError::of(self.name))?.is_some() {
                return Ok(());
            }
            if began.elapsed() > TIMEOUT {
                return Err(self.failed("it does not end"));
            }
            tokio::time::sleep(PAUSE).await;
        }
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        // Asked first: a server that is killed leaves children behind that still write.
        let asked = Instant::now();
        let mut running = matches!(self.child.try_wait(), Ok(None));
        if running && self.signal(Signal::INT).is_ok() {
            while running && asked.elapsed() < PATIENCE {
                std::thread::sleep(PAUSE);
                running = matches!(self.child.try_wait(), Ok(None));
            }
        }
        if running {
            // There is nobody left to tell when this fails.
            drop(self.child.kill());
            drop(self.child.wait());
        }
    }
}
