//! Opens the payload store and brings it in line with what decides about its payloads: the log, or
//! in a store without one, the keys. Keys of what is not alive are destroyed (again), segments
//! without a living payload are removed, and what else is left of the others is handed to the
//! keeper, to be overwritten.
//!
//! A payload can be found twice: a compaction had copied it and not yet removed what it copied
//! from. The later segment is taken. Its bytes may come from the page cache of a machine whose
//! disk failed, so they are written again before the other ones are given up.

use std::collections::HashMap;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use satpost_domain::PayloadId;

use super::blob_segment;
use super::index::PayloadIndex;
use super::keeper::scrub::overwrite_all;
use super::key_file::{self, FoundKeys, KeyFile};
use super::scan::{Found, Rule, scan};
use super::writer::{PayloadWriter, PayloadWriterParts};
use crate::embedded::data_folder::LogId;
use crate::embedded::stream_key::RandomKeys;
use crate::storage::{Access, OpenError, Storage, read_whole};

/// The payloads that the log says are alive, each with the position of its event. Their ids are drawn
/// by the server.
pub(crate) type Living = HashMap<PayloadId, u64, RandomKeys>;

/// How often the folder is read again while another process changes it.
const RACE_RETRIES: usize = 5;

/// How the store is written.
#[derive(Debug, Clone, Copy)]
pub(crate) struct WriteOptions {
    /// How long a blob segment is, in bytes.
    pub(crate) segment_bytes: u64,
    /// How often what is left of erased payloads is overwritten.
    pub(crate) scrub_every: Duration,
}

/// Opens the store beside a log, to write.
pub(crate) fn open(
    storage: Arc<dyn Storage>,
    folder: &Path,
    log_id: LogId,
    options: WriteOptions,
    living: &Living,
) -> Result<(PayloadWriter, PayloadIndex), OpenError> {
    let keys = key_file::find(&*storage, folder, &log_id, Access::ReadWrite)?;
    let found = scan(&*storage, folder, &log_id, Rule::Log(living))?;
    check_all_found(folder, &found, keys.as_ref(), living)?;
    start(storage, folder, log_id, options, keys, found)
}

/// Opens a store without a log, to write: what has a key and a whole ciphertext is alive. Gives
/// the first position that nothing in it has as well.
pub(crate) fn open_by_keys(
    storage: Arc<dyn Storage>,
    folder: &Path,
    log_id: LogId,
    options: WriteOptions,
) -> Result<(PayloadWriter, PayloadIndex, u64), OpenError> {
    let keys = key_file::find(&*storage, folder, &log_id, Access::ReadWrite)?;
    let mut found = scan(&*storage, folder, &log_id, Rule::Keys(keys.as_ref()))?;
    // No log tells which frames are durable: those of the last batch, which lie in the last two
    // segments, may be in the page cache only.
    let last = found.next_number.saturating_sub(2)..found.next_number;
    let last = last.filter(|number| found.segments.contains_key(number));
    let last: Vec<_> = last.collect();
    found.chosen.extend(last);
    let keyed = keys
        .iter()
        .flat_map(|keys| keys.slots().filter_map(|slot| keys.slot(slot)));
    let next_position = keyed
        .map(|key| key.position.saturating_add(1))
        .fold(found.next_position, u64::max);
    let (writer, index) = start(storage, folder, log_id, options, keys, found)?;
    Ok((writer, index, next_position))
}

/// Opens the store beside a log to read, beside a process that writes it: what cannot be found is
/// taken for erased in the meantime, and nothing is changed.
pub(crate) fn open_read_only(
    storage: &dyn Storage,
    folder: &Path,
    log_id: &LogId,
    living: &Living,
) -> Result<PayloadIndex, OpenError> {
    let mut found = scan(storage, folder, log_id, Rule::Log(living))?;
    for _ in 0..RACE_RETRIES {
        // A file that was removed may have been copied to one that was not listed yet.
        if !found.changed_meanwhile {
            break;
        }
        found = scan(storage, folder, log_id, Rule::Log(living))?;
    }
    let keys = key_file::find(storage, folder, log_id, Access::Read)?;
    let keys = keys.map(|keys| keys.file);
    Ok(PayloadIndex::new(found, *log_id, keys, true))
}

