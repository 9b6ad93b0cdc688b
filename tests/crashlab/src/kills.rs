//! `kill -9` in a loop over the real server under load, with a checker over what its clients saw and
//! a rebuild of all projections after every kill.

use std::path::Path;
use std::process::Command;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use satpost_tests::process::{ServerProcess, binaries, without_rate_limits};
use satpost_tests::random::Random;
use tokio::task::JoinHandle;

use self::history::{Inbox, Sent};
use self::recipient::Recipient;
use self::sender::Sender;
use crate::progress::Progress;
use crate::report::Report;

mod history;
mod recipient;
pub(crate) mod sender;

/// How many queues are written to and read.
const RECIPIENTS: usize = 4;
/// How many clients write to all of them.
const SENDERS: usize = 4;
/// How long the server runs between two kills, in milliseconds: from before it has settled to well
/// after.
const LIFE_MS: (u64, u64) = (50, 1_200);
/// After how many kills the server gets a new folder, so that what is rebuilt after each stays short.
const KILLS_PER_FOLDER: u64 = 250;

/// Kills the server `rounds` times.
///
/// # Panics
/// When a server does not start, or gives an answer that no repeat can help.
#[must_use]
pub fn run(rounds: u64, seed: u64) -> Report {
    let started = Instant::now();
    let mut report = Report::new("kills", seed);
    let progress = Progress::new("kills", rounds);
    let mut random = Random::new(seed);
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(2)
        .enable_all()
        .build()
        .expect("a runtime");
    while report.rounds < rounds {
        let kills = KILLS_PER_FOLDER.min(rounds - report.rounds);
        runtime.block_on(one_folder(kills, &mut random, &progress, &mut report));
    }
    report.seconds = started.elapsed().as_secs_f64();
    report
}

/// The clients, at work until told to stop.
pub(crate) struct Clients {
    stop: Arc<AtomicBool>,
    readers: Vec<JoinHandle<Recipient>>,
    writers: Vec<JoinHandle<Vec<Sent>>>,
}

impl Clients {
    pub(crate) async fn start(url: &str) -> Self {
        let stop = Arc::new(AtomicBool::new(false));
        let mut recipients = Vec::new();
        for number in 0..RECIPIENTS {
            recipients.push(Recipient::register(url, number).await);
        }
        let keys: Vec<_> = recipients.iter().map(Recipient::key).collect();
        let readers = recipients
            .into_iter()
            .map(|recipient| tokio::spawn(recipient.read_until(Arc::clone(&stop))));
        let readers = readers.collect();
        let mut writers = Vec::new();
        for number in 0..SENDERS {
            let sender = Sender::register(url, number, keys.clone()).await;
            writers.push(tokio::spawn(sender.write_until(Arc::clone(&stop))));
        }
        Self {
            stop,
            readers,
            writers,
        }
    }

    /// Stops them, lets the readers read the rest, and checks what all of them saw. How many messages
    /// were sent.
    pub(crate) async fn finish(self, report: &mut Report) -> u64 {
        let (sent, received) = self.seen().await;
        let faults = history::faults(&sent, &received);
        let lost = faults.iter().filter(|fault| fault.contains("is lost"));
        let lost = lost.count() as u64;
        report.lost += lost;
        report.ok += (sent.len() as u64).saturating_sub(lost);
        for fault in faults {
            report.fault(fault);
        }
        sent.len() as u64
    }

    async fn seen(self) -> (Vec<Sent>, Vec<Inbox>) {
        self.stop.store(true, Ordering::SeqCst);
        let mut sent = Vec::new();
        for writer in self.writers {
            sent.extend(writer.await.expect("no writer panics"));
        }
        let mut received = Vec::new();
        for reader in self.readers {
            received.push(reader.await.expect("no reader panics").drain().await);
        }
        (sent, received)
    }
}

async fn one_folder(kills: u64, random: &mut Random, progress: &Progress, report: &mut Report) {
    let folder = tempfile::tempdir().expect("a folder for the server");
    let flags = without_rate_limits(folder.path());
    let mut server = ServerProcess::start(&folder.path().join("satpost"), &flags);
    let clients = Clients::start(&server.url()).await;
    for _ in 0..kills {
        let life = LIFE_MS.0 + random.number() % (LIFE_MS.1 - LIFE_MS.0);
        tokio::time::sleep(Duration::from_millis(life)).await;
        report.rounds += 1;
        tokio::task::block_in_place(|| {
            server.kill();
            if let Err(difference) = rebuilt_equals_live(&server.data_dir) {
                let kill = report.rounds;
                report.fault(format_args!("kill {kill}: {difference}"));
            }
            report.count("rebuilds compared", 1);
            server.start_again();
        });
        progress.advance();
    }
    let sent = clients.finish(report).await;
    report.count("messages sent", sent);
    if sent < kills {
        report.fault("too little happened to show anything");
    }
    let code = server.stop();
    if code != Some(0) {
        report.fault(format_args!("exit code {code:?}: {}", server.log_tail()));
    }
    if let Err(difference) = rebuilt_equals_live(&server.data_dir) {
        report.fault(difference);
    }
}

/// Projections built from the first event on equal those that a server would go on with.
fn rebuilt_equals_live(data_dir: &Path) -> Result<(), String> {
    let output = Command::new(binaries().join("satpostd"))
        .args(["rebuild", "--check", "--data-dir"])
        .arg(data_dir)
        .output()
        .map_err(|error| error.to_string())?;
    if output.status.success() {
        return Ok(());
    }
    let told = String::from_utf8_lossy(&output.stdout);
    let errors = String::from_utf8_lossy(&output.stderr);
    Err(format!("rebuild --check: {told}{errors}"))
}
