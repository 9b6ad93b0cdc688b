//! Verifies a whole log: every checksum, every hash, every position and revision, and that the
//! payloads are what the events say. Changes nothing, and works beside a process that writes.
//!
//! Segments are verified side by side: the header of each carries the hash of everything before it,
//! so each stands on its own, and what one ends with is compared with what the next begins with.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use satpost_domain::Position;

use self::history::History;
use self::payloads::PayloadCheck;
use super::data_folder::{self, LogId};
use super::side_by_side::side_by_side;
use super::{lost_payloads, segment, walk};
use crate::LogIdentity;
use crate::payload_store;
use crate::storage::{Disk, OpenError};

pub(super) mod folder;
mod history;
pub(super) mod payloads;
mod segment_check;
#[cfg(test)]
pub(crate) mod tests;

/// How many findings are kept; the rest is counted.
const FINDINGS_MAX: usize = 100;

/// What to verify.
#[derive(Debug, Clone)]
pub struct VerifyOptions {
    /// The data folder.
    pub folder: PathBuf,
    /// Begin with the segment that holds this position, and take on trust what is before it.
    /// Payloads are then left out, since older events decide about them, too.
    pub from: Option<Position>,
    /// At which positions the chain is wanted, to compare it with checkpoints.
    pub chains_at: Vec<Position>,
    /// How many segments are verified at the same time.
    pub threads: usize,
}

/// Something that is not as it was written.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Finding {
    /// The file.
    pub file: PathBuf,
    /// Where in it, in bytes.
    pub offset: u64,
    /// What is wrong there.
    pub reason: String,
}

/// What was found about payloads.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct VerifiedPayloads {
    /// Alive, and each of them opened under its key.
    pub readable: u64,
    /// Alive by the log, and known to be lost since a restore.
    pub lost: u64,
    /// Bytes of the living ciphertexts.
    pub bytes: u64,
}

/// A log that was read from one end to the other.
#[derive(Debug, Clone)]
pub struct Verified {
    /// Which log it is.
    pub log: LogIdentity,
    /// The first position that was verified.
    pub first: Position,
    /// The last event.
    pub head: Position,
    /// The hash that stands for everything through the last batch.
    pub chain: [u8; 32],
    /// How many events were verified.
    pub events: u64,
    /// How many batches were verified.
    pub batches: u64,
    /// How many streams they belong to.
    pub streams: u64,
    /// How many segments were verified.
    pub segments: u64,
    /// How many bytes of the log were verified.
    pub bytes: u64,
    /// Nothing when payloads could not be verified: not from the first event on, or damage before.
    pub payloads: Option<VerifiedPayloads>,
    /// For the positions asked for: the hash at the end of each batch that ends there. A position
    /// can have several, since a batch may erase without appending, or none.
    pub chains: Vec<(Position, [u8; 32])>,
    /// The first finding of each segment, and those of the payloads; at most 100.
    pub findings: Vec<Finding>,
    /// How many further findings there were.
    pub further_findings: u64,
}

impl Verified {
    /// Whether everything is as it was written.
    #[must_use]
    pub fn is_sound(&self) -> bool {
        self.findings.is_empty()
    }
}

/// Findings, bounded.
#[derive(Default)]
pub(super) struct Findings {
    pub(super) kept: Vec<Finding>,
    pub(super) further: u64,
}

impl Findings {
    pub(super) fn add(&mut self, file: &Path, offset: u64, reason: impl Into<String>) {
        if self.kept.len() >= FINDINGS_MAX {
            self.further += 1;
            return;
        }
        self.kept.push(Finding {
            file: file.to_owned(),
            offset,
            reason: reason.into(),
        });
    }
}

/// Which part of a folder's log is verified.
pub(super) struct Scope<'a> {
    pub(super) log_id: &'a LogId,
    /// Positions at which the chain is wanted, ascending.
    pub(super) chains_at: &'a [u64],
    /// The number of the last segment.
    pub(super) last: u32,
}

/// Verifies the log of a data folder. `progress` is told how many bytes of how many are done, from
/// several threads.
///
/// # Errors
/// [`OpenError`] when the folder is not one, or a file cannot be read at all. What is read and not
/// right is a [`Finding`] and no error.
pub fn verify(
    options: &VerifyOptions,
    progress: &(dyn Fn(u64, u64) + Sync),
) -> Result<Verified, OpenError> {
    let folder = options.folder.as_path();
    let log_id = data_folder::read_format(&Disk, folder, data_folder::FolderKind::Data)?
        .ok_or_else(|| OpenError::Absent {
            folder: folder.to_owned(),
        })?;
    let log = folder.join(segment::FOLDER);
    let mut findings = Findings::default();
    let files = folder::segments(&log, &mut findings)?;
    let from = options.from.map_or(0, Position::major);
    let (files, first_number) = starting_at(files, &log_id, from);
    let mut chains_at: Vec<_> = options.chains_at.iter().map(|at| at.major()).collect();
    chains_at.sort_unstable();
    let scope = Scope {
        log_id: &log_id,
        chains_at: &chains_at,
        last: files.last_key_value().map_or(0, |(number, _)| *number),
    };
    let mut history = History::new(&log, first_number, findings);
    let check = |(): &mut (), number, path: &Path| segment_check::check(&scope, number, path);
    let threads = options.threads.max(1);
    side_by_side(&files, threads, progress, check, |report| {
        history.take(report);
    })?;
    history.finish(&files);
    let lost = lost_payloads::read(folder, &log_id)?;
    let payloads = if first_number == 1 && history.is_unbroken() {
        let check = PayloadCheck {
            folder: &folder.join(payload_store::FOLDER),
            log_id: &log_id,
            lost: &lost,
            threads,
        };
        Some(check.run(&mut history, &log)?)
    } else {
        None
    };
    Ok(history.into_verified(log_id.identity(), payloads))
}

/// Leaves out the segments that end before `from`. Gives the number of the first one, too.
fn starting_at(
    mut files: BTreeMap<u32, PathBuf>,
    log_id: &LogId,
    from: u64,
) -> (BTreeMap<u32, PathBuf>, u32) {
    let first = files
        .iter()
        .rev()
        .find(|(_, path)| {
            walk::read_header(path, log_id).is_ok_and(|header| header.first <= from.max(1))
        })
        .map_or(1, |(number, _)| *number);
    // From the very first event on everything is verified, whatever the headers say.
    let first = if from <= 1 { 1 } else { first };
    (files.split_off(&first), first)
}
