//! Walks over the batches of a segment and checks each of them, for tools that read the whole log:
//! nothing is changed, and a writer may be at work beside them.

use std::collections::HashSet;
use std::fs::File;
use std::io;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use satpost_domain::PayloadId;

use super::data_folder::LogId;
use super::frame::{self, ChainHash, FrameHeader, FrameParts};
use super::record::{Record, RecordError};
use super::segment::{self, SegmentHeader};
use super::stream_key::RandomKeys;
use super::window::{WINDOW_BYTES, Window};
use crate::payload_store::recovery::Living;
use crate::storage::{OpenError, StorageFile};

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

/// A place between two batches.
#[derive(Debug, Clone, Copy)]
pub(super) struct Place {
    /// Where in the file the next batch starts.
    pub(super) at: usize,
    /// The hash that stands for everything before.
    pub(super) chain: ChainHash,
    /// The position of the next event.
    pub(super) next_position: u64,
}

impl Place {
    /// The position of the last event before this place.
    pub(super) fn head(&self) -> u64 {
        self.next_position - 1
    }
}

/// A segment that is read batch by batch.
pub(super) struct Walk<'a> {
    log_id: &'a LogId,
    path: Arc<Path>,
    file: Arc<File>,
    /// How long the file was when it was opened.
    pub(super) len: u64,
    window: Window,
    /// Nothing when it is not a segment of this log. Then nothing else here has a meaning.
    pub(super) header: Option<SegmentHeader>,
    /// How far it was read.
    pub(super) place: Place,
    /// Whether hashes are computed, beside the checksums.
    hashes: bool,
}

impl<'a> Walk<'a> {
    /// Opens a segment; its first batch comes next.
    pub(super) fn open(path: &Path, log_id: &'a LogId) -> Result<Self, OpenError> {
        Self::open_in(path, log_id, Window::new(WINDOW_BYTES))
    }

    /// The same, with all of it in memory for [`Self::bytes`].
    pub(super) fn open_whole(path: &Path, log_id: &'a LogId) -> Result<Self, OpenError> {
        Self::open_in(path, log_id, Window::new(usize::MAX))
    }

    fn open_in(path: &Path, log_id: &'a LogId, mut window: Window) -> Result<Self, OpenError> {
        let file = File::open(path).map_err(OpenError::io("open", path))?;
        let read = || OpenError::io("read", path);
        let len = file.len().map_err(read())?;
        let header = window
            .bytes_at(&file, len, 0, segment::HEADER_BYTES)
            .map_err(read())?
            .and_then(|bytes| SegmentHeader::decode(log_id, bytes));
        Ok(Self {
            log_id,
            path: path.into(),
            file: Arc::new(file),
            len,
            window,
            header,
            place: Place {
                at: segment::HEADER_BYTES,
                chain: header.map_or([0; 32], |header| header.previous),
                next_position: header.map_or(1, |header| header.first),
            },
            hashes: true,
        })
    }

    /// Leaves the hashes out.
    pub(super) fn with_checksums_only(mut self) -> Self {
        self.hashes = false;
        self
    }

    /// The same place, with a new look at the file.
    fn again(&self) -> Self {
        Self {
            path: Arc::clone(&self.path),
            file: Arc::clone(&self.file),
            window: Window::new(0),
            ..*self
        }
    }

    /// What was read of a segment that is in memory as a whole, through the last batch.
    pub(super) fn bytes(&mut self) -> Result<&[u8], OpenError> {
        let bytes = self
            .window
            .bytes_at(&*self.file, self.len, 0, self.place.at)
            .map_err(OpenError::io("read", &self.path))?;
        Ok(bytes.unwrap_or_default())
    }

    /// Makes what is in the file durable.
    pub(super) fn sync(&self) -> Result<(), OpenError> {
        let synced = self.file.sync_data();
        synced.map_err(OpenError::io("sync", &self.path))
    }

