//! Makes the key file longer in the background, so that the writer does not wait for it.

use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::thread::JoinHandle;

use crate::storage::{Access, Storage};

/// How much is written at a time. In the background each chunk is synced: so much of the growth a
/// sync of the writer, which is one of the same file, may have to wait for.
const CHUNK_BYTES: usize = 64 * 1024;

static ZEROS: [u8; CHUNK_BYTES] = [0; CHUNK_BYTES];

/// A growth under way. Dropping it waits for its end: afterwards the file may be another one's.
pub(super) struct Growth {
    /// How many slots there are when it has succeeded.
    pub(super) slots: u32,
    thread: Option<JoinHandle<io::Result<()>>>,
}

impl Growth {
    /// Begins to write zeros from `from` to `to`, through a handle of its own: the kernel tells
    /// each handle of a write that failed, so the writer is told as well.
    pub(super) fn begin(
        storage: Arc<dyn Storage>,
        path: PathBuf,
        (from, to): (u64, u64),
        slots: u32,
    ) -> io::Result<Self> {
        let thread = std::thread::Builder::new()
            .name("key-file-growth".to_owned())
            .spawn(move || grow(&*storage, &path, (from, to), Pace::Gentle))?;
        Ok(Self {
            slots,
            thread: Some(thread),
        })
    }

    pub(super) fn has_ended(&self) -> bool {
        self.thread.as_ref().is_none_or(JoinHandle::is_finished)
    }

    /// Waits for the end. After an error the file is as long as it was.
    pub(super) fn wait(mut self) -> io::Result<()> {
        let Some(thread) = self.thread.take() else {
            return Ok(());
        };
        let panicked = |_| {
            Err(io::Error::other(
                "the thread that grows the key file panicked",
            ))
        };
        thread.join().unwrap_or_else(panicked)
    }
}

impl Drop for Growth {
    fn drop(&mut self) {
        if let Some(thread) = self.thread.take()
            && let Ok(Err(error)) = thread.join()
        {
            tracing::warn!(%error, "cannot make the key file longer");
        }
    }
}

/// Whether somebody waits for the growth.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Pace {
    /// Nobody should notice.
    Gentle,
    /// One sync is the quickest.
    Urgent,
}

/// Writes zeros behind the end of the key file, durably when it returns.
pub(super) fn grow(
    storage: &dyn Storage,
    path: &Path,
    (from, to): (u64, u64),
    pace: Pace,
) -> io::Result<()> {
    let file = storage.open(path, Access::ReadWrite)?;
    let mut at = from;
    while at < to {
        let count = (to - at).min(CHUNK_BYTES as u64);
        let zeros = &ZEROS[..usize::try_from(count).expect("it is at most a chunk")];
        if let Err(error) = file.write_at(zeros, at) {
            file.set_len(from)?;
            return Err(error);
        }
        at += count;
        if at == to || pace == Pace::Gentle {
            file.sync()?;
        }
    }
    Ok(())
}
