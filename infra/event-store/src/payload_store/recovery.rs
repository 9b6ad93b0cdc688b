//! Opens the payload store and brings it in line with the log: keys of erased payloads and of
//! payloads whose event never became durable are destroyed (again), and segments without a living
//! payload are removed.

use std::collections::HashMap;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use satpost_domain::PayloadId;

use super::blob_segment::{self, FRAME_HEADER_BYTES, FrameHeader, SEGMENT_HEADER_BYTES};
use super::index::{BlobFile, PayloadIndex, Place};
use super::key_file::{self, FoundKeys, KeyFile};
use super::writer::{PayloadWriter, PayloadWriterParts};
use crate::embedded::data_folder::LogId;
use crate::storage::file_preparer::FilePreparer;
use crate::storage::{Access, OpenError, Storage, read_whole};

/// The payloads that the log says are alive, each with the position of its event.
pub(crate) type Living = HashMap<PayloadId, u64>;

/// What the blob segments hold of the living payloads.
#[derive(Default)]
struct Found {
    places: HashMap<PayloadId, Place>,
    segments: HashMap<u32, BlobFile>,
    dead: Vec<PathBuf>,
    next_number: u32,
    /// The first place where the frames of a segment end before the segment does.
    gap: Option<(PathBuf, u64)>,
}

/// Opens the store to write.
pub(crate) fn open(
    storage: Arc<dyn Storage>,
    folder: &Path,
    log_id: LogId,
    segment_bytes: u64,
    living: &Living,
) -> Result<(PayloadWriter, PayloadIndex), OpenError> {
    let found = scan(&*storage, folder, &log_id, living)?;
    let keys = match key_file::find(&*storage, folder, &log_id, Access::ReadWrite)? {
        Some(keys) => {
            check_all_found(folder, &found, Some(&keys), living)?;
            let path = keys.path.clone();
            keys.sweep(&used_slots(&found))
                .map_err(OpenError::io("sweep", &path))?
        }
        None => {
            check_all_found(folder, &found, None, living)?;
            KeyFile::create(&*storage, folder, &log_id)?
        }
    };
    for path in &found.dead {
        storage
            .remove(path)
            .map_err(OpenError::io("remove", path))?;
    }
    let index = PayloadIndex::new(found.places, found.segments, Some(Arc::clone(keys.file())));
    let writer = PayloadWriter::start(PayloadWriterParts {
        storage,
        folder: folder.to_owned(),
        log_id,
        segment_bytes,
        keys,
        index: index.clone(),
        next_number: found.next_number,
    })
    .map_err(OpenError::io("start a thread for", folder))?;
    Ok((writer, index))
}

/// Opens the store to read, beside a process that writes it: what cannot be found is taken for
/// erased in the meantime, and nothing is changed.
pub(crate) fn open_read_only(
    storage: &dyn Storage,
    folder: &Path,
    log_id: &LogId,
    living: &Living,
) -> Result<PayloadIndex, OpenError> {
    let found = scan(storage, folder, log_id, living)?;
    let keys = key_file::find(storage, folder, log_id, Access::Read)?;
    Ok(PayloadIndex::new(
        found.places,
        found.segments,
        keys.map(|keys| keys.file),
    ))
}

fn scan(
    storage: &dyn Storage,
    folder: &Path,
    log_id: &LogId,
    living: &Living,
) -> Result<Found, OpenError> {
    let mut found = Found {
        next_number: 1,
        ..Found::default()
    };
    let paths = storage
        .list(folder)
        .map_err(OpenError::io("list", folder))?;
    for path in paths {
        if FilePreparer::is_left_over(&path) {
            found.dead.push(path);
        } else if let Some(number) = blob_segment::number(&path) {
            found.next_number = found.next_number.max(number + 1);
            scan_segment(storage, path, number, log_id, living, &mut found)?;
        }
    }
    for place in found.places.values() {
        if let Some(blob) = found.segments.get_mut(&place.segment) {
            blob.alive += 1;
        }
    }
    let dead = found.segments.extract_if(|_, blob| blob.alive == 0);
    found.dead.extend(dead.map(|(_, blob)| blob.path));
    Ok(found)
}

