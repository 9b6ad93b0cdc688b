//! Verifies one segment by itself.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use super::Scope;
use crate::embedded::by_name::ByName;
use crate::embedded::frame::ChainHash;
use crate::embedded::segment::SegmentHeader;
use crate::embedded::walk::{Damage, PayloadChange, Place, Walk, WalkedBatch};
use crate::storage::OpenError;

/// The revisions of one stream in one segment, which follow each other.
#[derive(Debug, Clone, Copy)]
pub(super) struct Run {
    pub(super) first: u64,
    /// The one that would follow them.
    pub(super) next: u64,
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
    pub(super) streams: Vec<(Arc<str>, Run)>,
    pub(super) payloads: PayloadChange,
    /// Chains at wanted positions.
    pub(super) chains: Vec<(u64, ChainHash)>,
    /// The first place that is not right. Nothing behind it was looked at.
    pub(super) damage: Option<Damage>,
}

/// Reads a segment and verifies it. Says how long its file is, too.
pub(super) fn check(
    scope: &Scope<'_>,
    number: u32,
    path: &Path,
) -> Result<(SegmentReport, u64), OpenError> {
    let mut walk = Walk::open(path, scope.log_id)?;
    let mut report = SegmentReport {
        number,
        path: path.to_owned(),
        header: None,
        chain: [0; 32],
        next_position: 0,
        end: 0,
        batches: 0,
        streams: Vec::new(),
        payloads: PayloadChange::default(),
        chains: Vec::new(),
        damage: None,
    };
    let header = walk.header;
    let Some(header) = header.filter(|header| header.number == number) else {
        report.damage = Some(Damage::new(
            0,
            header.map_or_else(
                || "this is not a segment of this log, or its header is damaged".to_owned(),
                |header| format!("this is segment {} under another name", header.number),
            ),
        ));
        return Ok((report, walk.len));
    };
    report.header = Some(header);
    let mut content = Content::default();
    content.note_chain(scope, walk.place);
    loop {
        let before = walk.place;
        let taken = walk.next()?.and_then(|batch| match batch {
            Some(batch) => content.take(&batch).map(|()| true),
            None => Ok(false),
        });
        match taken {
            Ok(true) => content.note_chain(scope, walk.place),
            Ok(false) => break,
            Err(damage) => {
                walk.place = before;
                let may_be_written = number == scope.last;
                if !(may_be_written && walk.is_in_flight()?) {
                    report.damage = Some(explain(&walk, damage, may_be_written)?);
                }
                break;
            }
        }
    }
    report.chain = walk.place.chain;
    report.next_position = walk.place.next_position;
    report.end = walk.place.at as u64;
    report.batches = content.batches;
    report.payloads = content.payloads;
    report.chains = content.chains;
    report.streams = content.streams.into_entries();
    Ok((report, walk.len))
}

/// Says what else damage at the end of the log can be.
fn explain(walk: &Walk<'_>, mut damage: Damage, is_last: bool) -> Result<Damage, OpenError> {
    if is_last && !walk.batch_follows()? {
        damage.reason.push_str(
            "; after a power cut it can be a batch that was never finished nor acknowledged, which the next start of the server cuts",
        );
    }
    Ok(damage)
}

/// What was read so far.
#[derive(Default)]
struct Content {
    streams: ByName<Run>,
    payloads: PayloadChange,
    chains: Vec<(u64, ChainHash)>,
    batches: u64,
}

impl Content {
    fn take(&mut self, batch: &WalkedBatch<'_>) -> Result<(), Damage> {
        let streams = &mut self.streams;
        self.payloads.take(batch, |_, at, record| {
            let revision = record.revision.0;
            let run = streams.get_or_insert_with(record.stream, || Run {
                first: revision,
                next: revision,
                offset: at as u64,
            });
            if revision != run.next {
                let reason = format!(
                    "revision {revision} of {} follows revision {}",
                    record.stream,
                    run.next - 1
                );
                return Err(Damage::new(at, reason));
            }
            run.next = revision.saturating_add(1);
            Ok(())
        })?;
        self.batches += 1;
        Ok(())
    }

    fn note_chain(&mut self, scope: &Scope<'_>, place: Place) {
        if scope.chains_at.binary_search(&place.head()).is_ok() {
            self.chains.push((place.head(), place.chain));
        }
    }
}
