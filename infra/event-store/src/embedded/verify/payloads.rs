//! Verifies that the payloads are what the log says: the living ones open under their keys, and
//! there is no key for any other.
//!
//! Beside a process that writes, payloads are erased and moved while they are looked at. So what is
//! missing is looked for again, and events behind the verified end are asked whether they erase it.

use std::collections::{HashMap, HashSet};
use std::path::{Path, PathBuf};
use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use satpost_domain::PayloadId;

use super::history::{History, LastPlace};
use super::{Findings, VerifiedPayloads, folder};
use crate::embedded::data_folder::LogId;
use crate::embedded::frame;
use crate::embedded::lost_payloads::LostPayloads;
use crate::embedded::segment;
use crate::embedded::walk::{self, Walk};
use crate::payload_store::blob_segment::{
    self, FRAME_HEADER_BYTES, FrameHeader, SEGMENT_HEADER_BYTES,
};
use crate::payload_store::key_file::{self, FoundKeys, SLOT_BYTES};
use crate::payload_store::recovery::Living;
use crate::payload_store::seal;
use crate::storage::{Access, Disk, OpenError};

/// How often payloads are looked for, and how long to wait in between.
const ROUNDS: usize = 5;
const PAUSE: Duration = Duration::from_millis(200);

/// What is needed to look at payloads.
pub(in crate::embedded) struct PayloadCheck<'a> {
    /// The folder of the payloads.
    pub(in crate::embedded) folder: &'a Path,
    pub(in crate::embedded) log_id: &'a LogId,
    pub(in crate::embedded) lost: &'a LostPayloads,
    pub(in crate::embedded) threads: usize,
}

/// Where and why a payload cannot be read.
type Trouble = (PathBuf, u64, &'static str);

/// What one look gave.
#[derive(Default)]
pub(in crate::embedded) struct Look {
    /// Payloads that open, with the bytes of their ciphertexts.
    pub(in crate::embedded) readable: HashMap<PayloadId, u64>,
    troubles: HashMap<PayloadId, Trouble>,
}

impl PayloadCheck<'_> {
    pub(super) fn run(
        &self,
        history: &mut History,
        log: &Path,
    ) -> Result<VerifiedPayloads, OpenError> {
        let mut missing = std::mem::take(&mut history.living);
        let lost = self.lost.take_out_of(&mut missing) as u64;
        let mut living = missing.clone();
        let last = history.last.clone();
        let head = last.as_ref().map_or(0, |last| last.head);
        let mut verified = VerifiedPayloads {
            lost,
            ..VerifiedPayloads::default()
        };
        for round in 0..ROUNDS {
            if round > 0 {
                pause();
                let gone = gone_since(log, self.log_id, last.as_ref())?;
                missing.retain(|id, _| !gone.contains(id));
                living.retain(|id, _| !gone.contains(id));
            }
            let mut findings = Findings::default();
            let look = self.look(&missing, &mut findings)?;
            for (id, bytes) in look.readable {
                missing.remove(&id);
                verified.readable += 1;
                verified.bytes += bytes;
            }
            let keys = self.keys()?;
            self.look_at_slots(keys.as_ref(), &living, head, &mut findings);
            self.tell_missing(&missing, &look.troubles, &mut findings);
            let is_last = round + 1 == ROUNDS;
            if findings.kept.is_empty() {
                break;
            }
            if is_last {
                history.findings.kept.extend(findings.kept);
                history.findings.further += findings.further;
            }
        }
        Ok(verified)
    }

    fn keys(&self) -> Result<Option<FoundKeys>, OpenError> {
        key_file::find(&Disk, self.folder, self.log_id, Access::Read)
    }

    /// Tries to open each payload of `living`, blob segments side by side.
    pub(in crate::embedded) fn look(
        &self,
        living: &Living,
        findings: &mut Findings,
    ) -> Result<Look, OpenError> {
        let blobs = folder::blobs(self.folder, findings)?;
        let keys = self.keys()?;
        let (next, whole) = (AtomicUsize::new(0), Mutex::new(Look::default()));
        let foreign = Mutex::new(Vec::new());
        let work = || -> Result<(), OpenError> {
            let mut buffer = Vec::new();
            while let Some((number, path)) = blobs.get(next.fetch_add(1, Ordering::Relaxed)) {
                if exists(walk::read_file(path, &mut buffer))?.is_none() {
                    continue;
                }
                let header = blob_segment::segment_header(self.log_id, *number);
                if buffer.get(..SEGMENT_HEADER_BYTES) != Some(header.as_slice()) {
                    lock(&foreign).push(path.clone());
                    continue;
                }
                let look = self.look_at_blob(path, &buffer, living, keys.as_ref());
                let mut whole = lock(&whole);
                whole.readable.extend(look.readable);
                whole.troubles.extend(look.troubles);
            }
            Ok(())
        };
        std::thread::scope(|scope| {
            let workers: Vec<_> = (0..self.threads).map(|_| scope.spawn(work)).collect();
            workers
                .into_iter()
                .try_for_each(|worker| worker.join().expect("looking at payloads does not panic"))
        })?;
        for path in lock(&foreign).drain(..) {
            findings.add(&path, 0, "this is not a blob segment of this log");
        }
        Ok(std::mem::take(&mut *lock(&whole)))
    }

    /// What is not alive is stepped over: it may be overwritten at any time.
    fn look_at_blob(
        &self,
        path: &Path,
        bytes: &[u8],
        living: &Living,
        keys: Option<&FoundKeys>,
    ) -> Look {
        let mut look = Look::default();
        let mut at = SEGMENT_HEADER_BYTES;
        while at < bytes.len() {
            let Some(header) = FrameHeader::decode(self.log_id, &bytes[at..]) else {
                match frame::find(&bytes[at + 1..], self.log_id.blob_magic()) {
                    Some(next) => at += 1 + next,
                    None => break,
                }
                continue;
            };
            let body = at + FRAME_HEADER_BYTES;
            let end = body + header.bytes as usize;
            if living.get(&header.id) == Some(&header.position) {
                match try_open(&header, bytes.get(body..end), keys) {
                    Ok(()) => {
                        look.readable.insert(header.id, u64::from(header.bytes));
                    }
                    Err(reason) => {
                        let trouble = (path.to_owned(), at as u64, reason);
                        look.troubles.insert(header.id, trouble);
                    }
                }
            }
            at = if end <= bytes.len() { end } else { at + 1 };
        }
        look
    }

    fn look_at_slots(
        &self,
        keys: Option<&FoundKeys>,
        living: &Living,
        head: u64,
        findings: &mut Findings,
    ) {
        let Some(keys) = keys else {
            if !living.is_empty() {
                let path = self.folder.join(key_file::NAME);
                findings.add(&path, 0, "the key file is not there");
            }
            return;
        };
        for slot in keys.slots() {
            let offset = u64::from(slot) * SLOT_BYTES as u64;
            match keys.slot(slot) {
                // Of an event behind what was verified, or of one that never became durable.
                Some(record) if record.position > head => {}
                Some(record) if living.get(&record.id) == Some(&record.position) => {}
                Some(record) => {
                    let reason = format!(
                        "the key of the erased payload of the event at position {} is still there; the next start of the server destroys it",
                        record.position
                    );
                    findings.add(&keys.path, offset, reason);
                }
                None if keys.is_free(slot) => {}
                None => findings.add(&keys.path, offset, "the slot of a key is damaged"),
            }
        }
    }

    fn tell_missing(
        &self,
        missing: &Living,
        troubles: &HashMap<PayloadId, Trouble>,
        findings: &mut Findings,
    ) {
        for (id, position) in missing {
            let (path, offset, reason) = troubles.get(id).cloned().unwrap_or_else(|| {
                (
                    self.folder.to_owned(),
                    0,
                    "it is in none of the blob segments, or the header of its frame is damaged",
                )
            });
            let reason = format!("the payload of the event at position {position}: {reason}");
            findings.add(&path, offset, reason);
        }
    }
}

