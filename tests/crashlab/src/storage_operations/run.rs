//! One run of the script on one disk.

use std::collections::HashMap;
use std::fmt;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use futures_util::future::join_all;
use satpost_commands::ports::{Expected, LogError};
use satpost_domain::StreamId;
use satpost_event_store::embedded::{EmbeddedEventStore, EmbeddedOptions, OpenError};

use super::Options;
use super::broken_store::BrokenStore;
use super::script::{Append, Step, script};
use crate::history::{Attempt, History, Outcome};
use crate::report::{Report, Verdict};
use crate::simulated_disk::{SimulatedDisk, Survival};

pub use super::broken_store::Store;

/// How long files are: as short as they may be.
const FILE_BYTES: u64 = 256 * 1024;
/// How often one failure may keep the log from opening: once.
const OPEN_TRIES: usize = 2;

/// A run and what it has seen so far.
pub(super) struct Run {
    disk: SimulatedDisk,
    root: PathBuf,
    options: Options,
    survival: Survival,
    history: History,
    verdict: Verdict,
    /// True when the log is to be opened again.
    over: bool,
    /// True once the log has said that it has stopped; until it is opened again.
    stopped: bool,
    /// What had no answer when the log was opened.
    unanswered: Vec<usize>,
    failure_came: bool,
    opened: u64,
}

impl Run {
    pub(super) fn new(
        disk: SimulatedDisk,
        root: &Path,
        options: Options,
        survival: Survival,
    ) -> Self {
        Self {
            disk,
            root: root.to_owned(),
            options,
            survival,
            history: History::default(),
            verdict: Verdict::default(),
            over: false,
            stopped: false,
            unanswered: Vec::new(),
            failure_came: false,
            opened: 0,
        }
    }

    pub(super) fn failure_came(&self) -> bool {
        self.failure_came
    }

    /// Runs the script to its end and checks everything once more after a last power cut.
    pub(super) fn carry_out(&mut self, report: &mut Report, name: &dyn fmt::Display) {
        let runtime = tokio::runtime::Builder::new_current_thread()
            .build()
            .expect("a runtime without I/O needs nothing");
        if runtime.block_on(self.steps()).is_none() {
            self.verdict.fault("the script could not go on");
        }
        self.failure_came |= self.disk.has_failed();
        report.rounds += 1;
        report.count("openings checked", self.opened);
        report.add(name, &self.verdict);
    }

    async fn steps(&mut self) -> Option<()> {
        let mut store = self.open().await?;
        for step in script(self.options.seed, self.options.appends) {
            match step {
                Step::Together(appends) => self.append(&store, appends).await,
                Step::Reopen => self.over = true,
            }
            store = self.go_on(store).await?;
        }
        self.check(&store).await;
        store = self.go_on(store).await?;
        drop(store);
        // Whatever failed before: what was checked just now must survive this.
        let survival = match self.survival {
            Survival::Cached | Survival::Nothing => Survival::Nothing,
            Survival::Everything | Survival::Seeded(_) => Survival::Seeded(self.options.seed),
        };
        self.disk = self.disk.after_crash(survival);
        self.open().await.map(drop)
    }

    /// Opens the log again if it has stopped, or if the script wants it.
    async fn go_on(&mut self, mut store: BrokenStore) -> Option<BrokenStore> {
        while self.over || self.stopped || self.disk.is_off() {
            if self.stopped {
                self.refuses_everything(&store).await;
            }
            drop(store);
            store = self.open().await?;
            self.repeat(&store).await;
        }
        Some(store)
    }

    fn options(&self) -> EmbeddedOptions {
        EmbeddedOptions {
            segment_bytes: FILE_BYTES,
            blob_segment_bytes: FILE_BYTES,
            // So that what is erased is overwritten while the script runs.
            scrub_every: Duration::from_millis(1),
            ..EmbeddedOptions::new(&self.root)
        }
    }

    /// Opens the log, after the power cut if there was one, and checks it. One failure may keep it
    /// from opening once, with an error that says that the disk failed and nothing else.
    async fn open(&mut self) -> Option<BrokenStore> {
        let unanswered = self.history.attempts.iter().enumerate();
        let unanswered = unanswered.filter(|(_, attempt)| attempt.outcome == Outcome::Unknown);
        self.unanswered = unanswered.map(|(number, _)| number).collect();
        for _ in 0..OPEN_TRIES {
            if self.disk.is_off() {
                self.failure_came = true;
                self.disk = self.disk.after_crash(self.survival);
            }
            let failed_before = self.disk.has_failed();
            let disk = Arc::new(self.disk.clone());
            match EmbeddedEventStore::open_on(disk, &self.options()) {
                Ok(store) => {
                    let store = BrokenStore::with(Arc::new(store), self.options.store);
                    (self.over, self.stopped) = (false, false);
                    self.check(&store).await;
                    if !self.disk.is_off() {
                        return Some(store);
                    }
                }
                Err(error) => {
                    let is_io = matches!(error, OpenError::Io { .. });
                    let came = self.disk.has_failed() && !failed_before;
                    if !(self.disk.is_off() || came && is_io) {
                        let source = std::error::Error::source(&error);
                        let why = source.map_or(String::new(), |source| format!(": {source}"));
                        self.gone(&format!("cannot be opened: {error}{why}"));
                        return None;
                    }
                }
            }
        }
        self.gone("cannot be opened after its failure");
        None
    }

