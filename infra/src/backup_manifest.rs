//! What describes a backup: `manifest.json` in its folder. A folder without it is no backup, so it
//! is written last.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use satpost_domain::{Position, Timestamp};
use satpost_event_store::embedded::backup::{BackedUp, BackedUpFile};
use satpost_event_store::embedded::restore::RestoreOptions;
use satpost_event_store::storage::{Disk, replace_file};
use serde::{Deserialize, Serialize};

use crate::log_checkpoints::LogCheckpoint;

/// The name of the file.
pub const FILE: &str = "manifest.json";
/// The version that is written and read.
const VERSION: u32 = 1;

/// The description of a backup. Positions and bytes are text.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct BackupManifest {
    /// The version of this description.
    pub satpost_backup: u32,
    /// When the backup was made.
    pub made_at: Timestamp,
    /// Which log it is.
    pub log: String,
    /// The id of the log; as secret as its files.
    pub log_id: String,
    /// The last event.
    pub position: String,
    /// The hash that stands for everything through the last batch.
    pub chain: String,
    /// Whether the ciphertexts of payloads are there; their keys never are.
    pub with_payloads: bool,
    /// Whether the keys of the server are there.
    pub with_keys: bool,
    /// The segments by number.
    pub segments: Vec<SegmentEntry>,
    /// All other files of the log.
    pub files: Vec<FileEntry>,
    /// The server's signature under position and chain, where its key was at hand.
    pub checkpoint: Option<serde_json::Value>,
}

/// A segment of the log.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct SegmentEntry {
    /// The position of its first event.
    pub first: String,
    /// The hash that stands for the log through its last batch.
    pub chain: String,
    /// Whether it is the same file as the one it was made from.
    pub linked: bool,
    /// The file.
    #[serde(flatten)]
    pub file: FileEntry,
}

/// A file.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct FileEntry {
    /// Inside the backup.
    pub path: PathBuf,
    /// How long it is. A linked segment may become shorter: room behind its last batch is cut.
    pub bytes: u64,
    /// Of a file that was copied; a linked one is proved by the chain.
    pub sha256: Option<String>,
}

/// Why a folder is not taken for a backup.
#[derive(Debug, thiserror::Error)]
pub enum ManifestError {
    /// There is no description.
    #[error("{} is no complete backup: it has no {FILE}", folder.display())]
    Absent {
        /// The folder.
        folder: PathBuf,
    },
    /// The description is of another version.
    #[error("{} has version {found} and this satpostd reads version {VERSION}", path.display())]
    Version {
        /// The description.
        path: PathBuf,
        /// Its version.
        found: u64,
    },
    /// The description is damaged.
    #[error("{} cannot be read: {reason}", path.display())]
    Damaged {
        /// The description.
        path: PathBuf,
        /// What is wrong with it.
        reason: String,
    },
}

impl BackupManifest {
    /// Describes what was copied.
    #[must_use]
    pub fn new(
        copied: &BackedUp,
        made_at: Timestamp,
        with_keys: bool,
        checkpoint: Option<&LogCheckpoint>,
    ) -> Self {
        let segments = copied.segments.iter().map(|segment| SegmentEntry {
            first: segment.first.to_string(),
            chain: hex::encode(segment.chain),
            linked: segment.file.sha256.is_none(),
            file: FileEntry::new(&segment.file),
        });
        Self {
            satpost_backup: VERSION,
            made_at,
            log: copied.log.to_string(),
            log_id: hex::encode(copied.log_id),
            position: copied.head.to_string(),
            chain: hex::encode(copied.chain),
            with_payloads: copied.payloads.is_some(),
            with_keys,
            segments: segments.collect(),
            files: copied
                .payloads
                .iter()
                .flatten()
                .map(FileEntry::new)
                .collect(),
            checkpoint: checkpoint.map(LogCheckpoint::to_json),
        }
    }

    /// Completes the backup in `folder`: durable when it returns.
    ///
    /// # Errors
    /// When it cannot be written.
    pub fn write(&self, folder: &Path) -> io::Result<()> {
        let text = serde_json::to_vec_pretty(self).map_err(io::Error::other)?;
        replace_file(&Disk, &folder.join(FILE), &text)
    }

    /// Reads the description of the backup in `folder`.
    ///
    /// # Errors
    /// [`ManifestError`].
    pub fn read(folder: &Path) -> Result<Self, ManifestError> {
        let path = folder.join(FILE);
        let damaged = |reason: String| ManifestError::Damaged {
            path: path.clone(),
            reason,
        };
        let bytes = match fs::read(&path) {
            Ok(bytes) => bytes,
            Err(error) if error.kind() == io::ErrorKind::NotFound => {
                return Err(ManifestError::Absent {
                    folder: folder.to_owned(),
                });
            }
            Err(error) => return Err(damaged(error.to_string())),
        };
        let value: serde_json::Value =
            serde_json::from_slice(&bytes).map_err(|error| damaged(error.to_string()))?;
        let found = value
            .get("satpost_backup")
            .and_then(serde_json::Value::as_u64);
        match found {
            Some(found) if found == u64::from(VERSION) => {}
            Some(found) => return Err(ManifestError::Version { path, found }),
            None => return Err(damaged("it names no version".to_owned())),
        }
        serde_json::from_value(value).map_err(|error| damaged(error.to_string()))
    }

    /// The last event.
    ///
    /// # Errors
    /// When that is no position.
    pub fn head(&self) -> anyhow::Result<Position> {
        self.position
            .parse()
            .map_err(|_| anyhow::anyhow!("the position in {FILE} cannot be read"))
    }

    /// What to do to make a data folder of the backup.
    ///
    /// # Errors
    /// When a field does not hold what it should.
    pub fn restore_options(
        &self,
        source: &Path,
        target: &Path,
        to: Option<Position>,
        payload_keys: Option<&Path>,
    ) -> anyhow::Result<RestoreOptions> {
        anyhow::ensure!(
            self.with_payloads || payload_keys.is_none(),
            "the backup holds no payloads, so keys of payloads are of no use"
        );
        let payloads = self.files.iter().map(FileEntry::backed_up);
        Ok(RestoreOptions {
            source: source.to_owned(),
            target: target.to_owned(),
            to,
            log_id: satpost_domain::ids::parse_hex(&self.log_id)?,
            head: self.head()?,
            chain: satpost_domain::ids::parse_hex(&self.chain)?,
            segments: u32::try_from(self.segments.len())?,
            payloads: payloads.collect::<anyhow::Result<_>>()?,
            payload_keys: payload_keys.map(Path::to_owned),
        })
    }
}

impl FileEntry {
    fn new(file: &BackedUpFile) -> Self {
        Self {
            path: file.path.clone(),
            bytes: file.bytes,
            sha256: file.sha256.map(hex::encode),
        }
    }

    fn backed_up(&self) -> anyhow::Result<BackedUpFile> {
        let sha256 = self.sha256.as_deref();
        Ok(BackedUpFile {
            path: self.path.clone(),
            bytes: self.bytes,
            sha256: sha256.map(satpost_domain::ids::parse_hex).transpose()?,
        })
    }
}
