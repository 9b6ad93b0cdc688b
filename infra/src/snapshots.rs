//! The projections on disk, so that a start replays little: the snapshot and then the tail of the log.
//! A snapshot is never needed: one that is missing, damaged, of another version, of another log or
//! ahead of the log is left aside, and its projection is rebuilt from the first event.
//!
//! A snapshot holds what its projection holds, scripts and push targets among it, so the file is
//! readable by its owner only, and what is erased leaves the disk with the next snapshot.

use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use satpost_domain::Position;
use satpost_event_store::LogIdentity;
use satpost_projections::ReadModel;
use satpost_projections::read_model::ProjectionSnapshot;
use tokio_util::sync::CancellationToken;

use projection_file::SavedFile;

mod projection_file;
#[cfg(test)]
mod tests;

/// How often the saver looks whether a snapshot is due.
const LOOK_EVERY: Duration = Duration::from_secs(10);
/// How often the files are looked for again when a server replaces them meanwhile.
const READ_ATTEMPTS: usize = 5;

/// The folder of the snapshots, `<data>/projections`. It holds one file, which is replaced as a whole.
#[derive(Debug, Clone)]
pub struct Snapshots {
    folder: PathBuf,
}

/// What was saved, before it is known which log it is for.
#[derive(Debug, Default)]
pub struct Saved {
    log: Option<LogIdentity>,
    projections: Vec<ProjectionSnapshot>,
}

/// When snapshots are taken while the server runs.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct SnapshotPolicy {
    /// After this many events.
    pub events: u64,
    /// After this long, if there were any events.
    pub interval: Duration,
}

impl Default for SnapshotPolicy {
    /// A million events are replayed in a few seconds, and what was erased is gone from the disk
    /// within the quarter of an hour.
    fn default() -> Self {
        Self {
            events: 1_000_000,
            interval: Duration::from_secs(15 * 60),
        }
    }
}

/// The snapshots could not be written.
#[derive(Debug, thiserror::Error)]
#[error("cannot write the snapshots of the projections to {folder}")]
pub struct SaveError {
    /// Where to.
    pub folder: PathBuf,
    /// Why.
    pub source: io::Error,
}

impl Saved {
    /// How far all projections in it are; nothing when nothing was saved.
    #[must_use]
    pub fn position(&self) -> Option<Position> {
        self.projections
            .iter()
            .map(|snapshot| snapshot.position)
            .min()
    }

    /// The projections as they were saved, for the log with this identity, which ends at `head`.
    /// A snapshot ahead of the end tells of events that never happened (a log restored from an
    /// older backup), one of another log of events of others; both are left aside.
    #[must_use]
    pub fn restore(mut self, log: LogIdentity, head: Position) -> ReadModel {
        if let Some(other) = self.log.filter(|saved| *saved != log) {
            tracing::warn!(
                snapshot.log = %other,
                log.identity = %log,
                "the snapshots of the projections are of another log; all projections are rebuilt from the event log"
            );
            return ReadModel::new();
        }
        self.projections.retain(|snapshot| {
            let ahead = snapshot.position > head;
            if ahead {
                tracing::warn!(
                    projection.name = snapshot.name,
                    snapshot.position = %snapshot.position,
                    log.head = %head,
                    "a projection has a snapshot ahead of the log and is rebuilt from the event log"
                );
            }
            !ahead
        });
        ReadModel::restore_from(&self.projections)
    }
}

impl From<SavedFile> for Saved {
    fn from(file: SavedFile) -> Self {
        let usable = file.projections.into_iter().filter_map(|projection| {
            projection
                .map_err(|unusable| {
                    tracing::warn!(
                        projection.name = unusable.name,
                        reason = unusable.reason,
                        "a projection cannot use its snapshot and is rebuilt from the event log"
                    );
                })
                .ok()
        });
        Self {
            log: Some(file.log),
            projections: usable.collect(),
        }
    }
}

impl Snapshots {
    /// The snapshots in the data folder `data`. Nothing is created yet.
    #[must_use]
    pub fn new(data: &Path) -> Self {
        Self {
            folder: data.join("projections"),
        }
    }

    /// What was saved last. Read it before the log is opened beside a running server: a snapshot
    /// that is read first cannot be ahead of the log.
    #[must_use]
    pub fn read(&self) -> Saved {
        // Between listing and reading a running server may replace the file; one of the next is it.
        for _ in 0..READ_ATTEMPTS {
            let mut replaced = false;
            for path in projection_file::list(&self.folder).unwrap_or_else(|error| {
                // A file that goes while it is listed is one that is being replaced.
                replaced = error.kind() == io::ErrorKind::NotFound;
                if !replaced {
                    warn_unusable(&self.folder, &error.to_string());
                }
                Vec::new()
            }) {
                match projection_file::read(&path) {
                    Ok(Some(file)) => return file.into(),
                    Ok(None) => replaced = true,
                    Err(reason) => warn_unusable(&path, &reason),
                }
            }
            if !replaced {
                break;
            }
        }
        Saved::default()
    }

    /// Saves `snapshots`, made from `log`, all or nothing: after a power cut it is the save before
    /// or this one.
    ///
    /// # Errors
    /// [`SaveError`] when the disk does not take it.
    pub fn save(
        &self,
        log: LogIdentity,
        snapshots: &[ProjectionSnapshot],
    ) -> Result<PathBuf, SaveError> {
        projection_file::write(&self.folder, log, snapshots).map_err(|source| SaveError {
            folder: self.folder.clone(),
            source,
        })
    }

    /// Saves all projections whenever `policy` says so, and a last time when `stop` is cancelled.
    pub async fn keep(
        self,
        log: LogIdentity,
        model: Arc<ReadModel>,
        policy: SnapshotPolicy,
        stop: CancellationToken,
    ) {
        let snapshots = Arc::new(self);
        // Counted from the start of the process, when the model was what the files say.
        let mut saved = 0;
        let mut waited = Duration::ZERO;
        loop {
            let look_every = LOOK_EVERY.min(policy.interval);
            let stopping = tokio::select! {
                () = stop.cancelled() => true,
                () = tokio::time::sleep(look_every) => false,
            };
            waited += look_every;
            let applied = model.positions().borrow().applied;
            let news = applied - saved;
            let due = stopping || news >= policy.events || waited >= policy.interval;
            if due && news > 0 {
                snapshots.save_aside(log, &model).await;
                saved = applied;
            }
            if due {
                waited = Duration::ZERO;
            }
            if stopping {
                return;
            }
        }
    }

    /// Saves on a thread that may block. A failure is no reason to stop: the log has everything.
    async fn save_aside(self: &Arc<Self>, log: LogIdentity, model: &Arc<ReadModel>) {
        let (snapshots, model) = (Arc::clone(self), Arc::clone(model));
        let saving = tokio::task::spawn_blocking(move || {
            let taken = model.snapshots();
            let position = taken.iter().map(|snapshot| snapshot.position).max();
            snapshots.save(log, &taken).map(|_| position)
        });
        match saving.await {
            Ok(Ok(position)) => {
                let position = position.unwrap_or(Position::START);
                tracing::debug!(projections.position = %position, "saved the projections");
            }
            Ok(Err(error)) => tracing::warn!(
                error = %error,
                cause = %error.source,
                "the projections could not be saved; the next start replays more"
            ),
            Err(error) => tracing::error!(error = %error, "saving the projections panicked"),
        }
    }
}

fn warn_unusable(path: &Path, reason: &str) {
    tracing::warn!(
        snapshot.file = %path.display(),
        reason,
        "the snapshots of the projections cannot be used; all projections are rebuilt from the event log"
    );
}
