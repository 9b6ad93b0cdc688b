//! `crashlab`: runs the experiments by hand. Every one prints its seed, and the same seed breaks the
//! same things.

#![allow(
    clippy::disallowed_methods,
    reason = "a laboratory at the edge: real processes, real time, real disks"
)]

use std::io::Write as _;
use std::path::PathBuf;
use std::process::ExitCode;

use clap::{Parser, Subcommand};
use satpost_crashlab::campaign::{self, Experiment};

/// Breaks the event log and the server on purpose, and checks that nothing acknowledged is lost.
#[derive(Debug, Parser)]
#[command(name = "crashlab", version, about)]
struct Arguments {
    #[command(subcommand)]
    what: What,
}

/// How an experiment is run.
#[derive(Debug, clap::Args)]
struct Size {
    /// How often something is broken; what that is depends on the experiment.
    #[arg(long)]
    rounds: Option<u64>,
    /// What the rounds are made from.
    #[arg(long, default_value_t = 1)]
    seed: u64,
    /// Write one JSON object instead of text.
    #[arg(long)]
    json: bool,
}

#[derive(Debug, Subcommand)]
enum What {
    /// Fail every storage operation of a script, in memory; a round is one script.
    StorageOperations(Size),
    /// Change single bytes of a data folder; a round is one byte.
    ByteFlips(Size),
    /// Cut the power under a writer on ext4; a round is one cut. Needs root and loop devices.
    PowerCuts(Size),
    /// Kill the real server under load; a round is one kill.
    Kills(Size),
    /// Let system calls of the real server fail; a round is one failing call. Needs strace.
    SystemCalls(Size),
    /// Fill the disk of the real server; a round is one full disk. Needs root.
    FullDisk(Size),
    /// Break the laboratory itself: each control must be reported as a failure.
    Controls(Size),
    /// Run everything at the size of a release.
    Campaign {
        /// How much of it, in percent of the rounds.
        #[arg(long, default_value_t = 100)]
        percent: u64,
        /// What the rounds are made from.
        #[arg(long, default_value_t = 1)]
        seed: u64,
        /// Write one JSON object a line instead of text.
        #[arg(long)]
        json: bool,
    },
    /// Write into a log until killed: the writer of the power cuts.
    #[command(hide = true)]
    Writer {
        /// The data folder.
        #[arg(long)]
        folder: PathBuf,
        /// What is written.
        #[arg(long)]
        seed: u64,
        /// The number of the first append.
        #[arg(long)]
        first: u64,
        /// Leave out every sync.
        #[arg(long)]
        without_sync: bool,
    },
}

fn main() -> anyhow::Result<ExitCode> {
    let (experiments, percent, size) = match Arguments::parse().what {
        What::StorageOperations(size) => (vec![Experiment::StorageOperations], 100, size),
        What::ByteFlips(size) => (vec![Experiment::ByteFlips], 100, size),
        What::PowerCuts(size) => (vec![Experiment::PowerCuts], 100, size),
        What::Kills(size) => (vec![Experiment::Kills], 100, size),
        What::SystemCalls(size) => (vec![Experiment::SystemCalls], 100, size),
        What::FullDisk(size) => (vec![Experiment::FullDisk], 100, size),
        What::Controls(size) => (vec![Experiment::Controls], 100, size),
        What::Campaign {
            percent,
            seed,
            json,
        } => {
            let rounds = None;
            let size = Size { rounds, seed, json };
            (Experiment::ALL.to_vec(), percent, size)
        }
        What::Writer {
            folder,
            seed,
            first,
            without_sync,
        } => {
            let runtime = tokio::runtime::Builder::new_current_thread().build()?;
            let written = satpost_crashlab::writer::write(&folder, seed, first, !without_sync);
            runtime.block_on(written)?;
            return Ok(ExitCode::SUCCESS);
        }
    };
    let program = std::env::current_exe()?;
    let mut all_clean = true;
    let mut out = std::io::stdout().lock();
    for experiment in experiments {
        let rounds = size
            .rounds
            .unwrap_or_else(|| (experiment.campaign_rounds() * percent).div_ceil(100));
        let report = campaign::run(experiment, rounds, size.seed, &program);
        all_clean &= report.is_clean();
        if size.json {
            writeln!(out, "{}", serde_json::to_string(&report)?)?;
        } else {
            writeln!(out, "{report}")?;
        }
    }
    // What was not run shows nothing, so it is no success.
    Ok(if all_clean {
        ExitCode::SUCCESS
    } else {
        ExitCode::FAILURE
    })
}
