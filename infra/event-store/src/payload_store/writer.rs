//! Stores and erases payloads. Used by the log's writer thread only, which makes three calls for
//! each batch: [`PayloadWriter::make_durable`] before the events are written,
//! [`PayloadWriter::publish`] once they are durable, which also destroys the keys of what they
//! erase, and [`PayloadWriter::make_room`] before it takes a payload into the batch at all.

use std::io;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use satpost_domain::PayloadId;

use super::blob_segment::{self, FRAME_HEADER_BYTES, FrameHeader, SEGMENT_HEADER_BYTES};
use super::index::{Change, PayloadIndex, Place, Remains};
use super::keeper::{Keeper, KeeperParts, OnFailure};
use super::key_file::{KeyFile, KeyRecord};
use super::seal::SealedPayload;
use crate::embedded::data_folder::LogId;
use crate::storage::file_preparer::{Chore, FilePreparer};
use crate::storage::sync_thread::SyncThread;
use crate::storage::{Storage, StorageFile};

/// The one who writes payloads.
pub(crate) struct PayloadWriter {
    storage: Arc<dyn Storage>,
    folder: PathBuf,
    log_id: LogId,
    segment_bytes: u64,
    keys: KeyFile,
    index: PayloadIndex,
    preparer: FilePreparer,
    keeper: Keeper,
    sync_thread: SyncThread,
    current: Option<Current>,
    /// What the batch changes, in order.
    changes: Vec<Change>,
    /// Frames of the batch that are not written yet.
    unwritten: Vec<u8>,
    /// Whether the current segment or the key file has something that is not synced.
    dirty: bool,
}

/// The blob segment that is being filled.
struct Current {
    number: u32,
    file: Arc<dyn StorageFile>,
    path: PathBuf,
    /// Where the next frame goes, counting those that are not written yet.
    end: u64,
}

/// What is needed to write payloads.
pub(crate) struct PayloadWriterParts {
    pub(crate) storage: Arc<dyn Storage>,
    pub(crate) folder: PathBuf,
    pub(crate) log_id: LogId,
    pub(crate) segment_bytes: u64,
    pub(crate) keys: KeyFile,
    pub(crate) index: PayloadIndex,
    /// What is to be overwritten.
    pub(super) remains: Vec<Remains>,
    /// How often what is erased is overwritten.
    pub(crate) scrub_every: Duration,
}

impl PayloadWriter {
    pub(crate) fn start(parts: PayloadWriterParts) -> io::Result<Self> {
        let storage = Arc::clone(&parts.storage);
        let keeper = Keeper::start(KeeperParts {
            storage: Arc::clone(&storage),
            folder: parts.folder.clone(),
            log_id: parts.log_id,
            segment_bytes: parts.segment_bytes,
            index: parts.index.clone(),
            scrub_every: parts.scrub_every,
            remains: parts.remains,
        })?;
        Ok(Self {
            preparer: FilePreparer::start(storage, &parts.folder, parts.segment_bytes, true)?,
            keeper,
            sync_thread: SyncThread::start()?,
            storage: parts.storage,
            folder: parts.folder,
            log_id: parts.log_id,
            segment_bytes: parts.segment_bytes,
            keys: parts.keys,
            index: parts.index,
            current: None,
            changes: Vec::new(),
            unwritten: Vec::new(),
            dirty: false,
        })
    }

    /// Has `on_failure` called with the reason when the disk fails behind the writer's back; the
    /// next batch fails then, too.
    pub(crate) fn when_failed(&self, on_failure: OnFailure) {
        self.keeper.when_failed(on_failure);
    }

    /// Makes sure that all `payloads` can be stored. When it fails for want of space, nothing has
    /// changed and it may be tried again.
    pub(crate) fn make_room(&mut self, payloads: &[(u32, SealedPayload)]) -> io::Result<()> {
        if payloads.is_empty() {
            return Ok(());
        }
        let count = u32::try_from(payloads.len()).map_err(io::Error::other)?;
        self.keys.make_room(count)?;
        let bytes: u64 = payloads
            .iter()
            .map(|(_, payload)| (FRAME_HEADER_BYTES + payload.ciphertext.len()) as u64)
            .sum();
        match &self.current {
            Some(current) if current.end + bytes <= self.segment_bytes => Ok(()),
            _ => self.roll(),
        }
    }

