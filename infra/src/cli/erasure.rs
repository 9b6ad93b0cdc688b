//! `satpostd erasure`: proves that what was closed is gone, and copies the keys that backups need.

use std::io::{self, Write as _};
use std::path::PathBuf;
use std::process::ExitCode;

use anyhow::Context as _;
use indicatif::HumanCount;
use satpost_event_store::payload_store::copy_payload_keys;
use serde_json::{Value, json};

use super::DataFolder;
use super::progress::ByteProgress;
use crate::erasure::check::{Checked, check, counts};
use crate::erasure::finding::{Finding, Severity};
use crate::system::SystemClock;

/// Something is missing or belongs to nothing.
const EXIT_DISORDER: u8 = 10;
/// Something that was closed is left.
const EXIT_LEFT: u8 = 20;

/// The tools around erasure.
#[derive(Debug, clap::Subcommand)]
pub(super) enum ErasureTool {
    /// Fold every stream anew, and look for what it closed in every file of the data folder.
    Verify(VerifyArguments),
    /// Replace the copy of the keys without which the payloads in backups cannot be read.
    Keys(KeysArguments),
}

/// What to look into.
#[derive(Debug, clap::Args)]
#[command(
    after_help = "Which payloads are closed (acknowledged, expired, wiped, replaced, removed) is computed from the events by the rules of the server, and not taken from what the log or the payload store says it erased. Of a closed payload neither key nor bytes may be there, its bytes for at most 60 s; an open one must open, and be what its event says.\n\nWorks while the server runs, and then waits up to a minute for bytes that still have time. After a power cut, start the server once before: it erases again what the log erases.\n\nExit codes: 0 nothing found, 10 something is missing or belongs to nothing, 20 something that was closed is left, 1 the check could not be made."
)]
pub(super) struct VerifyArguments {
    #[command(flatten)]
    folder: DataFolder,
    /// Write one JSON object.
    #[arg(long)]
    json: bool,
}

/// Where to.
#[derive(Debug, clap::Args)]
#[command(
    after_help = "Run it often, from a timer: a payload that was erased before the last run cannot come back from any backup. FILE holds no key of an erased payload; what it held before is overwritten. Put it on another disk than the data folder, keep no other copy of it, and keep it out of snapshots.\n\nWorks while the server runs."
)]
pub(super) struct KeysArguments {
    #[command(flatten)]
    folder: DataFolder,
    /// The copy, made or replaced.
    #[arg(value_name = "FILE")]
    file: PathBuf,
    /// Write one JSON object.
    #[arg(long)]
    json: bool,
}

pub(super) fn run(tool: &ErasureTool) -> anyhow::Result<ExitCode> {
    match tool {
        ErasureTool::Verify(arguments) => verify(arguments),
        ErasureTool::Keys(arguments) => keys(arguments),
    }
}

fn verify(arguments: &VerifyArguments) -> anyhow::Result<ExitCode> {
    let folder = arguments.folder.data_dir.as_path();
    let progress = ByteProgress::new();
    let reach = |done, total| progress.reach(done, total);
    let checked = check(folder, &SystemClock, &reach)
        .with_context(|| format!("cannot check what is erased in {}", folder.display()))?;
    let seconds = progress.finish();
    if arguments.json {
        writeln!(io::stdout().lock(), "{}", to_json(&checked, seconds))?;
    } else {
        tell(&checked, seconds)?;
    }
    Ok(exit_code(&checked.findings))
}

fn exit_code(findings: &[Finding]) -> ExitCode {
    let worst = findings.iter().map(|finding| finding.code.severity()).max();
    match worst {
        None => ExitCode::SUCCESS,
        Some(Severity::Disorder) => ExitCode::from(EXIT_DISORDER),
        Some(Severity::Left) => ExitCode::from(EXIT_LEFT),
    }
}

fn to_json(checked: &Checked, seconds: f64) -> Value {
    json!({
        "clean": checked.findings.is_empty(),
        "log": checked.log.to_string(),
        "head": checked.head.to_string(),
        "events": checked.events,
        "open": checked.open,
        "readable": checked.readable,
        "lost": checked.lost,
        "closed": checked.closed,
        "looks": checked.looks,
        "seconds": seconds,
        "counts": counts(&checked.findings),
        "findings": checked.findings.iter().map(finding_json).collect::<Vec<_>>(),
        "further_findings": checked.further,
    })
}

fn finding_json(finding: &Finding) -> Value {
    json!({
        "code": finding.code.as_str(),
        "file": finding.file.as_ref().map(|file| file.to_string_lossy()),
        "offset": finding.offset,
        "slot": finding.slot,
        "payload": finding.payload.map(|id| id.to_string()),
        "stream": finding.event.as_ref().map(|event| event.stream.to_string()),
        "revision": finding.event.as_ref().map(|event| event.revision.0),
        "position": finding.event.as_ref().map(|event| event.position.to_string()),
        "seq": finding.event.as_ref().and_then(|event| event.seq),
        "reason": finding.reason,
    })
}

fn tell(checked: &Checked, seconds: f64) -> io::Result<()> {
    let mut out = io::stdout().lock();
    writeln!(
        out,
        "log {}: {} events through position {}, {seconds:.2} s",
        checked.log,
        HumanCount(checked.events),
        checked.head
    )?;
    writeln!(out, "  closed  {}", HumanCount(checked.closed))?;
    writeln!(
        out,
        "  open    {}: {} readable, {} lost in a restore",
        HumanCount(checked.open),
        HumanCount(checked.readable),
        HumanCount(checked.lost)
    )?;
    for finding in &checked.findings {
        write!(out, "FOUND {}: {}", finding.code, finding.reason)?;
        if let Some(file) = &finding.file {
            write!(out, "; {}", file.display())?;
        }
        if let Some(offset) = finding.offset {
            write!(out, " at byte {offset}")?;
        }
        if let Some(event) = &finding.event {
            write!(out, "; {event}")?;
        }
        writeln!(out)?;
    }
    if checked.further > 0 {
        writeln!(out, "and {} more", checked.further)?;
    }
    let word = match checked.findings.as_slice() {
        [] => "what was closed is gone, and what is open is there",
        [worst, ..] if worst.code.severity() == Severity::Left => "NOT GONE",
        _ => "NOT IN ORDER",
    };
    writeln!(out, "{word}")
}

fn keys(arguments: &KeysArguments) -> anyhow::Result<ExitCode> {
    let folder = arguments.folder.data_dir.as_path();
    let copy = copy_payload_keys(folder, &arguments.file).with_context(|| {
        format!(
            "cannot copy the keys of the payloads in {}",
            folder.display()
        )
    })?;
    let mut out = io::stdout().lock();
    if arguments.json {
        let summary = json!({
            "file": arguments.file.to_string_lossy(), "keys": copy.keys, "bytes": copy.bytes,
        });
        writeln!(out, "{summary}")?;
    } else {
        let keys = HumanCount(copy.keys);
        writeln!(out, "{keys} keys in {}", arguments.file.display())?;
    }
    Ok(ExitCode::SUCCESS)
}
