//! Proves that erased bytes are gone, for tests: remembers payloads with their keys and
//! ciphertexts as they lie in the files of a folder, and looks later for any part of them in every
//! file below it.

use std::collections::HashMap;
use std::io;
use std::path::{Path, PathBuf};

use satpost_domain::PayloadId;

use super::blob_segment::{self, FRAME_HEADER_BYTES};
use super::key_file;
use super::scan::frames;
use crate::embedded::data_folder::{self, FolderKind};
use crate::storage::{Access, Disk, OpenError, Storage as _, read_whole};

/// How much of a secret is looked for at a time. Any run of twice as many bytes of it is found.
const WINDOW_BYTES: usize = 16;

/// What a trace is part of.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Secret {
    /// The payload as it was stored.
    Plaintext,
    /// The payload as it lies in a blob segment.
    Ciphertext,
    /// The key it is encrypted under.
    Key,
}

/// A place where a part of a secret was found.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Trace {
    /// The payload.
    pub id: PayloadId,
    /// What of it.
    pub secret: Secret,
    /// In which file.
    pub file: PathBuf,
    /// Where in it.
    pub offset: usize,
}

/// Payloads to look for.
#[derive(Debug, Default)]
pub struct Canaries {
    windows: HashMap<[u8; WINDOW_BYTES], (PayloadId, Secret)>,
}

/// Why payloads cannot be looked for.
#[derive(Debug, thiserror::Error)]
pub enum CanaryError {
    /// The folder cannot be read.
    #[error(transparent)]
    Open(#[from] OpenError),
    /// A file cannot be read.
    #[error("cannot read below {}: {source}", path.display())]
    Io {
        /// The file or folder.
        path: PathBuf,
        /// Why not.
        #[source]
        source: io::Error,
    },
    /// A payload is not there to begin with, so that looking for it would prove nothing.
    #[error("the payload {id} has no key and ciphertext")]
    Absent {
        /// The payload.
        id: PayloadId,
    },
}

impl Canaries {
    /// Remembers payloads that are alive now in the data folder or payload folder `folder`. Their
    /// plaintexts must be distinctive: none may repeat 16 bytes that are stored elsewhere.
    ///
    /// # Errors
    /// [`CanaryError`], also when one of the payloads is not there.
    pub fn remember(
        &mut self,
        folder: &Path,
        payloads: &[(PayloadId, Vec<u8>)],
    ) -> Result<(), CanaryError> {
        let kind = match data_folder::read_format(&Disk, folder, FolderKind::Data) {
            Err(OpenError::Foreign { .. }) => FolderKind::Payloads,
            _ => FolderKind::Data,
        };
        let log_id = data_folder::read_format(&Disk, folder, kind)?;
        let log_id = log_id.ok_or_else(|| OpenError::Absent {
            folder: folder.to_owned(),
        })?;
        let inner = folder.join(super::FOLDER);
        let keys = key_file::find(&Disk, &inner, &log_id, Access::Read)?;
        let mut found = HashMap::new();
        for path in Disk.list(&inner).map_err(unreadable(&inner))? {
            if blob_segment::number(&path).is_none() {
                continue;
            }
            let bytes = read(&path)?;
            for (offset, frame) in frames(&log_id, &bytes) {
                let key = keys.as_ref().and_then(|keys| keys.slot(frame.slot));
                let is_it = |key: &key_file::KeyRecord| {
                    (key.id, key.position) == (frame.id, frame.position)
                };
                if let Some(key) = key.filter(is_it) {
                    let start = offset as usize + FRAME_HEADER_BYTES;
                    let ciphertext = bytes[start..start + frame.bytes as usize].to_vec();
                    found.insert(frame.id, (key.key, ciphertext));
                }
            }
        }
        for (id, plaintext) in payloads {
            let (key, ciphertext) = found.get(id).ok_or(CanaryError::Absent { id: *id })?;
            self.add(*id, Secret::Key, key.as_slice());
            self.add(*id, Secret::Ciphertext, ciphertext);
            self.add(*id, Secret::Plaintext, plaintext);
        }
        Ok(())
    }

    fn add(&mut self, id: PayloadId, secret: Secret, bytes: &[u8]) {
        for window in bytes.as_chunks().0 {
            self.windows.insert(*window, (id, secret));
        }
    }

    /// Every place in any file below `folder` where a part of a payload is.
    ///
    /// # Errors
    /// [`CanaryError`]; a file that goes while it is looked for is none.
    pub fn traces(&self, folder: &Path) -> Result<Vec<Trace>, CanaryError> {
        let starts = self.starts();
        let mut traces = Vec::new();
        let mut folders = vec![folder.to_owned()];
        while let Some(folder) = folders.pop() {
            for path in Disk.list(&folder).map_err(unreadable(&folder))? {
                if path.is_dir() {
                    folders.push(path);
                    continue;
                }
                match read(&path) {
                    Ok(bytes) => self.search(&starts, &path, &bytes, &mut traces),
                    Err(CanaryError::Io { source, .. })
                        if source.kind() == io::ErrorKind::NotFound => {}
                    Err(error) => return Err(error),
                }
            }
        }
        traces.sort();
        Ok(traces)
    }

    /// Which first two bytes windows have. Few places in a file begin like a secret: most are
    /// passed over without a look into the map.
    fn starts(&self) -> Vec<bool> {
        let mut starts = vec![false; 1 << 16];
        for window in self.windows.keys() {
            starts[start(window)] = true;
        }
        starts
    }

    fn search(&self, starts: &[bool], path: &Path, bytes: &[u8], traces: &mut Vec<Trace>) {
        for (offset, window) in bytes.windows(WINDOW_BYTES).enumerate() {
            if starts[start(window)]
                && let Some((id, secret)) = self.windows.get(window)
            {
                traces.push(Trace {
                    id: *id,
                    secret: *secret,
                    file: path.to_owned(),
                    offset,
                });
            }
        }
    }
}

fn start(window: &[u8]) -> usize {
    usize::from(window[0]) << 8 | usize::from(window[1])
}

fn unreadable(path: &Path) -> impl FnOnce(io::Error) -> CanaryError {
    let path = path.to_owned();
    move |source| CanaryError::Io { path, source }
}

fn read(path: &Path) -> Result<Vec<u8>, CanaryError> {
    let file = Disk.open(path, Access::Read).map_err(unreadable(path))?;
    read_whole(&*file).map_err(unreadable(path))
}