/// Settles, destroys and removes, and starts the writer.
fn start(
    storage: Arc<dyn Storage>,
    folder: &Path,
    log_id: LogId,
    options: WriteOptions,
    keys: Option<FoundKeys>,
    mut found: Found,
) -> Result<(PayloadWriter, PayloadIndex), OpenError> {
    for number in &found.chosen {
        settle(&*storage, &blob_segment::path(folder, *number))?;
    }
    let keys = match keys {
        Some(keys) => {
            let path = keys.path.clone();
            keys.sweep(Arc::clone(&storage), &used_slots(&found))
                .map_err(OpenError::io("sweep", &path))?
        }
        None => KeyFile::create(Arc::clone(&storage), folder, &log_id)?,
    };
    for path in &found.dead {
        storage
            .remove(path)
            .map_err(OpenError::io("remove", path))?;
    }
    if !found.dead.is_empty() {
        storage
            .sync_folder(folder)
            .map_err(OpenError::io("sync", folder))?;
    }
    let remains = std::mem::take(&mut found.remains);
    let index = PayloadIndex::new(found, log_id, Some(Arc::clone(keys.file())), false);
    let writer = PayloadWriter::start(PayloadWriterParts {
        storage,
        folder: folder.to_owned(),
        log_id,
        segment_bytes: options.segment_bytes,
        keys,
        index: index.clone(),
        remains,
        scrub_every: options.scrub_every,
    })
    .map_err(OpenError::io("start a thread for", folder))?;
    Ok((writer, index))
}

/// Destroys every key in a store that nobody uses, and overwrites every byte of its ciphertexts,
/// that belongs to none of `living`; all of those must be there. Durable when it returns.
pub(crate) fn keep_only(
    storage: &Arc<dyn Storage>,
    folder: &Path,
    log_id: &LogId,
    living: &Living,
) -> Result<(), OpenError> {
    let keys = key_file::find(&**storage, folder, log_id, Access::ReadWrite)?;
    let mut found = scan(&**storage, folder, log_id, Rule::Log(living))?;
    check_all_found(folder, &found, keys.as_ref(), living)?;
    if let Some(keys) = keys {
        let path = keys.path.clone();
        let swept = keys.sweep(Arc::clone(storage), &used_slots(&found));
        swept.map(drop).map_err(OpenError::io("sweep", &path))?;
    }
    for path in &found.dead {
        storage
            .remove(path)
            .map_err(OpenError::io("remove", path))?;
    }
    found.remains.sort_unstable();
    for remains in found
        .remains
        .chunk_by(|one, next| one.segment == next.segment)
    {
        let path = blob_segment::path(folder, remains[0].segment);
        let overwritten = storage
            .open(&path, Access::ReadWrite)
            .and_then(|file| overwrite_all(&*file, remains));
        overwritten.map_err(OpenError::io("overwrite", &path))?;
    }
    storage
        .sync_folder(folder)
        .map_err(OpenError::io("sync", folder))
}

/// Writes a segment again as it was read, so that what was read is on the disk.
fn settle(storage: &dyn Storage, path: &Path) -> Result<(), OpenError> {
    let settled = || {
        let file = storage.open(path, Access::ReadWrite)?;
        let bytes = read_whole(&*file)?;
        file.write_at(&bytes, 0)?;
        file.sync()
    };
    settled().map_err(OpenError::io("settle", path))
}

/// One bit for each slot that a living payload has.
fn used_slots(found: &Found) -> Vec<u64> {
    let slots = || found.places.values().map(|(place, _)| place.slot);
    let end = slots().max().map_or(1, |slot| slot + 1);
    let mut bits = vec![0_u64; key_file::words(end)];
    for slot in slots() {
        bits[slot as usize / 64] |= 1 << (slot % 64);
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
        let Some((place, _)) = found.places.get(id) else {
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
