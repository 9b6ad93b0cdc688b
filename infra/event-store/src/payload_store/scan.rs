//! Reads all blob segments when the store is opened: finds what is alive, and what is left of
//! anything that is not.

use std::collections::hash_map::Entry;
use std::collections::{BTreeSet, HashMap};
use std::io;
use std::path::{Path, PathBuf};

use satpost_domain::PayloadId;

use super::blob_segment::{self, FRAME_HEADER_BYTES, FrameHeader, SEGMENT_HEADER_BYTES};
use super::index::{BlobFile, Place, Remains};
use super::key_file::FoundKeys;
use super::recovery::Living;
use crate::embedded::data_folder::LogId;
use crate::storage::file_preparer::FilePreparer;
use crate::storage::{Access, OpenError, Storage, read_whole};

/// What decides whether a frame that was found is alive.
#[derive(Clone, Copy)]
pub(super) enum Rule<'a> {
    /// The log says so.
    Log(&'a Living),
    /// Its key is there. Of two payloads with one id the later one is alive.
    Keys(Option<&'a FoundKeys>),
}

impl Rule<'_> {
    fn accepts(self, frame: &FrameHeader) -> bool {
        match self {
            Self::Log(living) => living.get(&frame.id) == Some(&frame.position),
            Self::Keys(keys) => keys
                .and_then(|keys| keys.slot(frame.slot))
                .is_some_and(|key| key.id == frame.id && key.position == frame.position),
        }
    }
}

/// What the blob segments hold.
#[derive(Default)]
pub(super) struct Found {
    /// Where each living payload is, and its position.
    pub(super) places: HashMap<PayloadId, (Place, u64)>,
    /// The segments in which something is alive.
    pub(super) segments: HashMap<u32, BlobFile>,
    /// Files that nobody needs.
    pub(super) dead: Vec<PathBuf>,
    /// What is not zero in `segments` and belongs to nothing that is alive.
    pub(super) remains: Vec<Remains>,
    /// Segments with frames that were chosen over an equal one elsewhere: see
    /// [`super::recovery`].
    pub(super) chosen: BTreeSet<u32>,
    /// The first number behind those of all segments.
    pub(super) next_number: u32,
    /// The first position behind those of all frames.
    pub(super) next_position: u64,
    /// The first place where the frames of a segment end before the segment does.
    pub(super) gap: Option<(PathBuf, u64)>,
    /// True when a file was gone before it could be read.
    pub(super) changed_meanwhile: bool,
}

/// Reads the segments in `folder`, in the order of their numbers.
pub(super) fn scan(
    storage: &dyn Storage,
    folder: &Path,
    log_id: &LogId,
    rule: Rule<'_>,
) -> Result<Found, OpenError> {
    let mut found = Found {
        next_number: 1,
        next_position: 1,
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
            found.segment(storage, path, number, log_id, rule)?;
        }
    }
    for (place, _) in found.places.values() {
        if let Some(blob) = found.segments.get_mut(&place.segment) {
            blob.alive += 1;
            blob.alive_bytes += place.frame_bytes();
        }
    }
    let dead = found.segments.extract_if(|_, blob| blob.alive == 0);
    found.dead.extend(dead.map(|(_, blob)| blob.path));
    let segments = &found.segments;
    found
        .remains
        .retain(|remains| segments.contains_key(&remains.segment));
    found.chosen.retain(|number| segments.contains_key(number));
    Ok(found)
}

