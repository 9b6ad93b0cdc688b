//! Single system calls of the real server fail, injected by `strace`: a sync or a write of its files
//! with an I/O error, a write with a full disk. The server must end with its code for a log that
//! cannot be trusted, or refuse and go on; and either way nothing it acknowledged may be missing
//! when it is started again.

use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use anyhow::{Context as _, ensure};
use satpost_tests::process::{ServerProcess, without_rate_limits};
use satpost_tests::random::Random;

use crate::kills::Clients;
use crate::mount::is_there;
use crate::progress::Progress;
use crate::report::Report;

/// The calls that fail, with what they answer, and whether the log can go on after one.
const CALLS: [(&str, &str); 4] = [
    ("fdatasync", "EIO"),
    ("pwrite64", "EIO"),
    ("pwrite64", "ENOSPC"),
    ("fsync", "EIO"),
];
/// Up to which call of one thread lets one of them fail.
const WHEN_MAX: usize = 40;
/// The exit code of a server whose log has stopped.
const EXIT_LOG_FATAL: i32 = 70;
/// How long the failure may take to come.
const FAILURE_DEADLINE: Duration = Duration::from_secs(4);
/// How long clients go on after the server was started again.
const AFTERWARDS: Duration = Duration::from_millis(150);

/// Lets `rounds` calls fail.
#[must_use]
pub fn run(rounds: u64, seed: u64) -> Report {
    let experiment = "system_calls";
    if !is_there("strace") {
        return Report::not_run(experiment, "strace is not installed");
    }
    let started = Instant::now();
    let mut report = Report::new(experiment, seed);
    let progress = Progress::new(experiment, rounds);
    let mut random = Random::new(seed);
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(2)
        .enable_all()
        .build()
        .expect("a runtime");
    for round in 0..rounds {
        let (call, error) = CALLS[usize::try_from(round).unwrap_or(0) % CALLS.len()];
        let when = 1 + random.below(WHEN_MAX);
        let name = format!("{call} {when} answers {error}");
        report.rounds += 1;
        let done = runtime.block_on(one_failure(call, error, when, &mut report));
        if let Err(error) = done {
            report.fault(format_args!("{name}: {error:#}"));
        }
        progress.advance();
    }
    report.seconds = started.elapsed().as_secs_f64();
    report
}

async fn one_failure(
    call: &str,
    error: &str,
    when: usize,
    report: &mut Report,
) -> anyhow::Result<()> {
    let folder = tempfile::tempdir()?;
    let data_dir = folder.path().join("satpost");
    let mut server = ServerProcess::start(&data_dir, &without_rate_limits(folder.path()));
    let clients = Clients::start(&server.url()).await;
    let tracer = Tracer::attach(server.pid(), call, error, when)?;
    let until = Instant::now() + FAILURE_DEADLINE;
    let mut code = None;
    while code.is_none() && Instant::now() < until {
        tokio::time::sleep(Duration::from_millis(10)).await;
        code = server.ended();
    }
    drop(tracer);
    match code {
        Some(Some(EXIT_LOG_FATAL)) => report.count("the server ended with its code", 1),
        Some(code) => report.fault(format_args!(
            "{call} {when} {error}: the server ended with {code:?}: {}",
            server.log_tail()
        )),
        None => {
            report.count("the server went on", 1);
            server.kill();
        }
    }
    server.start_again();
    tokio::time::sleep(AFTERWARDS).await;
    let sent = clients.finish(report).await;
    report.count("messages sent", sent);
    ensure!(
        server.stop() == Some(0),
        "does not stop: {}",
        server.log_tail()
    );
    Ok(())
}

/// A running `strace`. Lets go of the server when dropped.
struct Tracer(Child);

impl Tracer {
    fn attach(pid: u32, call: &str, error: &str, when: usize) -> anyhow::Result<Self> {
        let child = Command::new("strace")
            .args(["-f", "-q", "-o", "/dev/null", "-e"])
            .arg(format!("trace={call}"))
            .arg("-e")
            .arg(format!("inject={call}:error={error}:when={when}"))
            .args(["-p", &pid.to_string()])
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .context("cannot run strace")?;
        let mut tracer = Self(child);
        let until = Instant::now() + FAILURE_DEADLINE;
        while !is_traced(pid) {
            ensure!(
                tracer.0.try_wait()?.is_none() && Instant::now() < until,
                "strace cannot attach to the server (kernel.yama.ptrace_scope?)"
            );
            std::thread::sleep(Duration::from_millis(5));
        }
        Ok(tracer)
    }
}

fn is_traced(pid: u32) -> bool {
    let status = Path::new("/proc").join(pid.to_string()).join("status");
    let status = std::fs::read_to_string(status).unwrap_or_default();
    let tracer = status
        .lines()
        .find_map(|line| line.strip_prefix("TracerPid:"));
    tracer.is_none_or(|pid| pid.trim() != "0")
}

impl Drop for Tracer {
    fn drop(&mut self) {
        self.0.kill().ok();
        self.0.wait().ok();
    }
}
