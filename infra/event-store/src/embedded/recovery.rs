//! Reads the whole log when it is opened: checks it, builds the index, and finds its end.
//!
//! What is behind the last whole frame of the last segment is a batch that was being written when
//! the process ended. Nobody was told that it is durable, so it is cut. Anything else that is not
//! as it was written is damage: then nothing is opened and nothing is changed.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use super::data_folder::LogId;
use super::frame::{self, ChainHash, FrameHeader, FrameParts};
use super::index::{Index, StreamKey};
use super::record::Record;
use super::segment::{self, SegmentFile, SegmentHeader};
use crate::payload_store::recovery::Living;
use crate::storage::file_preparer::FilePreparer;
use crate::storage::{Access, OpenError, Storage, read_whole};

/// How often a frame that seems damaged is read again while another process is writing.
const RACE_RETRIES: usize = 3;

/// What a disk writes as a whole or not at all, in bytes.
const SECTOR_BYTES: usize = 512;
/// How many zeros at the end of a batch show that its end was not written.
const ZEROS_OF_A_TORN_END: usize = 8;

/// The log as it was found.
pub(super) struct Recovered {
    pub(super) index: Index,
    /// The payloads that are alive.
    pub(super) living: Living,
    /// The hash that stands for the whole log.
    pub(super) chain: ChainHash,
    pub(super) last: Last,
}

/// The last segment.
pub(super) struct Last {
    pub(super) segment: Arc<SegmentFile>,
    /// Where its last frame starts, if it has one.
    pub(super) last_frame: Option<u64>,
    /// Where its last frame ends.
    pub(super) end: u64,
    /// How long the file is.
    pub(super) capacity: u64,
    /// What is behind the end and not zero ends here.
    pub(super) torn_end: u64,
}

/// Reads the log in `folder`.
pub(super) fn recover(
    storage: &dyn Storage,
    folder: &Path,
    log_id: &LogId,
    access: Access,
) -> Result<Recovered, OpenError> {
    let paths = segment_paths(storage, folder, access)?;
    let mut scan = Scan {
        log_id: *log_id,
        access,
        index: Index::new(),
        living: Living::new(),
        chain: [0; 32],
        next_position: 1,
    };
    let mut last = None;
    let count = paths.len();
    for (at, path) in paths.into_iter().enumerate() {
        let number = u32::try_from(at + 1).unwrap_or(u32::MAX);
        last = Some(scan.segment(storage, path, number, at + 1 == count)?);
    }
    let last = last.ok_or_else(|| OpenError::Damaged {
        file: segment::path(folder, 1),
        offset: 0,
        reason: "the first segment of the log is not there".to_owned(),
    })?;
    Ok(Recovered {
        index: scan.index,
        living: scan.living,
        chain: scan.chain,
        last,
    })
}

/// The segments in order. Files that were being prepared are removed.
fn segment_paths(
    storage: &dyn Storage,
    folder: &Path,
    access: Access,
) -> Result<Vec<PathBuf>, OpenError> {
    let mut paths = Vec::new();
    let found = storage
        .list(folder)
        .map_err(OpenError::io("list", folder))?;
    for path in found {
        if segment::number(&path).is_some() {
            paths.push(path);
        } else if FilePreparer::is_left_over(&path) && access == Access::ReadWrite {
            storage
                .remove(&path)
                .map_err(OpenError::io("remove", &path))?;
        }
    }
    for (at, path) in paths.iter().enumerate() {
        let expected = u32::try_from(at + 1).ok();
        if segment::number(path) != expected {
            return Err(OpenError::Damaged {
                file: path.clone(),
                offset: 0,
                reason: format!("segment {} of the log is not there", at + 1),
            });
        }
    }
    Ok(paths)
}

struct Scan {
    log_id: LogId,
    access: Access,
    index: Index,
    living: Living,
    chain: ChainHash,
    next_position: u64,
}

/// Why a frame is not one.
type Reason = &'static str;

