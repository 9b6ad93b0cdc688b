//! The data folder: whose it is, which format it has, and that one process writes it at a time.

use std::fmt;
use std::fs::{File, TryLockError};
use std::io::{self, Write as _};
use std::path::{Path, PathBuf};

use ring::rand::{SecureRandom as _, SystemRandom};
use sha2::{Digest as _, Sha256};

use crate::LogIdentity;
use crate::storage::{Access, OpenError, Storage, read_whole};

/// The format of data folders this version writes and reads.
const FORMAT: u32 = 1;
/// The name of the file that tells what the folder is. It is written last.
const FORMAT_FILE: &str = "format";
/// What that file is called until the folder is complete.
const UNFINISHED_FILE: &str = "format.tmp";
const LOCK_FILE: &str = "lock";

/// What a folder holds. Its format file begins with it, so that one is never taken for another.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum FolderKind {
    /// An event log and its payloads.
    Data,
    /// Payloads of a log that is elsewhere.
    Payloads,
}

impl FolderKind {
    fn first_line(self) -> &'static str {
        match self {
            Self::Data => "satpost data folder",
            Self::Payloads => "satpost payload folder",
        }
    }
}

/// Names one log, drawn when its folder is made. Segments carry it, so that files of two folders
/// are never mixed; and since only the server knows it, nobody can make an event that contains
/// what looks like a frame.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) struct LogId([u8; 16]);

impl LogId {
    /// The id as a backup has kept it.
    pub(crate) const fn from_bytes(bytes: [u8; 16]) -> Self {
        Self(bytes)
    }

    pub(crate) fn as_bytes(&self) -> &[u8; 16] {
        &self.0
    }

    /// What stands for the log outside, from which the id itself cannot be found.
    pub(crate) fn identity(&self) -> LogIdentity {
        let mut hasher = Sha256::new();
        hasher.update(b"satpost log identity\0");
        hasher.update(self.0);
        let digest: [u8; 32] = hasher.finalize().into();
        LogIdentity(*digest.first_chunk().expect("32 bytes have a first 16"))
    }

    /// What every batch frame starts with.
    pub(crate) fn batch_magic(&self) -> &[u8; 8] {
        self.0.first_chunk().expect("16 bytes have a first 8")
    }

    /// What every blob frame starts with.
    pub(crate) fn blob_magic(&self) -> &[u8; 8] {
        self.0.last_chunk().expect("16 bytes have a last 8")
    }
}

/// Not shown: see the type.
impl fmt::Debug for LogId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("LogId(..)")
    }
}

/// Held as long as the folder is written.
#[derive(Debug)]
pub(crate) struct FolderLock {
    _file: File,
}

/// Makes the folder if need be and takes its lock.
///
/// The lock is the operating system's and not one of names: it ends with the process, however
/// that ends.
pub(crate) fn lock(folder: &Path) -> Result<FolderLock, OpenError> {
    std::fs::create_dir_all(folder).map_err(OpenError::io("create", folder))?;
    refuse_foreign(folder)?;
    let path = folder.join(LOCK_FILE);
    let file = File::options()
        .create(true)
        .truncate(false)
        .write(true)
        .open(&path)
        .map_err(OpenError::io("open", &path))?;
    match file.try_lock() {
        Ok(()) => Ok(FolderLock { _file: file }),
        Err(TryLockError::WouldBlock) => Err(OpenError::Locked {
            folder: folder.to_owned(),
        }),
        Err(TryLockError::Error(source)) => Err(OpenError::io("lock", &path)(source)),
    }
}

/// A folder without our files must be empty, or it is somebody else's.
fn refuse_foreign(folder: &Path) -> Result<(), OpenError> {
    if folder.join(FORMAT_FILE).exists() || folder.join(UNFINISHED_FILE).exists() {
        return Ok(());
    }
    let entries = std::fs::read_dir(folder).map_err(OpenError::io("list", folder))?;
    for entry in entries {
        let name = entry.map_err(OpenError::io("list", folder))?.file_name();
        // A fresh file system has lost+found.
        if name != LOCK_FILE && name != "lost+found" {
            return Err(OpenError::Foreign {
                folder: folder.to_owned(),
            });
        }
    }
    Ok(())
}

