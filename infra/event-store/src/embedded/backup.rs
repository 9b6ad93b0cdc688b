//! Copies a log through one position while it may be written: full segments are linked or copied,
//! the last one is copied up to the end of its last whole batch. The writer never waits.
//!
//! Linked is only what is never changed again: full segments. The last segment, ciphertexts and
//! keys are changed or overwritten in place, so they are copied or left out.

use std::fs::{DirBuilder, File, OpenOptions};
use std::io::{self, Read as _, Write as _};
use std::os::unix::fs::{DirBuilderExt as _, OpenOptionsExt as _};
use std::path::{Path, PathBuf};

use satpost_domain::Position;
use sha2::{Digest as _, Sha256};

use super::data_folder::{self, LogId};
use super::frame::ChainHash;
use super::segment;
use super::verify::{Findings, folder};
use super::walk::{self, Walk};
use crate::LogIdentity;
use crate::payload_store;
use crate::storage::{Disk, OpenError};

/// How much is copied at once.
const CHUNK_BYTES: usize = 1024 * 1024;

/// What to back up.
#[derive(Debug, Clone)]
pub struct BackupOptions {
    /// The data folder. A server may be at work in it.
    pub folder: PathBuf,
    /// Where the backup goes: an empty folder, or none yet.
    pub target: PathBuf,
    /// Also copy ciphertexts, and replace this file by a copy of their keys. The backup itself never
    /// holds keys: what is erased later is erased in it, too, with the next copy of the keys.
    pub payload_keys: Option<PathBuf>,
    /// Link full segments where the file system allows it. A linked file is the same file: damage to
    /// one is damage to both.
    pub link: bool,
}

/// A file of a backup.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct BackedUpFile {
    /// Inside the backup.
    pub path: PathBuf,
    /// How long it is.
    pub bytes: u64,
    /// SHA-256 of a file that was copied; nothing for a linked one.
    pub sha256: Option<[u8; 32]>,
}

/// A segment of a backup.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct BackedUpSegment {
    /// Counts from 1.
    pub number: u32,
    /// The position of its first event.
    pub first: Position,
    /// The hash that stands for the log through its last batch.
    pub chain: [u8; 32],
    /// The file.
    pub file: BackedUpFile,
}

/// What was backed up. All files and their names are durable.
#[derive(Debug, Clone)]
pub struct BackedUp {
    /// Which log it is.
    pub log: LogIdentity,
    /// The id of the log, which is a secret of its files.
    pub log_id: [u8; 16],
    /// The last event.
    pub head: Position,
    /// The hash that stands for everything through the last batch.
    pub chain: [u8; 32],
    /// By number.
    pub segments: Vec<BackedUpSegment>,
    /// The ciphertexts of the payloads; nothing when they were left out.
    pub payloads: Option<Vec<BackedUpFile>>,
}