impl Scan {
    fn segment(
        &mut self,
        storage: &dyn Storage,
        path: PathBuf,
        number: u32,
        is_last: bool,
    ) -> Result<Last, OpenError> {
        let file = storage
            .open(&path, self.access)
            .map_err(OpenError::io("open", &path))?;
        let mut bytes = read_whole(&*file).map_err(OpenError::io("read", &path))?;
        let expected = SegmentHeader {
            number,
            first: self.next_position,
            previous: self.chain,
        };
        if SegmentHeader::decode(&self.log_id, &bytes) != Some(expected) {
            let reason = "this is not the segment that follows";
            return Err(damaged(&path, 0, reason));
        }
        let segment = Arc::new(SegmentFile { number, path, file });
        self.index
            .add_segment(Arc::clone(&segment), self.next_position);
        let mut last = Last {
            segment,
            last_frame: None,
            end: segment::HEADER_BYTES as u64,
            capacity: bytes.len() as u64,
            torn_end: 0,
        };
        let mut retries = 0;
        while let Some(rest) = bytes
            .get(offset(last.end)..)
            .filter(|rest| !rest.is_empty())
        {
            match self.frame(rest, last.end, is_last) {
                Ok(length) => {
                    last.last_frame = Some(last.end);
                    last.end += length as u64;
                }
                Err(_) if rest.iter().all(|byte| *byte == 0) => break,
                Err(reason)
                    if is_last
                        && !self.frame_follows(rest)
                        && !self.was_finished(rest, last.end) =>
                {
                    // Nothing whole comes after it: it is the batch that was being written.
                    tracing::debug!(reason, "the last batch is not whole");
                    break;
                }
                Err(_) if self.access == Access::Read && retries < RACE_RETRIES => {
                    // The process that writes may have finished the frame since it was read.
                    retries += 1;
                    let file = &last.segment.file;
                    bytes =
                        read_whole(&**file).map_err(OpenError::io("read", &last.segment.path))?;
                }
                Err(reason) => return Err(damaged(&last.segment.path, last.end, reason)),
            }
        }
        let torn = bytes.get(offset(last.end)..).unwrap_or_default();
        let torn_bytes = torn
            .iter()
            .rposition(|byte| *byte != 0)
            .map_or(0, |at| at + 1);
        last.torn_end = last.end + torn_bytes as u64;
        self.index.set_end(last.end);
        Ok(last)
    }

    /// Checks one frame and takes what is in it. Nothing is taken when it is not right.
    fn frame(&mut self, bytes: &[u8], start: u64, verify_hash: bool) -> Result<usize, Reason> {
        let header = FrameHeader::decode(&self.log_id, bytes)
            .ok_or("the header of a batch is not there or its checksum is wrong")?;
        if header.previous != self.chain || header.first_position != self.next_position {
            return Err("a batch does not follow the one before it");
        }
        let parts = FrameParts::split(&header, bytes)
            .ok_or("a batch is not whole or its list of erased payloads is damaged")?;
        // Hashes of earlier segments are checked against the header that comes after them; all of
        // them are computed again by a verification of the log, not each time it is opened.
        if verify_hash && !parts.hash_is_right() {
            return Err("the hash of a batch is wrong");
        }
        let records = self.records(&header, parts.records, start)?;
        for (key, offset, payload, position) in records {
            self.index.add(key, offset);
            if let Some(id) = payload {
                self.living.insert(id, position);
            }
        }
        for id in &parts.erased {
            self.living.remove(id);
        }
        self.next_position += u64::from(header.events);
        self.chain = parts.hash;
        Ok(header.length)
    }

    #[allow(clippy::type_complexity)]
    fn records(
        &self,
        header: &FrameHeader,
        records: &[u8],
        start: u64,
    ) -> Result<Vec<(StreamKey, u32, Option<satpost_domain::PayloadId>, u64)>, Reason> {
        let mut found = Vec::with_capacity(header.events as usize);
        let mut rest = records;
        for number in 0..u64::from(header.events) {
            let before = start + (frame::HEADER_BYTES + records.len() - rest.len()) as u64;
            let (record, behind) =
                Record::decode(rest).map_err(|_| "the checksum of an event is wrong")?;
            rest = behind;
            let offset = u32::try_from(before).map_err(|_| "a segment is too large")?;
            let key = StreamKey::new(&self.log_id, record.stream);
            found.push((key, offset, record.payload, header.first_position + number));
        }
        if rest.is_empty() {
            Ok(found)
        } else {
            Err("a batch has more bytes than events")
        }
    }