fn try_open(
    header: &FrameHeader,
    ciphertext: Option<&[u8]>,
    keys: Option<&FoundKeys>,
) -> Result<(), &'static str> {
    let ciphertext = ciphertext.ok_or("the blob segment ends too early")?;
    if crc32c::crc32c(ciphertext) != header.checksum {
        return Err("the checksum of its ciphertext is wrong");
    }
    let record = keys.and_then(|keys| keys.slot(header.slot));
    let record = record
        .filter(|record| record.id == header.id && record.position == header.position)
        .ok_or("its key is not there")?;
    seal::open(header.id, &record.key, ciphertext.to_vec())
        .map(drop)
        .map_err(|_| "it does not open under its key")
}

/// The payloads that events behind the verified end erase or replace.
fn gone_since(
    log: &Path,
    log_id: &LogId,
    last: Option<&LastPlace>,
) -> Result<HashSet<PayloadId>, OpenError> {
    let mut gone = Vec::new();
    let Some(last) = last else {
        return Ok(HashSet::new());
    };
    let mut is_behind = false;
    for number in last.number.. {
        let walk = Walk::open(&segment::path(log, number), log_id);
        let Some(walk) = exists(walk)?.filter(|walk| walk.header.is_some()) else {
            break;
        };
        let mut walk = walk.with_checksums_only();
        is_behind |= walk.place.chain == last.chain;
        while let Ok(Some(batch)) = walk.next()? {
            if is_behind && batch.gone_payloads(&mut gone).is_err() {
                break;
            }
            is_behind |= batch.parts.hash == last.chain;
        }
    }
    Ok(gone.into_iter().collect())
}

/// Nothing for a file that was removed since it was listed.
fn exists<T>(read: Result<T, OpenError>) -> Result<Option<T>, OpenError> {
    match read {
        Ok(read) => Ok(Some(read)),
        Err(OpenError::Io { source, .. }) if source.kind() == std::io::ErrorKind::NotFound => {
            Ok(None)
        }
        Err(error) => Err(error),
    }
}

fn lock<T>(mutex: &Mutex<T>) -> std::sync::MutexGuard<'_, T> {
    mutex.lock().expect("looking at payloads does not panic")
}

#[allow(
    clippy::disallowed_methods,
    reason = "waits for another process, which cannot tell when it is done"
)]
fn pause() {
    std::thread::sleep(PAUSE);
}
