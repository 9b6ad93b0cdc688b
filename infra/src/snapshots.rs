//! The projections in files, so that a start replays little. A snapshot is never needed: one that
//! is missing, damaged, of another version or ahead of the log is left aside, and its projection is
//! rebuilt from the first event.
//!
//! A snapshot holds what its projection holds, scripts and push targets among it, so the files are
//! readable by their owner only, and what is erased leaves them with the next snapshot.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use satpost_domain::Position;
use satpost_projections::ReadModel;
use satpost_projections::read_model::ProjectionSnapshot;
use tokio_util::sync::CancellationToken;

use crate::replace_file::replace_file;

mod file_format;
#[cfg(test)]
mod tests;

/// How often the saver looks whether a snapshot is due.
const LOOK_EVERY: Duration = Duration::from_secs(10);

/// The folder of the snapshots: `<data>/projections/<name>.snapshot`.
#[derive(Debug, Clone)]
pub struct Snapshots {
    folder: PathBuf,
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

/// A snapshot could not be written.
#[derive(Debug, thiserror::Error)]
#[error("cannot write the snapshot {path}")]
pub struct SaveError {
    /// Which file.
    pub path: PathBuf,
    /// Why.
    pub source: io::Error,
}

impl Snapshots {
    /// The snapshots in the data folder `data`. Nothing is created yet.
    #[must_use]
    pub fn new(data: &Path) -> Self {
        Self {
            folder: data.join("projections"),
        }
    }

    /// The projections as they were saved, for one who knows that the log is not behind them.
    #[must_use]
    pub fn load(&self) -> ReadModel {
        ReadModel::restore_from(&self.read(None))
    }

    /// The projections as they were saved. A snapshot ahead of `head`, the end of the log, tells of
    /// events that never happened (a log restored from an older backup) and is left aside.
    #[must_use]
    pub fn load_through(&self, head: Position) -> ReadModel {
        ReadModel::restore_from(&self.read(Some(head)))
    }

    fn read(&self, head: Option<Position>) -> Vec<ProjectionSnapshot> {
        ReadModel::names()
            .into_iter()
            .filter_map(|name| self.read_one(name, head))
            .collect()
    }

    fn read_one(&self, name: &str, head: Option<Position>) -> Option<ProjectionSnapshot> {
        let path = self.path(name);
        let snapshot = match fs::read(&path) {
            Ok(bytes) => file_format::decode(bytes),
            Err(error) if error.kind() == io::ErrorKind::NotFound => return None,
            Err(error) => Err(error.to_string()),
        };
        let usable = snapshot.and_then(|snapshot| {
            if snapshot.name != name {
                return Err(format!("it is one of {}", snapshot.name));
            }
            match head {
                Some(head) if snapshot.position > head => Err(format!(
                    "it is at position {}, the log ends at {head}",
                    snapshot.position
                )),
                Some(_) | None => Ok(snapshot),
            }
        });
        match usable {
            Ok(snapshot) => Some(snapshot),
            Err(reason) => {
                tracing::warn!(
                    projection.name = name,
                    snapshot.file = %path.display(),
                    reason,
                    "a projection cannot use its snapshot and is rebuilt from the event log"
                );
                None
            }
        }
    }

    /// Saves the projections whose names `wanted` accepts. Each file is replaced whole: after a
    /// power cut it is the old or the new one. Each snapshot knows its own position, so a cut
    /// between two of them costs a longer replay and nothing else.
    ///
    /// # Errors
    /// [`SaveError`] for the first file that could not be replaced; earlier ones are.
    pub fn save(&self, model: &ReadModel, wanted: impl Fn(&str) -> bool) -> Result<(), SaveError> {
        let failed = |path: &Path| {
            let path = path.to_owned();
            move |source| SaveError { path, source }
        };
        fs::create_dir_all(&self.folder).map_err(failed(&self.folder))?;
        for snapshot in model.snapshots() {
            if wanted(&snapshot.name) {
                let path = self.path(&snapshot.name);
                replace_file(&path, &file_format::encode(&snapshot)).map_err(failed(&path))?;
            }
        }
        Ok(())
    }

    fn path(&self, name: &str) -> PathBuf {
        self.folder.join(format!("{name}.snapshot"))
    }

    /// Saves all projections whenever `policy` says so, and a last time when `stop` is cancelled.
    pub async fn keep(
        self,
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
                snapshots.save_aside(&model).await;
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
    async fn save_aside(self: &Arc<Self>, model: &Arc<ReadModel>) {
        let (snapshots, model) = (Arc::clone(self), Arc::clone(model));
        let saving = tokio::task::spawn_blocking(move || {
            snapshots.save(&model, |_| true).map(|()| model.position())
        });
        match saving.await {
            Ok(Ok(position)) => {
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
