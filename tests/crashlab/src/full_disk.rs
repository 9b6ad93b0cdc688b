//! The disk of the real server fills up: on a small file system in memory, until nothing is left.
//! Commands that need room must be refused with 507 `storage-full`, everything else must go on, and
//! commands must work again when there is room.

use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use anyhow::{Context as _, bail, ensure};
use satpost_api_types::mailboxes::StrangerPolicy;
use satpost_api_types::messages::{AcknowledgeMessagesRequest, AcknowledgeThrough};
use satpost_api_types::problem::ProblemCode;
use satpost_client::http::{CallError, FetchMessages, HttpClient};
use satpost_client::keys::{IdentitySecret, MessagingSecret};
use satpost_domain::CommandId;
use satpost_tests::process::{ServerProcess, without_rate_limits};

use crate::kills::sender::{body, http, seed};
use crate::mount::{Mount, missing_for_tmpfs};
use crate::progress::Progress;
use crate::report::Report;

/// How large the file system is: the files a server makes at its start fit, and little else.
const DISK_MIB: u64 = 120;
/// What is left of it when the server is started again: less than a file of payloads needs.
const LEFT_AT_START: u64 = 8 * 1024 * 1024;
/// How many messages are there before the disk is full.
const MESSAGES: u64 = 5;
/// How long a start may take to cut the zeros behind the payloads.
const TRIM_DEADLINE: Duration = Duration::from_secs(10);
/// How long the server may take to notice that there is room again.
const RECOVERY_DEADLINE: Duration = Duration::from_secs(15);

/// Fills the disk `rounds` times.
#[must_use]
pub fn run(rounds: u64, seed: u64) -> Report {
    let experiment = "full_disk";
    if let Some(what) = missing_for_tmpfs() {
        return Report::not_run(experiment, what);
    }
    let started = Instant::now();
    let mut report = Report::new(experiment, seed);
    let progress = Progress::new(experiment, rounds);
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(2)
        .enable_all()
        .build()
        .expect("a runtime");
    for round in 0..rounds {
        report.rounds += 1;
        if let Err(error) = runtime.block_on(one_full_disk(&mut report)) {
            report.fault(format_args!("disk {round}: {error:#}"));
        }
        progress.advance();
    }
    report.seconds = started.elapsed().as_secs_f64();
    report
}

/// Two clients: one writes to the other.
struct Pair {
    http: HttpClient,
    sender: IdentitySecret,
    recipient: MessagingSecret,
}

impl Pair {
    async fn register(url: &str) -> anyhow::Result<Self> {
        let (http, mut sender) = (http(url), None);
        let mut recipient = None;
        for number in [1, 2] {
            let seed = seed(3, number);
            let identity = IdentitySecret::derive(&seed);
            let messaging = MessagingSecret::derive(&seed, 0);
            http.register_client(&identity, &messaging).await?;
            http.set_stranger_policy(&messaging, StrangerPolicy::Open)
                .await?;
            (sender, recipient) = (Some(identity), Some(messaging));
        }
        Ok(Self {
            http,
            sender: sender.context("two clients were registered")?,
            recipient: recipient.context("two clients were registered")?,
        })
    }

    async fn send(&self, number: u64) -> Result<(), CallError> {
        let mut command = [0; 16];
        command[..8].copy_from_slice(&number.to_be_bytes());
        let (queue, body) = (self.recipient.public(), body(0, number));
        let command = CommandId::new(command);
        let sent = self
            .http
            .send_message(&self.sender, &queue, &body, None, command);
        sent.await.map(drop)
    }

    /// What is in the queue: the number of its first and last message and the chain at the first.
    async fn queue(&self) -> anyhow::Result<(u64, u64, String)> {
        let fetch = FetchMessages::default();
        let page = self.http.fetch_messages(&self.recipient, fetch).await?;
        let page = page.context("the queue is empty")?;
        let (first, last) = (page.messages.first(), page.messages.last());
        let (first, last) = first.zip(last).context("the queue is empty")?;
        Ok((first.seq, last.seq, first.chain.clone()))
    }

    /// Acknowledges the first message of the queue.
    async fn acknowledge_first(&self) -> anyhow::Result<()> {
        let (through, _, chain) = self.queue().await?;
        let request = AcknowledgeMessagesRequest::Through(AcknowledgeThrough { through, chain });
        self.http
            .acknowledge_messages(&self.recipient, &request)
            .await?;
        Ok(())
    }
}

async fn one_full_disk(report: &mut Report) -> anyhow::Result<()> {
    let lab = tempfile::tempdir()?;
    let disk = lab.path().join("disk");
    std::fs::create_dir(&disk)?;
    let mount = Mount::memory(&disk, DISK_MIB)?;
    let done = on_disk(lab.path(), &disk, report).await;
    drop(mount);
    done
}

