//! `satpostd bench`: how fast the event log, the search of blocks and the messages are on this machine
//! and this disk.

use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::Context as _;
use clap::Subcommand;

use super::block_on;
use crate::bench::arguments::BenchArguments;
use crate::bench::chain::ChainArguments;
use crate::bench::log_bench::LogBench;
use crate::bench::messages::MessagesArguments;
use crate::bench::recovery;
use crate::open_files;

/// Where a benchmark works by default: most likely the disk that the server will use.
const DEFAULT_FOLDER: &str = "data/satpost-bench";

/// What to measure.
#[derive(Debug, Subcommand)]
pub(super) enum BenchTool {
    /// Measure the event log on a disk: durable appends, a kill, opening and reading.
    #[command(after_help = ABOUT_LOG)]
    Log(BenchArguments),
    /// Measure the search of blocks, and with a node: catching up, and how soon its changes are durable.
    #[command(after_help = ABOUT_CHAIN)]
    Chain(ChainArguments),
    /// Measure signed messages over HTTP: sending, delivery, acknowledgement, memory and cold starts.
    #[command(after_help = ABOUT_MESSAGES)]
    Messages(MessagesArguments),
    /// Append to a log in a folder until killed: the process that `bench log` kills.
    #[command(hide = true)]
    Load {
        /// An empty folder.
        folder: PathBuf,
    },
}

const ABOUT_LOG: &str = "\
Writers append random 512-byte events in a closed loop, each to a stream of its own with the exact \
revision expected, and wait until the event is durable. Writers and log share this process and this \
machine: a network and the signatures of the API are not in the figures.

Rounds of all cases are interleaved, and a ratio is the median of the ratios within the rounds. Beside \
our log run `raw fdatasync` (what the disk does for one writer at best) and `sync each event` (a log \
that syncs for every event). Processor time counts the writers too. Bytes on the disk are counted up to \
the last one of each file that is not zero. Reading is measured from the page cache.

A whole run takes about three minutes and up to 4 GB, in a folder that must be empty or absent, by \
default data/satpost-bench. A virtual disk may answer a sync before the bytes are safe; no program can \
tell. Do not run it beside a server that people use.";

const ABOUT_CHAIN: &str = "\
Searching is measured on blocks of 1.4 MB in memory, with what they spend beside them; the rate counts the \
bytes of the blocks alone. Beside it runs the usual way: the whole block parsed with the `bitcoin` crate and \
each output looked up in a hash map, which finds no spends.

With --node a regtest node is started on loopback, and full blocks are made on it. Catching up counts blocks \
that are durable in the log; the way beside it reads blocks over JSON-RPC and builds them, without a log. \
A payment or a block counts from the moment the node announces it, on a socket beside that of the watcher. \
Node, watcher and disk share this machine.

10,000,000 scripts take several GB of memory while the hash map beside them is filled.";

const ABOUT_MESSAGES: &str = "\
The whole server runs in this process with its defaults, but for limits of requests, on threads of its own; \
the generator sends over HTTP/1.1 connections on loopback that stay open. Every request is really signed, \
and every message of 512 bytes is durable before it is answered. Generator and server share the processors, \
so the signing is in the figures; beside it the log alone takes events of that size.

`send, deliver, acknowledge` has 64 connections: 8 recipients that wait for messages and acknowledge all that \
came at once, and 7 senders for each of them. A sender begins with its next message when the last one was \
acknowledged, so its waits are those of whole lives of messages.

Memory is by how much this process grows: for 100,000 clients, queues, and 10 messages in each, that are \
applied to the projections as events, and for 1,000 connections that wait, both ends of which are in this \
process. A cold start ends with the first answer; the log is in the page cache then.

A whole run takes about five minutes, 3 GB of memory and 4 GB in a folder that must be empty or absent, by \
default data/satpost-bench.";

pub(super) fn run(tool: &BenchTool) -> anyhow::Result<()> {
    match tool {
        BenchTool::Log(arguments) => log(arguments),
        BenchTool::Chain(arguments) => {
            let report = arguments.run(DEFAULT_FOLDER.into())?;
            Ok(report.write(&mut std::io::stdout().lock())?)
        }
        BenchTool::Messages(arguments) => {
            open_files::raise_limit();
            let report = arguments.run(DEFAULT_FOLDER.into())?;
            Ok(report.write(&mut std::io::stdout().lock())?)
        }
        BenchTool::Load { folder } => Ok(block_on(recovery::load(folder))??),
    }
}

fn log(arguments: &BenchArguments) -> anyhow::Result<()> {
    let program = std::env::current_exe().context("cannot find this program")?;
    let child = |folder: &Path| {
        let mut command = Command::new(&program);
        command.args(["bench", "load"]).arg(folder);
        command
    };
    let bench = LogBench {
        arguments,
        default_folder: DEFAULT_FOLDER.into(),
        others: &[],
        child: &child,
    };
    Ok(bench.run()?.write(&mut std::io::stdout().lock())?)
}