    /// Whether a frame that is not right was written to its end all the same. Before it is written,
    /// its place is all zeros; what is torn off leaves zeros at its end or in a whole sector.
    /// `start` is where the frame is in its file.
    fn was_finished(&self, bytes: &[u8], start: u64) -> bool {
        let Some(header) = FrameHeader::decode(&self.log_id, bytes) else {
            return header_is_damaged(bytes, start);
        };
        let Some(frame) = bytes.get(..header.length) else {
            return false;
        };
        // Frames do not start where sectors do, but half a sector of zeros is as good a sign.
        let hole = frame.chunks_exact(SECTOR_BYTES / 2).any(is_zero);
        // One zero may well be the end of the hash. Several are not, unless they are all that a
        // sector has of it.
        let end = start + header.length as u64;
        let in_last_sector = (end - 1) % SECTOR_BYTES as u64 + 1;
        let tail = ZEROS_OF_A_TORN_END.min(offset(in_last_sector));
        !hole && !is_zero(&frame[frame.len() - tail..])
    }

    /// Whether a frame header comes after the first byte. Batches are written one after another,
    /// each when the one before is durable: so what is before a frame was durable, too.
    fn frame_follows(&self, bytes: &[u8]) -> bool {
        let mut rest = bytes.get(1..).unwrap_or_default();
        while let Some(at) = frame::find(rest, self.log_id.batch_magic()) {
            if FrameHeader::decode(&self.log_id, &rest[at..]).is_some() {
                return true;
            }
            rest = &rest[at + 1..];
        }
        false
    }
}

fn is_zero(bytes: &[u8]) -> bool {
    bytes.iter().all(|byte| *byte == 0)
}

/// Whether the header at the start of `bytes`, which is not right, was written as a whole and changed
/// afterwards. A write that was torn leaves zeros behind some place of it and nothing after that, or
/// zeros in all of its part of one sector.
fn header_is_damaged(bytes: &[u8], start: u64) -> bool {
    let Some((header, body)) = bytes.split_at_checked(frame::HEADER_BYTES) else {
        return false;
    };
    let in_first_sector = SECTOR_BYTES - offset(start % SECTOR_BYTES as u64);
    let (first, second) = header.split_at(in_first_sector.min(header.len()));
    let sector_is_missing = is_zero(first) || (!second.is_empty() && is_zero(second));
    !sector_is_missing && !is_zero(body)
}

fn offset(offset: u64) -> usize {
    usize::try_from(offset).unwrap_or(usize::MAX)
}

fn damaged(path: &Path, offset: u64, reason: &str) -> OpenError {
    OpenError::Damaged {
        file: path.to_owned(),
        offset,
        reason: reason.to_owned(),
    }
}

impl Last {
    /// Cuts a torn batch, and writes the last frame again: when the process before us ended after
    /// a failed sync, the page cache can show a frame that the disk does not have.
    pub(super) fn settle(&self) -> Result<(), OpenError> {
        let file = &self.segment.file;
        let settled = || -> std::io::Result<()> {
            let start = self.last_frame.unwrap_or(self.end);
            let mut bytes = vec![0; offset(self.torn_end - start)];
            let frame_bytes = offset(self.end - start);
            file.read_at(&mut bytes[..frame_bytes], start)?;
            file.write_at(&bytes, start)?;
            file.sync()
        };
        settled().map_err(OpenError::io("settle the end of", &self.segment.path))?;
        if self.torn_end > self.end {
            tracing::warn!(
                file = %self.segment.path.display(),
                log.offset = self.end,
                log.bytes = self.torn_end - self.end,
                "cut a batch that was not written to its end and not acknowledged"
            );
        }
        Ok(())
    }
}
