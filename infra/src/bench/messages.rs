//! Everything about messages in one run, over HTTP with signed requests: sending, the whole life of a
//! message, delivery while nothing else happens, memory, and cold starts; beside it the log alone.

use std::path::PathBuf;
use std::time::Duration;

use super::BenchError;
use super::bench_folder::{self, BenchFolder};
use super::contender::Contender;
use super::contest::{self, Entry, Summary, case};
use super::embedded::Embedded;
use super::report::{Report, Steps};
use super::workload::Load;

mod client;
mod cold_start;
mod connection;
mod cycle;
mod history;
mod live;
mod memory;
mod read;
mod send;
mod server;
mod signer;
pub mod tickets;

pub use cycle::RECIPIENTS;

use cycle::CycleOverHttp;
use memory::Population;
use read::ReadOverHttp;
use send::SendOverHttp;

/// The most connections: each takes two open files.
const CONNECTIONS_MAX: u64 = 256;
/// How many connections the cases have that are not about their number.
const CYCLE_CONNECTIONS: usize = 64;
/// How long a round is measured, and what goes before.
const TIME: Duration = Duration::from_secs(3);
const WARM_UP: Duration = Duration::from_millis(500);
/// The same, to try.
const QUICK_TIME: Duration = Duration::from_millis(500);
const QUICK_WARM_UP: Duration = Duration::from_millis(100);

/// How much is measured, and where.
#[derive(Debug, Clone, clap::Args)]
pub struct MessagesArguments {
    /// On how many connections messages are sent at the same time, one number after another.
    #[arg(
        long, value_name = "COUNT", value_delimiter = ',', default_value = "1,16,64",
        value_parser = clap::value_parser!(u64).range(1..=CONNECTIONS_MAX)
    )]
    connections: Vec<u64>,
    /// How many rounds there are. Figures are medians over them.
    #[arg(
        long, value_name = "COUNT", default_value = "5",
        value_parser = clap::value_parser!(u64).range(1..=100)
    )]
    rounds: u64,
    /// One short round and few queues: to see that it works, not to quote.
    #[arg(long)]
    quick: bool,
    /// An empty or absent folder on the disk to be measured. It is left as it was found.
    #[arg(long, value_name = "DIR")]
    folder: Option<PathBuf>,
    /// Write one JSON object a line: bench, case, metric, value, unit, baseline, ratio.
    #[arg(long)]
    json: bool,
}

/// Keepers of queues to compare with.
#[derive(Default)]
pub struct Others<'a> {
    /// An append ends when a message is durable.
    pub send: Vec<&'a dyn Contender>,
    /// An append ends when a message was delivered and is forgotten, durably. There are
    /// [`RECIPIENTS`] recipients, and each writer writes for one of them.
    pub cycle: Vec<&'a dyn Contender>,
}

impl MessagesArguments {
    fn rounds(&self) -> usize {
        if self.quick { 1 } else { self.rounds as usize }
    }

    fn load(&self, writers: usize) -> Load {
        let (warm_up, time) = if self.quick {
            (QUICK_WARM_UP, QUICK_TIME)
        } else {
            (WARM_UP, TIME)
        };
        Load {
            writers,
            warm_up,
            time,
            stale_percent: 0,
        }
    }

    fn population(&self) -> Population {
        Population {
            queues: if self.quick { 20_000 } else { 100_000 },
            messages_per_queue: 10,
        }
    }

    /// How many queues there are at a cold start.
    fn cold_queues(&self) -> u64 {
        if self.quick { 5_000 } else { 1_000_000 }
    }

    /// How many messages are delivered in a round while nothing else happens.
    fn live_messages(&self) -> usize {
        if self.quick { 20 } else { 200 }
    }

    /// Measures. Leaves the folder as it was found.
    ///
    /// # Errors
    /// [`BenchError`]; there are no figures then.
    pub fn run(&self, default_folder: PathBuf) -> Result<Report, BenchError> {
        let folder = self.folder.clone().unwrap_or(default_folder);
        bench_folder::work_in(&folder, async |folder| self.measure(folder).await)
    }

    /// Measures only what others do as well, beside them.
    ///
    /// # Errors
    /// [`BenchError`]; there are no figures then.
    pub fn run_beside(
        &self,
        others: &Others<'_>,
        default_folder: PathBuf,
    ) -> Result<Report, BenchError> {
        let folder = self.folder.clone().unwrap_or(default_folder);
        bench_folder::work_in(&folder, async |folder| {
            let mut report = Report::new("messages", self.json);
            self.contest(others, folder, &mut report).await?;
            Ok(report)
        })
    }

    async fn measure(&self, folder: &mut BenchFolder) -> Result<Report, BenchError> {
        let mut report = Report::new("messages", self.json);
        let rounds = self.rounds();
        let population = self.population();
        memory::run(population, folder, &Steps::new(2), &mut report).await?;
        self.contest(&Others::default(), folder, &mut report)
            .await?;
        let steps = Steps::new(1 + 2 * rounds as u64);
        let live = (rounds, self.live_messages());
        live::run(live, folder, &steps, &mut report).await?;
        let cold = (rounds, self.cold_queues());
        cold_start::run(cold, folder, &steps, &mut report).await?;
        Ok(report)
    }

    async fn contest(
        &self,
        others: &Others<'_>,
        folder: &mut BenchFolder,
        report: &mut Report,
    ) -> Result<(), BenchError> {
        let (stays, erased) = (
            Embedded::with_payloads_that_stay(),
            Embedded::with_payloads(),
        );
        let connections: Vec<_> = self
            .connections
            .iter()
            .map(|count| *count as usize)
            .collect();
        let sends: Vec<_> = connections
            .iter()
            .map(|writers| (SendOverHttp::new(*writers), *writers))
            .collect();
        let (mut entries, mut pairs) = (Vec::new(), Vec::new());
        let mut beside = |ours: &dyn Contender, theirs: &dyn Contender, writers| {
            pairs.push((case(ours.name(), writers), case(theirs.name(), writers)));
        };
        for (send, writers) in &sends {
            let load = self.load(*writers);
            entries.push(Entry::new(send, load));
            let beside_all: [&dyn Contender; 2] = [&ReadOverHttp, &stays];
            for other in beside_all.into_iter().chain(others.send.iter().copied()) {
                beside(send, other, *writers);
                entries.push(Entry::new(other, load));
            }
        }
        let senders = CYCLE_CONNECTIONS - RECIPIENTS;
        entries.push(Entry::new(&CycleOverHttp, self.load(senders)));
        let beside_all: [&dyn Contender; 1] = [&erased];
        for other in beside_all.into_iter().chain(others.cycle.iter().copied()) {
            beside(&CycleOverHttp, other, senders);
            entries.push(Entry::new(other, self.load(senders)));
        }
        let steps = Steps::new((entries.len() * self.rounds()) as u64);
        let summaries = contest::run(&entries, self.rounds(), folder, &steps).await?;
        for summary in &summaries {
            report.summary(summary);
        }
        for (ours, theirs) in pairs {
            if let (Some(ours), Some(theirs)) = (find(&summaries, &ours), find(&summaries, &theirs))
            {
                report.against(ours, theirs);
            }
        }
        Ok(())
    }
}

fn find<'a>(summaries: &'a [Summary], case: &str) -> Option<&'a Summary> {
    summaries.iter().find(|summary| summary.case == case)
}
