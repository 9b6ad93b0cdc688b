//! Verifies one segment by itself.

use std::collections::hash_map::Entry;
use std::collections::{HashMap, HashSet};
use std::path::{Path, PathBuf};

use satpost_domain::PayloadId;

use super::Scope;
use crate::embedded::frame::ChainHash;
use crate::embedded::segment::SegmentHeader;
use crate::embedded::walk::{self, Damage, Walk, WalkedBatch};
use crate::payload_store::recovery::Living;
use crate::storage::OpenError;

/// The revisions of one stream in one segment, which follow each other.
#[derive(Debug, Clone, Copy)]
pub(super) struct Run {
    pub(super) first: u64,
    pub(super) last: u64,
    /// Where the record of the first one is.
    pub(super) offset: u64,
}

/// What one segment holds.
pub(super) struct SegmentReport {
    pub(super) number: u32,
    pub(super) path: PathBuf,
    /// Nothing when the header is not that of this segment.
    pub(super) header: Option<SegmentHeader>,
    /// What stands for the log through its last batch.
    pub(super) chain: ChainHash,
    pub(super) next_position: u64,
    /// Where its last batch ends.
    pub(super) end: u64,
    pub(super) batches: u64,
    pub(super) streams: Vec<(Box<str>, Run)>,
    /// Payloads of its events that it does not erase itself.
    pub(super) living: Living,
    /// Payloads that it erases.
    pub(super) erased: HashSet<PayloadId>,
    /// Chains at wanted positions.
    pub(super) chains: Vec<(u64, ChainHash)>,
    /// The first place that is not right. Nothing behind it was looked at.
    pub(super) damage: Option<Damage>,
}

/// Reads a segment into `buffer` and verifies it.
pub(super) fn check(
    scope: &Scope<'_>,
    number: u32,
    path: &Path,
    buffer: &mut Vec<u8>,
) -> Result<SegmentReport, OpenError> {
    let file = walk::read_segment(path, buffer)?;
    let mut report = SegmentReport {
        number,
        path: path.to_owned(),
        header: None,
        chain: [0; 32],
        next_position: 0,
        end: 0,
        batches: 0,
        streams: Vec::new(),
        living: Living::new(),
        erased: HashSet::new(),
        chains: Vec::new(),
        damage: None,
    };
    let header = SegmentHeader::decode(scope.log_id, buffer);
    let Some(header) = header.filter(|header| header.number == number) else {
        report.damage = Some(Damage::new(
            0,
            header.map_or_else(
                || "this is not a segment of this log, or its header is damaged".to_owned(),
                |header| format!("this is segment {} under another name", header.number),
            ),
        ));
        return Ok(report);
    };
    report.header = Some(header);
    let mut walk = Walk::start(scope.log_id, &header, buffer);
    let mut content = Content::default();
    content.note_chain(scope, &walk);
    loop {
        let before = walk.clone();
        let taken = walk.next().and_then(|batch| match batch {
            Some(batch) => content.take(&batch).map(|()| true),
            None => Ok(false),
        });
        match taken {
            Ok(true) => content.note_chain(scope, &walk),
            Ok(false) => break,
            Err(damage) => {
                walk = before;
                let may_be_written = number == scope.last;
                let in_flight = may_be_written
                    && walk
                        .is_in_flight(&file)
                        .map_err(OpenError::io("read", path))?;
                report.damage = (!in_flight).then(|| explain(&walk, damage, may_be_written));
                break;
            }
        }
    }
    report.chain = walk.chain;
    report.next_position = walk.next_position;
    report.end = walk.at as u64;
    report.batches = content.batches;
    report.living = content.living;
    report.erased = content.erased;
    report.chains = content.chains;
    let owned = content.streams.into_iter();
    report.streams = owned.map(|(name, run)| (name.into(), run)).collect();
    Ok(report)
}

/// Says what else damage at the end of the log can be.
fn explain(walk: &Walk<'_>, mut damage: Damage, is_last: bool) -> Damage {
    if is_last && !walk.batch_follows() {
        damage.reason.push_str(
            "; after a power cut it can be a batch that was never finished nor acknowledged, which the next start of the server cuts",
        );
    }
    damage
}

/// What was read so far.
#[derive(Default)]
struct Content<'a> {
    streams: HashMap<&'a str, Run>,
    living: Living,
    erased: HashSet<PayloadId>,
    chains: Vec<(u64, ChainHash)>,
    batches: u64,
}

impl<'a> Content<'a> {
    fn take(&mut self, batch: &WalkedBatch<'a>) -> Result<(), Damage> {
        batch.visit(|position, at, record| {
            let revision = record.revision.0;
            match self.streams.entry(record.stream) {
                Entry::Vacant(entry) => {
                    entry.insert(Run {
                        first: revision,
                        last: revision,
                        offset: at as u64,
                    });
                }
                Entry::Occupied(mut entry) => {
                    let run = entry.get_mut();
                    if revision != run.last + 1 {
                        let reason = format!(
                            "revision {revision} of {} follows revision {}",
                            record.stream, run.last
                        );
                        return Err(Damage::new(at, reason));
                    }
                    run.last = revision;
                }
            }
            if let Some(id) = record.payload {
                self.erased.remove(&id);
                self.living.insert(id, position);
            }
            Ok(())
        })?;
        for id in &batch.parts.erased {
            self.living.remove(id);
            self.erased.insert(*id);
        }
        self.batches += 1;
        Ok(())
    }

    fn note_chain(&mut self, scope: &Scope<'_>, walk: &Walk<'_>) {
        if scope.chains_at.binary_search(&walk.head()).is_ok() {
            self.chains.push((walk.head(), walk.chain));
        }
    }
}
