//! Every single storage operation of a script fails once in every way it can fail, and each time
//! the log must come back with what it acknowledged.
//!
//! A first run without a failure lists the operations. Then comes one run for each operation and
//! each way. When a failure stops the log, it is opened again: on the same disk after an error, on
//! what a power cut left of it after a crash. The rest of the script follows, so that a recovery
//! that looks right but left something unsynced shows at the second power cut, at the end.

use std::collections::BTreeSet;
use std::fmt;
use std::path::Path;
use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Instant;

use crate::progress::Progress;
use crate::report::Report;
use crate::simulated_disk::{Dishonesty, Failure, Kind, Operation, SimulatedDisk, Survival};

use self::run::Run;

pub mod broken_store;
mod run;
mod script;

pub use self::run::Store;

/// How often a run is tried whose operation did not come: a background thread that was stopped
/// earlier than in the first run does a little less.
const TRIES: usize = 25;

/// What is run.
#[derive(Debug, Clone, Copy)]
pub struct Options {
    /// What scripts and survivals are made from.
    pub seed: u64,
    /// How many appends, roughly, the script has.
    pub appends: usize,
    /// What the disk does not do.
    pub dishonesty: Dishonesty,
    /// What is put between the script and the log.
    pub store: Store,
    /// How many threads share the work.
    pub threads: usize,
}

impl Options {
    /// An honest disk and the log as it is.
    #[must_use]
    pub fn new(seed: u64, appends: usize) -> Self {
        Self {
            seed,
            appends,
            dishonesty: Dishonesty::default(),
            store: Store::Plain,
            threads: std::thread::available_parallelism().map_or(1, usize::from),
        }
    }
}

/// One run: what fails, how, and what a power cut leaves.
#[derive(Debug, Clone)]
struct Case {
    operation: Operation,
    failure: Failure,
    survival: Survival,
}

impl fmt::Display for Case {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "{}, {:?}, {:?}",
            self.operation, self.failure, self.survival
        )
    }
}

/// How an operation can fail.
fn failures(kind: Kind) -> &'static [Failure] {
    use Failure::{CrashAfter, CrashBefore, Eio, Enospc, LostSync, ShortWrite, TornWrite};
    match kind {
        // A crash there is a crash before the next change.
        Kind::List | Kind::Read | Kind::Open => &[Eio],
        Kind::Create | Kind::CreateFolder | Kind::Rename | Kind::SetLen => {
            &[Eio, Enospc, CrashBefore, CrashAfter]
        }
        Kind::Remove | Kind::Punch | Kind::SyncFolder => &[Eio, CrashBefore, CrashAfter],
        Kind::Write => &[Eio, Enospc, ShortWrite, TornWrite, CrashBefore, CrashAfter],
        Kind::Sync => &[Eio, LostSync, CrashBefore, CrashAfter],
    }
}

/// What the crash leaves, or, where the failure is none, the power cut at the end.
fn survivals(failure: Failure, seed: u64) -> Vec<Survival> {
    match failure {
        Failure::CrashBefore | Failure::CrashAfter => vec![
            Survival::Cached,
            Survival::Nothing,
            Survival::Everything,
            Survival::Seeded(seed),
        ],
        Failure::TornWrite
        | Failure::Eio
        | Failure::Enospc
        | Failure::ShortWrite
        | Failure::LostSync => vec![Survival::Nothing, Survival::Seeded(seed)],
    }
}

/// Runs the script once for every operation and failure.
///
/// # Panics
/// When no folder for the lock can be made.
#[must_use]
pub fn run(options: Options) -> Report {
    let started = Instant::now();
    let mut report = Report::new("storage_operations", options.seed);
    let lab = tempfile::tempdir().expect("a folder for lock files");
    let root = lab.path().join("data");
    let disk = SimulatedDisk::new(&root, Dishonesty::default());
    let mut first = Run::new(disk.clone(), &root, options, Survival::Everything);
    first.carry_out(&mut report, &"without a failure");
    report.rounds = 0;
    let cases = cases(&disk, options.seed);
    let operations: BTreeSet<_> = cases.iter().map(|case| &case.operation).collect();
    report.count("storage operations of the script", operations.len() as u64);
    let progress = Progress::new("storage_operations", cases.len() as u64);
    let (next, shared) = (AtomicUsize::new(0), Mutex::new(&mut report));
    std::thread::scope(|scope| {
        for thread in 0..options.threads {
            let root = lab.path().join(format!("data-{thread}"));
            let (next, shared, cases, progress) = (&next, &shared, &cases, &progress);
            scope.spawn(move || {
                while let Some(case) = cases.get(next.fetch_add(1, Ordering::SeqCst)) {
                    let part = run_case(case, &root, options);
                    shared.lock().expect("no thread panics with it").join(part);
                    progress.advance();
                }
            });
        }
    });
    report.seconds = started.elapsed().as_secs_f64();
    report
}

fn cases(disk: &SimulatedDisk, seed: u64) -> Vec<Case> {
    let mut cases = Vec::new();
    for ((kind, path), count) in disk.operations() {
        for number in 1..=count {
            for &failure in failures(kind) {
                let seed = seed.wrapping_mul(31).wrapping_add(cases.len() as u64);
                for survival in survivals(failure, seed) {
                    let path = path.clone();
                    cases.push(Case {
                        operation: Operation { kind, path, number },
                        failure,
                        survival,
                    });
                }
            }
        }
    }
    cases
}

fn run_case(case: &Case, root: &Path, options: Options) -> Report {
    let mut report = Report::default();
    for _ in 0..TRIES {
        let disk = SimulatedDisk::new(root, options.dishonesty);
        disk.fail(case.operation.clone(), case.failure);
        let mut run = Run::new(disk, root, options, case.survival);
        run.carry_out(&mut report, case);
        if run.failure_came() {
            return report;
        }
    }
    report.count("operations that did not come again", 1);
    report
}
