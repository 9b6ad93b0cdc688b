//! How fast the embedded log is, beside loops and beside fjall, a storage engine that could have
//! been used instead. The harness is `satpost_infra::bench`, which `satpostd bench log` runs as well.
//!
//! `cargo bench -p satpost-tests --bench log -- [--quick] [--json]`, see `--help`

#![allow(
    clippy::disallowed_methods,
    reason = "a benchmark reads its arguments and measures time"
)]

#[path = "log/fjall_log.rs"]
mod fjall_log;

use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::Context as _;
use clap::Parser;
use satpost_infra::bench::arguments::BenchArguments;
use satpost_infra::bench::log_bench::LogBench;
use satpost_infra::bench::recovery;

/// Durable appends in process, beside loops and beside fjall; then a kill, opening and reading.
#[derive(Debug, Parser)]
#[command(args_override_self = true)]
struct Arguments {
    #[command(flatten)]
    bench: BenchArguments,
    /// Append to a log in this folder until killed.
    #[arg(long, value_name = "DIR", hide = true)]
    load: Option<PathBuf>,
    /// `cargo bench` gives this to every benchmark.
    #[arg(long = "bench", hide = true)]
    _bench: bool,
}

fn main() -> anyhow::Result<()> {
    let arguments = Arguments::parse();
    if let Some(folder) = &arguments.load {
        let runtime = tokio::runtime::Runtime::new()?;
        return Ok(runtime.block_on(recovery::load(folder))?);
    }
    let program = std::env::current_exe().context("cannot find this program")?;
    let child = |folder: &Path| {
        let mut command = Command::new(&program);
        command.arg("--load").arg(folder);
        command
    };
    // In the target folder: what is in memory elsewhere is on a disk there.
    let own = format!("log-bench-{}", std::process::id());
    let bench = LogBench {
        arguments: &arguments.bench,
        default_folder: Path::new(env!("CARGO_TARGET_TMPDIR")).join(own),
        others: &[&fjall_log::Fjall],
        child: &child,
    };
    Ok(bench.run()?.write(&mut std::io::stdout().lock())?)
}
