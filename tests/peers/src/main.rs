//! Other keepers of events, and ours, over the wire on one machine: the same load, the same disk,
//! the same promise (an event that is answered is on the disk).
//!
//! `tests/peers/run` installs and builds what is needed, and starts this.

mod postgres;
mod postgres_queue;
mod redis_streams;
mod satpost_wire;
mod server;
mod syncs;
#[cfg(feature = "umadb")]
mod umadb;

use std::io::Write as _;
use std::path::PathBuf;

use clap::{Parser, Subcommand};
use satpost_infra::bench::BenchError;
use satpost_infra::bench::arguments::BenchArguments;
use satpost_infra::bench::bench_folder::{self, BenchFolder};
use satpost_infra::bench::contender::Contender;
use satpost_infra::bench::contest::{self, Entry, Summary, case};
use satpost_infra::bench::messages::{MessagesArguments, Others};
use satpost_infra::bench::report::{Report, Steps};

/// Appends 512-byte events with the exact revision expected, over loopback, one server at a time.
///
/// Each server starts on an empty folder for every round of every case, with settings under which
/// it answers when the event is on the disk. With --prove-syncs that is checked first: one writer,
/// watched by strace, must see at least one sync for every event.
#[derive(Debug, Parser)]
#[command(args_override_self = true, args_conflicts_with_subcommands = true)]
struct Arguments {
    #[command(subcommand)]
    others: Option<Load>,
    #[command(flatten)]
    bench: BenchArguments,
    /// Only these: satpost, redis, postgres, umadb.
    #[arg(long, value_name = "NAME", value_delimiter = ',')]
    only: Vec<String>,
    /// The folder of the programs of PostgreSQL.
    #[arg(long, value_name = "DIR", default_value = "/usr/lib/postgresql/15/bin")]
    postgres: PathBuf,
    /// The program of UmaDB.
    #[cfg(feature = "umadb")]
    #[arg(long, value_name = "FILE", default_value = "umadb")]
    umadb: PathBuf,
    /// Count the syncs of each server with strace before the rounds, and refuse one that does not
    /// sync for every event of a lone writer.
    #[arg(long)]
    prove_syncs: bool,
    /// Serve the log in this folder instead: the server that this program measures.
    #[arg(long, value_name = "DIR", hide = true, requires = "serve_port")]
    serve: Option<PathBuf>,
    /// Where.
    #[arg(long, value_name = "PORT", hide = true)]
    serve_port: Option<u16>,
}

/// Another load than events.
#[derive(Debug, Subcommand)]
enum Load {
    /// Signed messages over HTTP, beside the same on a table of PostgreSQL.
    #[command(args_override_self = true)]
    Messages {
        #[command(flatten)]
        bench: MessagesArguments,
        /// The folder of the programs of PostgreSQL.
        #[arg(long, value_name = "DIR", default_value = "/usr/lib/postgresql/15/bin")]
        postgres: PathBuf,
    },
}

impl Arguments {
    fn contenders(&self) -> Vec<Box<dyn Contender>> {
        let all: Vec<Box<dyn Contender>> = vec![
            Box::new(satpost_wire::SatpostWire),
            Box::new(redis_streams::Redis),
            Box::new(postgres::Postgres::new(&self.postgres)),
            #[cfg(feature = "umadb")]
            Box::new(umadb::UmaDb::new(&self.umadb)),
        ];
        let wanted = |name: &str| {
            self.only.is_empty() || self.only.iter().any(|only| name.starts_with(only.as_str()))
        };
        all.into_iter()
            .filter(|contender| wanted(contender.name()))
            .collect()
    }
}

fn main() -> anyhow::Result<()> {
    let arguments = Arguments::parse();
    if let (Some(folder), Some(port)) = (&arguments.serve, arguments.serve_port) {
        let runtime = tokio::runtime::Runtime::new()?;
        return runtime.block_on(satpost_wire::serve(folder, port));
    }
    let default = std::env::temp_dir().join(format!("satpost-peers-{}", std::process::id()));
    let report = match &arguments.others {
        None => {
            let folder = arguments.bench.folder_or(default);
            bench_folder::work_in(&folder, async |folder| measure(&arguments, folder).await)?
        }
        Some(Load::Messages { bench, postgres }) => {
            let postgres = || postgres::Postgres::new(postgres);
            let send = postgres_queue::SendToPostgres(postgres());
            let cycle = postgres_queue::CycleOnPostgres(postgres());
            let others = Others {
                send: vec![&send],
                cycle: vec![&cycle],
            };
            bench.run_beside(&others, default)?
        }
    };
    let mut out = std::io::stdout().lock();
    report.write(&mut out)?;
    Ok(out.flush()?)
}

async fn measure(arguments: &Arguments, folder: &mut BenchFolder) -> Result<Report, BenchError> {
    let contenders = arguments.contenders();
    let bench = &arguments.bench;
    let mut entries = Vec::new();
    for writers in bench.writers() {
        for contender in &contenders {
            entries.push(Entry::new(&**contender, bench.load(writers)));
        }
    }
    let mut report = Report::new("peers", bench.json());
    let steps = Steps::new((entries.len() * bench.rounds() + contenders.len()) as u64);
    for contender in &contenders {
        if arguments.prove_syncs {
            steps.begin(&format!("counting the syncs of {}", contender.name()));
            let run = folder.fresh()?;
            let counted = syncs::prove(&**contender, &run).await?;
            let name = format!("{}, watched by strace", contender.name());
            report.figure(&name, "syncs", counted, "syncs/event");
            bench_folder::discard(&run)?;
        }
        steps.done();
    }
    let summaries = contest::run(&entries, bench.rounds(), folder, &steps).await?;
    for summary in &summaries {
        report.summary(summary);
    }
    if let Some((ours, others)) = contenders.split_first() {
        for other in others {
            for writers in bench.writers() {
                let find = |name: &str| find(&summaries, &case(name, writers));
                if let (Some(ours), Some(theirs)) = (find(ours.name()), find(other.name())) {
                    report.against(ours, theirs);
                }
            }
        }
    }
    Ok(report)
}

fn find<'a>(summaries: &'a [Summary], case: &str) -> Option<&'a Summary> {
    summaries.iter().find(|summary| summary.case == case)
}