    /// Goes on to the next segment.
    fn roll(&mut self) -> io::Result<()> {
        let prepared = self.preparer.take()?;
        let number = self.index.take_number();
        let path = blob_segment::path(&self.folder, number);
        prepared
            .file
            .write_at(&blob_segment::segment_header(&self.log_id, number), 0)?;
        prepared.file.sync()?;
        self.storage.rename(&prepared.path, &path)?;
        self.storage.sync_folder(&self.folder)?;
        self.finish_current()?;
        self.index
            .add_segment(number, path.clone(), Arc::clone(&prepared.file));
        self.current = Some(Current {
            number,
            file: prepared.file,
            path,
            end: SEGMENT_HEADER_BYTES as u64,
        });
        Ok(())
    }

    fn finish_current(&mut self) -> io::Result<()> {
        self.write_frames()?;
        if let Some(current) = self.current.take() {
            current.file.sync()?;
            self.changes.push(Change::Fill(current.number, current.end));
            self.preparer.leave(Chore::Trim {
                file: current.file,
                path: current.path,
                len: current.end,
            });
        }
        Ok(())
    }

    /// Takes a payload of the event at `position` into the batch.
    pub(crate) fn store(&mut self, payload: &SealedPayload, position: u64) -> io::Result<()> {
        let record = KeyRecord {
            id: payload.id,
            position,
            key: payload.key.clone(),
        };
        let slot = self.keys.put(&record);
        let current = self.current.as_mut().expect("room was made before");
        let bytes = u32::try_from(payload.ciphertext.len()).map_err(io::Error::other)?;
        let header = FrameHeader {
            id: payload.id,
            position,
            slot,
            bytes,
            checksum: crc32c::crc32c(&payload.ciphertext),
        };
        let place = Place {
            segment: current.number,
            offset: u32::try_from(current.end).map_err(io::Error::other)?,
            bytes,
            slot,
        };
        self.unwritten
            .extend_from_slice(&header.encode(&self.log_id));
        self.unwritten.extend_from_slice(&payload.ciphertext);
        current.end += (FRAME_HEADER_BYTES + payload.ciphertext.len()) as u64;
        self.changes.push(Change::Store(payload.id, place));
        self.dirty = true;
        Ok(())
    }

    /// Takes an erasure into the batch.
    pub(crate) fn erase(&mut self, id: PayloadId) {
        self.changes.push(Change::Erase(id));
    }

    fn write_frames(&mut self) -> io::Result<()> {
        if let Some(current) = &self.current
            && !self.unwritten.is_empty()
        {
            let start = current.end - self.unwritten.len() as u64;
            current.file.write_at(&self.unwritten, start)?;
            self.unwritten.clear();
        }
        Ok(())
    }

    /// Makes the payloads of the batch and their keys durable: two syncs side by side.
    pub(crate) fn make_durable(&mut self) -> io::Result<()> {
        self.keeper.check()?;
        if !self.dirty {
            return Ok(());
        }
        self.write_frames()?;
        self.keys.write()?;
        let current = self.current.as_ref().expect("a payload was stored in it");
        let keys = Arc::clone(self.keys.file());
        self.sync_thread.sync_while(keys, || current.file.sync())?;
        self.dirty = false;
        Ok(())
    }

    /// Lets readers see what the batch changed and destroys the keys of what it erased; durable
    /// when it returns.
    pub(crate) fn publish(&mut self) -> io::Result<()> {
        if self.changes.is_empty() {
            return Ok(());
        }
        let left = self.index.apply(&self.changes);
        self.changes.clear();
        if !left.slots.is_empty() {
            self.keys.destroy(&left.slots)?;
            self.keys.file().sync()?;
            self.keys.release(&left.slots);
        }
        if !left.remains.is_empty() || !left.dead.is_empty() {
            self.keeper.leave(left.remains, left.dead);
        }
        Ok(())
    }
}
