//! Signs checkpoints while the server runs: after so many events, after so long, when it is asked
//! to by SIGUSR1, and when it stops.

use std::fs::{File, OpenOptions};
use std::io::{self, Read as _, Seek as _, SeekFrom, Write as _};
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use satpost_commands::ports::Clock;
use satpost_domain::Position;
use satpost_event_store::embedded::EmbeddedEventStore;
use satpost_event_store::{EventStore as _, LogIdentity};
use tokio::signal::unix::{SignalKind, signal};
use tokio_util::sync::CancellationToken;

use super::{FILE, LogCheckpoint};
use crate::server_keys::ServerKeys;
use crate::system::SystemClock;

/// How often the keeper looks whether a checkpoint is due.
const LOOK_EVERY: Duration = Duration::from_secs(5);

/// When checkpoints are signed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct CheckpointPolicy {
    /// After this many events.
    pub events: u64,
    /// After this long, if anything happened.
    pub interval: Duration,
}

impl Default for CheckpointPolicy {
    /// What was written since the last checkpoint is what an intruder could rewrite unseen: a few
    /// minutes of it. A year of them is less than 50 MB.
    fn default() -> Self {
        Self {
            events: 100_000,
            interval: Duration::from_secs(5 * 60),
        }
    }
}

/// Signs what the log has come to.
pub struct CheckpointKeeper {
    store: Arc<EmbeddedEventStore>,
    log: LogIdentity,
    keys: Arc<ServerKeys>,
    path: PathBuf,
    policy: CheckpointPolicy,
    /// What was signed last. Held while a line is written, so that lines are in order.
    signed: Mutex<(Position, [u8; 32])>,
}

impl CheckpointKeeper {
    /// Goes on with the file in `folder`. A line whose writing was cut off is cut.
    ///
    /// # Errors
    /// When the log or the file cannot be used.
    pub async fn open(
        folder: &Path,
        store: Arc<EmbeddedEventStore>,
        keys: Arc<ServerKeys>,
        policy: CheckpointPolicy,
    ) -> anyhow::Result<Self> {
        let path = folder.join(FILE);
        let log = store.identity().await?;
        cut_unfinished_line(&path)?;
        let last = match super::read_file(&path) {
            Ok(lines) => lines
                .into_iter()
                .filter_map(|line| line.checkpoint.ok())
                .last(),
            Err(error) if error.kind() == io::ErrorKind::NotFound => None,
            Err(error) => return Err(error.into()),
        };
        // An empty log needs no signature.
        let signed = last.map_or((Position::START, [0; 32]), |last| {
            (last.position, last.chain)
        });
        Ok(Self {
            store,
            log,
            keys,
            path,
            policy,
            signed: Mutex::new(signed),
        })
    }

    /// Signs what the log has come to, unless that was signed already.
    ///
    /// # Errors
    /// When the line cannot be written.
    pub fn sign_head(&self) -> io::Result<Option<LogCheckpoint>> {
        let mut signed = self.signed.lock().unwrap_or_else(PoisonError::into_inner);
        // What the log tells of as its head is durable, so nothing is signed that could be lost.
        let head = self.store.chain_head();
        if *signed == head {
            return Ok(None);
        }
        let (position, chain) = head;
        let now = SystemClock.now();
        let checkpoint = LogCheckpoint::sign(&self.keys, self.log, position, chain, now);
        append_line(&self.path, &checkpoint.to_line())?;
        *signed = head;
        Ok(Some(checkpoint))
    }

    fn events_since(&self) -> u64 {
        let signed = self.signed.lock().unwrap_or_else(PoisonError::into_inner);
        let (position, _) = self.store.chain_head();
        position.major().saturating_sub(signed.0.major())
    }

    /// Signs whenever the policy or SIGUSR1 says so, until `stop`. The last checkpoint is the
    /// caller's to make, once nothing is appended any more.
    pub async fn keep(self: Arc<Self>, stop: CancellationToken) {
        let mut asked = match signal(SignalKind::user_defined1()) {
            Ok(asked) => asked,
            Err(error) => {
                tracing::error!(%error, "SIGUSR1 cannot be listened to: no checkpoints are signed until the server stops");
                return;
            }
        };
        let mut waited = Duration::ZERO;
        let look_every = LOOK_EVERY.min(self.policy.interval);
        loop {
            let is_asked = tokio::select! {
                () = stop.cancelled() => return,
                _ = asked.recv() => true,
                () = tokio::time::sleep(look_every) => false,
            };
            waited += if is_asked { Duration::ZERO } else { look_every };
            let many = self.events_since() >= self.policy.events;
            if is_asked || many || waited >= self.policy.interval {
                waited = Duration::ZERO;
                self.sign_aside().await;
            }
        }
    }

    /// Signs on a thread that may block. A failure is no reason to stop: the next try signs the
    /// same history and more.
    pub async fn sign_aside(self: &Arc<Self>) {
        let keeper = Arc::clone(self);
        match tokio::task::spawn_blocking(move || keeper.sign_head()).await {
            Ok(Ok(Some(checkpoint))) => tracing::info!(
                log.position = %checkpoint.position,
                log.chain = %hex::encode(checkpoint.chain),
                "signed a checkpoint of the event log"
            ),
            Ok(Ok(None)) => {}
            Ok(Err(error)) => tracing::warn!(
                %error,
                file = %self.path.display(),
                "a checkpoint of the event log could not be written; trying again later"
            ),
            Err(error) => tracing::error!(%error, "signing a checkpoint panicked"),
        }
    }
}

/// Appends a line, durable when it returns.
fn append_line(path: &Path, line: &str) -> io::Result<()> {
    let is_new = !path.exists();
    let mut file = OpenOptions::new()
        .create(true)
        .append(true)
        .mode(0o600)
        .open(path)?;
    let before = file.metadata()?.len();
    let written = file
        .write_all(format!("{line}\n").as_bytes())
        .and_then(|()| file.sync_data());
    if let Err(error) = written {
        // Half a line on a full disk must not become the beginning of the next one.
        file.set_len(before)?;
        return Err(error);
    }
    if is_new && let Some(folder) = path.parent() {
        File::open(folder)?.sync_all()?;
    }
    Ok(())
}

fn cut_unfinished_line(path: &Path) -> io::Result<()> {
    let mut file = match OpenOptions::new().read(true).write(true).open(path) {
        Ok(file) => file,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(()),
        Err(error) => return Err(error),
    };
    let mut bytes = Vec::new();
    file.seek(SeekFrom::Start(0))?;
    file.read_to_end(&mut bytes)?;
    let end = bytes
        .iter()
        .rposition(|byte| *byte == b'\n')
        .map_or(0, |at| at + 1);
    if end < bytes.len() {
        file.set_len(end as u64)?;
        file.sync_data()?;
    }
    Ok(())
}
