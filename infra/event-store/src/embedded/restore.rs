//! Makes a data folder of a backup, through its end or through any earlier position. Every checksum
//! and every hash is computed on the way, so that what opens afterwards is what was backed up.
//!
//! The log is cut between two batches: at the end of the last batch whose events are all at or
//! before the position asked for. Payloads that the log erases stay erased, and so do those whose
//! keys are no longer in the newest copy of the keys: what was closed after the backup does not come
//! back with it. What the log says is alive and is not there is written down as lost.

use std::collections::HashSet;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use satpost_domain::Position;

use super::backup::{self, BackedUpFile, CopyError, Copying};
use super::data_folder::{self, LogId};
use super::frame::ChainHash;
use super::lost_payloads::LostPayloads;
use super::segment::{self, SegmentHeader};
use super::verify::Findings;
use super::verify::payloads::PayloadCheck;
use super::walk::{self, Walk, WalkedBatch};
use crate::payload_store;
use crate::payload_store::recovery::Living;
use crate::storage::{Disk, OpenError, Storage};

/// What to restore, as the description of the backup says.
#[derive(Debug, Clone)]
pub struct RestoreOptions {
    /// The folder of the backup.
    pub source: PathBuf,
    /// The data folder to be made: an empty folder, or none yet.
    pub target: PathBuf,
    /// Leave out what is behind this position.
    pub to: Option<Position>,
    /// The id of the log.
    pub log_id: [u8; 16],
    /// The last event of the backup.
    pub head: Position,
    /// The hash that stands for the whole backup.
    pub chain: [u8; 32],
    /// How many segments it has.
    pub segments: u32,
    /// The ciphertexts of the payloads, if it has them.
    pub payloads: Vec<BackedUpFile>,
    /// The newest copy of their keys. Without it no payload comes back.
    pub payload_keys: Option<PathBuf>,
}

/// A data folder that was made of a backup. The server can open it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Restored {
    /// The last event.
    pub head: Position,
    /// The hash that stands for everything through the last batch.
    pub chain: [u8; 32],
    /// How many bytes of the log were written.
    pub bytes: u64,
    /// How many payloads are there.
    pub payloads: u64,
    /// How many payloads the log says are alive and the backup does not have.
    pub payloads_lost: u64,
}

/// A data folder to which nothing but its last file is missing. Until it is completed it is refused
/// as one.
pub struct UnfinishedFolder {
    folder: PathBuf,
    log_id: LogId,
    restored: Restored,
    _lock: data_folder::FolderLock,
}

impl UnfinishedFolder {
    /// What it holds.
    #[must_use]
    pub fn restored(&self) -> &Restored {
        &self.restored
    }

    /// Makes it a data folder, durably.
    ///
    /// # Errors
    /// [`OpenError::Io`].
    pub fn complete(self) -> Result<Restored, OpenError> {
        backup::sync_folder(&self.folder)?;
        data_folder::adopt(&self.folder, &self.log_id)?;
        Ok(self.restored)
    }
}

/// Makes a data folder, up to its completion. `progress` is told how many bytes of how many are
/// done.
///
/// # Errors
/// [`CopyError`]. What was written so far stays, and is refused as a data folder.
pub fn restore(
    options: &RestoreOptions,
    progress: &dyn Fn(u64, u64),
) -> Result<UnfinishedFolder, CopyError> {
    if let Some(asked) = options.to.filter(|asked| *asked > options.head) {
        return Err(CopyError::BehindTheEnd {
            asked,
            head: options.head,
        });
    }
    backup::make_empty_folder(&options.target)?;
    let lock = data_folder::lock(&options.target)?;
    let log_id = LogId::from_bytes(options.log_id);
    let mut copying = Copying::new(progress);
    let log = options.source.join(segment::FOLDER);
    let paths: Vec<_> = (1..=options.segments)
        .map(|number| segment::path(&log, number))
        .collect();
    copying.total = paths.iter().map(|path| backup::length(path)).sum();
    if options.payload_keys.is_some() {
        copying.total += options.payloads.iter().map(|file| file.bytes).sum::<u64>();
    }
    let mut cut = Cut {
        to: options.to.unwrap_or(options.head).major(),
        chain: [0; 32],
        head: 0,
        bytes: 0,
        living_at_it: None,
        living_in_the_end: Living::default(),
    };
    copy_log(options, &log_id, &paths, &mut cut, &mut copying)?;
    let target_payloads = options.target.join(payload_store::FOLDER);
    backup::make_folder(&target_payloads)?;
    let found = copy_payloads(options, &log_id, &cut, &mut copying)?;
    backup::sync_folder(&target_payloads)?;
    let lost = cut.living().iter().filter(|(id, _)| !found.contains(id));
    let lost = LostPayloads(lost.map(|(id, position)| (*id, *position)).collect());
    lost.write(&options.target, &log_id)?;
    Ok(UnfinishedFolder {
        folder: options.target.clone(),
        log_id,
        restored: Restored {
            head: Position::new(cut.head, 0),
            chain: cut.chain,
            bytes: cut.bytes,
            payloads: found.len() as u64,
            payloads_lost: lost.0.len() as u64,
        },
        _lock: lock,
    })
}

/// Where the log is cut, and what lives there.
struct Cut {
    to: u64,
    chain: ChainHash,
    head: u64,
    bytes: u64,
    /// What lives there, once something is behind it.
    living_at_it: Option<Living>,
    /// What still lives at the end of the backup: only that may come back.
    living_in_the_end: Living,
}

