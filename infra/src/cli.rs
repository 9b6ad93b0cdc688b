//! The command line of `satpostd`: the server and the operator's tools.

mod backup;
mod bench;
mod config;
mod doctor;
mod erasure;
mod events;
mod explain;
mod export;
mod import;
mod log_arguments;
mod price;
mod progress;
mod rebuild;
mod replay;
mod restore;
mod serve;
mod stats;
mod verify;

use std::path::PathBuf;
use std::process::ExitCode;
use std::sync::OnceLock;

use clap::{Parser, Subcommand};
use tokio::runtime::Runtime;

/// A tool failed or found a difference.
const EXIT_FAILURE: u8 = 1;
/// The log knows nobody of that name (`EX_NOUSER` of sysexits.h).
const EXIT_UNKNOWN_CLIENT: u8 = 67;
/// The event log can no longer be trusted (`EX_SOFTWARE` of sysexits.h).
const EXIT_LOG_FATAL: u8 = 70;
/// The configuration or the data folder cannot be used (`EX_CONFIG` of sysexits.h).
const EXIT_CONFIG: u8 = 78;

/// The server side of a self-sovereign Bitcoin wallet: watches addresses, forwards sealed messages, wakes phones.
#[derive(Debug, Parser)]
#[command(
    name = "satpostd",
    version,
    about,
    after_help = "Without a subcommand the server starts with its defaults: `satpostd serve`."
)]
struct Arguments {
    #[command(subcommand)]
    command: Option<Tool>,
}

#[derive(Debug, Subcommand)]
enum Tool {
    /// Run the server until SIGTERM or SIGINT.
    Serve(Box<serve::ServeArguments>),
    /// List what happened, by position.
    Events(events::EventsArguments),
    /// Fold history into fresh projections, up to any position.
    Replay(replay::ReplayArguments),
    /// Rebuild projections from the log, and compare or replace their snapshots.
    Rebuild(rebuild::RebuildArguments),
    /// Recompute every checksum, hash, position and revision of the log, and compare it with its signed checkpoints.
    Verify(verify::VerifyArguments),
    /// Prove that what was closed is gone, and keep the keys of backups small and new.
    #[command(subcommand)]
    Erasure(erasure::ErasureTool),
    /// Copy the log, consistent at one position, while the server runs or not.
    Backup(backup::BackupArguments),
    /// Make a new data folder of a backup, up to any position.
    Restore(restore::RestoreArguments),
    /// Count what is in the log.
    Stats(stats::StatsArguments),
    /// Write the log to a file without loss, or tell its digest.
    Export(export::ExportArguments),
    /// Append what a file holds and a log does not.
    Import(import::ImportArguments),
    /// Tell everything that the log knows about one client.
    Explain(explain::ExplainArguments),
    /// Compute prices again from the recorded answers of the exchanges.
    Price(price::PriceArguments),
    /// Examine the Bitcoin node and the disk, and say what to change.
    Doctor(Box<doctor::DoctorArguments>),
    /// Measure this machine and its disk.
    #[command(subcommand)]
    Bench(bench::BenchTool),
    /// Show the configuration.
    #[command(subcommand)]
    Config(config::ConfigTool),
}

/// Which data folder a tool works on.
#[derive(Debug, clap::Args)]
struct DataFolder {
    /// The data folder of the server.
    #[arg(
        long,
        env = "SATPOSTD_DATA_DIR",
        default_value = "data/satpost",
        value_name = "DIR"
    )]
    data_dir: PathBuf,
}

/// Runs what the arguments ask for.
#[must_use]
pub fn main() -> ExitCode {
    let arguments = Arguments::parse();
    let outcome = match arguments.command {
        None => serve::run(&serve::ServeArguments::default()),
        Some(Tool::Serve(arguments)) => serve::run(&arguments),
        Some(Tool::Events(arguments)) => finished(events::run(&arguments)),
        Some(Tool::Replay(arguments)) => finished(replay::run(&arguments)),
        Some(Tool::Rebuild(arguments)) => rebuild::run(&arguments),
        Some(Tool::Verify(arguments)) => verify::run(&arguments),
        Some(Tool::Erasure(tool)) => erasure::run(&tool),
        Some(Tool::Backup(arguments)) => finished(backup::run(&arguments)),
        Some(Tool::Restore(arguments)) => finished(restore::run(&arguments)),
        Some(Tool::Stats(arguments)) => finished(stats::run(&arguments)),
        Some(Tool::Export(arguments)) => finished(export::run(&arguments)),
        Some(Tool::Import(arguments)) => finished(import::run(&arguments)),
        Some(Tool::Explain(arguments)) => explain::run(&arguments),
        Some(Tool::Price(arguments)) => finished(price::run(&arguments)),
        Some(Tool::Doctor(arguments)) => doctor::run(&arguments),
        Some(Tool::Bench(tool)) => finished(bench::run(&tool)),
        Some(Tool::Config(tool)) => finished(config::run(&tool)),
    };
    outcome.unwrap_or_else(|error| {
        tell_error(&error);
        ExitCode::from(EXIT_FAILURE)
    })
}

fn finished(outcome: anyhow::Result<()>) -> anyhow::Result<ExitCode> {
    outcome.map(|()| ExitCode::SUCCESS)
}

/// One line a cause, outermost first.
#[expect(clippy::print_stderr, reason = "the last word of a command-line tool")]
fn tell_error(error: &anyhow::Error) {
    if is_broken_pipe(error) {
        return;
    }
    eprintln!("satpostd: {error}");
    for cause in error.chain().skip(1) {
        eprintln!("  because: {cause}");
    }
}

/// The reader of our output went away, as `head` does; there is nothing to tell it.
fn is_broken_pipe(error: &anyhow::Error) -> bool {
    error
        .downcast_ref::<std::io::Error>()
        .is_some_and(|error| error.kind() == std::io::ErrorKind::BrokenPipe)
}

/// The one runtime of a tool: what a log was opened on must go on while it is read.
fn runtime() -> anyhow::Result<&'static Runtime> {
    static RUNTIME: OnceLock<Runtime> = OnceLock::new();
    if let Some(runtime) = RUNTIME.get() {
        return Ok(runtime);
    }
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .build()?;
    Ok(RUNTIME.get_or_init(|| runtime))
}

fn block_on<F: Future>(future: F) -> anyhow::Result<F::Output> {
    Ok(runtime()?.block_on(future))
}

#[test]
fn the_arguments_are_well_formed() {
    use clap::CommandFactory as _;
    Arguments::command().debug_assert();
}
