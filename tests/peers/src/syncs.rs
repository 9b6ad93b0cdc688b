//! Proof that a server syncs: one writer, one event at a time, and strace beside the server.

use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use rustix::process::{Pid, Signal, kill_process};
use satpost_infra::bench::BenchError;
use satpost_infra::bench::contender::Contender;
use satpost_infra::bench::workload::{Random, stream_name};

/// How many events are appended. A sync for each of them is expected.
const EVENTS: u64 = 300;
/// How long strace may take to attach.
const ATTACH_TIME: Duration = Duration::from_millis(700);
/// How long strace may take to write its counts.
const REPORT_TIMEOUT: Duration = Duration::from_secs(10);
/// What makes something durable on Linux; `io_uring_enter` may carry a sync.
const CALLS: &str = "trace=fsync,fdatasync,msync,sync_file_range,io_uring_enter";

/// How many syncs there were for one event.
///
/// # Errors
/// When there was less than one: what was answered was not on the disk.
pub(crate) async fn prove(contender: &dyn Contender, folder: &Path) -> Result<f64, BenchError> {
    let running = contender.start(folder).await?;
    let server = running.server().unwrap_or_else(std::process::id);
    let counts = folder.with_extension("syncs");
    let strace = Watching::start(server, &counts)?;
    tokio::time::sleep(ATTACH_TIME).await;
    let mut writer = running.writer().await?;
    let mut random = Random::new(1, 0);
    for revision in 0..EVENTS {
        let expected = revision.checked_sub(1);
        let (id, body) = (random.id(), random.body());
        writer.append(&stream_name(0), expected, id, body).await?;
    }
    strace.stop().await?;
    running.stop().await?;
    let text = std::fs::read_to_string(&counts).map_err(BenchError::io("read", &counts))?;
    std::fs::remove_file(&counts).map_err(BenchError::io("remove", &counts))?;
    let calls = total_calls(&text);
    if calls < EVENTS {
        return Err(BenchError::of(contender.name())(format!(
            "{calls} syncs for {EVENTS} events of one writer: it answers before events are durable"
        )));
    }
    Ok(calls as f64 / EVENTS as f64)
}

/// The calls column of `strace -c` in all rows of calls.
fn total_calls(text: &str) -> u64 {
    let rows = text.lines().map(|line| line.split_whitespace().collect());
    rows.filter(|row: &Vec<&str>| CALLS.contains(row.last().copied().unwrap_or("-")))
        .filter_map(|row| row.get(3)?.parse::<u64>().ok())
        .sum()
}

struct Watching(Child);

impl Watching {
    fn start(process: u32, counts: &Path) -> Result<Self, BenchError> {
        let child = Command::new("strace")
            .args(["-f", "-c", "-e", CALLS, "-p", &process.to_string(), "-o"])
            .arg(counts)
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn();
        child.map(Self).map_err(BenchError::of("strace"))
    }

    /// Lets go of the server and waits until the counts are written.
    async fn stop(mut self) -> Result<(), BenchError> {
        let process = Pid::from_child(&self.0);
        kill_process(process, Signal::INT).map_err(BenchError::of("strace"))?;
        let began = Instant::now();
        while self
            .0
            .try_wait()
            .map_err(BenchError::of("strace"))?
            .is_none()
        {
            if began.elapsed() > REPORT_TIMEOUT {
                return Err(BenchError::of("strace")("it does not end"));
            }
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
        Ok(())
    }
}

impl Drop for Watching {
    fn drop(&mut self) {
        if matches!(self.0.try_wait(), Ok(None)) {
            // There is nobody left to tell when this fails.
            drop(self.0.kill());
            drop(self.0.wait());
        }
    }
}
