//! What a wallet keeps on disk, sealed with the seed's store key.
//!
//! One folder (0700): `seed` (see [`crate::seed_file`]), `lock`, `state` (small, rewritten whole),
//! `records/`, one file for each message that was received or sent, and `evidence/` (see
//! [`crate::evidence`]), which is not sealed: it is there to be shown. Every file is written beside its
//! place, synced, renamed and its folder synced, so that after a crash the old or the new content
//! is there, never a mixture. A second process is kept out by a lock.

mod records;
mod sealed_file;
mod state;

use std::fs::{DirBuilder, File, OpenOptions, TryLockError};
use std::io;
use std::os::unix::fs::{DirBuilderExt as _, OpenOptionsExt as _};
use std::path::{Path, PathBuf};

pub(crate) use records::is_record_name;
pub use records::{Record, RecordId};
pub(crate) use sealed_file::replace as replace_file;
pub(crate) use sealed_file::{open_bytes, seal_bytes};
pub use state::{
    Contact, HeldToken, IssuedToken, MailboxRecord, PendingMessage, PushSubscription,
    SealedMessage, ServerRecord, Standing, State,
};

use crate::keys::StoreKey;
use crate::ports::Entropy;

const STATE_FILE: &str = "state";
const RECORDS_FOLDER: &str = "records";
const LOCK_FILE: &str = "lock";

/// The store cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum StoreError {
    /// Another process has it open.
    #[error("another process uses the wallet in {}", folder.display())]
    Locked {
        /// The wallet's folder.
        folder: PathBuf,
    },
    /// The disk said no.
    #[error("{} cannot be {action}", path.display())]
    Io {
        /// Which file or folder.
        path: PathBuf,
        /// What was tried.
        action: &'static str,
        /// Why not.
        #[source]
        source: io::Error,
    },
    /// Sealed with another key, or changed.
    #[error("{} cannot be opened with this seed, or was changed", path.display())]
    Unreadable {
        /// Which file.
        path: PathBuf,
    },
    /// Written by a later version.
    #[error("{} has version {version}, which this version does not know", path.display())]
    UnknownVersion {
        /// Which file.
        path: PathBuf,
        /// Its version.
        version: u8,
    },
}

/// The open store of one wallet.
pub struct Store {
    folder: PathBuf,
    key: StoreKey,
    /// Held for as long as the store is open; the system lets go of it when the process ends.
    _lock: File,
}

impl Store {
    /// Opens the store in `folder`, which is created when it is missing.
    ///
    /// # Errors
    /// [`StoreError`].
    pub fn open(folder: &Path, key: StoreKey) -> Result<Self, StoreError> {
        create_folder(folder)?;
        create_folder(&folder.join(RECORDS_FOLDER))?;
        Ok(Self {
            _lock: lock(folder)?,
            folder: folder.to_owned(),
            key,
        })
    }

    /// The state that was saved last; nothing in a new store.
    ///
    /// # Errors
    /// [`StoreError`].
    pub fn load(&self) -> Result<Option<State>, StoreError> {
        let path = self.folder.join(STATE_FILE);
        let Some(bytes) = sealed_file::read(&path, &self.key, STATE_FILE)? else {
            return Ok(None);
        };
        postcard::from_bytes(&bytes)
            .map(Some)
            .map_err(|_| StoreError::Unreadable { path })
    }

    /// Saves the state. When this returns, a power cut cannot undo it.
    ///
    /// # Errors
    /// [`StoreError`].
    pub fn save(&self, state: &State, entropy: &dyn Entropy) -> Result<(), StoreError> {
        let bytes = zeroize::Zeroizing::new(
            postcard::to_stdvec(state).expect("the state has no type that postcard refuses"),
        );
        let path = self.folder.join(STATE_FILE);
        sealed_file::write(&path, &self.key, STATE_FILE, &bytes, entropy)?;
        sync_folder(&self.folder)
    }
}

/// Creates `folder`, closed to other users, and what is above it.
pub(crate) fn create_folder(folder: &Path) -> Result<(), StoreError> {
    DirBuilder::new()
        .recursive(true)
        .mode(0o700)
        .create(folder)
        .map_err(|source| io_error(folder, "created", source))
}

/// Makes a rename in `folder` durable.
pub(crate) fn sync_folder(folder: &Path) -> Result<(), StoreError> {
    File::open(folder)
        .and_then(|folder| folder.sync_all())
        .map_err(|source| io_error(folder, "synced", source))
}

pub(crate) fn io_error(path: &Path, action: &'static str, source: io::Error) -> StoreError {
    StoreError::Io {
        path: path.to_owned(),
        action,
        source,
    }
}

fn lock(folder: &Path) -> Result<File, StoreError> {
    let path = folder.join(LOCK_FILE);
    let file = OpenOptions::new()
        .create(true)
        .truncate(false)
        .write(true)
        .mode(0o600)
        .open(&path)
        .map_err(|source| io_error(&path, "opened", source))?;
    match file.try_lock() {
        Ok(()) => Ok(file),
        Err(TryLockError::WouldBlock) => Err(StoreError::Locked {
            folder: folder.to_owned(),
        }),
        Err(TryLockError::Error(source)) => Err(io_error(&path, "locked", source)),
    }
}

#[cfg(test)]
mod tests;
