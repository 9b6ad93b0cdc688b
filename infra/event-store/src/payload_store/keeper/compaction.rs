//! Empties sparse segments: what is alive in them is copied to a segment of the keeper's own, so
//! that they can go.
//!
//! A copy is durable, and so is the name of the file it is in, before anything relies on it. Keys
//! do not move. Whenever the process ends, a payload is therefore in its old place or in both,
//! under the same id, position and slot, and opening the store takes one and drops the other. One
//! that is erased or replaced while it is copied is not taken over; its copy is overwritten with
//! the rest.

use std::collections::BTreeSet;
use std::io;
use std::path::PathBuf;
use std::sync::Arc;

use satpost_domain::PayloadId;

use crate::embedded::data_folder::LogId;
use crate::payload_store::blob_segment::{self, FRAME_HEADER_BYTES, FrameHeader};
use crate::payload_store::blob_segment::{SEGMENT_HEADER_BYTES, UNNAMED};
use crate::payload_store::index::{Leftovers, Move, PayloadIndex, Place};
use crate::storage::{Storage, StorageFile};

/// A segment is emptied when less than one part in so many is alive. At a quarter every byte that
/// is copied frees three, and living payloads take at most four times their size for long.
const SPARSE_PART: u64 = 4;
/// How much is copied between two syncs. Bounds what the writer's own syncs may have to wait for.
const STEP_BYTES: usize = 1024 * 1024;

/// The compaction, under way or waiting for something to do.
pub(super) struct Compaction {
    folder: PathBuf,
    log_id: LogId,
    segment_bytes: u64,
    /// The segment that copies go to.
    target: Option<Target>,
    /// What is still to be copied; the next one is the last.
    queue: Vec<(PayloadId, Place)>,
    /// Segments with damaged payloads, which are left as they are.
    damaged: BTreeSet<u32>,
}

struct Target {
    number: u32,
    file: Arc<dyn StorageFile>,
    end: u64,
}

impl Compaction {
    pub(super) fn new(folder: PathBuf, log_id: LogId, segment_bytes: u64) -> Self {
        Self {
            folder,
            log_id,
            segment_bytes,
            target: None,
            queue: Vec::new(),
            damaged: BTreeSet::new(),
        }
    }

    pub(super) fn is_under_way(&self) -> bool {
        !self.queue.is_empty()
    }

    /// Looks for sparse segments, unless something is to be copied already.
    pub(super) fn plan(&mut self, index: &PayloadIndex) {
        if self.is_under_way() {
            return;
        }
        let sparse: Vec<_> = index
            .full_segments()
            .into_iter()
            .filter(|(number, alive, _)| {
                alive * SPARSE_PART < self.segment_bytes && !self.damaged.contains(number)
            })
            .collect();
        // One alone is worth it when its file is sparse, and not merely short.
        let worth_it = match sparse.as_slice() {
            [] => false,
            [(_, alive, len)] => self.target.is_some() || alive * SPARSE_PART < *len,
            _ => true,
        };
        if worth_it {
            let numbers = sparse.iter().map(|(number, _, _)| *number).collect();
            self.queue = index.living_in(&numbers);
            let order = |(_, place): &(PayloadId, Place)| (place.segment, place.offset);
            self.queue.sort_unstable_by_key(order);
            self.queue.reverse();
        }
    }

    /// Copies a little, durably, and lets readers find the copies.
    pub(super) fn step(
        &mut self,
        storage: &dyn Storage,
        index: &PayloadIndex,
    ) -> io::Result<Leftovers> {
        let mut copies = Vec::new();
        let mut moves = Vec::new();
        while copies.len() < STEP_BYTES
            && let Some((id, from)) = self.queue.pop()
        {
            let Some(frame) = self.read(index, id, from)? else {
                continue;
            };
            let (segment, end) = match &self.target {
                Some(target) => (target.number, target.end),
                None => self.begin(storage, index)?,
            };
            let at = end + copies.len() as u64;
            if at + from.frame_bytes() > self.segment_bytes {
                // Into the next one, with the next step.
                self.queue.push((id, from));
                let mut left = self.finish_step(index, &copies, &moves)?;
                left.dead.extend(self.finish_target(index));
                return Ok(left);
            }
            let to = Place {
                segment,
                offset: u32::try_from(at).map_err(io::Error::other)?,
                ..from
            };
            copies.extend_from_slice(&frame);
            moves.push(Move { id, from, to });
        }
        self.finish_step(index, &copies, &moves)
    }

    /// Forgets what is to be copied, for now, and cuts off what was written of the last step.
    pub(super) fn give_up(&mut self, index: &PayloadIndex) -> io::Result<Leftovers> {
        self.queue.clear();
        if let Some(target) = &self.target {
            target.file.set_len(target.end)?;
        }
        Ok(Leftovers {
            dead: self.finish_target(index),
            ..Leftovers::default()
        })
    }

    /// The frame of a payload; nothing when it is not there any more, or damaged.
    fn read(
        &mut self,
        index: &PayloadIndex,
        id: PayloadId,
        place: Place,
    ) -> io::Result<Option<Vec<u8>>> {
        let Some((path, file)) = index.segment(place.segment) else {
            return Ok(None);
        };
        if self.damaged.contains(&place.segment) {
            return Ok(None);
        }
        let mut frame = vec![0; FRAME_HEADER_BYTES + place.bytes as usize];
        file.read_at(&mut frame, place.offset.into())?;
        let header = FrameHeader::decode(&self.log_id, &frame);
        let whole = header.is_some_and(|header| {
            (header.id, header.slot, header.bytes) == (id, place.slot, place.bytes)
                && crc32c::crc32c(&frame[FRAME_HEADER_BYTES..]) == header.checksum
        });
        if whole {
            return Ok(Some(frame));
        }
        if index.is_at(id, place) {
            tracing::error!(
                file = %path.display(),
                payloads.offset = place.offset,
                "a payload is damaged: its segment is not compacted"
            );
            self.damaged.insert(place.segment);
        }
        Ok(None)
    }

    /// Begins a segment for copies. Its name and header are durable when this returns. Gives its
    /// number and its end.
    fn begin(&mut self, storage: &dyn Storage, index: &PayloadIndex) -> io::Result<(u32, u64)> {
        let number = index.take_number();
        let path = blob_segment::path(&self.folder, number);
        let unnamed = self.folder.join(UNNAMED);
        let file = storage.create(&unnamed)?;
        file.write_at(&blob_segment::segment_header(&self.log_id, number), 0)?;
        file.sync()?;
        storage.rename(&unnamed, &path)?;
        storage.sync_folder(&self.folder)?;
        index.add_segment(number, path, Arc::clone(&file));
        let end = SEGMENT_HEADER_BYTES as u64;
        self.target = Some(Target { number, file, end });
        Ok((number, end))
    }

    fn finish_step(
        &mut self,
        index: &PayloadIndex,
        copies: &[u8],
        moves: &[Move],
    ) -> io::Result<Leftovers> {
        let Some(target) = self.target.as_mut().filter(|_| !moves.is_empty()) else {
            return Ok(Leftovers::default());
        };
        target.file.write_at(copies, target.end)?;
        target.file.sync()?;
        target.end += copies.len() as u64;
        Ok(index.relocate(moves))
    }

    /// Closes the segment for copies; gives its path if nothing in it is alive.
    fn finish_target(&mut self, index: &PayloadIndex) -> Vec<PathBuf> {
        let target = self.target.take();
        target.map_or_else(Vec::new, |target| index.fill(target.number, target.end))
    }
}
