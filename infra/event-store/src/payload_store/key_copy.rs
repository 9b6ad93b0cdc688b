//! A copy of all keys in a file outside of the data folder, of which only the newest is kept: what
//! makes ciphertexts in a backup readable. Backups hold no keys, so what is erased after a backup
//! stays erased in it as soon as this copy is replaced.
//!
//! The copy has the form of the key file. Replacing it names the new file first and overwrites the
//! old one afterwards, so that after a power cut one of the two is whole.

use std::fs::{File, OpenOptions};
use std::io::{self, Write as _};
use std::os::unix::fs::{FileExt as _, OpenOptionsExt as _};
use std::path::{Path, PathBuf};

use zeroize::Zeroizing;

use super::key_file::{self, FoundKeys};
use crate::embedded::data_folder::{self, FolderKind, LogId};
use crate::storage::{Access, Disk, OpenError};

/// How much is overwritten at once.
const ZEROS_BYTES: usize = 64 * 1024;

/// A copy that was made. It is durable, and what it replaced is overwritten.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct KeyCopy {
    /// How many keys it holds.
    pub keys: u64,
    /// How long it is.
    pub bytes: u64,
}

/// Copies the keys of the payloads in the data folder `folder` to the file `copy`, also beside a
/// process that writes. A copy of the same log that is there is replaced and overwritten.
///
/// # Errors
/// [`OpenError::Options`] when the copy would lie in the data folder, [`OpenError::Damaged`] when
/// `copy` is there and is not one of this log.
pub fn copy_payload_keys(folder: &Path, copy: &Path) -> Result<KeyCopy, OpenError> {
    let log_id = data_folder::read_format(&Disk, folder, FolderKind::Data)?;
    let log_id = log_id.ok_or_else(|| OpenError::Absent {
        folder: folder.to_owned(),
    })?;
    check_is_outside(folder, copy)?;
    // Whatever is overwritten must be ours.
    let present = find_copy(copy, &log_id)?.is_some();
    let inner = folder.join(super::FOLDER);
    let keys = key_file::find(&Disk, &inner, &log_id, Access::Read)?;
    let (bytes, keys) = match &keys {
        Some(keys) => keys.compact(),
        None => (Zeroizing::new(key_file::header(&log_id).to_vec()), 0),
    };
    let unnamed = unnamed(copy);
    destroy(&unnamed)?;
    let replaced = || -> io::Result<()> {
        let mut file = OpenOptions::new()
            .write(true)
            .create_new(true)
            .mode(0o600)
            .open(&unnamed)?;
        file.write_all(&bytes)?;
        file.sync_all()?;
        let old = present.then(|| File::options().write(true).open(copy));
        let old = old.transpose()?;
        std::fs::rename(&unnamed, copy)?;
        File::open(parent(copy))?.sync_all()?;
        old.map_or(Ok(()), |old| overwrite(&old))
    };
    replaced().map_err(OpenError::io("replace", copy))?;
    Ok(KeyCopy {
        keys,
        bytes: bytes.len() as u64,
    })
}

/// Takes a copy as the keys of a store in `folder`, which has none.
pub(crate) fn take(copy: &Path, folder: &Path, log_id: &LogId) -> Result<(), OpenError> {
    let keys = find_copy(copy, log_id)?
        .ok_or_else(|| OpenError::io("open", copy)(io::Error::from(io::ErrorKind::NotFound)))?;
    let (bytes, _) = keys.compact();
    let path = folder.join(key_file::NAME);
    let taken = || -> io::Result<()> {
        let mut file = OpenOptions::new()
            .write(true)
            .create_new(true)
            .mode(0o600)
            .open(&path)?;
        file.write_all(&bytes)?;
        file.sync_all()
    };
    taken().map_err(OpenError::io("write", &path))
}

fn find_copy(copy: &Path, log_id: &LogId) -> Result<Option<FoundKeys>, OpenError> {
    key_file::find_at(&Disk, copy.to_owned(), log_id, Access::Read)
}

/// Refuses a place in the data folder: it would be lost, found and restored together with it.
fn check_is_outside(folder: &Path, copy: &Path) -> Result<(), OpenError> {
    let parent = parent(copy);
    let place = parent
        .canonicalize()
        .map_err(OpenError::io("find", &parent))?;
    let folder = folder
        .canonicalize()
        .map_err(OpenError::io("find", folder))?;
    if place.starts_with(&folder) {
        return Err(OpenError::Options {
            reason: format!(
                "the copy of the keys would lie in the data folder {}; name a file outside of it",
                folder.display()
            ),
        });
    }
    Ok(())
}

fn parent(path: &Path) -> PathBuf {
    match path.parent() {
        Some(parent) if !parent.as_os_str().is_empty() => parent.to_owned(),
        _ => PathBuf::from("."),
    }
}

/// What the next copy is called until it is complete.
fn unnamed(copy: &Path) -> PathBuf {
    let mut name = copy.as_os_str().to_owned();
    name.push(".new");
    name.into()
}

/// Overwrites and removes what an interrupted copying left.
fn destroy(path: &Path) -> Result<(), OpenError> {
    let destroyed = || -> io::Result<()> {
        let file = match File::options().write(true).open(path) {
            Ok(file) => file,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(()),
            Err(error) => return Err(error),
        };
        overwrite(&file)?;
        std::fs::remove_file(path)
    };
    destroyed().map_err(OpenError::io("overwrite", path))
}

/// Overwrites a file with zeros, durably.
fn overwrite(file: &File) -> io::Result<()> {
    let length = file.metadata()?.len();
    let zeros = vec![0; ZEROS_BYTES];
    let mut at = 0;
    while at < length {
        let count = usize::try_from(length - at).map_or(ZEROS_BYTES, |left| left.min(ZEROS_BYTES));
        file.write_all_at(&zeros[..count], at)?;
        at += count as u64;
    }
    file.sync_all()
}

#[cfg(test)]
mod tests;
