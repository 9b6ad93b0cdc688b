//! The files of the log: `log/<number>.log`, each with a header and then batch frames.
//! Only the last one is written; the zeros behind its last frame are its room.

use std::io;
use std::path::{Path, PathBuf};
use std::sync::{Arc, PoisonError, RwLock};

use super::clean_mark::CleanMark;
use super::data_folder::LogId;
use super::frame::ChainHash;
use super::full_segment::FullSegment;
use super::index::Index;
use super::index_file::Facts;
use super::index_folder::IndexFolder;
use crate::storage::file_preparer::{Chore, FilePreparer};
use crate::storage::{OpenError, Storage, StorageFile, is_out_of_space};

/// The folder of the log inside the data folder.
pub(super) const FOLDER: &str = "log";
/// How many bytes the header of a segment has.
pub(super) const HEADER_BYTES: usize = 80;
const MAGIC: &[u8; 8] = b"SATPLOG\n";
const VERSION: u32 = 1;

/// One file of the log. What is behind `end` of its index is not part of the log.
pub(super) struct SegmentFile {
    pub(super) header: SegmentHeader,
    pub(super) path: PathBuf,
    pub(super) file: Arc<dyn StorageFile>,
}

impl SegmentFile {
    /// Says that its bytes at `offset` are not what was written.
    pub(super) fn damaged(&self, offset: u64, reason: &str) -> OpenError {
        OpenError::Damaged {
            file: self.path.clone(),
            offset,
            reason: reason.to_owned(),
        }
    }
}

/// What the header of a segment says.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct SegmentHeader {
    /// The number of the segment. Counts from 1 without gaps.
    pub(super) number: u32,
    /// The position of its first event.
    pub(super) first: u64,
    /// The chain hash of the last frame of the segment before.
    pub(super) previous: ChainHash,
}

impl SegmentHeader {
    pub(super) fn encode(&self, log_id: &LogId) -> [u8; HEADER_BYTES] {
        let mut bytes = [0; HEADER_BYTES];
        bytes[..8].copy_from_slice(MAGIC);
        bytes[8..12].copy_from_slice(&VERSION.to_le_bytes());
        bytes[12..16].copy_from_slice(&self.number.to_le_bytes());
        bytes[16..32].copy_from_slice(log_id.as_bytes());
        bytes[32..40].copy_from_slice(&self.first.to_le_bytes());
        bytes[40..72].copy_from_slice(&self.previous);
        let checksum = crc32c::crc32c(&bytes[..76]);
        bytes[76..].copy_from_slice(&checksum.to_le_bytes());
        bytes
    }

    /// Nothing when it is no header of a segment of this log.
    pub(super) fn decode(log_id: &LogId, bytes: &[u8]) -> Option<Self> {
        let bytes: &[u8; HEADER_BYTES] = bytes.first_chunk()?;
        let header = Self {
            number: u32::from_le_bytes(bytes[12..16].try_into().ok()?),
            first: u64::from_le_bytes(bytes[32..40].try_into().ok()?),
            previous: bytes[40..72].try_into().ok()?,
        };
        (header.encode(log_id) == *bytes).then_some(header)
    }
}

/// The path of a segment.
pub(super) fn path(folder: &Path, number: u32) -> PathBuf {
    folder.join(format!("{number:010}.log"))
}

/// The number in a segment's name; nothing for other files.
pub(super) fn number(path: &Path) -> Option<u32> {
    path.file_name()?
        .to_str()?
        .strip_suffix(".log")?
        .parse()
        .ok()
}

/// Why there is no next segment.
#[derive(Debug)]
pub(super) enum RollError {
    /// There is no room on the disk. Nothing has changed.
    NoSpace(io::Error),
    /// The disk failed.
    Failed(io::Error),
}