fn scan_segment(
    storage: &dyn Storage,
    path: PathBuf,
    number: u32,
    log_id: &LogId,
    living: &Living,
    found: &mut Found,
) -> Result<(), OpenError> {
    let file = match storage.open(&path, Access::Read) {
        Ok(file) => file,
        // Removed by the process that writes, since the folder was listed.
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(()),
        Err(error) => return Err(OpenError::io("open", &path)(error)),
    };
    let bytes = read_whole(&*file).map_err(OpenError::io("read", &path))?;
    let header = blob_segment::segment_header(log_id, number);
    if bytes.get(..SEGMENT_HEADER_BYTES) != Some(header.as_slice()) {
        return Err(OpenError::Damaged {
            file: path,
            offset: 0,
            reason: "this is not a blob segment of this log".to_owned(),
        });
    }
    for (offset, frame) in frames(log_id, &bytes, &path, &mut found.gap) {
        if living.get(&frame.id) == Some(&frame.position) {
            let place = Place {
                segment: number,
                offset,
                bytes: frame.bytes,
                slot: frame.slot,
            };
            // A later segment wins: an earlier frame of the same event was torn off with its batch.
            found.places.insert(frame.id, place);
        }
    }
    let blob = BlobFile {
        path,
        file,
        alive: 0,
        full: true,
    };
    found.segments.insert(number, blob);
    Ok(())
}

/// The whole frames of a segment. Damage and torn writes are stepped over: whether something that
/// is needed is missing shows in the end.
fn frames(
    log_id: &LogId,
    bytes: &[u8],
    path: &Path,
    gap: &mut Option<(PathBuf, u64)>,
) -> Vec<(u32, FrameHeader)> {
    let mut frames = Vec::new();
    let mut at = SEGMENT_HEADER_BYTES;
    while at < bytes.len() {
        let Some(frame) = whole_frame(log_id, &bytes[at..]) else {
            if gap.is_none() && bytes[at..].iter().any(|byte| *byte != 0) {
                *gap = Some((path.to_owned(), at as u64));
            }
            // On to the next place that may be one.
            let magic = log_id.blob_magic();
            match crate::embedded::frame::find(&bytes[at + 1..], magic) {
                Some(next) => at += 1 + next,
                None => break,
            }
            continue;
        };
        let offset = u32::try_from(at).expect("segments are smaller than 4 GiB");
        frames.push((offset, frame));
        at += FRAME_HEADER_BYTES + frame.bytes as usize;
    }
    frames
}

fn whole_frame(log_id: &LogId, bytes: &[u8]) -> Option<FrameHeader> {
    let frame = FrameHeader::decode(log_id, bytes)?;
    let body = bytes.get(FRAME_HEADER_BYTES..FRAME_HEADER_BYTES + frame.bytes as usize)?;
    (crc32c::crc32c(body) == frame.checksum).then_some(frame)
}

/// One bit for each slot that a living payload has.
fn used_slots(found: &Found) -> Vec<u64> {
    let end = found.places.values().map(|place| place.slot + 1).max();
    let mut bits = vec![0_u64; key_file::words(end.unwrap_or(0).max(1))];
    for place in found.places.values() {
        bits[place.slot as usize / 64] |= 1 << (place.slot % 64);
    }
    bits
}

/// Refuses to open when a living payload has no ciphertext or no key: it was durable once.
fn check_all_found(
    folder: &Path,
    found: &Found,
    keys: Option<&FoundKeys>,
    living: &Living,
) -> Result<(), OpenError> {
    for (id, position) in living {
        let Some(place) = found.places.get(id) else {
            let (file, offset) = found.gap.clone().unwrap_or((folder.to_owned(), 0));
            let reason = format!("the payload of the event at position {position} is not there");
            return Err(OpenError::Damaged {
                file,
                offset,
                reason,
            });
        };
        let record = keys.and_then(|keys| keys.slot(place.slot));
        if record.is_none_or(|record| record.id != *id || record.position != *position) {
            return Err(OpenError::Damaged {
                file: folder.join(key_file::NAME),
                offset: u64::from(place.slot) * 64,
                reason: format!("the key of the event at position {position} is not there"),
            });
        }
    }
    Ok(())
}
