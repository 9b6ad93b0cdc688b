//! Walks over the batches of a segment in memory and checks each of them, for tools that read the
//! whole log: nothing is opened, nothing is changed, and a writer may be at work beside them.

use std::fs::File;
use std::io;
use std::os::unix::fs::FileExt as _;
use std::path::Path;
use std::time::Duration;

use satpost_domain::PayloadId;

use super::data_folder::LogId;
use super::frame::{self, ChainHash, FrameHeader, FrameParts};
use super::record::{Record, RecordError};
use super::segment::{self, SegmentHeader};
use crate::payload_store::recovery::Living;
use crate::storage::OpenError;

/// How often and how long the end of the last segment is waited for.
const IN_FLIGHT_TRIES: usize = 50;
const IN_FLIGHT_PAUSE: Duration = Duration::from_millis(10);

/// Bytes that are not as they were written.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Damage {
    /// Where in the file.
    pub(super) offset: u64,
    pub(super) reason: String,
}

impl Damage {
    pub(super) fn new(offset: usize, reason: impl Into<String>) -> Self {
        Self {
            offset: offset as u64,
            reason: reason.into(),
        }
    }

    pub(super) fn in_file(self, path: &Path) -> OpenError {
        OpenError::Damaged {
            file: path.to_owned(),
            offset: self.offset,
            reason: self.reason,
        }
    }
}

/// One whole batch.
pub(super) struct WalkedBatch<'a> {
    /// Where it starts in the file.
    pub(super) start: usize,
    pub(super) header: FrameHeader,
    pub(super) parts: FrameParts<'a>,
}

/// A place between two batches, and what follows it in memory.
#[derive(Clone)]
pub(super) struct Walk<'a> {
    log_id: &'a LogId,
    bytes: &'a [u8],
    /// Where `bytes` start in the file.
    base: usize,
    /// Where the next batch starts in the file.
    pub(super) at: usize,
    /// The hash that stands for everything before.
    pub(super) chain: ChainHash,
    /// The position of the next event.
    pub(super) next_position: u64,
    /// Whether hashes are computed, beside the checksums.
    hashes: bool,
}

impl<'a> Walk<'a> {
    /// The first batch of a segment whose `header` was decoded.
    pub(super) fn start(log_id: &'a LogId, header: &SegmentHeader, bytes: &'a [u8]) -> Self {
        Self {
            log_id,
            bytes,
            base: 0,
            at: segment::HEADER_BYTES,
            chain: header.previous,
            next_position: header.first,
            hashes: true,
        }
    }

    /// Leaves the hashes out.
    pub(super) fn with_checksums_only(mut self) -> Self {
        self.hashes = false;
        self
    }

    /// The same place, seen in bytes that were read again from there on.
    fn again(&self, bytes: &'a [u8]) -> Self {
        Self {
            bytes,
            base: self.at,
            ..self.clone()
        }
    }

    fn rest(&self) -> &'a [u8] {
        self.bytes.get(self.at - self.base..).unwrap_or_default()
    }

    /// The next batch; nothing when only zeros follow.
    pub(super) fn next(&mut self) -> Result<Option<WalkedBatch<'a>>, Damage> {
        let rest = self.rest();
        let Some(header) = FrameHeader::decode(self.log_id, rest) else {
            return match rest.iter().position(|byte| *byte != 0) {
                None => Ok(None),
                Some(at) if rest.starts_with(self.log_id.batch_magic()) || at < 8 => {
                    Err(Damage::new(
                        self.at,
                        "the header of a batch is not there or its checksum is wrong",
                    ))
                }
                Some(at) => Err(Damage::new(
                    self.at + at,
                    "there are bytes behind the end of the log",
                )),
            };
        };
        let wrong = |reason: &str| Err(Damage::new(self.at, reason));
        if header.previous != self.chain {
            return wrong("a batch does not carry the hash of the batch before it");
        }
        if header.first_position != self.next_position {
            return wrong("the positions of a batch do not follow those before it");
        }
        let Some(parts) = FrameParts::split(&header, rest) else {
            return wrong("a batch is not whole or its list of erased payloads is damaged");
        };
        if header.events == 0 && parts.erased.is_empty() {
            return wrong("a batch is empty");
        }
        if self.hashes && !parts.hash_is_right() {
            return wrong("the hash of a batch is not that of its bytes");
        }
        let batch = WalkedBatch {
            start: self.at,
            header,
            parts,
        };
        self.at += header.length;
        self.chain = batch.parts.hash;
        self.next_position += u64::from(header.events);
        Ok(Some(batch))
    }

    /// The position of the last event before this place.
    pub(super) fn head(&self) -> u64 {
        self.next_position - 1
    }

    /// Whether what seemed damaged at this place, read from `file`, is a batch that was just being
    /// written: it is whole a moment later.
    #[allow(
        clippy::disallowed_methods,
        reason = "waits for another process, which cannot tell when it is done"
    )]
    pub(super) fn is_in_flight(&self, file: &File) -> io::Result<bool> {
        // What is followed by another batch was whole before that one was begun: one look is enough.
        let tries = if self.batch_follows() {
            1
        } else {
            IN_FLIGHT_TRIES
        };
        for attempt in 0..tries {
            if attempt > 0 {
                std::thread::sleep(IN_FLIGHT_PAUSE);
            }
            let bytes = self.read_batch(file)?;
            let here: Walk<'_> = self.clone();
            if matches!(here.again(&bytes).next(), Ok(Some(_))) {
                return Ok(true);
            }
        }
        Ok(false)
    }

    /// Reads the batch at this place anew, or its header when that is not right.
    fn read_batch(&self, file: &File) -> io::Result<Vec<u8>> {
        let mut bytes = Vec::new();
        read_from(file, self.at as u64, frame::HEADER_BYTES, &mut bytes)?;
        if let Some(header) = FrameHeader::decode(self.log_id, &bytes) {
            read_from(file, self.at as u64, header.length, &mut bytes)?;
        }
        Ok(bytes)
    }

    /// Whether a whole header of a batch comes later: then what is here was durable once and cannot
    /// be a batch that was never finished.
    pub(super) fn batch_follows(&self) -> bool {
        let mut rest = self.rest().get(1..).unwrap_or_default();
        while let Some(at) = frame::find(rest, self.log_id.batch_magic()) {
            if FrameHeader::decode(self.log_id, &rest[at..]).is_some() {
                return true;
            }
            rest = &rest[at + 1..];
        }
        false
    }
}

