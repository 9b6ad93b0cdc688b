//! Reads the segment that was being written, and finds its end.
//!
//! What is behind the last whole frame is a batch that was being written when the process ended.
//! Nobody was told that it is durable, so it is cut. Anything else that is not as it was written is
//! damage. After the log was closed in good order, everything before its end is.

use std::sync::Arc;

use super::clean_mark::CleanMark;
use super::data_folder::LogId;
use super::frame::{self, FrameHeader};
use super::scan::{FrameFault, Scan};
use super::segment::SegmentFile;
use crate::storage::{Access, OpenError, read_whole};

/// How often a frame that seems damaged is read again while another process is writing.
const RACE_RETRIES: usize = 3;
/// What a disk writes as a whole or not at all, in bytes.
const SECTOR_BYTES: usize = 512;
/// How many zeros at the end of a batch show that its end was not written.
const ZEROS_OF_A_TORN_END: usize = 8;

/// The last segment.
pub(super) struct Last {
    pub(super) segment: Arc<SegmentFile>,
    /// Where its last frame starts, if it has one.
    last_frame: Option<u64>,
    /// Where its last frame ends.
    pub(super) end: u64,
    /// How long the file is.
    pub(super) capacity: u64,
    /// What is behind the end and not zero ends here.
    torn_end: u64,
    /// Whether the log was closed in good order with this end: then nothing needs to be settled.
    pub(super) clean: bool,
}

/// Reads the last segment.
pub(super) fn read(
    log_id: &LogId,
    segment: Arc<SegmentFile>,
    access: Access,
    mark: Option<&CleanMark>,
) -> Result<(Last, Scan), OpenError> {
    // The mark of an earlier segment is older than what was written since.
    let mark = mark.filter(|mark| mark.number == segment.header.number);
    let read_file = || read_whole(&*segment.file).map_err(OpenError::io("read", &segment.path));
    let mut bytes = read_file()?;
    let mut scan = Scan::new(log_id, &segment);
    let mut retries = 0;
    // Whether the end that the mark tells of was met.
    let mut met = false;
    loop {
        if let Some(mark) = mark.filter(|mark| mark.end == scan.end) {
            met = true;
            if (mark.chain, mark.head) != (scan.chain, scan.next_position - 1) {
                let at = scan.last_frame.unwrap_or(0);
                return Err(segment.damaged(at, "this is not what the log was closed with"));
            }
        }
        let Some(rest) = bytes
            .get(offset(scan.end)..)
            .filter(|rest| !rest.is_empty())
        else {
            break;
        };
        let fault = match scan.frame(rest, true) {
            Ok(()) => continue,
            Err(fault) => fault,
        };
        let was_durable = mark.is_some_and(|mark| scan.end < mark.end)
            || matches!(fault, FrameFault::Contradiction(_));
        if !was_durable {
            if is_zero(rest) {
                break;
            }
            let behind = rest.get(1..).unwrap_or_default();
            if !frame::header_follows(log_id, behind) && !was_finished(log_id, rest, scan.end) {
                // Nothing whole comes after it: it is the batch that was being written.
                tracing::debug!(reason = fault.reason(), "the last batch is not whole");
                break;
            }
            if access == Access::Read && retries < RACE_RETRIES {
                // The process that writes may have finished the frame since it was read.
                retries += 1;
                bytes = read_file()?;
                continue;
            }
        }
        return Err(segment.damaged(scan.end, fault.reason()));
    }
    if mark.is_some() && !met {
        return Err(segment.damaged(scan.end, "the log does not end where it was closed"));
    }
    let behind = bytes.get(offset(scan.end)..).unwrap_or_default();
    let torn_bytes = behind.iter().rposition(|byte| *byte != 0);
    let torn_end = scan.end + torn_bytes.map_or(0, |at| at as u64 + 1);
    let last = Last {
        last_frame: scan.last_frame,
        end: scan.end,
        capacity: bytes.len() as u64,
        torn_end,
        clean: torn_end == scan.end && mark.is_some_and(|mark| mark.end == scan.end),
        segment,
    };
    Ok((last, scan))
}

/// Whether a frame that is not right was written to its end all the same. Before it is written,
/// its place is all zeros; what is torn off leaves zeros at its end or in a whole sector.
/// `start` is where the frame is in its file.
fn was_finished(log_id: &LogId, bytes: &[u8], start: u64) -> bool {
    let Some(header) = FrameHeader::decode(log_id, bytes) else {
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

fn is_zero(bytes: &[u8]) -> bool {
    bytes.iter().all(|byte| *byte == 0)
}

fn offset(offset: u64) -> usize {
    usize::try_from(offset).unwrap_or(usize::MAX)
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