/// Reads which log the folder holds; nothing when the folder was never completed.
pub(crate) fn read_format(
    storage: &dyn Storage,
    folder: &Path,
    kind: FolderKind,
) -> Result<Option<LogId>, OpenError> {
    let path = folder.join(FORMAT_FILE);
    let file = match storage.open(&path, Access::Read) {
        Ok(file) => file,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
        Err(error) => return Err(OpenError::io("open", &path)(error)),
    };
    let bytes = read_whole(&*file).map_err(OpenError::io("read", &path))?;
    let foreign = || OpenError::Foreign {
        folder: folder.to_owned(),
    };
    let text = String::from_utf8(bytes).map_err(|_| foreign())?;
    let mut lines = text.lines();
    if lines.next() != Some(kind.first_line()) {
        return Err(foreign());
    }
    let found = lines
        .next()
        .and_then(|line| line.strip_prefix("format "))
        .and_then(|number| number.parse().ok())
        .ok_or_else(foreign)?;
    if found != FORMAT {
        return Err(OpenError::Format {
            folder: folder.to_owned(),
            found,
            supported: FORMAT,
        });
    }
    let id = lines
        .next()
        .and_then(|line| line.strip_prefix("log "))
        .and_then(|id| satpost_domain::ids::parse_hex(id).ok())
        .ok_or_else(|| OpenError::Damaged {
            file: path,
            offset: 0,
            reason: "the id of the log cannot be read".to_owned(),
        })?;
    Ok(Some(LogId(id)))
}

/// Begins to make a data folder: draws the log's id and leaves a mark, so that a folder whose
/// making was interrupted is made again instead of being taken for somebody else's.
#[allow(
    clippy::disallowed_methods,
    reason = "a secret of this adapter: what a test or a replay decides does not depend on it"
)]
pub(crate) fn begin(
    storage: &dyn Storage,
    folder: &Path,
    kind: FolderKind,
) -> Result<LogId, OpenError> {
    let mut id = [0; 16];
    SystemRandom::new().fill(&mut id).map_err(|_| {
        OpenError::io("draw random bytes for", folder)(io::Error::other("there are none"))
    })?;
    let path = folder.join(UNFINISHED_FILE);
    let text = format_text(kind, &LogId(id));
    let write = || -> io::Result<()> {
        let file = storage.create(&path)?;
        file.write_at(text.as_bytes(), 0)?;
        file.sync()?;
        storage.sync_folder(folder)
    };
    write().map_err(OpenError::io("write", &path))?;
    Ok(LogId(id))
}

fn format_text(kind: FolderKind, log_id: &LogId) -> String {
    let first_line = kind.first_line();
    let id = hex::encode(log_id.as_bytes());
    format!("{first_line}\nformat {FORMAT}\nlog {id}\n")
}

/// Makes a folder the data folder of the log `log_id`, whose files are in it already. Until then
/// the folder is taken for somebody else's, so that no half of a log is ever opened.
pub(crate) fn adopt(folder: &Path, log_id: &LogId) -> Result<(), OpenError> {
    let partial = folder.join("format.partial");
    let adopted = || -> io::Result<()> {
        let mut file = File::create(&partial)?;
        file.write_all(format_text(FolderKind::Data, log_id).as_bytes())?;
        file.sync_all()?;
        std::fs::rename(&partial, folder.join(FORMAT_FILE))?;
        File::open(folder)?.sync_all()
    };
    adopted().map_err(OpenError::io("complete", folder))
}

/// Completes a data folder.
pub(crate) fn finish(storage: &dyn Storage, folder: &Path) -> Result<(), OpenError> {
    let named = || -> io::Result<()> {
        storage.rename(&folder.join(UNFINISHED_FILE), &folder.join(FORMAT_FILE))?;
        storage.sync_folder(folder)?;
        if let Some(parent) = parent(folder) {
            storage.sync_folder(&parent)?;
        }
        Ok(())
    };
    named().map_err(OpenError::io("complete", folder))
}

/// Makes the names of the data folder durable, which were found there: a process that ended between
/// a rename and the sync after it leaves a name that a power cut would take away, together with
/// everything that is acknowledged until then.
pub(crate) fn settle_names(
    storage: &dyn Storage,
    folder: &Path,
    inner: [&Path; 2],
) -> Result<(), OpenError> {
    let parent = parent(folder);
    for folder in inner.into_iter().chain([folder]).chain(parent.as_deref()) {
        storage
            .sync_folder(folder)
            .map_err(OpenError::io("sync", folder))?;
    }
    Ok(())
}

fn parent(folder: &Path) -> Option<PathBuf> {
    let parent = folder.parent()?;
    if parent.as_os_str().is_empty() {
        Some(PathBuf::from("."))
    } else {
        Some(parent.to_owned())
    }
}

/// Makes a folder inside the data folder and removes what an interrupted making left in it.
pub(crate) fn make_inner(storage: &dyn Storage, folder: &Path) -> Result<(), OpenError> {
    storage
        .create_folder(folder)
        .map_err(OpenError::io("create", folder))?;
    let left = storage
        .list(folder)
        .map_err(OpenError::io("list", folder))?;
    for path in left {
        storage
            .remove(&path)
            .map_err(OpenError::io("remove", &path))?;
    }
    Ok(())
}
