//! A backup of everything a wallet keeps beside its seed, in one file that only the seed opens.
//!
//! A sealed file like those of the store (`"SATPOST" ‖ 1 ‖ salt (32) ‖ ciphertext`, ChaCha20-Poly1305 under
//! `HKDF-SHA256(salt, store key, "satpost/store-file/1" ‖ "backup")`), with the content
//! `version (1) = 1 ‖ length (8, big endian) ‖ state and records (postcard) ‖ zeros`. The zeros fill it up to
//! a multiple of 64 KiB, or of an eighth of its size when that is more: its size tells little of how
//! much was written. What a restored wallet makes of it is told in [`crate::wallet`].

use std::fs::{self, File};
use std::io::Read as _;
use std::path::{Path, PathBuf};

use satpost_domain::Timestamp;
use serde::{Deserialize, Serialize};
use zeroize::Zeroizing;

use crate::keys::StoreKey;
use crate::padding::without_padding;
use crate::ports::Entropy;
use crate::store::{
    Record, State, StoreError, io_error, is_record_name, open_bytes, replace_file, seal_bytes,
};

/// The only version of the content.
const VERSION: u8 = 1;
/// What the key of the file is for.
const ROLE: &str = "backup";
/// The smallest step of the padding.
const STEP_BYTES: usize = 64 * 1024;
/// Version and length.
const HEAD_BYTES: usize = 1 + 8;
/// The largest backup that is read, in bytes: a hundred thousand messages of the usual size.
pub const BACKUP_BYTES_MAX: u64 = 512 * 1024 * 1024;

/// A backup cannot be read.
#[derive(Debug, thiserror::Error)]
pub enum BackupError {
    /// The file cannot be used: damaged, of another seed, or no backup at all.
    #[error(transparent)]
    File(#[from] StoreError),
    /// The file is larger than any backup.
    #[error("{} is larger than a backup may be, {BACKUP_BYTES_MAX} bytes", path.display())]
    TooLarge {
        /// Which file.
        path: PathBuf,
    },
    /// Written by a later version.
    #[error("the backup has version {actual}, which this version does not know")]
    UnknownVersion {
        /// Its version.
        actual: u8,
    },
    /// Sealed with the right key, but not what a wallet writes.
    #[error("the backup's content does not parse")]
    Malformed,
}

/// What a backup holds.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Backup {
    /// When it was made.
    pub(crate) made_at: Timestamp,
    /// What the wallet knew.
    pub(crate) state: State,
    /// Every record with the name of its file.
    pub(crate) records: Vec<(String, Record)>,
}

/// Writes a backup to `path`. When this returns, a power cut cannot undo it.
///
/// # Errors
/// [`StoreError`].
pub(crate) fn write(
    path: &Path,
    backup: &Backup,
    key: &StoreKey,
    entropy: &dyn Entropy,
) -> Result<(), StoreError> {
    let content = Zeroizing::new(
        postcard::to_stdvec(backup).expect("a backup has no type that postcard refuses"),
    );
    let length = u64::try_from(content.len()).expect("memory is addressed with 64 bits at most");
    let mut padded = Zeroizing::new(Vec::with_capacity(padded_size(content.len())));
    padded.push(VERSION);
    padded.extend_from_slice(&length.to_be_bytes());
    padded.extend_from_slice(&content);
    padded.resize(padded_size(content.len()), 0);
    replace_file(path, &seal_bytes(key, ROLE, &padded, entropy))?;
    let folder = path.parent().filter(|folder| *folder != Path::new(""));
    let folder = folder.unwrap_or(Path::new("."));
    File::open(folder)
        .and_then(|folder| folder.sync_all())
        .map_err(|source| io_error(folder, "synced", source))
}

/// Reads the backup in `path`.
///
/// # Errors
/// [`BackupError`].
pub(crate) fn read(path: &Path, key: &StoreKey) -> Result<Backup, BackupError> {
    let failed = |source| io_error(path, "read", source);
    let file = File::open(path).map_err(failed)?;
    let mut bytes = Vec::new();
    let read = file
        .take(BACKUP_BYTES_MAX + 1)
        .read_to_end(&mut bytes)
        .map_err(failed)?;
    if u64::try_from(read).unwrap_or(u64::MAX) > BACKUP_BYTES_MAX {
        let path = path.to_owned();
        return Err(BackupError::TooLarge { path });
    }
    let padded = open_bytes(&bytes, path, key, ROLE)?;
    let (version, rest) = padded.split_first().ok_or(BackupError::Malformed)?;
    if *version != VERSION {
        return Err(BackupError::UnknownVersion { actual: *version });
    }
    let (length, rest) = rest.split_first_chunk().ok_or(BackupError::Malformed)?;
    let content = usize::try_from(u64::from_be_bytes(*length))
        .ok()
        .and_then(|length| without_padding(rest, length))
        .ok_or(BackupError::Malformed)?;
    let backup: Backup = postcard::from_bytes(content).map_err(|_| BackupError::Malformed)?;
    if !backup.records.iter().all(|(name, _)| is_record_name(name)) {
        return Err(BackupError::Malformed);
    }
    Ok(backup)
}

/// The size of the content with what surrounds and follows it.
fn padded_size(content: usize) -> usize {
    let bytes = HEAD_BYTES + content;
    let power = 1_usize << bytes.ilog2();
    bytes.next_multiple_of(STEP_BYTES.max(power / 8))
}

/// True when there is a file already: a backup never replaces another one.
pub(crate) fn exists(path: &Path) -> bool {
    fs::symlink_metadata(path).is_ok()
}

#[cfg(test)]
mod tests;
