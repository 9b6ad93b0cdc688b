//! Counts what is in a log, by reading all of it with checksums and without hashes.

use std::collections::HashMap;
use std::path::{Path, PathBuf};

use satpost_domain::{PayloadId, Position};

use super::by_name::ByName;
use super::data_folder::{self, LogId};
use super::frame::ChainHash;
use super::side_by_side::side_by_side;
use super::verify::{Findings, folder};
use super::walk::{self, Damage, PayloadChange, Place, Walk};
use super::{loading, lost_payloads, segment};
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
/// bytes of how many are done, from several threads.
///
/// # Errors
/// [`OpenError`] when the folder is not one, a file cannot be read, or bytes are damaged.
pub fn statistics(
    folder: impl Into<PathBuf>,
    progress: &(dyn Fn(u64, u64) + Sync),
) -> Result<Statistics, OpenError> {
    let folder = folder.into();
    let log_id = data_folder::read_format(&Disk, &folder, data_folder::FolderKind::Data)?
        .ok_or_else(|| OpenError::Absent {
            folder: folder.clone(),
        })?;
    let log = folder.join(segment::FOLDER);
    let segments = folder::segments(&log, &mut Findings::default())?;
    let last = segments.last_key_value().map_or(0, |(number, _)| *number);
    let mut found = Statistics::empty(log_id.identity(), &log, &segments)?;
    let mut living = Living::default();
    let counted = side_by_side(
        &segments,
        loading::threads(),
        progress,
        |names: &mut Names, number, path| count_segment(names, path, &log_id, number == last),
        |segment| found.take_segment(segment, &mut living),
    )?;
    for Names { kinds, streams } in counted {
        add_all(&mut found.kinds, kinds);
        add_all(&mut found.streams, streams);
    }
    let lost = lost_payloads::read(&folder, &log_id)?.take_out_of(&mut living);
    found.payloads_lost = lost as u64;
    found.payloads = living.len() as u64;
    found.count_blobs(&folder.join(payload_store::FOLDER), &log_id, &living)?;
    Ok(found)
}

/// What one thread counts in all its segments.
#[derive(Default)]
struct Names {
    kinds: ByName<Count>,
    streams: ByName<Count>,
}

fn add_all(counts: &mut HashMap<String, Count>, more: ByName<Count>) {
    for (name, count) in more.into_entries() {
        match counts.get_mut(&*name) {
            Some(known) => {
                known.events += count.events;
                known.bytes += count.bytes;
            }
            None => {
                counts.insert(name.to_string(), count);
            }
        }
    }
}

/// What is in one segment.
struct CountedSegment {
    total: Count,
    batches: u64,
    head: u64,
    chain: ChainHash,
    payloads: PayloadChange,
    oldest: Option<RecordedEvent>,
    newest: Option<RecordedEvent>,
}

/// Reads a segment. Says how long its file is, too.
fn count_segment(
    names: &mut Names,
    path: &Path,
    log_id: &LogId,
    is_last: bool,
) -> Result<(CountedSegment, u64), OpenError> {
    let mut walk = Walk::open(path, log_id)?.with_checksums_only();
    if walk.header.is_none() {
        return Err(Damage::new(0, "this is not a segment of this log").in_file(path));
    }
    let (first_batch, mut last_batch) = (walk.place, None);
    let (mut total, mut batches) = (Count::default(), 0);
    let mut payloads = PayloadChange::default();
    loop {
        let place = walk.place;
        let batch = match walk.next()? {
            Ok(Some(batch)) => batch,
            Ok(None) => break,
            Err(damage) => {
                if is_last && (walk.is_in_flight()? || !walk.batch_follows()?) {
                    break;
                }
                return Err(damage.in_file(path));
            }
        };
        batches += 1;
        if batch.header.events > 0 {
            last_batch = Some(place);
        }
        let taken = payloads.take(&batch, |_, _, record| {
            let bytes = record.bytes();
            total.add(bytes);
            let count = |names: &mut ByName<Count>, name| {
                names.get_or_insert_with(name, Count::default).add(bytes);
            };
            count(&mut names.kinds, record.kind);
            count(&mut names.streams, record.stream);
            Ok(())
        });
        taken.map_err(|damage| damage.in_file(path))?;
    }
    let (len, end) = (walk.len, walk.place);
    let mut events_from = |place| first_and_last_event(&mut walk, place, path);
    let segment = CountedSegment {
        total,
        batches,
        head: end.head(),
        chain: end.chain,
        payloads,
        oldest: events_from(first_batch)?.0,
        newest: match last_batch {
            Some(place) => events_from(place)?.1,
            None => None,
        },
    };
    Ok((segment, len))
}

/// The first and the last event of the first batch from `place` on that has any.
fn first_and_last_event(
    walk: &mut Walk<'_>,
    place: Place,
    path: &Path,
) -> Result<(Option<RecordedEvent>, Option<RecordedEvent>), OpenError> {
    walk.place = place;
    while let Ok(Some(batch)) = walk.next()? {
        let (head, mut first, mut last) = (batch.head(), None, None);
        let visited = batch.visit(|position, at, record| {
            if first.is_some() && position < head {
                return Ok(());
            }
            let event = record.to_event(Position::new(position, 0));
            let event = event.map_err(|error| Damage::new(at, error.to_string()))?;
            first.get_or_insert_with(|| event.clone());
            last = Some(event);
            Ok(())
        });
        visited.map_err(|damage| damage.in_file(path))?;
        if first.is_some() {
            return Ok((first, last));
        }
    }
    Ok((None, None))
}

impl Statistics {
    fn empty(
        log: LogIdentity,
        folder: &Path,
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

    /// Takes the next segment in order.
    fn take_segment(&mut self, segment: CountedSegment, living: &mut Living) {
        self.total.events += segment.total.events;
        self.total.bytes += segment.total.bytes;
        self.batches += segment.batches;
        self.head = Position::new(segment.head, 0);
        self.chain = segment.chain;
        segment.payloads.apply(living);
        self.oldest = self.oldest.take().or(segment.oldest);
        self.newest = segment.newest.or(self.newest.take());
    }

    fn count_blobs(
        &mut self,
        folder: &Path,
        log_id: &LogId,
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
