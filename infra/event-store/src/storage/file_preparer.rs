//! Prepares files of zeros in the background, so that whoever needs the next one neither waits
//! for its blocks to be allocated nor meets a full disk in the middle of a write. Does other work
//! that nobody should wait for as well, such as trimming and removing files.

use std::collections::VecDeque;
use std::io;
use std::panic::AssertUnwindSafe;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Condvar, Mutex, MutexGuard};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use super::{Storage, StorageFile};

/// How much is written between two looks at the orders.
const CHUNK_BYTES: usize = 1024 * 1024;
/// How much of the next file is prepared before anything is used of the present one.
const HEAD_START_BYTES: u64 = 4 * 1024 * 1024;
/// How long a failure is the answer before preparing is tried again.
const RETRY_AFTER: Duration = Duration::from_secs(1);
/// How prepared files are called until they get their own name.
const PREFIX: &str = "prepared-";

/// A file of zeros, durable except for its name.
pub(crate) struct PreparedFile {
    pub(crate) file: Arc<dyn StorageFile>,
    pub(crate) path: PathBuf,
}

/// Work that nobody waits for. A failure is logged and otherwise ignored: what was not done is made
/// up for when the data folder is opened the next time.
pub(crate) enum Chore {
    /// Cuts the zeros behind the end of a file that gets no more.
    Trim {
        file: Arc<dyn StorageFile>,
        path: PathBuf,
        len: u64,
    },
    /// Anything else.
    Run(Box<dyn FnOnce() + Send>),
}

/// Handle of the background thread. Dropping it ends the thread.
pub(crate) struct FilePreparer {
    shared: Arc<Shared>,
    bytes: u64,
    thread: Option<JoinHandle<()>>,
}

struct Shared {
    orders: Mutex<Orders>,
    changed: Condvar,
}

#[derive(Default)]
struct Orders {
    /// How many bytes of the next file should be prepared by now.
    target: u64,
    ready: Option<PreparedFile>,
    failed: Option<Failure>,
    chores: VecDeque<Chore>,
    /// True while somebody waits for the file.
    urgent: bool,
    stop: bool,
}

/// Why there is no file, and since when.
struct Failure {
    error: io::Error,
    at: Instant,
}

#[allow(
    clippy::disallowed_methods,
    reason = "only paces how often a full disk is tried; nothing that is stored depends on it"
)]
impl Failure {
    fn now(error: io::Error) -> Self {
        Self {
            error,
            at: Instant::now(),
        }
    }

    fn is_recent(&self) -> bool {
        self.at.elapsed() < RETRY_AFTER
    }
}

impl Shared {
    fn orders(&self) -> MutexGuard<'_, Orders> {
        self.orders
            .lock()
            .expect("no code panics while it holds the lock")
    }
}

impl FilePreparer {
    /// Starts to prepare files of `bytes` bytes in `folder`: at its own pace when `eager`,
    /// otherwise as [`Self::pace`] asks for it.
    pub(crate) fn start(
        storage: Arc<dyn Storage>,
        folder: &Path,
        bytes: u64,
        eager: bool,
    ) -> io::Result<Self> {
        let shared = Arc::new(Shared {
            orders: Mutex::new(Orders {
                target: if eager { bytes } else { 0 },
                ..Orders::default()
            }),
            changed: Condvar::new(),
        });
        let worker = Worker {
            storage,
            folder: folder.to_owned(),
            bytes,
            shared: Arc::clone(&shared),
            files_made: 0,
            unfinished: None,
        };
        let thread = std::thread::Builder::new()
            .name("file-preparer".to_owned())
            .spawn(move || worker.run())?;
        Ok(Self {
            shared,
            bytes,
            thread: Some(thread),
        })
    }

    /// True for the name of a file that was being prepared when the process ended.
    pub(crate) fn is_left_over(path: &Path) -> bool {
        path.file_name()
            .and_then(|name| name.to_str())
            .is_some_and(|name| name.starts_with(PREFIX))
    }

    /// Says how much of the present file is used. The next one is prepared twice as fast, so that
    /// it is ready in time without disturbing the present one more than it must.
    pub(crate) fn pace(&self, used: u64) {
        let target = self.bytes.min(HEAD_START_BYTES + 2 * used);
        let mut orders = self.shared.orders();
        // Told in steps, to wake the thread seldom.
        if target >= orders.target + CHUNK_BYTES as u64 || (target == self.bytes) {
            if orders.target == target {
                return;
            }
            orders.target = target;
            self.shared.changed.notify_all();
        }
    }

    /// The next file; waits when it is not ready yet. After a failure the same answer is given
    /// for a while before preparing is tried again.
    pub(crate) fn take(&self) -> io::Result<PreparedFile> {
        let mut orders = self.shared.orders();
        if let Some(failure) = orders.failed.as_ref().filter(|failure| failure.is_recent()) {
            return Err(copy(&failure.error));
        }
        orders.failed = None;
        loop {
            if let Some(file) = orders.ready.take() {
                orders.target = 0;
                orders.urgent = false;
                return Ok(file);
            }
            if let Some(failure) = &orders.failed {
                let error = copy(&failure.error);
                orders.urgent = false;
                return Err(error);
            }
            orders.target = self.bytes;
            orders.urgent = true;
            self.shared.changed.notify_all();
            orders = self
                .shared
                .changed
                .wait(orders)
                .expect("no code panics while it holds the lock");
        }
    }

