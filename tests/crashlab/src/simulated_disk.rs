//! A disk in memory that forgets what was not synced, and fails at one chosen operation.
//!
//! - Written bytes are readable at once and durable when their file was synced. After a power cut
//!   each sector of 512 bytes has some state between the last sync and the last write.
//! - A name (of a new, renamed or removed file, of a new folder) is durable when its folder was
//!   synced. Before, the changes of one folder survive in their order up to some point.
//! - A sync can fail as on Linux: the bytes stay readable, count as clean, and never reach the
//!   disk, unless they are written again.
//!
//! Operations are counted by kind and path, so that one of them means the same in every run,
//! whatever the threads behind the log are doing meanwhile.

use std::collections::BTreeMap;
use std::fmt;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use satpost_event_store::storage::{Access, Storage, StorageFile};
use satpost_tests::random::Random;

use self::machine::Machine;

mod contents;
mod machine;

/// How many bytes reach the disk together or not at all.
pub const SECTOR_BYTES: usize = 512;

/// What a broken disk answers on Linux.
const EIO: i32 = 5;
/// What a full disk answers on Linux.
const ENOSPC: i32 = 28;

/// A kind of operation.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Kind {
    /// Makes a folder.
    CreateFolder,
    /// Lists a folder.
    List,
    /// Makes a file.
    Create,
    /// Opens a file.
    Open,
    /// Reads from a file.
    Read,
    /// Writes into a file.
    Write,
    /// Makes zeros of a part of a file.
    Punch,
    /// Makes the bytes of a file durable.
    Sync,
    /// Cuts or extends a file.
    SetLen,
    /// Gives a file another name.
    Rename,
    /// Removes a file.
    Remove,
    /// Makes the names in a folder durable.
    SyncFolder,
}

/// One operation of a run: the how-manieth of its kind on its path.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Operation {
    /// What is done.
    pub kind: Kind,
    /// To which file or folder, below the data folder.
    pub path: PathBuf,
    /// Counts from 1.
    pub number: u32,
}

impl fmt::Display for Operation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (kind, path) = (self.kind, self.path.display());
        write!(f, "{kind:?} {} of {path}", self.number)
    }
}

/// How an operation fails.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Failure {
    /// The disk is broken: nothing is done.
    Eio,
    /// The disk is full: nothing is done.
    Enospc,
    /// Half of the bytes are written, then the disk is full.
    ShortWrite,
    /// Some sectors of the bytes reach the disk, then the power is off.
    TornWrite,
    /// The sync fails, and what it should have written is dropped.
    LostSync,
    /// The power is off just before.
    CrashBefore,
    /// The power is off just after.
    CrashAfter,
}

/// What a crash leaves of what was not synced.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Survival {
    /// All of it, still not synced: only the process has ended.
    Cached,
    /// Nothing: the disk did nothing that it was not made to do.
    Nothing,
    /// Everything: the disk had just finished.
    Everything,
    /// Each sector and each folder by lot.
    Seeded(u64),
}

/// Which promises the disk breaks silently, to show that their loss is noticed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Dishonesty {
    /// A sync of a file does nothing.
    pub ignores_sync: bool,
    /// A sync of a folder does nothing.
    pub ignores_sync_folder: bool,
}

/// The disk. Clones are the same disk.
#[derive(Clone)]
pub struct SimulatedDisk {
    machine: Arc<Mutex<Machine>>,
}

impl SimulatedDisk {
    /// An empty disk with one folder, the data folder.
    #[must_use]
    pub fn new(root: &Path, dishonesty: Dishonesty) -> Self {
        Self::of(Machine::new(root, dishonesty))
    }

    fn of(machine: Machine) -> Self {
        Self {
            machine: Arc::new(Mutex::new(machine)),
        }
    }

    fn machine(&self) -> MutexGuard<'_, Machine> {
        self.machine.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Lets `operation` fail once.
    pub fn fail(&self, operation: Operation, failure: Failure) {
        self.machine().plan = Some((operation, failure));
    }

    /// True once the planned failure has come.
    #[must_use]
    pub fn has_failed(&self) -> bool {
        self.machine().failed
    }

    /// True after a crash: every operation fails.
    #[must_use]
    pub fn is_off(&self) -> bool {
        self.machine().off
    }

    /// How often each kind of operation was done to each path.
    #[must_use]
    pub fn operations(&self) -> BTreeMap<(Kind, PathBuf), u32> {
        self.machine().counts.clone()
    }

    /// The disk after a crash.
    #[must_use]
    pub fn after_crash(&self, survival: Survival) -> Self {
        Self::of(self.machine().after_crash(survival))
    }

    /// The files by path below the data folder, as they can be read.
    #[must_use]
    pub fn files(&self) -> BTreeMap<PathBuf, Vec<u8>> {
        self.machine().files()
    }