/// Why there is no backup, or no data folder made of one.
#[derive(Debug, thiserror::Error)]
pub enum CopyError {
    /// A folder or a file could not be used.
    #[error(transparent)]
    Open(#[from] OpenError),
    /// The target holds something.
    #[error("{} is not empty; name an empty folder or one that is not there", folder.display())]
    NotEmpty {
        /// The target.
        folder: PathBuf,
    },
    /// The keys would be copied into the backup.
    #[error("the keys of payloads must not lie in the backup, and {} would; name a file elsewhere", keys.display())]
    KeysInside {
        /// Where the keys should go.
        keys: PathBuf,
    },
    /// The log cannot be copied because its files do not belong together.
    #[error("{}: {reason}", file.display())]
    Unfit {
        /// Which file.
        file: PathBuf,
        /// What is wrong with it.
        reason: String,
    },
    /// The position is not in the backup.
    #[error("the backup ends at position {head}, before position {asked}")]
    BehindTheEnd {
        /// What was asked for.
        asked: Position,
        /// Where the backup ends.
        head: Position,
    },
}

/// Copies the log of a data folder. What describes the copy must be written by the caller, last.
/// `progress` is told how many bytes of how many are done.
///
/// # Errors
/// [`CopyError`]. What was copied so far stays, without a description that would make it a backup.
pub fn backup(options: &BackupOptions, progress: &dyn Fn(u64, u64)) -> Result<BackedUp, CopyError> {
    let folder = options.folder.as_path();
    let log_id = data_folder::read_format(&Disk, folder, data_folder::FolderKind::Data)?
        .ok_or_else(|| OpenError::Absent {
            folder: folder.to_owned(),
        })?;
    make_empty_folder(&options.target)?;
    if let Some(keys) = &options.payload_keys {
        check_apart(keys, &options.target)?;
    }
    let mut copying = Copying::new(progress);
    let log = folder.join(segment::FOLDER);
    let target_log = options.target.join(segment::FOLDER);
    make_folder(&target_log)?;
    let paths = segment_paths(&log)?;
    let payload_folder = folder.join(payload_store::FOLDER);
    copying.total = paths.iter().map(|path| length(path)).sum();
    if options.payload_keys.is_some() {
        copying.total += files_of(&payload_folder)?
            .iter()
            .map(|path| length(path))
            .sum::<u64>();
    }
    let (segments, head) = copy_log(options, &log_id, &paths, &mut copying)?;
    let mut payloads = None;
    if let Some(keys) = &options.payload_keys {
        let target = options.target.join(payload_store::FOLDER);
        make_folder(&target)?;
        payloads = Some(copy_ciphertexts(&payload_folder, &target, &mut copying)?);
        sync_folder(&target)?;
        // Last: a key that is destroyed in the meantime is then not in the copy.
        payload_store::copy_payload_keys(folder, keys)?;
    }
    sync_folder(&target_log)?;
    sync_folder(&options.target)?;
    let chain = segments.last().map_or([0; 32], |last| last.chain);
    Ok(BackedUp {
        log: log_id.identity(),
        log_id: *log_id.as_bytes(),
        head: Position::new(head, 0),
        chain,
        segments,
        payloads,
    })
}

fn segment_paths(log: &Path) -> Result<Vec<PathBuf>, CopyError> {
    let mut findings = Findings::default();
    let segments = folder::segments(log, &mut findings)?;
    let gap = findings
        .kept
        .iter()
        .find(|finding| segment::number(&finding.file).is_some());
    if let Some(gap) = gap {
        return Err(CopyError::Unfit {
            file: gap.file.clone(),
            reason: gap.reason.clone(),
        });
    }
    if segments.is_empty() {
        return Err(CopyError::Unfit {
            file: segment::path(log, 1),
            reason: "the first segment of the log is not there".to_owned(),
        });
    }
    Ok(segments.into_values().collect())
}

/// Copies all segments. Gives them and the last position.
fn copy_log(
    options: &BackupOptions,
    log_id: &LogId,
    paths: &[PathBuf],
    copying: &mut Copying<'_>,
) -> Result<(Vec<BackedUpSegment>, u64), CopyError> {
    let headers = paths
        .iter()
        .map(|path| walk::read_header(path, log_id))
        .collect::<Result<Vec<_>, _>>()?;
    let mut segments = Vec::new();
    let mut head = 0;
    for (at, (path, header)) in paths.iter().zip(&headers).enumerate() {
        let name = path.file_name().unwrap_or_default();
        let inside = Path::new(segment::FOLDER).join(name);
        let target = options.target.join(&inside);
        let (file, chain) = match headers.get(at + 1) {
            Some(next) => {
                let file = copying.take_full(path, &target, inside, options.link)?;
                (file, next.previous)
            }
            None => {
                let (file, chain, last) = copying.take_last(path, &target, inside, log_id)?;
                head = last;
                (file, chain)
            }
        };
        segments.push(BackedUpSegment {
            number: header.number,
            first: Position::new(header.first, 0),
            chain,
            file,
        });
    }
    Ok((segments, head))
}

/// Refuses a copy of the keys inside the backup, where the next copy would not replace it.
fn check_apart(keys: &Path, target: &Path) -> Result<(), CopyError> {
    let parent = keys
        .parent()
        .filter(|parent| !parent.as_os_str().is_empty());
    let parent = parent.unwrap_or(Path::new("."));
    let find = |path: &Path| path.canonicalize().map_err(OpenError::io("find", path));
    if find(parent)?.starts_with(find(target)?) {
        return Err(CopyError::KeysInside {
            keys: keys.to_owned(),
        });
    }
    Ok(())
}

/// Copies ciphertexts. Segments that appear while others are copied hold what was moved out of those.
fn copy_ciphertexts(
    folder: &Path,
    target: &Path,
    copying: &mut Copying<'_>,
) -> Result<Vec<BackedUpFile>, CopyError> {
    let mut payloads = Vec::new();
    let mut copied = std::collections::BTreeSet::new();
    loop {
        let before = copied.len();
        for path in files_of(folder)? {
            let is_blob = payload_store::blob_segment::number(&path).is_some();
            if is_blob && copied.insert(path.clone()) {
                let name = path.file_name().unwrap_or_default();
                let inside = Path::new(payload_store::FOLDER).join(name);
                match copying.copy(&path, &target.join(name), inside) {
                    Ok(file) => payloads.push(file),
                    Err(OpenError::Io {
                        source, path: at, ..
                    }) if source.kind() == io::ErrorKind::NotFound && at == path => {}
                    Err(error) => return Err(error.into()),
                }
            }
        }
        if copied.len() == before {
            return Ok(payloads);
        }
    }
}

/// Copies files one after another, each durable before the next, and says how far it has come.
pub(super) struct Copying<'a> {
    progress: &'a dyn Fn(u64, u64),
    done: u64,
    pub(super) total: u64,
}

impl<'a> Copying<'a> {
    pub(super) fn new(progress: &'a dyn Fn(u64, u64)) -> Self {
        Self {
            progress,
            done: 0,
            total: 0,
        }
    }

    pub(super) fn advance(&mut self, bytes: u64) {
        self.done += bytes;
        (self.progress)(self.done.min(self.total), self.total);
    }