impl Cut {
    fn take(&mut self, batch: &WalkedBatch<'_>) -> Result<(), walk::Damage> {
        if batch.head() > self.to && self.living_at_it.is_none() {
            self.living_at_it = Some(self.living_in_the_end.clone());
        }
        batch.follow_payloads(&mut self.living_in_the_end)?;
        if !self.is_over() {
            self.chain = batch.parts.hash;
            self.head = batch.head();
        }
        Ok(())
    }

    /// Whether something is behind the cut.
    fn is_over(&self) -> bool {
        self.living_at_it.is_some()
    }

    /// What lives at the cut.
    fn living(&self) -> &Living {
        self.living_at_it
            .as_ref()
            .unwrap_or(&self.living_in_the_end)
    }
}

fn copy_log(
    options: &RestoreOptions,
    log_id: &LogId,
    paths: &[PathBuf],
    cut: &mut Cut,
    copying: &mut Copying<'_>,
) -> Result<(), CopyError> {
    let folder = options.target.join(segment::FOLDER);
    backup::make_folder(&folder)?;
    let (mut first, mut chain) = (1, [0; 32]);
    for (number, path) in (1..).zip(paths) {
        let expected = SegmentHeader {
            number,
            first,
            previous: chain,
        };
        let was_over = cut.is_over();
        let mut walk = Walk::open_whole(path, log_id)?;
        if walk.header != Some(expected) {
            let reason = "this is not the segment that follows, or its header is damaged";
            return Err(walk::Damage::new(0, reason).in_file(path).into());
        }
        let mut end = walk.place.at;
        let damaged = |damage: walk::Damage| CopyError::from(damage.in_file(path));
        while let Some(batch) = walk.next()?.map_err(damaged)? {
            cut.take(&batch).map_err(damaged)?;
            if !cut.is_over() {
                end = batch.start + batch.header.length;
            }
        }
        if !was_over {
            backup::write_new(&segment::path(&folder, number), &walk.bytes()?[..end])?;
            cut.bytes += end as u64;
        }
        copying.advance(walk.len);
        (first, chain) = (walk.place.next_position, walk.place.chain);
    }
    backup::sync_folder(&folder)?;
    check_end(options, paths, first - 1, chain)
}

fn check_end(
    options: &RestoreOptions,
    paths: &[PathBuf],
    head: u64,
    chain: ChainHash,
) -> Result<(), CopyError> {
    if head == options.head.major() && chain == options.chain {
        return Ok(());
    }
    Err(CopyError::Unfit {
        file: paths.last().cloned().unwrap_or_default(),
        reason: format!(
            "the log of the backup ends at position {head} with the hash {}, and should end at {} with {}",
            hex::encode(chain),
            options.head,
            hex::encode(options.chain)
        ),
    })
}

/// Copies ciphertexts and takes over the keys that are left. Gives which payloads can be read in the
/// new folder and may be; of all others nothing is in it.
fn copy_payloads(
    options: &RestoreOptions,
    log_id: &LogId,
    cut: &Cut,
    copying: &mut Copying<'_>,
) -> Result<HashSet<satpost_domain::PayloadId>, CopyError> {
    // Without keys ciphertexts are of no use to anybody.
    let Some(keys) = &options.payload_keys else {
        return Ok(HashSet::new());
    };
    for file in &options.payloads {
        check_inside(&file.path)?;
        let source = options.source.join(&file.path);
        let target = options.target.join(&file.path);
        let copied = copying.copy(&source, &target, file.path.clone())?;
        if copied != *file {
            return Err(CopyError::Unfit {
                file: source,
                reason: "it is not the file that was backed up".to_owned(),
            });
        }
    }
    let folder = options.target.join(payload_store::FOLDER);
    payload_store::key_copy::take(keys, &folder, log_id)?;
    // What was erased behind the cut stays erased, even where its key were still in the copy.
    let mut wanted = cut.living().clone();
    wanted.retain(|id, position| cut.living_in_the_end.get(id) == Some(position));
    let check = PayloadCheck {
        folder: &folder,
        log_id,
        lost: &LostPayloads::default(),
        threads: 1,
    };
    let mut findings = Findings::default();
    let look = check.look(&wanted, &mut findings)?;
    if let Some(finding) = findings.kept.into_iter().next() {
        return Err(OpenError::Damaged {
            file: finding.file,
            offset: finding.offset,
            reason: finding.reason,
        }
        .into());
    }
    wanted.retain(|id, _| look.readable.contains_key(id));
    let disk: Arc<dyn Storage> = Arc::new(Disk);
    payload_store::recovery::keep_only(&disk, &folder, log_id, &wanted)?;
    Ok(look.readable.into_keys().collect())
}

/// The description of a backup may name files of the payloads only.
fn check_inside(path: &Path) -> Result<(), CopyError> {
    let mut parts = path.components();
    let is_inside = parts
        .next()
        .is_some_and(|part| part.as_os_str() == payload_store::FOLDER)
        && matches!(parts.next(), Some(std::path::Component::Normal(_)))
        && parts.next().is_none();
    is_inside.then_some(()).ok_or_else(|| CopyError::Unfit {
        file: path.to_owned(),
        reason: "this is no file of the payloads".to_owned(),
    })
}

#[cfg(test)]
mod tests;
