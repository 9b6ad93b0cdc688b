//! What a tool needs to prove that what was closed is gone: the log event by event with what it
//! erases, and everything that lies in the files of the payloads. It tells what is there, judges
//! nothing, changes nothing, and works beside a process that writes.

use std::collections::BTreeMap;
use std::fs::File;
use std::io::{self, Read as _};
use std::path::{Path, PathBuf};

use satpost_domain::{PayloadId, Position};

use super::data_folder::{self, FolderKind, LogId};
use super::verify::{Findings, folder};
use super::walk::{self, Damage, Walk, WalkedBatch};
use super::{frame, lost_payloads, segment};
use crate::payload_store::blob_segment::{
    self, FRAME_HEADER_BYTES, FrameHeader, SEGMENT_HEADER_BYTES,
};
use crate::payload_store::key_file::{self, FoundKeys, SLOT_BYTES};
use crate::payload_store::{self, seal};
use crate::storage::file_preparer::FilePreparer;
use crate::storage::{Access, Disk, OpenError, Storage as _};
use crate::{LogIdentity, RecordedEvent};

/// How much of a file is searched at once.
const CHUNK_BYTES: u64 = 4 * 1024 * 1024;

/// Something the log tells, in its order.
#[derive(Debug)]
pub enum LogItem<'a> {
    /// An event.
    Event(Box<RecordedEvent>),
    /// The payloads that the events of one batch erase, after these events.
    Erased(&'a [PayloadId]),
}

/// Something that lies in the files of the payloads.
#[derive(Debug)]
pub struct Remnant<'a> {
    /// In which file.
    pub file: &'a Path,
    /// Where in it, in bytes.
    pub offset: u64,
    /// What it is.
    pub what: Content<'a>,
}

/// What a part of a file is.
#[derive(Debug)]
pub enum Content<'a> {
    /// A key.
    Key {
        /// Which slot holds it.
        slot: u32,
        /// Whose it is.
        id: PayloadId,
        /// The event it was stored with.
        position: Position,
    },
    /// A slot that is neither free nor holds a key.
    DamagedSlot {
        /// Which.
        slot: u32,
    },
    /// A ciphertext.
    Ciphertext {
        /// Whose it is.
        id: PayloadId,
        /// The event it was stored with.
        position: Position,
        /// Which slot its key has, or had.
        slot: u32,
        /// What it opens to.
        opened: Opened<'a>,
    },
    /// Bytes that are not zero and belong to no ciphertext whose header can be read.
    Stray {
        /// How many there are, zeros between them included.
        bytes: u64,
    },
    /// A file that does not belong to the payloads.
    ForeignFile,
}