impl Found {
    fn segment(
        &mut self,
        storage: &dyn Storage,
        path: PathBuf,
        number: u32,
        log_id: &LogId,
        rule: Rule<'_>,
    ) -> Result<(), OpenError> {
        let file = match storage.open(&path, Access::Read) {
            Ok(file) => file,
            // Removed by the process that writes, since the folder was listed.
            Err(error) if error.kind() == io::ErrorKind::NotFound => {
                self.changed_meanwhile = true;
                return Ok(());
            }
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
        for piece in pieces(log_id, &bytes) {
            let here = Remains {
                segment: number,
                offset: piece.offset,
                bytes: piece.bytes,
            };
            match piece.frame {
                Some(frame) => self.frame(frame, here, rule),
                None => {
                    let gap = || (path.clone(), u64::from(piece.offset));
                    self.gap.get_or_insert_with(gap);
                    self.remains.push(here);
                }
            }
        }
        let blob = BlobFile {
            path,
            file,
            alive: 0,
            alive_bytes: 0,
            len: bytes.len() as u64,
            full: true,
        };
        self.segments.insert(number, blob);
        Ok(())
    }

    fn frame(&mut self, frame: FrameHeader, here: Remains, rule: Rule<'_>) {
        self.next_position = self.next_position.max(frame.position + 1);
        if !rule.accepts(&frame) {
            self.remains.push(here);
            return;
        }
        let place = Place {
            segment: here.segment,
            offset: here.offset,
            bytes: frame.bytes,
            slot: frame.slot,
        };
        match self.places.entry(frame.id) {
            Entry::Vacant(entry) => {
                entry.insert((place, frame.position));
            }
            Entry::Occupied(entry) if entry.get().1 > frame.position => self.remains.push(here),
            Entry::Occupied(mut entry) => {
                // The later segment wins: the earlier frame was torn off with the batch of its
                // event, or is what a compaction copied from.
                let (before, position) = entry.insert((place, frame.position));
                self.remains.push(before.remains());
                if position == frame.position {
                    self.chosen.insert(here.segment);
                }
            }
        }
    }
}

/// A part of a segment that is not all zeros.
struct Piece {
    offset: u32,
    bytes: u32,
    /// Nothing when it is no whole frame.
    frame: Option<FrameHeader>,
}

/// The frames of a segment, and what is not zero between them. Damage and torn writes are stepped
/// over: whether something that is needed is missing shows in the end.
fn pieces(log_id: &LogId, bytes: &[u8]) -> Vec<Piece> {
    let narrow = |at: usize| u32::try_from(at).expect("segments are smaller than 4 GiB");
    let mut pieces = Vec::new();
    let mut at = SEGMENT_HEADER_BYTES;
    while at < bytes.len() {
        if let Some(frame) = whole_frame(log_id, &bytes[at..]) {
            let length = FRAME_HEADER_BYTES + frame.bytes as usize;
            pieces.push(Piece {
                offset: narrow(at),
                bytes: narrow(length),
                frame: Some(frame),
            });
            at += length;
            continue;
        }
        // On to the next place that may be a frame.
        let next = crate::embedded::frame::find(&bytes[at + 1..], log_id.blob_magic());
        let end = next.map_or(bytes.len(), |next| at + 1 + next);
        let is_something = |byte: &u8| *byte != 0;
        if let Some(first) = bytes[at..end].iter().position(is_something) {
            let last = bytes[at..end].iter().rposition(is_something);
            pieces.push(Piece {
                offset: narrow(at + first),
                bytes: narrow(last.map_or(0, |last| last + 1 - first)),
                frame: None,
            });
        }
        at = end;
    }
    pieces
}

/// The whole frames of a segment and where they start.
#[cfg(any(test, feature = "testing"))]
pub(super) fn frames(log_id: &LogId, bytes: &[u8]) -> Vec<(u32, FrameHeader)> {
    let pieces = pieces(log_id, bytes).into_iter();
    pieces
        .filter_map(|piece| Some((piece.offset, piece.frame?)))
        .collect()
}

fn whole_frame(log_id: &LogId, bytes: &[u8]) -> Option<FrameHeader> {
    let frame = FrameHeader::decode(log_id, bytes)?;
    let body = bytes.get(FRAME_HEADER_BYTES..FRAME_HEADER_BYTES + frame.bytes as usize)?;
    (crc32c::crc32c(body) == frame.checksum).then_some(frame)
}