    /// Leaves work to the background thread.
    pub(crate) fn leave(&self, chore: Chore) {
        self.shared.orders().chores.push_back(chore);
        self.shared.changed.notify_all();
    }
}

impl Drop for FilePreparer {
    fn drop(&mut self) {
        self.shared.orders().stop = true;
        self.shared.changed.notify_all();
        if let Some(thread) = self.thread.take()
            && thread.join().is_err()
        {
            tracing::error!("the thread that prepares files panicked");
        }
    }
}

/// An error can be given to one caller only; the others get its kind and text.
fn copy(error: &io::Error) -> io::Error {
    error.raw_os_error().map_or_else(
        || io::Error::new(error.kind(), error.to_string()),
        io::Error::from_raw_os_error,
    )
}

/// The background thread.
struct Worker {
    storage: Arc<dyn Storage>,
    folder: PathBuf,
    bytes: u64,
    shared: Arc<Shared>,
    files_made: u64,
    unfinished: Option<(PreparedFile, u64)>,
}

enum Order {
    Prepare { urgent: bool },
    Carry(Chore),
    Stop,
}

impl Worker {
    fn run(mut self) {
        loop {
            match self.next_order() {
                Order::Prepare { urgent } => self.prepare(urgent),
                Order::Carry(chore) => self.carry(chore),
                Order::Stop => break,
            }
        }
        let ready = self.shared.orders().ready.take();
        let unfinished = self.unfinished.take().map(|(file, _)| file);
        for file in ready.into_iter().chain(unfinished) {
            self.remove(&file.path);
        }
    }

    fn next_order(&self) -> Order {
        let done = self.unfinished.as_ref().map_or(0, |(_, done)| *done);
        let mut orders = self.shared.orders();
        loop {
            // Chores first, also before stopping: they free space.
            if let Some(chore) = orders.chores.pop_front() {
                return Order::Carry(chore);
            }
            if orders.stop {
                return Order::Stop;
            }
            if orders.ready.is_none() && orders.failed.is_none() && done < orders.target {
                return Order::Prepare {
                    urgent: orders.urgent,
                };
            }
            orders = self
                .shared
                .changed
                .wait(orders)
                .expect("no code panics while it holds the lock");
        }
    }

    /// Prepares one more chunk.
    fn prepare(&mut self, urgent: bool) {
        match self.prepare_chunk(urgent) {
            Ok(None) => {}
            Ok(Some(file)) => {
                self.shared.orders().ready = Some(file);
                self.shared.changed.notify_all();
            }
            Err(error) => {
                if let Some((file, _)) = self.unfinished.take() {
                    self.remove(&file.path);
                }
                self.shared.orders().failed = Some(Failure::now(error));
                self.shared.changed.notify_all();
            }
        }
    }

    fn prepare_chunk(&mut self, urgent: bool) -> io::Result<Option<PreparedFile>> {
        static ZEROS: [u8; CHUNK_BYTES] = [0; CHUNK_BYTES];
        let (file, done) = match self.unfinished.take() {
            Some(unfinished) => unfinished,
            None => {
                let path = self.folder.join(format!("{PREFIX}{}", self.files_made));
                self.files_made += 1;
                let file = self.storage.create(&path)?;
                (PreparedFile { file, path }, 0)
            }
        };
        let (file, done) = self.unfinished.insert((file, done));
        let chunk = (self.bytes - *done).min(CHUNK_BYTES as u64);
        let zeros = &ZEROS[..usize::try_from(chunk).expect("a chunk fits in memory")];
        file.file.write_at(zeros, *done)?;
        *done += chunk;
        let finished = *done == self.bytes;
        // Synced chunk by chunk: one large sync at the end would hold up everyone on the disk. When
        // somebody is held up anyway, one sync is the quickest.
        if finished || !urgent {
            file.file.sync()?;
        }
        Ok(self.unfinished.take_if(|_| finished).map(|(file, _)| file))
    }

    fn carry(&self, chore: Chore) {
        match chore {
            Chore::Trim { file, path, len } => {
                if let Err(error) = file.set_len(len) {
                    tracing::warn!(file = %path.display(), %error, "cannot trim a full segment");
                }
            }
            Chore::Run(run) => {
                // Whoever waits for the next file must not wait for ever.
                if std::panic::catch_unwind(AssertUnwindSafe(run)).is_err() {
                    tracing::error!("work in the background panicked");
                }
            }
        }
    }

    fn remove(&self, path: &Path) {
        if let Err(error) = self.storage.remove(path) {
            tracing::warn!(file = %path.display(), %error, "cannot remove a file that is not needed");
        }
    }
}
