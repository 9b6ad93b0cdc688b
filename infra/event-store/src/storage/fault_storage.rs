//! A disk of which one chosen operation fails, or which is full, for tests.

use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicI64, Ordering};

use super::{Access, Disk, Storage, StorageFile};

/// The real disk, until the chosen read, write or sync comes.
#[derive(Clone, Default)]
pub struct FaultStorage {
    faults: Arc<Faults>,
}

struct Faults {
    /// Counts down to the read that fails. Below zero none does.
    reads_left: AtomicI64,
    /// The same for writes.
    writes_left: AtomicI64,
    /// The same for syncs.
    syncs_left: AtomicI64,
    /// The name of the thread whose operations count; those of every thread when there is none.
    thread: Option<&'static str>,
    full: AtomicBool,
}

/// What a broken disk answers on Linux.
const EIO: i32 = 5;
/// What a full disk answers on Linux.
const ENOSPC: i32 = 28;

impl Default for Faults {
    fn default() -> Self {
        Self {
            reads_left: AtomicI64::new(-1),
            writes_left: AtomicI64::new(-1),
            syncs_left: AtomicI64::new(-1),
            thread: None,
            full: AtomicBool::new(false),
        }
    }
}

impl FaultStorage {
    /// Lets only operations of threads of this name count and fail, so that no thread in the
    /// background takes the failure that was meant for another.
    #[must_use]
    pub fn in_thread(name: &'static str) -> Self {
        let faults = Faults {
            thread: Some(name),
            ..Faults::default()
        };
        Self {
            faults: Arc::new(faults),
        }
    }

    /// Lets `count` more reads succeed and the one after them fail.
    pub fn fail_read_after(&self, count: i64) {
        self.faults.reads_left.store(count, Ordering::SeqCst);
    }

    /// Lets `count` more writes succeed and the one after them fail.
    pub fn fail_write_after(&self, count: i64) {
        self.faults.writes_left.store(count, Ordering::SeqCst);
    }

    /// Lets `count` more syncs succeed and the one after them fail.
    pub fn fail_sync_after(&self, count: i64) {
        self.faults.syncs_left.store(count, Ordering::SeqCst);
    }

    /// Whether a failure was ordered that has not come yet.
    #[must_use]
    pub fn is_armed(&self) -> bool {
        let Faults {
            reads_left,
            writes_left,
            syncs_left,
            ..
        } = &*self.faults;
        let left = [reads_left, writes_left, syncs_left];
        left.iter().any(|left| left.load(Ordering::SeqCst) >= 0)
    }

    /// Fills the disk, or makes room again. A full disk refuses new files and writes behind the
    /// end of a file.
    pub fn fill(&self, full: bool) {
        self.faults.full.store(full, Ordering::SeqCst);
    }

    fn wrap(&self, file: Arc<dyn StorageFile>) -> Arc<dyn StorageFile> {
        Arc::new(FaultFile {
            file,
            faults: Arc::clone(&self.faults),
        })
    }
}

impl Faults {
    fn count_down(&self, left: &AtomicI64) -> io::Result<()> {
        let counts = self
            .thread
            .is_none_or(|name| std::thread::current().name() == Some(name));
        let due = || left.load(Ordering::SeqCst) >= 0 && left.fetch_sub(1, Ordering::SeqCst) == 0;
        if counts && due() {
            return Err(io::Error::from_raw_os_error(EIO));
        }
        Ok(())
    }

    fn need_space(&self) -> io::Result<()> {
        if self.full.load(Ordering::SeqCst) {
            return Err(io::Error::from_raw_os_error(ENOSPC));
        }
        Ok(())
    }
}

impl Storage for FaultStorage {
    fn create_folder(&self, path: &Path) -> io::Result<()> {
        Disk.create_folder(path)
    }

    fn list(&self, folder: &Path) -> io::Result<Vec<PathBuf>> {
        Disk.list(folder)
    }

    fn create(&self, path: &Path) -> io::Result<Arc<dyn StorageFile>> {
        self.faults.need_space()?;
        Ok(self.wrap(Disk.create(path)?))
    }

    fn open(&self, path: &Path, access: Access) -> io::Result<Arc<dyn StorageFile>> {
        Ok(self.wrap(Disk.open(path, access)?))
    }

    fn rename(&self, from: &Path, to: &Path) -> io::Result<()> {
        Disk.rename(from, to)
    }

    fn remove(&self, path: &Path) -> io::Result<()> {
        Disk.remove(path)
    }

    fn sync_folder(&self, path: &Path) -> io::Result<()> {
        Disk.sync_folder(path)
    }
}

struct FaultFile {
    file: Arc<dyn StorageFile>,
    faults: Arc<Faults>,
}

impl StorageFile for FaultFile {
    fn read_at(&self, bytes: &mut [u8], offset: u64) -> io::Result<usize> {
        self.faults.count_down(&self.faults.reads_left)?;
        self.file.read_at(bytes, offset)
    }

    fn write_at(&self, bytes: &[u8], offset: u64) -> io::Result<()> {
        if offset + bytes.len() as u64 > self.file.len()? {
            self.faults.need_space()?;
        }
        self.faults.count_down(&self.faults.writes_left)?;
        self.file.write_at(bytes, offset)
    }

    fn punch(&self, offset: u64, len: u64) -> io::Result<bool> {
        self.faults.count_down(&self.faults.writes_left)?;
        self.file.punch(offset, len)
    }

    fn sync(&self) -> io::Result<()> {
        self.faults.count_down(&self.faults.syncs_left)?;
        self.file.sync()
    }

    fn len(&self) -> io::Result<u64> {
        self.file.len()
    }

    fn set_len(&self, len: u64) -> io::Result<()> {
        self.file.set_len(len)
    }
}