    /// Everything is lost.
    fn gone(&mut self, fault: &str) {
        self.verdict.lost += self.history.acknowledged();
        self.verdict.fault(fault);
    }

    async fn check(&mut self, store: &BrokenStore) {
        self.opened += 1;
        let failed_before = self.disk.has_failed();
        let mut verdict = self.history.check_and_settle(store).await;
        if self.disk.has_failed() && !failed_before {
            // A read that fails is told, and is all that fails.
            verdict = self.history.check_and_settle(store).await;
        }
        if !self.disk.is_off() {
            self.take(verdict);
        }
    }

    fn take(&mut self, verdict: Verdict) {
        self.verdict.ok += verdict.ok;
        self.verdict.lost += verdict.lost;
        self.verdict.unknown += verdict.unknown;
        self.verdict.faults.extend(verdict.faults);
    }

    /// Where a stream ends by what was acknowledged.
    fn end(&self, stream: &StreamId) -> Expected {
        let ends = self
            .history
            .attempts
            .iter()
            .filter_map(|attempt| match attempt.outcome {
                Outcome::Acknowledged(appended) if attempt.stream == *stream => {
                    Some(appended.revision)
                }
                _ => None,
            });
        ends.max().map_or(Expected::NoStream, Expected::Exact)
    }

    async fn append(&mut self, store: &BrokenStore, appends: Vec<Append>) {
        let mut attempts: Vec<_> = appends
            .into_iter()
            .map(|append| Attempt {
                expected: self.end(&append.stream),
                stream: append.stream,
                events: append.events,
                erase: append.erase,
                outcome: Outcome::Unknown,
            })
            .collect();
        let sent = attempts.iter_mut();
        let answers = join_all(sent.map(|attempt| attempt.carry_out(store))).await;
        for answer in answers {
            match answer {
                Err(LogError::Unknown { .. } | LogError::Fatal { .. }) => self.stopped = true,
                Err(LogError::StorageFull { .. } | LogError::Conflict { .. }) | Ok(_) => {}
                Err(error) if self.disk.has_failed() => {
                    // A read for the first answer of a repeat may be what failed.
                    drop(error);
                }
                Err(error) => self
                    .verdict
                    .fault(format!("refused without a reason: {error}")),
            }
        }
        self.history.attempts.extend(attempts);
    }

    /// Once the log has stopped it acknowledges nothing, until it is opened again.
    async fn refuses_everything(&mut self, store: &BrokenStore) {
        let probe = Append {
            stream: "probe-1".parse().expect("a stream"),
            events: script(self.options.seed ^ 1, 1)
                .into_iter()
                .find_map(|step| match step {
                    Step::Together(mut appends) => Some(appends.remove(0).events),
                    Step::Reopen => None,
                })
                .unwrap_or_default(),
            erase: Vec::new(),
        };
        let mut attempt = Attempt {
            stream: probe.stream,
            expected: Expected::NoStream,
            events: probe.events,
            erase: probe.erase,
            outcome: Outcome::Unknown,
        };
        if attempt.carry_out(store).await.is_ok() {
            self.verdict
                .fault("an append was acknowledged after the disk had failed");
        }
        self.history.attempts.push(attempt);
    }

    /// Sends the last appends again, as a client does that got no answer: what is there gives its
    /// first answer, what is not is appended.
    async fn repeat(&mut self, store: &BrokenStore) {
        let mut lasts: HashMap<StreamId, usize> = HashMap::new();
        for (number, attempt) in self.history.attempts.iter().enumerate() {
            if !attempt.events.is_empty() && matches!(attempt.outcome, Outcome::Acknowledged(_)) {
                lasts.insert(attempt.stream.clone(), number);
            }
        }
        for number in lasts.into_values() {
            let before = self.history.attempts[number].outcome;
            let mut again = self.history.attempts[number].clone();
            match again.carry_out(store).await {
                Ok(_) if again.outcome == before => {}
                Err(LogError::Unknown { .. } | LogError::Fatal { .. }) => self.stopped = true,
                Err(_) if self.disk.has_failed() => {}
                answer => self
                    .verdict
                    .fault(format!("repeating append {number} gave {answer:?}")),
            }
        }
        for number in std::mem::take(&mut self.unanswered) {
            let attempt = &mut self.history.attempts[number];
            if !matches!(attempt.outcome, Outcome::Acknowledged(_)) {
                let answer = attempt.carry_out(store).await;
                self.stopped |= matches!(
                    answer,
                    Err(LogError::Unknown { .. } | LogError::Fatal { .. })
                );
            }
        }
    }
}
