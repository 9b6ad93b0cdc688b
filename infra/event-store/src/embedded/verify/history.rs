//! Puts the reports of the segments together: what one ends with, the next must begin with.

use std::collections::{BTreeMap, HashMap};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use satpost_domain::Position;

use super::segment_check::SegmentReport;
use super::{Finding, Findings, Verified, VerifiedPayloads};
use crate::LogIdentity;
use crate::embedded::frame::ChainHash;
use crate::embedded::segment;
use crate::payload_store::recovery::Living;

/// The log as far as it was put together.
pub(super) struct History {
    log: PathBuf,
    /// Nothing after damage: then it is not known what must follow.
    end: Option<End>,
    first: u64,
    totals: Totals,
    /// The next revision of each stream.
    streams: HashMap<Arc<str>, u64>,
    /// Whether all streams were seen from their beginning.
    knows_streams: bool,
    pub(super) living: Living,
    chains: Vec<(u64, ChainHash)>,
    /// The last place that was verified.
    pub(super) last: Option<LastPlace>,
    pub(super) findings: Findings,
}

/// What must follow.
#[derive(Clone, Copy, PartialEq, Eq)]
struct End {
    next_position: u64,
    chain: ChainHash,
}

/// The end of the last segment.
#[derive(Debug, Clone)]
pub(super) struct LastPlace {
    pub(super) number: u32,
    pub(super) head: u64,
    pub(super) chain: ChainHash,
}

#[derive(Default)]
struct Totals {
    events: u64,
    batches: u64,
    segments: u64,
    bytes: u64,
}

impl History {
    pub(super) fn new(log: &Path, first_number: u32, findings: Findings) -> Self {
        let start = End {
            next_position: 1,
            chain: [0; 32],
        };
        Self {
            log: log.to_owned(),
            end: (first_number == 1).then_some(start),
            first: 0,
            totals: Totals::default(),
            streams: HashMap::new(),
            knows_streams: first_number == 1,
            living: Living::default(),
            chains: Vec::new(),
            last: None,
            findings,
        }
    }

    /// Takes the report of the next segment.
    pub(super) fn take(&mut self, report: SegmentReport) {
        if let Some(header) = &report.header {
            let begins = End {
                next_position: header.first,
                chain: header.previous,
            };
            self.first = if self.first == 0 {
                header.first
            } else {
                self.first
            };
            if self.end.is_some_and(|end| end != begins) {
                let reason = "the segment does not begin where the one before it ends: one of them was cut or exchanged, or batches are missing";
                self.findings.add(&report.path, 32, reason);
                self.knows_streams = false;
            }
            self.totals.events += report.next_position - header.first;
            self.end = Some(End {
                next_position: report.next_position,
                chain: report.chain,
            });
            self.last = Some(LastPlace {
                number: report.number,
                head: report.next_position - 1,
                chain: report.chain,
            });
        }
        self.take_streams(&report);
        report.payloads.apply(&mut self.living);
        self.chains.extend(&report.chains);
        self.totals.segments += 1;
        self.totals.batches += report.batches;
        self.totals.bytes += report.end;
        if let Some(damage) = report.damage {
            self.findings
                .add(&report.path, damage.offset, damage.reason);
            self.end = None;
            self.knows_streams = false;
        }
    }

    fn take_streams(&mut self, report: &SegmentReport) {
        if !self.knows_streams {
            self.streams.clear();
        }
        for (name, run) in &report.streams {
            let known = self.streams.get(name).copied();
            let expected = if self.knows_streams {
                known.or(Some(0))
            } else {
                known
            };
            if expected.is_some_and(|expected| expected != run.first) {
                let reason = format!(
                    "revision {} of {name} does not follow the one before it",
                    run.first
                );
                self.findings.add(&report.path, run.offset, reason);
            }
            match self.streams.get_mut(name) {
                Some(next) => *next = run.next,
                None => {
                    self.streams.insert(Arc::clone(name), run.next);
                }
            }
        }
    }

    /// Says that there is no log at all, if so.
    pub(super) fn finish(&mut self, files: &BTreeMap<u32, PathBuf>) {
        if files.is_empty() {
            let path = segment::path(&self.log, 1);
            self.findings
                .add(&path, 0, "the first segment of the log is not there");
        }
    }

    /// Whether the whole log was put together without a finding.
    pub(super) fn is_unbroken(&self) -> bool {
        self.findings.kept.is_empty() && self.end.is_some()
    }

    pub(super) fn into_verified(
        self,
        log: LogIdentity,
        payloads: Option<VerifiedPayloads>,
    ) -> Verified {
        let at = |position| Position::new(position, 0);
        let last = self.last.unwrap_or(LastPlace {
            number: 0,
            head: 0,
            chain: [0; 32],
        });
        let Findings { kept, further } = self.findings;
        let kept: Vec<Finding> = kept;
        Verified {
            log,
            first: at(self.first),
            head: at(last.head),
            chain: last.chain,
            events: self.totals.events,
            batches: self.totals.batches,
            streams: self.streams.len() as u64,
            segments: self.totals.segments,
            bytes: self.totals.bytes,
            payloads,
            chains: self
                .chains
                .into_iter()
                .map(|(position, chain)| (at(position), chain))
                .collect(),
            findings: kept,
            further_findings: further,
        }
    }
}