    /// Changes one byte of a file, on the disk as well.
    pub fn flip(&self, path: &Path, at: usize, mask: u8) {
        self.machine().flip(path, at, mask);
    }
}

impl Storage for SimulatedDisk {
    fn create_folder(&self, path: &Path) -> io::Result<()> {
        let mut machine = self.machine();
        machine.act(Kind::CreateFolder, path, |machine| {
            machine.create_folder(path);
            Ok(())
        })
    }

    fn list(&self, folder: &Path) -> io::Result<Vec<PathBuf>> {
        let mut machine = self.machine();
        machine.act(Kind::List, folder, |machine| machine.list(folder))
    }

    fn create(&self, path: &Path) -> io::Result<Arc<dyn StorageFile>> {
        let mut machine = self.machine();
        let id = machine.act(Kind::Create, path, |machine| machine.create(path))?;
        Ok(self.file(id))
    }

    fn open(&self, path: &Path, _: Access) -> io::Result<Arc<dyn StorageFile>> {
        let mut machine = self.machine();
        let id = machine.act(Kind::Open, path, |machine| machine.find(path))?;
        Ok(self.file(id))
    }

    fn rename(&self, from: &Path, to: &Path) -> io::Result<()> {
        let mut machine = self.machine();
        machine.act(Kind::Rename, to, |machine| machine.rename(from, to))
    }

    fn remove(&self, path: &Path) -> io::Result<()> {
        let mut machine = self.machine();
        machine.act(Kind::Remove, path, |machine| machine.remove(path))
    }

    fn sync_folder(&self, path: &Path) -> io::Result<()> {
        let mut machine = self.machine();
        machine.act(Kind::SyncFolder, path, |machine| {
            machine.sync_folder(path);
            Ok(())
        })
    }
}

impl SimulatedDisk {
    fn file(&self, id: usize) -> Arc<dyn StorageFile> {
        Arc::new(SimulatedFile {
            machine: Arc::clone(&self.machine),
            id,
        })
    }
}

/// An open file.
struct SimulatedFile {
    machine: Arc<Mutex<Machine>>,
    id: usize,
}

impl SimulatedFile {
    fn machine(&self) -> MutexGuard<'_, Machine> {
        self.machine.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl StorageFile for SimulatedFile {
    fn read_at(&self, bytes: &mut [u8], offset: u64) -> io::Result<usize> {
        let mut machine = self.machine();
        let path = machine.name(self.id);
        machine.act(Kind::Read, &path, |machine| {
            Ok(machine.file(self.id).read(bytes, offset))
        })
    }

    fn write_at(&self, bytes: &[u8], offset: u64) -> io::Result<()> {
        let mut machine = self.machine();
        let path = machine.name(self.id);
        match machine.failure(Kind::Write, &path)? {
            None => machine.file(self.id).write(bytes, offset),
            Some(Failure::ShortWrite) => {
                machine
                    .file(self.id)
                    .write(&bytes[..bytes.len() / 2], offset);
                return Err(io::Error::from_raw_os_error(ENOSPC));
            }
            Some(Failure::TornWrite) => {
                let mut random = Random::new(offset ^ bytes.len() as u64);
                machine.file(self.id).tear(bytes, offset, &mut random);
                return Err(machine.cut_power());
            }
            Some(failure) => {
                let file = self.id;
                return machine.fail_with(failure, |machine| {
                    machine.file(file).write(bytes, offset);
                    Ok(())
                });
            }
        }
        Ok(())
    }

    fn punch(&self, offset: u64, len: u64) -> io::Result<bool> {
        let mut machine = self.machine();
        let path = machine.name(self.id);
        machine.act(Kind::Punch, &path, |machine| {
            let file = machine.file(self.id);
            let len = len.min(file.len().saturating_sub(offset));
            let zeros = vec![0; usize::try_from(len).map_err(io::Error::other)?];
            file.write(&zeros, offset);
            Ok(true)
        })
    }

    fn sync(&self) -> io::Result<()> {
        let mut machine = self.machine();
        let path = machine.name(self.id);
        match machine.failure(Kind::Sync, &path)? {
            None => machine.sync(self.id),
            Some(Failure::LostSync) => {
                machine.file(self.id).forget_pending();
                return Err(io::Error::from_raw_os_error(EIO));
            }
            Some(failure) => {
                let file = self.id;
                return machine.fail_with(failure, |machine| {
                    machine.sync(file);
                    Ok(())
                });
            }
        }
        Ok(())
    }

    fn len(&self) -> io::Result<u64> {
        Ok(self.machine().file(self.id).len())
    }

    fn set_len(&self, len: u64) -> io::Result<()> {
        let mut machine = self.machine();
        let path = machine.name(self.id);
        machine.act(Kind::SetLen, &path, |machine| {
            machine.file(self.id).set_len(len);
            Ok(())
        })
    }
}
