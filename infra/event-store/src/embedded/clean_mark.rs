//! The mark of a log that was closed in good order: `log/clean` says where it ended. It is removed,
//! durably, before anything is written again. All numbers are little-endian.
//!
//! | bytes | content |
//! |---|---|
//! | 8 | `SATPEND\n` |
//! | 4, 4 | version of this form, 1; number of the last segment |
//! | 16 | id of the log |
//! | 8, 8 | position of the last event; where in the segment the last frame ends |
//! | 32 | chain hash of the last frame |
//! | 4 | CRC-32C of all this |
//!
//! Everything before that end was durable. With the mark, what is not right there is damage; without
//! it, it can be a batch that was being written when the process ended. A mark that is missing or
//! damaged only means that nothing is known.

use std::io;
use std::path::Path;

use super::data_folder::LogId;
use super::frame::ChainHash;
use crate::storage::{Access, OpenError, Storage, is_unfinished, read_whole, replace_file};

/// The name of the file in the folder of the log.
const NAME: &str = "clean";
const MAGIC: &[u8; 8] = b"SATPEND\n";
const VERSION: u32 = 1;
const BYTES: usize = 84;

/// Where the log ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct CleanMark {
    /// The number of the last segment.
    pub(super) number: u32,
    /// The position of the last event; 0 when there is none.
    pub(super) head: u64,
    /// Where in the last segment the last frame ends.
    pub(super) end: u64,
    /// The chain hash of the last frame.
    pub(super) chain: ChainHash,
}

impl CleanMark {
    fn encode(&self, log_id: &LogId) -> [u8; BYTES] {
        let mut bytes = [0; BYTES];
        bytes[..8].copy_from_slice(MAGIC);
        bytes[8..12].copy_from_slice(&VERSION.to_le_bytes());
        bytes[12..16].copy_from_slice(&self.number.to_le_bytes());
        bytes[16..32].copy_from_slice(log_id.as_bytes());
        bytes[32..40].copy_from_slice(&self.head.to_le_bytes());
        bytes[40..48].copy_from_slice(&self.end.to_le_bytes());
        bytes[48..80].copy_from_slice(&self.chain);
        let checksum = crc32c::crc32c(&bytes[..80]);
        bytes[80..].copy_from_slice(&checksum.to_le_bytes());
        bytes
    }

    fn decode(log_id: &LogId, bytes: &[u8]) -> Option<Self> {
        let bytes: &[u8; BYTES] = bytes.try_into().ok()?;
        let mark = Self {
            number: u32::from_le_bytes(bytes[12..16].try_into().ok()?),
            head: u64::from_le_bytes(bytes[32..40].try_into().ok()?),
            end: u64::from_le_bytes(bytes[40..48].try_into().ok()?),
            chain: bytes[48..80].try_into().ok()?,
        };
        (mark.encode(log_id) == *bytes).then_some(mark)
    }

    /// Leaves the mark in the folder of the log. Everything it tells of is durable already.
    pub(super) fn write(
        &self,
        storage: &dyn Storage,
        folder: &Path,
        log_id: &LogId,
    ) -> io::Result<()> {
        replace_file(storage, &folder.join(NAME), &self.encode(log_id))
    }
}

/// The mark in the folder of a log; nothing when there is none that can be used.
pub(super) fn read(
    storage: &dyn Storage,
    folder: &Path,
    log_id: &LogId,
) -> Result<Option<CleanMark>, OpenError> {
    let path = folder.join(NAME);
    let bytes = match storage.open(&path, Access::Read) {
        Ok(file) => read_whole(&*file).map_err(OpenError::io("read", &path))?,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
        Err(error) => return Err(OpenError::io("open", &path)(error)),
    };
    let mark = CleanMark::decode(log_id, &bytes);
    if mark.is_none() {
        tracing::warn!(
            file = %path.display(),
            "the mark of a log closed in good order is damaged or of another log; it is ignored"
        );
    }
    Ok(mark)
}

/// True for the mark, and for one that was being written when the process ended.
pub(super) fn is_mark(path: &Path) -> bool {
    path.file_stem().is_some_and(|stem| stem == NAME)
        && (path.extension().is_none() || is_unfinished(path))
}

/// Removes the mark, durably.
pub(super) fn remove(storage: &dyn Storage, folder: &Path) -> Result<(), OpenError> {
    let path = folder.join(NAME);
    match storage.remove(&path) {
        Ok(()) => storage
            .sync_folder(folder)
            .map_err(OpenError::io("sync", folder)),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
        Err(error) => Err(OpenError::io("remove", &path)(error)),
    }
}
