//! Everything about the event log in one run: appends against others and against the disk, files
//! that fill up, conflicts, payloads, the protocol, a kill, erasures, opening and reading.

use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use super::arguments::BenchArguments;
use super::bench_folder::{self, BenchFolder};
use super::contender::Contender;
use super::contest::{self, Entry, Summary, case};
use super::embedded::Embedded;
use super::naive::{RawSync, SyncEach};
use super::over_grpc::OverGrpc;
use super::report::{Report, Steps};
use super::{BenchError, erasure, reads, recovery};

/// Files of this size fill up several times a second.
const SMALL_SEGMENT_BYTES: u64 = 8 * 1024 * 1024;
/// How many of a hundred appends are late in the case with conflicts.
const STALE_PERCENT: u64 = 1;
/// How many writers the cases have that are not about the number of writers.
const WRITERS_OF_SPECIAL_CASES: usize = 64;
/// How many writers append by way of the adapter.
const WRITERS_OVER_GRPC: [usize; 2] = [1, 16];
/// How long a process is under load before it is killed.
const LIFE: Duration = Duration::from_secs(2);

/// What is run.
pub struct LogBench<'a> {
    /// How much.
    pub arguments: &'a BenchArguments,
    /// Where, unless the arguments say it.
    pub default_folder: PathBuf,
    /// Engines to compare with.
    pub others: &'a [&'a dyn Contender],
    /// The program that calls [`recovery::load`] with a folder.
    pub child: &'a (dyn Fn(&Path) -> Command + Send + Sync),
}

impl LogBench<'_> {
    /// Measures. Leaves the folder as it was found.
    ///
    /// # Errors
    /// [`BenchError`]; there are no figures then.
    pub fn run(&self) -> Result<Report, BenchError> {
        let folder = self.arguments.folder_or(self.default_folder.clone());
        bench_folder::work_in(&folder, async |folder| self.measure(folder).await)
    }

    async fn measure(&self, folder: &mut BenchFolder) -> Result<Report, BenchError> {
        let rounds = self.arguments.rounds();
        let events = self.arguments.events();
        if self.arguments.only_reads() {
            let steps = Steps::new(2 * (1 + rounds) as u64);
            let mut report = Report::new("log", self.arguments.json());
            reads::run(events, rounds, folder, &steps, &mut report).await?;
            return Ok(report);
        }
        let kills = if self.arguments.quick() { 1 } else { rounds };
        let contenders = Contenders::default();
        let entries = self.entries(&contenders);
        let steps =
            Steps::new((entries.len() * rounds + kills + 2 * rounds + 2 * (1 + rounds)) as u64);
        let summaries = contest::run(&entries, rounds, folder, &steps).await?;
        let mut report = Report::new("log", self.arguments.json());
        for summary in &summaries {
            report.summary(summary);
        }
        self.compare(&contenders, &summaries, &mut report);
        let life = if self.arguments.quick() {
            LIFE / 4
        } else {
            LIFE
        };
        recovery::run(self.child, kills, life, folder, &steps, &mut report).await?;
        let time = self.arguments.load(1).time;
        erasure::run(rounds, time, folder, &steps, &mut report).await?;
        reads::run(events, rounds, folder, &steps, &mut report).await?;
        Ok(report)
    }

    fn entries<'a>(&'a self, contenders: &'a Contenders) -> Vec<Entry<'a>> {
        let mut entries = vec![Entry::new(&contenders.raw, self.arguments.load(1))];
        for writers in self.arguments.writers() {
            let load = self.arguments.load(writers);
            entries.push(Entry::new(&contenders.each, load));
            entries.push(Entry::new(&contenders.ours, load));
            let others = self.others.iter();
            entries.extend(others.map(|other| Entry::new(*other, load)));
        }
        let load = self.arguments.load(self.special_writers());
        entries.push(Entry::new(&contenders.rolls, load));
        entries.push(Entry::new(&contenders.payloads, load));
        let mut stale = Entry::new(&contenders.ours, load);
        stale.load.stale_percent = STALE_PERCENT;
        stale.case = self.stale_case(contenders);
        entries.push(stale);
        for writers in WRITERS_OVER_GRPC {
            let load = self.arguments.load(writers);
            entries.push(Entry::new(&contenders.over_grpc, load));
        }
        entries
    }

    /// Every other number of writers may be asked for; the special cases are then run with the most.
    fn special_writers(&self) -> usize {
        let asked = self
            .arguments
            .writers()
            .any(|count| count == WRITERS_OF_SPECIAL_CASES);
        let most = self.arguments.writers().max().unwrap_or(1);
        if asked {
            WRITERS_OF_SPECIAL_CASES
        } else {
            most
        }
    }

    fn stale_case(&self, contenders: &Contenders) -> String {
        let name = format!("{}, {STALE_PERCENT} % conflicts", contenders.ours.name());
        case(&name, self.special_writers())
    }

    fn compare(&self, contenders: &Contenders, summaries: &[Summary], report: &mut Report) {
        let mut against = |ours: &str, theirs: &str| {
            let find = |case: &str| summaries.iter().find(|summary| summary.case == case);
            if let (Some(ours), Some(theirs)) = (find(ours), find(theirs)) {
                report.against(ours, theirs);
            }
        };
        let ours = contenders.ours.name();
        against(&case(ours, 1), &case(contenders.raw.name(), 1));
        let others = self.others.iter().map(|other| other.name());
        for other in std::iter::once(contenders.each.name()).chain(others) {
            for writers in self.arguments.writers() {
                against(&case(ours, writers), &case(other, writers));
            }
        }
        let writers = self.special_writers();
        for special in [&contenders.rolls, &contenders.payloads] {
            against(&case(special.name(), writers), &case(ours, writers));
        }
        against(&self.stale_case(contenders), &case(ours, writers));
    }
}

/// Those that are always there.
struct Contenders {
    raw: RawSync,
    each: SyncEach,
    ours: Embedded,
    rolls: Embedded,
    payloads: Embedded,
    over_grpc: OverGrpc,
}

impl Default for Contenders {
    fn default() -> Self {
        Self {
            raw: RawSync,
            each: SyncEach,
            ours: Embedded::new(),
            rolls: Embedded::with_segments_of(SMALL_SEGMENT_BYTES),
            payloads: Embedded::with_payloads(),
            over_grpc: OverGrpc,
        }
    }
}