/// Gives a prepared file its header and its name, both durable when it returns.
pub(super) fn begin(
    storage: &dyn Storage,
    preparer: &FilePreparer,
    folder: &Path,
    log_id: &LogId,
    header: SegmentHeader,
) -> Result<SegmentFile, RollError> {
    let prepared = preparer.take().map_err(|error| {
        if is_out_of_space(&error) {
            RollError::NoSpace(error)
        } else {
            RollError::Failed(error)
        }
    })?;
    let path = path(folder, header.number);
    let named = || -> io::Result<()> {
        prepared.file.write_at(&header.encode(log_id), 0)?;
        // Durable before it has its name: a segment with a name always has a header.
        prepared.file.sync()?;
        storage.rename(&prepared.path, &path)?;
        storage.sync_folder(folder)
    };
    named().map_err(RollError::Failed)?;
    Ok(SegmentFile {
        header,
        path,
        file: prepared.file,
    })
}

/// Writes the last segment and goes on to the next one.
pub(super) struct SegmentWriter {
    pub(super) storage: Arc<dyn Storage>,
    pub(super) folder: PathBuf,
    pub(super) log_id: LogId,
    pub(super) preparer: FilePreparer,
    pub(super) files: Arc<IndexFolder>,
    pub(super) current: Arc<SegmentFile>,
    /// Where the next frame goes.
    pub(super) end: u64,
    /// How long the current file is.
    pub(super) capacity: u64,
    /// How long a new file is.
    pub(super) segment_bytes: u64,
}

impl SegmentWriter {
    /// How many bytes the current segment can still take.
    pub(super) fn room(&self) -> u64 {
        self.capacity.saturating_sub(self.end)
    }

    /// Writes a frame, for which there is room, and makes it durable. Gives where it starts.
    pub(super) fn write(&mut self, frame: &[u8]) -> io::Result<u64> {
        let start = self.end;
        self.current.file.write_at(frame, start)?;
        self.current.file.sync()?;
        self.end += frame.len() as u64;
        self.preparer.pace(self.end);
        Ok(start)
    }

    /// Goes on to the next segment, which begins with position `first`. In the background the zeros
    /// behind the full one are cut and its index file is made.
    pub(super) fn roll(
        &mut self,
        first: u64,
        previous: ChainHash,
        index: &Arc<RwLock<Index>>,
    ) -> Result<(), RollError> {
        let header = SegmentHeader {
            number: self.current.header.number + 1,
            first,
            previous,
        };
        let next = begin(
            &*self.storage,
            &self.preparer,
            &self.folder,
            &self.log_id,
            header,
        )?;
        let full = std::mem::replace(&mut self.current, Arc::new(next));
        let end = std::mem::replace(&mut self.end, HEADER_BYTES as u64);
        self.capacity = self.segment_bytes;
        self.trim(&full, end);
        let recent = index
            .write()
            .unwrap_or_else(PoisonError::into_inner)
            .add_segment(Arc::clone(&self.current));
        let Some(recent) = recent else {
            return Ok(());
        };
        let full = FullSegment {
            log_id: self.log_id,
            facts: Facts {
                number: full.header.number,
                first: full.header.first,
                count: recent.count(),
                before: full.header.previous,
                after: previous,
            },
            end,
            recent,
        };
        let (files, index) = (Arc::clone(&self.files), Arc::clone(index));
        let settle = move || full.settle(&files, &index);
        self.preparer.leave(Chore::Run(Box::new(settle)));
        Ok(())
    }

    /// Cuts the zeros behind the end of a full segment, in the background.
    pub(super) fn trim(&self, full: &SegmentFile, end: u64) {
        self.preparer.leave(Chore::Trim {
            file: Arc::clone(&full.file),
            path: full.path.clone(),
            len: end,
        });
    }

    /// Waits for what is done in the background, and leaves the mark of a log that was closed in
    /// good order. Everything is durable without it.
    pub(super) fn close(self, head: u64, chain: ChainHash) {
        drop(self.preparer);
        let mark = CleanMark {
            number: self.current.header.number,
            head,
            end: self.end,
            chain,
        };
        if let Err(error) = mark.write(&*self.storage, &self.folder, &self.log_id) {
            tracing::warn!(%error, "cannot mark the event log as closed in good order");
        }
    }
}