    /// The next batch; nothing when only zeros follow.
    pub(super) fn next(&mut self) -> Result<Result<Option<WalkedBatch<'_>>, Damage>, OpenError> {
        let path = Arc::clone(&self.path);
        let read = self.read_next();
        read.map_err(|error| OpenError::io("read", &path)(error))
    }

    fn read_next(&mut self) -> io::Result<Result<Option<WalkedBatch<'_>>, Damage>> {
        let (start, at) = (self.place.at, self.place.at as u64);
        let header = self
            .window
            .bytes_at(&*self.file, self.len, at, frame::HEADER_BYTES)?
            .and_then(|bytes| FrameHeader::decode(self.log_id, bytes));
        let Some(header) = header else {
            return Ok(self.damage_behind_the_end()?.map_or(Ok(None), Err));
        };
        let wrong = |reason: &str| Ok(Err(Damage::new(start, reason)));
        if header.previous != self.place.chain {
            return wrong("a batch does not carry the hash of the batch before it");
        }
        if header.first_position != self.place.next_position {
            return wrong("the positions of a batch do not follow those before it");
        }
        let bytes = self
            .window
            .bytes_at(&*self.file, self.len, at, header.length)?;
        let Some(parts) = bytes.and_then(|bytes| FrameParts::split(&header, bytes)) else {
            return wrong("a batch is not whole or its list of erased payloads is damaged");
        };
        if header.events == 0 && parts.erased.is_empty() {
            return wrong("a batch is empty");
        }
        if self.hashes && !parts.hash_is_right() {
            return wrong("the hash of a batch is not that of its bytes");
        }
        self.place = Place {
            at: start + header.length,
            chain: parts.hash,
            next_position: header.first_position + u64::from(header.events),
        };
        Ok(Ok(Some(WalkedBatch {
            start,
            header,
            parts,
        })))
    }

    /// Where no header of a batch is, only zeros may follow.
    fn damage_behind_the_end(&mut self) -> io::Result<Option<Damage>> {
        let start = self.place.at as u64;
        let found = self.window.find_content(&*self.file, self.len, start)?;
        let Some(found) = found else {
            return Ok(None);
        };
        let looks_like_a_batch = found - start < self.log_id.batch_magic().len() as u64;
        Ok(Some(if looks_like_a_batch {
            Damage::new(
                self.place.at,
                "the header of a batch is not there or its checksum is wrong",
            )
        } else {
            Damage {
                offset: found,
                reason: "there are bytes behind the end of the log".to_owned(),
            }
        }))
    }

    /// Whether what seemed damaged at this place is a batch that was just being written: it is
    /// whole a moment later.
    #[allow(
        clippy::disallowed_methods,
        reason = "waits for another process, which cannot tell when it is done"
    )]
    pub(super) fn is_in_flight(&self) -> Result<bool, OpenError> {
        // What is followed by another batch was whole before that one was begun: one look is enough.
        let tries = if self.batch_follows()? {
            1
        } else {
            IN_FLIGHT_TRIES
        };
        for attempt in 0..tries {
            if attempt > 0 {
                std::thread::sleep(IN_FLIGHT_PAUSE);
            }
            if matches!(self.again().next()?, Ok(Some(_))) {
                return Ok(true);
            }
        }
        Ok(false)
    }

    /// Whether a whole header of a batch comes later: then what is here was durable once and cannot
    /// be a batch that was never finished.
    pub(super) fn batch_follows(&self) -> Result<bool, OpenError> {
        let mut bytes = Vec::new();
        read_from(&self.file, self.place.at as u64 + 1, &mut bytes)
            .map_err(OpenError::io("read", &self.path))?;
        Ok(frame::header_follows(self.log_id, &bytes))
    }
}

/// What a part of the log changes about payloads, whatever was alive before it.
#[derive(Default)]
pub(super) struct PayloadChange {
    /// Stored, and not erased again.
    pub(super) living: Living,
    /// Erased, and not stored again.
    pub(super) erased: HashSet<PayloadId, RandomKeys>,
}

impl PayloadChange {
    /// Adds the next batch, whose events are visited on the way: each is decoded once.
    pub(super) fn take<'a>(
        &mut self,
        batch: &WalkedBatch<'a>,
        mut visit: impl FnMut(u64, usize, Record<'a>) -> Result<(), Damage>,
    ) -> Result<(), Damage> {
        batch.visit(|position, at, record| {
            if let Some(id) = record.payload {
                self.erased.remove(&id);
                self.living.insert(id, position);
            }
            visit(position, at, record)
        })?;
        for id in &batch.parts.erased {
            self.living.remove(id);
            self.erased.insert(*id);
        }
        Ok(())
    }

    /// Makes of what was alive before what is alive after it.
    pub(super) fn apply(&self, living: &mut Living) {
        for id in &self.erased {
            living.remove(id);
        }
        living.extend(&self.living);
    }
}

impl<'a> WalkedBatch<'a> {
    /// The position of its last event; of the one before it when it has none.
    pub(super) fn head(&self) -> u64 {
        self.header.first_position + u64::from(self.header.events) - 1
    }

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

/// Reads a whole file into a buffer that is used again and again.
pub(super) fn read_file(path: &Path, bytes: &mut Vec<u8>) -> Result<(), OpenError> {
    let file = File::open(path).map_err(OpenError::io("open", path))?;
    read_from(&file, 0, bytes).map_err(OpenError::io("read", path))
}

fn read_from(file: &File, start: u64, bytes: &mut Vec<u8>) -> io::Result<()> {
    let length = file.len()?.saturating_sub(start);
    bytes.resize(usize::try_from(length).map_err(io::Error::other)?, 0);
    // A full segment may be trimmed while it is read.
    let read = StorageFile::read_at(file, bytes, start)?;
    bytes.truncate(read);
    Ok(())
}

/// The header of a segment in a file that is not read any further.
pub(super) fn read_header(path: &Path, log_id: &LogId) -> Result<SegmentHeader, OpenError> {
    let file = File::open(path).map_err(OpenError::io("open", path))?;
    let mut bytes = [0; segment::HEADER_BYTES];
    let read = StorageFile::read_at(&file, &mut bytes, 0)
        .map_err(OpenError::io("read the header of", path))?;
    SegmentHeader::decode(log_id, &bytes[..read])
        .ok_or_else(|| Damage::new(0, "this is not a segment of this log").in_file(path))
}
