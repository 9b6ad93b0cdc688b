//! Checks frames one after another and takes what they say into the tables of their segment.

use std::sync::Arc;

use satpost_domain::PayloadId;

use super::data_folder::LogId;
use super::frame::{self, ChainHash, FrameHeader, FrameParts};
use super::recent::{PayloadState, Recent};
use super::record::Record;
use super::segment::{HEADER_BYTES, SegmentFile};
use super::stream_key::{KeyCache, StreamKey};
use super::window::{WINDOW_BYTES, Window};
use crate::storage::OpenError;

/// What is known of a segment up to the end of a frame.
pub(super) struct Scan {
    log_id: LogId,
    pub(super) recent: Recent,
    pub(super) chain: ChainHash,
    pub(super) next_position: u64,
    /// Where the last frame starts, if there is one.
    pub(super) last_frame: Option<u64>,
    /// Where it ends.
    pub(super) end: u64,
    /// The events of one frame, used again and again.
    found: Vec<FoundEvent>,
    keys: KeyCache,
}

struct FoundEvent {
    key: StreamKey,
    revision: u64,
    offset: u32,
    payload: Option<PayloadId>,
}

/// Why a frame is not right.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum FrameFault {
    /// It can be one that was being written.
    NotWhole(&'static str),
    /// It was written whole and cannot follow what is before it.
    Contradiction(&'static str),
}

impl FrameFault {
    pub(super) fn reason(self) -> &'static str {
        match self {
            Self::NotWhole(reason) | Self::Contradiction(reason) => reason,
        }
    }
}

impl Scan {
    /// Starts behind the header of `segment`.
    pub(super) fn new(log_id: &LogId, segment: &SegmentFile) -> Self {
        Self {
            log_id: *log_id,
            recent: Recent::default(),
            chain: segment.header.previous,
            next_position: segment.header.first,
            last_frame: None,
            end: HEADER_BYTES as u64,
            found: Vec::new(),
            keys: KeyCache::new(log_id),
        }
    }

    /// Checks the frame at the start of `bytes`, which is at the end so far, and takes what is in
    /// it. Nothing is taken when it is not whole.
    pub(super) fn frame(&mut self, bytes: &[u8], verify_hash: bool) -> Result<(), FrameFault> {
        let header = FrameHeader::decode(&self.log_id, bytes).ok_or(FrameFault::NotWhole(
            "the header of a batch is not there or its checksum is wrong",
        ))?;
        if header.previous != self.chain || header.first_position != self.next_position {
            return Err(FrameFault::NotWhole(
                "a batch does not follow the one before it",
            ));
        }
        let parts = FrameParts::split(&header, bytes).ok_or(FrameFault::NotWhole(
            "a batch is not whole or its list of erased payloads is damaged",
        ))?;
        // Hashes of earlier segments are checked against the header that comes after them; all of
        // them are computed again by a verification of the log, not each time it is opened.
        if verify_hash && !parts.hash_is_right() {
            return Err(FrameFault::NotWhole("the hash of a batch is wrong"));
        }
        self.find_events(&header, parts.records)
            .map_err(FrameFault::NotWhole)?;
        self.take_events()?;
        for id in &parts.erased {
            self.recent.set_payload(*id, PayloadState::Erased);
        }
        self.next_position += u64::from(header.events);
        self.chain = parts.hash;
        self.last_frame = Some(self.end);
        self.end += header.length as u64;
        Ok(())
    }

    fn find_events(&mut self, header: &FrameHeader, records: &[u8]) -> Result<(), &'static str> {
        self.found.clear();
        let mut rest = records;
        for _ in 0..header.events {
            let before = self.end + (frame::HEADER_BYTES + records.len() - rest.len()) as u64;
            let (record, behind) =
                Record::decode(rest).map_err(|_| "the checksum of an event is wrong")?;
            rest = behind;
            self.found.push(FoundEvent {
                key: self.keys.get(record.stream),
                revision: record.revision.0,
                offset: u32::try_from(before).map_err(|_| "a segment is too large")?,
                payload: record.payload,
            });
        }
        if rest.is_empty() {
            Ok(())
        } else {
            Err("a batch has more bytes than events")
        }
    }

    fn take_events(&mut self) -> Result<(), FrameFault> {
        for event in self.found.drain(..) {
            let ordinal = self.recent.count();
            if !self.recent.add(event.key, event.revision, event.offset) {
                return Err(FrameFault::Contradiction(
                    "an event does not follow the one before it in its stream",
                ));
            }
            if let Some(id) = event.payload {
                self.recent.set_payload(id, PayloadState::Stored(ordinal));
            }
        }
        Ok(())
    }
}

/// Reads a segment that is not the last one, whose `next` one is known. Checksums are verified; the
/// hash of each frame must be the one that the next frame or segment names.
pub(super) fn full_segment(
    log_id: &LogId,
    segment: &SegmentFile,
    next: &Arc<SegmentFile>,
) -> Result<Scan, OpenError> {
    let (file, path) = (&*segment.file, &segment.path);
    let read = |error| OpenError::io("read", path)(error);
    let len = file.len().map_err(read)?;
    let mut window = Window::new(WINDOW_BYTES);
    let mut scan = Scan::new(log_id, segment);
    while scan.end < len {
        let at = scan.end;
        let header = window
            .bytes_at(file, len, at, frame::HEADER_BYTES)
            .map_err(read)?
            .and_then(|bytes| FrameHeader::decode(log_id, bytes));
        let length = header.map_or(frame::HEADER_BYTES, |header| header.length);
        let outcome = match window.bytes_at(file, len, at, length).map_err(read)? {
            Some(bytes) => scan.frame(bytes, false),
            None => Err(FrameFault::NotWhole("a batch ends behind its segment")),
        };
        if let Err(fault) = outcome {
            if header.is_none() && window.find_content(file, len, at).map_err(read)?.is_none() {
                break;
            }
            return Err(segment.damaged(at, fault.reason()));
        }
    }
    if scan.next_position == next.header.first && scan.chain == next.header.previous {
        return Ok(scan);
    }
    if scan.next_position < next.header.first {
        return Err(segment.damaged(scan.end, "the batches that follow here are not there"));
    }
    // Either the hash at the end of this segment is damaged, or the next one is not the next.
    if let Some(at) = scan.last_frame {
        let length = usize::try_from(scan.end - at).unwrap_or(usize::MAX);
        let bytes = window.bytes_at(file, len, at, length).map_err(read)?;
        let parts = bytes.and_then(|bytes| {
            let header = FrameHeader::decode(log_id, bytes)?;
            FrameParts::split(&header, bytes)
        });
        if parts.is_none_or(|parts| !parts.hash_is_right()) {
            return Err(segment.damaged(at, "the hash of a batch is wrong"));
        }
    }
    Err(next.damaged(0, "this is not the segment that follows"))
}