/// What a ciphertext opens to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Opened<'a> {
    /// Its payload.
    Payload(&'a [u8]),
    /// Nothing: its key is not there.
    Keyless,
    /// Nothing, for this reason.
    Broken(&'static str),
}

/// A data folder that is looked into.
#[derive(Debug, Clone)]
pub struct DataFolderLook {
    folder: PathBuf,
    log_id: LogId,
}

impl DataFolderLook {
    /// Looks into a data folder with an embedded log.
    ///
    /// # Errors
    /// [`OpenError`] when it is none.
    pub fn new(folder: impl Into<PathBuf>) -> Result<Self, OpenError> {
        let folder = folder.into();
        let log_id = data_folder::read_format(&Disk, &folder, FolderKind::Data)?;
        let log_id = log_id.ok_or_else(|| OpenError::Absent {
            folder: folder.clone(),
        })?;
        Ok(Self { folder, log_id })
    }

    /// Which log it is.
    #[must_use]
    pub fn identity(&self) -> LogIdentity {
        self.log_id.identity()
    }

    /// The payloads that are known to be lost since a restore, each with the position of its event.
    ///
    /// # Errors
    /// [`OpenError`] when the list cannot be read.
    pub fn lost(&self) -> Result<Vec<(PayloadId, Position)>, OpenError> {
        let lost = lost_payloads::read(&self.folder, &self.log_id)?.0;
        let lost = lost.into_iter();
        Ok(lost
            .map(|(id, position)| (id, Position::new(position, 0)))
            .collect())
    }

    /// Tells everything behind `after`; what the batch that ends there erases may come again.
    /// Checksums are checked on the way. `progress` is told how many bytes of how many are done.
    ///
    /// # Errors
    /// [`OpenError`] when a file cannot be read or is damaged.
    pub fn read_log(
        &self,
        after: Position,
        visit: &mut dyn FnMut(LogItem<'_>),
        progress: &dyn Fn(u64, u64),
    ) -> Result<(), OpenError> {
        let log = self.folder.join(segment::FOLDER);
        let segments = folder::segments(&log, &mut Findings::default())?;
        let segments = self.from(segments, after.major());
        let total = segments.values().map(|path| length(path)).sum();
        let last = segments.last_key_value().map(|(number, _)| *number);
        let mut done = 0;
        for (number, path) in &segments {
            self.read_segment(path, Some(*number) == last, after.major(), visit)?;
            done += length(path);
            progress(done.min(total), total);
        }
        Ok(())
    }

    /// Leaves out the segments that end before `after`.
    fn from(&self, mut segments: BTreeMap<u32, PathBuf>, after: u64) -> BTreeMap<u32, PathBuf> {
        let begins_before = |path: &PathBuf| {
            walk::read_header(path, &self.log_id).is_ok_and(|header| header.first <= after.max(1))
        };
        let first = segments.iter().rev().find(|(_, path)| begins_before(path));
        match first.map(|(number, _)| *number) {
            Some(first) => segments.split_off(&first),
            None => segments,
        }
    }

    fn read_segment(
        &self,
        path: &Path,
        is_last: bool,
        after: u64,
        visit: &mut dyn FnMut(LogItem<'_>),
    ) -> Result<(), OpenError> {
        let mut walk = Walk::open(path, &self.log_id)?.with_checksums_only();
        if walk.header.is_none() {
            return Err(Damage::new(0, "this is not a segment of this log").in_file(path));
        }
        loop {
            match walk.next()? {
                Ok(Some(batch)) => {
                    tell(&batch, after, visit).map_err(|damage| damage.in_file(path))?;
                }
                Ok(None) => return Ok(()),
                Err(damage) => {
                    if is_last && (walk.is_in_flight()? || !walk.batch_follows()?) {
                        return Ok(());
                    }
                    return Err(damage.in_file(path));
                }
            }
        }
    }

    /// Tells everything that lies in the files of the payloads. `progress` as for [`Self::read_log`].
    ///
    /// # Errors
    /// [`OpenError`] when a file cannot be read, or the key file is not one of this log.
    pub fn inspect_payloads(
        &self,
        visit: &mut dyn FnMut(&Remnant<'_>),
        progress: &dyn Fn(u64, u64),
    ) -> Result<(), OpenError> {
        let folder = self.folder.join(payload_store::FOLDER);
        let keys = key_file::find(&Disk, &folder, &self.log_id, Access::Read)?;
        if let Some(keys) = &keys {
            tell_slots(keys, visit);
        }
        let paths = Disk.list(&folder).map_err(OpenError::io("list", &folder))?;
        let total = paths.iter().map(|path| length(path)).sum();
        let (mut done, mut bytes) = (0, Vec::new());
        for path in &paths {
            let length = length(path);
            let is_key_file = path
                .file_name()
                .is_some_and(|name| name == key_file::NAME || name == key_file::UNNAMED);
            if let Some(number) = blob_segment::number(path) {
                // A file that went while the folder was listed was emptied by the writer.
                if exists(walk::read_file(path, &mut bytes))? {
                    self.tell_segment(path, number, &bytes, keys.as_ref(), visit);
                }
            } else if !is_key_file && !FilePreparer::is_left_over(path) {
                visit(&Remnant {
                    file: path,
                    offset: 0,
                    what: Content::ForeignFile,
                });
            }
            done += length;
            progress(done.min(total), total);
        }
        Ok(())
    }

    fn tell_segment(
        &self,
        file: &Path,
        number: u32,
        bytes: &[u8],
        keys: Option<&FoundKeys>,
        visit: &mut dyn FnMut(&Remnant<'_>),
    ) {
        let header = blob_segment::segment_header(&self.log_id, number);
        if bytes.get(..SEGMENT_HEADER_BYTES) != Some(header.as_slice()) {
            let (offset, what) = (0, Content::ForeignFile);
            visit(&Remnant { file, offset, what });
            return;
        }
        let next_frame = |from: usize| {
            let found = frame::find(bytes.get(from..)?, self.log_id.blob_magic())?;
            Some(from + found)
        };
        let mut at = SEGMENT_HEADER_BYTES;
        while at < bytes.len() {
            let next = next_frame(at + 1).unwrap_or(bytes.len());
            let Some(header) = FrameHeader::decode(&self.log_id, &bytes[at..]) else {
                tell_stray(file, at, &bytes[at..next], visit);
                at = next;
                continue;
            };
            let body = at + FRAME_HEADER_BYTES;
            let end = body + header.bytes as usize;
            let is_whole = bytes
                .get(body..end)
                .is_some_and(|body| crc32c::crc32c(body) == header.checksum);
            let plaintext;
            let opened = if is_whole {
                match open(&header, &bytes[body..end], keys) {
                    Ok(Some(payload)) => {
                        plaintext = payload;
                        Opened::Payload(&plaintext)
                    }
                    Ok(None) => Opened::Keyless,
                    Err(reason) => Opened::Broken(reason),
                }
            } else {
                Opened::Broken("the checksum of its ciphertext is wrong")
            };
            let what = Content::Ciphertext {
                id: header.id,
                position: Position::new(header.position, 0),
                slot: header.slot,
                opened,
            };
            let offset = at as u64;
            visit(&Remnant { file, offset, what });
            // Damage may hide where a ciphertext ends.
            at = if is_whole { end } else { end.min(next) };
        }
    }

    /// Where in the file `path` a key file or a ciphertext of this log begins: outside the folder
    /// of the payloads that is a copy which no erasure reaches.
    ///
    /// # Errors
    /// [`OpenError`] when it cannot be read; a file that went meanwhile holds nothing.
    pub fn copy_of_payloads_in(&self, path: &Path) -> Result<Option<u64>, OpenError> {
        match self.find_copy(path) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
            found => found.map_err(OpenError::io("read", path)),
        }
    }

    fn find_copy(&self, path: &Path) -> io::Result<Option<u64>> {
        let mut file = File::open(path)?;
        // Headers that lie across two chunks are found in the second, which begins before its end.
        let (mut bytes, mut start) = (Vec::new(), 0_u64);
        loop {
            let read = (&mut file).take(CHUNK_BYTES).read_to_end(&mut bytes)?;
            if let Some(at) = self.first_header(&bytes) {
                return Ok(Some(start + at as u64));
            }
            if read == 0 {
                return Ok(None);
            }
            let behind = bytes.len().saturating_sub(SLOT_BYTES);
            bytes.drain(..behind);
            start += behind as u64;
        }
    }

    /// Where the header of a key file or of a ciphertext is.
    fn first_header(&self, bytes: &[u8]) -> Option<usize> {
        let header = key_file::header(&self.log_id);
        let magic = header.first_chunk()?;
        let is_frame = |at: &usize| FrameHeader::decode(&self.log_id, &bytes[*at..]).is_some();
        let keys = places(bytes, magic).find(|at| bytes[*at..].starts_with(&header));
        keys.or_else(|| places(bytes, self.log_id.blob_magic()).find(is_frame))
    }
}

/// Every place where `magic` is.
fn places<'a>(bytes: &'a [u8], magic: &'a [u8; 8]) -> impl Iterator<Item = usize> + 'a {
    let mut from = 0;
    std::iter::from_fn(move || {
        let at = from + frame::find(bytes.get(from..)?, magic)?;
        from = at + 1;
        Some(at)
    })
}

/// Tells the events of a batch that are behind `after`, and what it erases unless it lies wholly
/// before.
fn tell(
    batch: &WalkedBatch<'_>,
    after: u64,
    visit: &mut dyn FnMut(LogItem<'_>),
) -> Result<(), Damage> {
    if batch.head() < after {
        return Ok(());
    }
    batch.visit(|position, at, record| {
        if position > after {
            let event = record.to_event(Position::new(position, 0));
            let event = event.map_err(|error| Damage::new(at, error.to_string()))?;
            visit(LogItem::Event(Box::new(event)));
        }
        Ok(())
    })?;
    if !batch.parts.erased.is_empty() {
        visit(LogItem::Erased(&batch.parts.erased));
    }
    Ok(())
}

fn tell_slots(keys: &FoundKeys, visit: &mut dyn FnMut(&Remnant<'_>)) {
    for slot in keys.slots() {
        let what = match keys.slot(slot) {
            Some(record) => Content::Key {
                slot,
                id: record.id,
                position: Position::new(record.position, 0),
            },
            None if keys.is_free(slot) => continue,
            None => Content::DamagedSlot { slot },
        };
        visit(&Remnant {
            file: &keys.path,
            offset: u64::from(slot) * SLOT_BYTES as u64,
            what,
        });
    }
}

fn tell_stray(file: &Path, at: usize, bytes: &[u8], visit: &mut dyn FnMut(&Remnant<'_>)) {
    let is_something = |byte: &u8| *byte != 0;
    let first = bytes.iter().position(is_something);
    let last = bytes.iter().rposition(is_something);
    if let (Some(first), Some(last)) = (first, last) {
        visit(&Remnant {
            file,
            offset: (at + first) as u64,
            what: Content::Stray {
                bytes: (last + 1 - first) as u64,
            },
        });
    }
}

/// Opens a whole ciphertext; nothing when its key is not there.
fn open(
    header: &FrameHeader,
    ciphertext: &[u8],
    keys: Option<&FoundKeys>,
) -> Result<Option<Vec<u8>>, &'static str> {
    let record = keys.and_then(|keys| keys.slot(header.slot));
    let is_its =
        |record: &key_file::KeyRecord| record.id == header.id && record.position == header.position;
    let Some(record) = record.filter(is_its) else {
        return Ok(None);
    };
    seal::open(header.id, &record.key, ciphertext.to_vec())
        .map(Some)
        .map_err(|_| "it does not open under its key")
}

/// False for a file that went meanwhile.
fn exists(read: Result<(), OpenError>) -> Result<bool, OpenError> {
    match read {
        Ok(()) => Ok(true),
        Err(OpenError::Io { source, .. }) if source.kind() == io::ErrorKind::NotFound => Ok(false),
        Err(error) => Err(error),
    }
}

fn length(path: &Path) -> u64 {
    path.metadata().map_or(0, |metadata| metadata.len())
}