impl<'a> WalkedBatch<'a> {
    /// Visits the events: position, place in the file, content.
    pub(super) fn visit(
        &self,
        mut visit: impl FnMut(u64, usize, Record<'a>) -> Result<(), Damage>,
    ) -> Result<(), Damage> {
        let records = self.parts.records;
        let mut rest = records;
        for number in 0..u64::from(self.header.events) {
            let at = self.start + frame::HEADER_BYTES + records.len() - rest.len();
            let (record, behind) = Record::decode(rest).map_err(|error| {
                let reason = match error {
                    RecordError::TooShort => "an event does not end where its batch does",
                    RecordError::Checksum => "the checksum of an event is wrong",
                    RecordError::Content => "an event with a right checksum has no meaning",
                };
                Damage::new(at, reason)
            })?;
            rest = behind;
            visit(self.header.first_position + number, at, record)?;
        }
        if rest.is_empty() {
            Ok(())
        } else {
            Err(Damage::new(
                self.start,
                "a batch has more bytes than events",
            ))
        }
    }

    /// Which payloads live after this batch, given those that lived before.
    pub(super) fn follow_payloads(&self, living: &mut Living) -> Result<(), Damage> {
        self.visit(|position, _, record| {
            if let Some(id) = record.payload {
                living.insert(id, position);
            }
            Ok(())
        })?;
        for id in &self.parts.erased {
            living.remove(id);
        }
        Ok(())
    }

    /// The payloads that the batch erases or stores again: what was alive under these ids is gone.
    pub(super) fn gone_payloads(&self, gone: &mut Vec<PayloadId>) -> Result<(), Damage> {
        gone.extend_from_slice(&self.parts.erased);
        self.visit(|_, _, record| {
            gone.extend(record.payload);
            Ok(())
        })
    }
}

/// Opens a segment and reads all of it into a buffer that is used again and again.
pub(super) fn read_segment(path: &Path, bytes: &mut Vec<u8>) -> Result<File, OpenError> {
    let file = File::open(path).map_err(OpenError::io("open", path))?;
    read_from(&file, 0, usize::MAX, bytes).map_err(OpenError::io("read", path))?;
    Ok(file)
}

fn read_from(file: &File, start: u64, max: usize, bytes: &mut Vec<u8>) -> io::Result<()> {
    let length = file.metadata()?.len().saturating_sub(start);
    let length = usize::try_from(length).map_err(io::Error::other)?;
    bytes.resize(length.min(max), 0);
    let mut done = 0;
    while done < bytes.len() {
        match file.read_at(&mut bytes[done..], start + done as u64) {
            // A full segment may be trimmed while it is read.
            Ok(0) => break,
            Ok(count) => done += count,
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
    }
    bytes.truncate(done);
    Ok(())
}

/// The header of a segment in a file that is not read any further.
pub(super) fn read_header(path: &Path, log_id: &LogId) -> Result<SegmentHeader, OpenError> {
    let file = File::open(path).map_err(OpenError::io("open", path))?;
    let mut bytes = [0; segment::HEADER_BYTES];
    file.read_exact_at(&mut bytes, 0)
        .map_err(OpenError::io("read the header of", path))?;
    SegmentHeader::decode(log_id, &bytes)
        .ok_or_else(|| Damage::new(0, "this is not a segment of this log").in_file(path))
}