async fn on_disk(lab: &Path, disk: &Path, report: &mut Report) -> anyhow::Result<()> {
    // The log of the server lies beside its data folder; it must not be what fills the disk.
    let data = lab.join("satpost");
    std::os::unix::fs::symlink(disk.join("satpost"), &data)?;
    std::fs::create_dir(disk.join("satpost"))?;
    let mut server = ServerProcess::start(&data, &without_rate_limits(lab));
    let pair = Pair::register(&server.url()).await?;
    for number in 1..=MESSAGES {
        pair.send(number).await?;
    }
    ensure!(
        server.stop() == Some(0),
        "does not stop: {}",
        server.log_tail()
    );
    // The next start cuts the zeros behind the payloads. That room must not be what is written to.
    server.start_again();
    wait_until_trimmed(&disk.join("satpost/payloads")).await?;
    ensure!(
        server.stop() == Some(0),
        "does not stop: {}",
        server.log_tail()
    );
    remove_prepared(&disk.join("satpost"))?;
    let mut filler = Filler::new(disk)?;
    filler.fill_up(Some(LEFT_AT_START))?;
    server.start_again();
    refused(&pair, MESSAGES + 1).await?;
    filler.fill_up(None)?;
    refused(&pair, MESSAGES + 1).await?;
    report.count("commands refused with 507 storage-full", 2);
    ensure!(
        pair.queue().await?.1 == MESSAGES,
        "messages are not delivered while the disk is full"
    );
    pair.acknowledge_first()
        .await
        .context("acknowledging on a full disk")?;
    ensure!(
        pair.queue().await?.0 == 2,
        "an acknowledged message is there"
    );
    ensure!(
        server.ended().is_none(),
        "the server ended: {}",
        server.log_tail()
    );
    drop(filler);
    let until = Instant::now() + RECOVERY_DEADLINE;
    while let Err(error) = pair.send(MESSAGES + 1).await {
        ensure!(
            Instant::now() < until,
            "refused although there is room: {error}"
        );
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
    server.kill();
    server.start_again();
    let (first, last, _) = pair.queue().await?;
    ensure!(
        (first, last) == (2, MESSAGES + 1),
        "the queue has {first} to {last}"
    );
    report.ok += MESSAGES + 2;
    ensure!(
        server.stop() == Some(0),
        "does not stop: {}",
        server.log_tail()
    );
    Ok(())
}

async fn wait_until_trimmed(payloads: &Path) -> anyhow::Result<()> {
    let until = Instant::now() + TRIM_DEADLINE;
    loop {
        let mut longest = 0;
        for file in std::fs::read_dir(payloads)? {
            let file = file?;
            if file.path().extension().is_some_and(|name| name == "blob") {
                longest = longest.max(file.metadata()?.len());
            }
        }
        if longest < LEFT_AT_START {
            return Ok(());
        }
        ensure!(Instant::now() < until, "a file of payloads is not trimmed");
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}

/// Removes the files that were prepared for later, as the next start does: whether there are any when
/// a server stops depends on how far it has come, and they would give back room that is to be missing.
fn remove_prepared(data: &Path) -> anyhow::Result<()> {
    for folder in ["log", "payloads"] {
        for file in std::fs::read_dir(data.join(folder))? {
            let file = file?;
            if file
                .file_name()
                .as_encoded_bytes()
                .starts_with(b"prepared-")
            {
                std::fs::remove_file(file.path())?;
            }
        }
    }
    Ok(())
}

async fn refused(pair: &Pair, number: u64) -> anyhow::Result<()> {
    match pair.send(number).await {
        Err(CallError::Refused(refusal)) if refusal.code == ProblemCode::StorageFull => {
            ensure!(refusal.retry_after.is_some(), "no Retry-After");
            Ok(())
        }
        other => bail!("a message on a full disk was answered with {other:?}"),
    }
}

/// A file that takes what room there is. Removed when dropped.
struct Filler {
    path: PathBuf,
    file: std::fs::File,
    disk: PathBuf,
}

impl Filler {
    fn new(disk: &Path) -> anyhow::Result<Self> {
        let path = disk.join("filler");
        Ok(Self {
            file: std::fs::File::create(&path)?,
            path,
            disk: disk.to_owned(),
        })
    }

    /// Takes everything, or everything but `left` bytes.
    fn fill_up(&mut self, left: Option<u64>) -> anyhow::Result<()> {
        let zeros = vec![0; 64 * 1024];
        loop {
            if left.is_some_and(|left| free(&self.disk).is_ok_and(|free| free <= left)) {
                return Ok(());
            }
            match self.file.write(&zeros) {
                Ok(_) => {}
                Err(error) if error.kind() == std::io::ErrorKind::StorageFull => return Ok(()),
                Err(error) => return Err(error.into()),
            }
        }
    }
}

/// How many bytes a file system has left.
fn free(disk: &Path) -> anyhow::Result<u64> {
    let told = rustix::fs::statvfs(disk)?;
    Ok(told.f_bavail * told.f_frsize)
}

impl Drop for Filler {
    fn drop(&mut self) {
        std::fs::remove_file(&self.path).ok();
    }
}
