//! The folder a benchmark works in: empty at the start, and left as it was found.

use std::path::{Path, PathBuf};
use std::time::Duration;

use tokio::signal::unix::{SignalKind, signal};

use super::BenchError;

/// How long what still runs may take to let go of its files.
const SHUTDOWN_TIMEOUT: Duration = Duration::from_secs(10);

/// Works in a folder until the work is done or SIGINT or SIGTERM comes, and leaves the folder as it
/// was found.
///
/// # Errors
/// [`BenchError::NotEmpty`], [`BenchError::Interrupted`], and what the work ends with.
pub fn work_in<T>(
    folder: &Path,
    work: impl AsyncFnOnce(&mut BenchFolder) -> Result<T, BenchError>,
) -> Result<T, BenchError> {
    let mut folder = BenchFolder::open(folder)?;
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .build()
        .map_err(BenchError::io("start threads for", &folder.folder))?;
    let outcome = runtime.block_on(async {
        tokio::select! {
            done = work(&mut folder) => done,
            () = told_to_stop() => Err(BenchError::Interrupted),
        }
    });
    // Files are removed when nobody writes them any more.
    runtime.shutdown_timeout(SHUTDOWN_TIMEOUT);
    drop(folder);
    outcome
}

async fn told_to_stop() {
    match signal(SignalKind::terminate()) {
        Ok(mut terminate) => {
            tokio::select! {
                _ = tokio::signal::ctrl_c() => {}
                _ = terminate.recv() => {}
            }
        }
        Err(error) => {
            tracing::warn!(%error, "SIGTERM is not waited for");
            std::future::pending::<()>().await;
        }
    }
}

/// Hands out fresh folders, and removes them when dropped.
pub struct BenchFolder {
    folder: PathBuf,
    made: bool,
    count: u64,
}

impl BenchFolder {
    /// Takes a folder that is empty or not there yet.
    ///
    /// # Errors
    /// [`BenchError::NotEmpty`], and what the operating system says.
    pub fn open(folder: &Path) -> Result<Self, BenchError> {
        let made = !folder.exists();
        if made {
            std::fs::create_dir_all(folder).map_err(BenchError::io("make", folder))?;
        }
        let mut entries = std::fs::read_dir(folder).map_err(BenchError::io("list", folder))?;
        if entries.next().is_some() {
            return Err(BenchError::NotEmpty {
                folder: folder.to_owned(),
            });
        }
        // Servers have a working folder of their own.
        let folder = std::path::absolute(folder).map_err(BenchError::io("find", folder))?;
        Ok(Self {
            folder,
            made,
            count: 0,
        })
    }

    /// A new empty folder within.
    ///
    /// # Errors
    /// What the operating system says.
    pub fn fresh(&mut self) -> Result<PathBuf, BenchError> {
        self.count += 1;
        let path = self.run(self.count);
        std::fs::create_dir(&path).map_err(BenchError::io("make", &path))?;
        Ok(path)
    }

    fn run(&self, number: u64) -> PathBuf {
        self.folder.join(format!("run-{number}"))
    }
}

impl Drop for BenchFolder {
    fn drop(&mut self) {
        for number in 1..=self.count {
            let run = self.run(number);
            if run.exists() {
                tell(&run, std::fs::remove_dir_all(&run));
            }
        }
        if self.made {
            tell(&self.folder, std::fs::remove_dir(&self.folder));
        }
    }
}

fn tell(path: &Path, removed: std::io::Result<()>) {
    if let Err(error) = removed {
        tracing::warn!(path = %path.display(), %error, "cannot remove what the benchmark made");
    }
}

/// Removes a folder that was handed out, so that a long run does not fill the disk.
///
/// # Errors
/// What the operating system says.
pub fn discard(run: &Path) -> Result<(), BenchError> {
    std::fs::remove_dir_all(run).map_err(BenchError::io("remove", run))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn refuses_a_folder_that_holds_something() {
        let folder = tempfile::tempdir().unwrap();
        std::fs::write(folder.path().join("wallet"), "precious").unwrap();
        assert!(matches!(
            BenchFolder::open(folder.path()),
            Err(BenchError::NotEmpty { .. })
        ));
        assert!(folder.path().join("wallet").exists());
    }

    #[test]
    fn leaves_the_folder_as_it_was_found() {
        let outer = tempfile::tempdir().unwrap();
        let mut kept = BenchFolder::open(outer.path()).unwrap();
        std::fs::write(kept.fresh().unwrap().join("segment"), "bytes").unwrap();
        drop(kept);
        assert_eq!(std::fs::read_dir(outer.path()).unwrap().count(), 0);

        let inner = outer.path().join("a/b");
        let mut made = BenchFolder::open(&inner).unwrap();
        made.fresh().unwrap();
        drop(made);
        assert!(!inner.exists());
    }
}