    /// Links a full segment, or copies it where that cannot be.
    fn take_full(
        &mut self,
        path: &Path,
        target: &Path,
        inside: PathBuf,
        link: bool,
    ) -> Result<BackedUpFile, OpenError> {
        if link && std::fs::hard_link(path, target).is_ok() {
            // The link reaches the disk with its folder, but what it names may still be on its way.
            let file = File::open(target).map_err(OpenError::io("open", target))?;
            file.sync_all().map_err(OpenError::io("sync", target))?;
            let bytes = length(target);
            self.advance(bytes);
            return Ok(BackedUpFile {
                path: inside,
                bytes,
                sha256: None,
            });
        }
        self.copy(path, target, inside)
    }

    /// Copies the last segment up to the end of its last whole batch, after making sure that the
    /// batch is durable where it comes from, too.
    fn take_last(
        &mut self,
        path: &Path,
        target: &Path,
        inside: PathBuf,
        log_id: &LogId,
    ) -> Result<(BackedUpFile, ChainHash, u64), CopyError> {
        let mut walk = Walk::open_whole(path, log_id)?;
        loop {
            match walk.next()? {
                Ok(Some(batch)) => batch
                    .visit(|_, _, _| Ok(()))
                    .map_err(|damage| damage.in_file(path))?,
                Ok(None) => break,
                Err(damage) => {
                    if !walk.is_in_flight()? && walk.batch_follows()? {
                        return Err(damage.in_file(path).into());
                    }
                    break;
                }
            }
        }
        walk.sync()?;
        self.advance(walk.len);
        let place = walk.place;
        let copied = walk.bytes()?;
        write_new(target, copied)?;
        let file = BackedUpFile {
            path: inside,
            bytes: copied.len() as u64,
            sha256: Some(Sha256::digest(copied).into()),
        };
        Ok((file, place.chain, place.head()))
    }

    /// Copies a file as long as it is now.
    pub(super) fn copy(
        &mut self,
        path: &Path,
        target: &Path,
        inside: PathBuf,
    ) -> Result<BackedUpFile, OpenError> {
        let mut source = File::open(path).map_err(OpenError::io("open", path))?;
        let mut left = length(path);
        let mut file = create_new(target).map_err(OpenError::io("create", target))?;
        let mut chunk = vec![0; CHUNK_BYTES];
        let (mut hasher, mut bytes) = (Sha256::new(), 0);
        while left > 0 {
            let wanted = usize::try_from(left).map_or(CHUNK_BYTES, |left| left.min(CHUNK_BYTES));
            let read = source
                .read(&mut chunk[..wanted])
                .map_err(OpenError::io("read", path))?;
            if read == 0 {
                break;
            }
            hasher.update(&chunk[..read]);
            file.write_all(&chunk[..read])
                .map_err(OpenError::io("write", target))?;
            left -= read as u64;
            bytes += read as u64;
            self.advance(read as u64);
        }
        file.sync_all().map_err(OpenError::io("sync", target))?;
        Ok(BackedUpFile {
            path: inside,
            bytes,
            sha256: Some(hasher.finalize().into()),
        })
    }
}

/// Makes the folder if it is not there, readable by its owner only. Refuses one that holds anything.
pub(super) fn make_empty_folder(folder: &Path) -> Result<(), CopyError> {
    make_folder(folder)?;
    let mut entries = std::fs::read_dir(folder).map_err(OpenError::io("list", folder))?;
    // A fresh file system has lost+found.
    let is_empty = entries.all(|entry| entry.is_ok_and(|entry| entry.file_name() == "lost+found"));
    if is_empty {
        Ok(())
    } else {
        Err(CopyError::NotEmpty {
            folder: folder.to_owned(),
        })
    }
}

pub(super) fn make_folder(folder: &Path) -> Result<(), OpenError> {
    DirBuilder::new()
        .recursive(true)
        .mode(0o700)
        .create(folder)
        .map_err(OpenError::io("create", folder))
}

pub(super) fn sync_folder(folder: &Path) -> Result<(), OpenError> {
    let synced = File::open(folder).and_then(|folder| folder.sync_all());
    synced.map_err(OpenError::io("sync", folder))
}

/// Writes a new file, durable except for its name.
pub(super) fn write_new(path: &Path, bytes: &[u8]) -> Result<(), OpenError> {
    let mut file = create_new(path).map_err(OpenError::io("create", path))?;
    file.write_all(bytes)
        .map_err(OpenError::io("write", path))?;
    file.sync_all().map_err(OpenError::io("sync", path))
}

fn create_new(path: &Path) -> io::Result<File> {
    OpenOptions::new()
        .write(true)
        .create_new(true)
        .mode(0o600)
        .open(path)
}

pub(super) fn files_of(folder: &Path) -> Result<Vec<PathBuf>, OpenError> {
    use crate::storage::Storage as _;
    Disk.list(folder).map_err(OpenError::io("list", folder))
}

pub(super) fn length(path: &Path) -> u64 {
    path.metadata().map_or(0, |metadata| metadata.len())
}
