//! The disk, counting its syncs: what shows how many appends share one.

use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use satpost_event_store::storage::{Access, Disk, Storage, StorageFile};

/// The disk of the machine, with a count.
#[derive(Clone, Default)]
pub(super) struct CountingStorage {
    syncs: Arc<AtomicU64>,
}

impl CountingStorage {
    /// How many syncs there were, of files and of folders.
    pub(super) fn syncs(&self) -> u64 {
        self.syncs.load(Ordering::Relaxed)
    }

    fn count(&self) {
        self.syncs.fetch_add(1, Ordering::Relaxed);
    }

    fn wrap(&self, file: Arc<dyn StorageFile>) -> Arc<dyn StorageFile> {
        Arc::new(CountingFile {
            file,
            storage: self.clone(),
        })
    }
}

impl Storage for CountingStorage {
    fn create_folder(&self, path: &Path) -> io::Result<()> {
        Disk.create_folder(path)
    }

    fn list(&self, folder: &Path) -> io::Result<Vec<PathBuf>> {
        Disk.list(folder)
    }

    fn create(&self, path: &Path) -> io::Result<Arc<dyn StorageFile>> {
        Disk.create(path).map(|file| self.wrap(file))
    }

    fn open(&self, path: &Path, access: Access) -> io::Result<Arc<dyn StorageFile>> {
        Disk.open(path, access).map(|file| self.wrap(file))
    }

    fn rename(&self, from: &Path, to: &Path) -> io::Result<()> {
        Disk.rename(from, to)
    }

    fn remove(&self, path: &Path) -> io::Result<()> {
        Disk.remove(path)
    }

    fn sync_folder(&self, path: &Path) -> io::Result<()> {
        self.count();
        Disk.sync_folder(path)
    }
}

struct CountingFile {
    file: Arc<dyn StorageFile>,
    storage: CountingStorage,
}

impl StorageFile for CountingFile {
    fn read_at(&self, bytes: &mut [u8], offset: u64) -> io::Result<usize> {
        self.file.read_at(bytes, offset)
    }

    fn write_at(&self, bytes: &[u8], offset: u64) -> io::Result<()> {
        self.file.write_at(bytes, offset)
    }

    fn punch(&self, offset: u64, len: u64) -> io::Result<bool> {
        self.file.punch(offset, len)
    }

    fn sync(&self) -> io::Result<()> {
        self.storage.count();
        self.file.sync()
    }

    fn len(&self) -> io::Result<u64> {
        self.file.len()
    }

    fn set_len(&self, len: u64) -> io::Result<()> {
        self.file.set_len(len)
    }
}
