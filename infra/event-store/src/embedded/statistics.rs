//! Counts what is in a log, by reading all of it with checksums and without hashes.

use std::collections::HashMap;
use std::path::PathBuf;

use satpost_domain::{PayloadId, Position};

use super::data_folder;
use super::record::Record;
use super::verify::{Findings, folder};
use super::walk::{self, Damage, Walk};
use super::{lost_payloads, segment};
use crate::payload_store::blob_segment::{self, FRAME_HEADER_BYTES, FrameHeader};
use crate::payload_store::recovery::Living;
use crate::storage::{Disk, OpenError};
use crate::{LogIdentity, RecordedEvent, payload_store};

/// Events and their bytes as they lie in the log.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Count {
    /// How many events.
    pub events: u64,
    /// Of how many bytes, names and checksums included.
    pub bytes: u64,
}

impl Count {
    fn add(&mut self, bytes: usize) {
        self.events += 1;
        self.bytes += bytes as u64;
    }
}

/// What is in a log.
#[derive(Debug, Clone)]
pub struct Statistics {
    /// Which log it is.
    pub log: LogIdentity,
    /// The last event.
    pub head: Position,
    /// The hash that stands for everything through the last batch.
    pub chain: [u8; 32],
    /// All events.
    pub total: Count,
    /// How many batches.
    pub batches: u64,
    /// How many segments.
    pub segments: u64,
    /// How many of them have an index file.
    pub index_files: u64,
    /// Bytes of all files of the log, room that is not used yet included.
    pub bytes_on_disk: u64,
    /// By type.
    pub kinds: HashMap<String, Count>,
    /// By stream.
    pub streams: HashMap<String, Count>,
    /// Payloads that are alive, without those that are known to be lost.
    pub payloads: u64,
    /// Payloads that are alive by the log and known to be lost.
    pub payloads_lost: u64,
    /// Bytes of living ciphertexts.
    pub payload_bytes: u64,
    /// Bytes of the blob segments that hold something else: ciphertexts without a key, room.
    pub payload_dead_bytes: u64,
    /// The first event.
    pub oldest: Option<RecordedEvent>,
    /// The last event.
    pub newest: Option<RecordedEvent>,
}

/// Reads the log of a data folder, also beside a process that writes. `progress` is told how many
/// bytes of how many are done.
///
/// # Errors
/// [`OpenError`] when the folder is not one, a file cannot be read, or bytes are damaged.
pub fn statistics(
    folder: impl Into<PathBuf>,
    progress: &dyn Fn(u64, u64),
) -> Result<Statistics, OpenError> {
    let folder = folder.into();
    let log_id = data_folder::read_format(&Disk, &folder, data_folder::FolderKind::Data)?
        .ok_or_else(|| OpenError::Absent {
            folder: folder.clone(),
        })?;
    let log = folder.join(segment::FOLDER);
    let segments = folder::segments(&log, &mut Findings::default())?;
    let sizes = |path: &PathBuf| super::backup::length(path);
    let total: u64 = segments.values().map(sizes).sum();
    let mut found = Statistics::empty(log_id.identity(), &log, &segments)?;
    let (mut living, mut done) = (Living::default(), 0);
    for (number, path) in &segments {
        let mut walk = Walk::open(path, &log_id)?.with_checksums_only();
        if walk.header.is_none() {
            return Err(Damage::new(0, "this is not a segment of this log").in_file(path));
        }
        loop {
            let batch = match walk.next()? {
                Ok(Some(batch)) => batch,
                Ok(None) => break,
                Err(damage) => {
                    let is_last = segments.keys().last() == Some(number);
                    let is_end = is_last && (walk.is_in_flight()? || !walk.batch_follows()?);
                    if is_end {
                        break;
                    }
                    return Err(damage.in_file(path));
                }
            };
            found.batches += 1;
            batch
                .visit_and_follow(&mut living, |position, at, record| {
                    found.count(position, at, &record, position == batch.head())
                })
                .map_err(|damage| damage.in_file(path))?;
        }
        found.head = Position::new(walk.place.head(), 0);
        found.chain = walk.place.chain;
        done += walk.len;
        progress(done.min(total), total);
    }
    let lost = lost_payloads::read(&folder, &log_id)?.take_out_of(&mut living);
    found.payloads_lost = lost as u64;
    found.payloads = living.len() as u64;
    found.count_blobs(&folder.join(payload_store::FOLDER), &log_id, &living)?;
    Ok(found)
}

impl Statistics {
    fn empty(
        log: LogIdentity,
        folder: &std::path::Path,
        segments: &std::collections::BTreeMap<u32, PathBuf>,
    ) -> Result<Self, OpenError> {
        let files = super::backup::files_of(folder)?;
        let is_index = |path: &&PathBuf| path.extension().is_some_and(|name| name == "idx");
        Ok(Self {
            log,
            head: Position::START,
            chain: [0; 32],
            total: Count::default(),
            batches: 0,
            segments: segments.len() as u64,
            index_files: files.iter().filter(is_index).count() as u64,
            bytes_on_disk: files.iter().map(|path| super::backup::length(path)).sum(),
            kinds: HashMap::new(),
            streams: HashMap::new(),
            payloads: 0,
            payloads_lost: 0,
            payload_bytes: 0,
            payload_dead_bytes: 0,
            oldest: None,
            newest: None,
        })
    }

    fn count(
        &mut self,
        position: u64,
        at: usize,
        record: &Record<'_>,
        is_last: bool,
    ) -> Result<(), Damage> {
        let bytes = record.bytes();
        self.total.add(bytes);
        for (map, name) in [
            (&mut self.kinds, record.kind),
            (&mut self.streams, record.stream),
        ] {
            match map.get_mut(name) {
                Some(count) => count.add(bytes),
                None => map.entry(name.to_owned()).or_default().add(bytes),
            }
        }
        if self.oldest.is_none() || is_last {
            let event = record
                .to_event(Position::new(position, 0))
                .map_err(|error| Damage::new(at, error.to_string()))?;
            self.oldest.get_or_insert_with(|| event.clone());
            self.newest = Some(event);
        }
        Ok(())
    }

    fn count_blobs(
        &mut self,
        folder: &std::path::Path,
        log_id: &data_folder::LogId,
        living: &Living,
    ) -> Result<(), OpenError> {
        let mut bytes = Vec::new();
        let mut sizes: HashMap<PayloadId, u64> = HashMap::new();
        let mut all = 0;
        for (_, path) in folder::blobs(folder, &mut Findings::default())? {
            if walk::read_file(&path, &mut bytes).is_err() {
                continue;
            }
            all += bytes.len() as u64;
            let mut at = blob_segment::SEGMENT_HEADER_BYTES;
            while at < bytes.len() {
                let Some(frame) = FrameHeader::decode(log_id, &bytes[at..]) else {
                    match super::frame::find(&bytes[at + 1..], log_id.blob_magic()) {
                        Some(next) => at += 1 + next,
                        None => break,
                    }
                    continue;
                };
                if living.get(&frame.id) == Some(&frame.position) {
                    sizes.insert(frame.id, u64::from(frame.bytes));
                }
                at += FRAME_HEADER_BYTES + frame.bytes as usize;
            }
        }
        self.payload_bytes = sizes.values().sum();
        self.payload_dead_bytes = all - self.payload_bytes;
        Ok(())
    }
}
