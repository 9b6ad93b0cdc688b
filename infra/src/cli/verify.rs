//! `satpostd verify`: recomputes everything that proves the log, and compares it with the signed
//! checkpoints beside it and with those that were kept elsewhere.

use std::io::{self, Write as _};
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use anyhow::Context as _;
use indicatif::{HumanBytes, HumanCount};
use satpost_domain::Position;
use satpost_event_store::embedded::verify::{Finding, Verified, VerifyOptions, verify};
use serde_json::{Value, json};

use super::progress::ByteProgress;
use super::{DataFolder, EXIT_FAILURE};
use crate::log_checkpoints::{self, CheckpointLine, LogCheckpoint};
use crate::server_keys::ServerKeys;

/// What to verify.
#[derive(Debug, clap::Args)]
#[command(
    after_help = "Exits with 0 when everything is as it was written, and with 1 when anything is not; each finding names a file and a byte in it.\n\nA log that was rewritten with all its hashes made anew is betrayed by checkpoints only, and only by those that whoever rewrote it could not sign: keep copies of checkpoints.jsonl, and the server's public key, on another machine."
)]
pub(super) struct VerifyArguments {
    #[command(flatten)]
    folder: DataFolder,
    /// Begin with the segment that holds this position and trust what is before it. Payloads are left out.
    #[arg(long, value_name = "POSITION")]
    from: Option<Position>,
    /// Also compare with the checkpoints in this file, kept elsewhere; may be given several times.
    #[arg(long = "checkpoint", value_name = "FILE")]
    checkpoints: Vec<PathBuf>,
    /// A public key that checkpoints may be signed with; may be given several times. Without it, the key in the data folder.
    #[arg(long = "key", value_name = "HEX", value_parser = satpost_domain::ids::parse_hex::<32>)]
    keys: Vec<[u8; 32]>,
    /// How many segments are verified at the same time; one for each core when it is not given.
    #[arg(long, value_name = "COUNT")]
    threads: Option<usize>,
    /// Write one JSON object.
    #[arg(long)]
    json: bool,
}

/// A checkpoint, or a line that is none, and where it was found.
struct Kept {
    file: PathBuf,
    line: CheckpointLine,
}

pub(super) fn run(arguments: &VerifyArguments) -> anyhow::Result<ExitCode> {
    let folder = arguments.folder.data_dir.as_path();
    // Read before the log: what they tell of is then surely in it.
    let kept = read_checkpoints(folder, &arguments.checkpoints)?;
    let keys = expected_keys(folder, &arguments.keys)?;
    let positions = kept
        .iter()
        .filter_map(|kept| kept.line.checkpoint.as_ref().ok());
    let options = VerifyOptions {
        folder: folder.to_owned(),
        from: arguments.from,
        chains_at: positions.map(|checkpoint| checkpoint.position).collect(),
        threads: arguments.threads.unwrap_or_else(cores).max(1),
    };
    let progress = ByteProgress::new();
    let verified = verify(&options, &|done, total| progress.reach(done, total))
        .with_context(|| format!("cannot verify the log in {}", folder.display()))?;
    let seconds = progress.finish();
    let checked = check(&verified, &kept, &keys);
    let outcome = Outcome {
        verified,
        checked,
        keys,
        seconds,
    };
    if arguments.json {
        writeln!(io::stdout().lock(), "{}", outcome.to_json())?;
    } else {
        outcome.tell()?;
    }
    Ok(if outcome.is_sound() {
        ExitCode::SUCCESS
    } else {
        ExitCode::from(EXIT_FAILURE)
    })
}

fn cores() -> usize {
    std::thread::available_parallelism().map_or(1, usize::from)
}

fn read_checkpoints(folder: &Path, others: &[PathBuf]) -> anyhow::Result<Vec<Kept>> {
    let own = folder.join(log_checkpoints::FILE);
    let own = own.exists().then_some(own);
    let mut kept = Vec::new();
    for path in own.iter().chain(others) {
        let lines = log_checkpoints::read_file(path)
            .with_context(|| format!("cannot read {}", path.display()))?;
        kept.extend(lines.into_iter().map(|line| Kept {
            file: path.clone(),
            line,
        }));
    }
    Ok(kept)
}

/// The keys that were named, else the one in the data folder, else none.
fn expected_keys(folder: &Path, named: &[[u8; 32]]) -> anyhow::Result<Vec<[u8; 32]>> {
    if !named.is_empty() {
        return Ok(named.to_vec());
    }
    let keys = ServerKeys::load(&folder.join("keys"))?;
    Ok(keys.iter().map(ServerKeys::public_key).collect())
}

/// What came of the checkpoints.
#[derive(Default)]
struct Checked {
    agree: u64,
    last: Option<Position>,
    /// Those before the first position that was verified.
    not_compared: u64,
    findings: Vec<Finding>,
}

fn check(verified: &Verified, kept: &[Kept], keys: &[[u8; 32]]) -> Checked {
    let mut checked = Checked::default();
    for Kept { file, line } in kept {
        let judged = match &line.checkpoint {
            Ok(checkpoint) => judge(verified, checkpoint, keys).map(|agrees| (checkpoint, agrees)),
            Err(error) => Err(error.to_string()),
        };
        match judged {
            Ok((checkpoint, true)) => {
                checked.agree += 1;
                checked.last = checked.last.max(Some(checkpoint.position));
            }
            Ok((_, false)) => checked.not_compared += 1,
            Err(reason) => checked.findings.push(Finding {
                file: file.clone(),
                offset: line.offset,
                reason,
            }),
        }
    }
    checked
}

/// True when the log agrees, false when it cannot be compared, else what is wrong.
fn judge(
    verified: &Verified,
    checkpoint: &LogCheckpoint,
    keys: &[[u8; 32]],
) -> Result<bool, String> {
    let position = checkpoint.position;
    if !checkpoint.is_signed() {
        return Err(format!(
            "the signature of the checkpoint at position {position} is wrong"
        ));
    }
    if !keys.is_empty() && !keys.contains(&checkpoint.key) {
        let key = hex::encode(checkpoint.key);
        return Err(format!(
            "the checkpoint at position {position} is signed with the key {key}, which is not an expected one"
        ));
    }
    if checkpoint.log != verified.log {
        return Err(format!(
            "the checkpoint at position {position} is one of another log"
        ));
    }
    if position > verified.head {
        return Err(format!(
            "the log ends at position {}, before the checkpoint at position {position}: events are missing at its end",
            verified.head
        ));
    }
    if position.major() + 1 < verified.first.major() {
        return Ok(false);
    }
    let mut chains = verified.chains.iter().filter(|(at, _)| *at == position);
    let is_empty_log = position == Position::START && checkpoint.chain == [0; 32];
    if is_empty_log || chains.any(|(_, chain)| *chain == checkpoint.chain) {
        return Ok(true);
    }
    Err(format!(
        "the log has another history than the checkpoint at position {position} was signed for"
    ))
}

struct Outcome {
    verified: Verified,
    checked: Checked,
    keys: Vec<[u8; 32]>,
    seconds: f64,
}

impl Outcome {
    fn is_sound(&self) -> bool {
        self.verified.is_sound() && self.checked.findings.is_empty()
    }

    fn findings(&self) -> impl Iterator<Item = &Finding> {
        self.verified.findings.iter().chain(&self.checked.findings)
    }

    #[expect(clippy::cast_precision_loss, reason = "a rate for people")]
    fn bytes_per_second(&self) -> f64 {
        self.verified.bytes as f64 / self.seconds.max(1e-6)
    }

    fn to_json(&self) -> Value {
        let verified = &self.verified;
        let payloads = verified.payloads.map(|payloads| {
            json!({ "readable": payloads.readable, "lost": payloads.lost, "bytes": payloads.bytes })
        });
        let findings = self.findings().map(|finding| {
            json!({
                "file": finding.file.to_string_lossy(),
                "offset": finding.offset,
                "reason": finding.reason,
            })
        });
        json!({
            "sound": self.is_sound(),
            "log": verified.log.to_string(),
            "first": verified.first.to_string(),
            "head": verified.head.to_string(),
            "chain": hex::encode(verified.chain),
            "events": verified.events,
            "batches": verified.batches,
            "streams": verified.streams,
            "segments": verified.segments,
            "bytes": verified.bytes,
            "seconds": self.seconds,
            "bytes_per_second": self.bytes_per_second(),
            "payloads": payloads,
            "checkpoints": {
                "agree": self.checked.agree,
                "last": self.checked.last.map(|last| last.to_string()),
                "not_compared": self.checked.not_compared,
                "expected_keys": self.keys.iter().map(hex::encode).collect::<Vec<_>>(),
            },
            "findings": findings.collect::<Vec<_>>(),
            "further_findings": verified.further_findings,
        })
    }

    #[expect(
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        reason = "a rate for people"
    )]
    fn tell(&self) -> io::Result<()> {
        let mut out = io::stdout().lock();
        let verified = &self.verified;
        writeln!(
            out,
            "log {}: {} events in {} batches and {} streams, {} in {} segments, {:.2} s ({}/s)",
            verified.log,
            HumanCount(verified.events),
            HumanCount(verified.batches),
            HumanCount(verified.streams),
            HumanBytes(verified.bytes),
            verified.segments,
            self.seconds,
            HumanBytes(self.bytes_per_second() as u64),
        )?;
        writeln!(out, "  head         {}", verified.head)?;
        writeln!(out, "  chain        {}", hex::encode(verified.chain))?;
        match verified.payloads {
            Some(payloads) => writeln!(
                out,
                "  payloads     {} readable ({}), {} lost in a restore",
                HumanCount(payloads.readable),
                HumanBytes(payloads.bytes),
                HumanCount(payloads.lost)
            )?,
            None => writeln!(out, "  payloads     not verified")?,
        }
        self.tell_checkpoints(&mut out)?;
        for finding in self.findings() {
            writeln!(
                out,
                "FOUND {} at byte {}: {}",
                finding.file.display(),
                finding.offset,
                finding.reason
            )?;
        }
        if verified.further_findings > 0 {
            writeln!(out, "and {} more", verified.further_findings)?;
        }
        let word = if self.is_sound() {
            "sound"
        } else {
            "NOT SOUND"
        };
        writeln!(out, "{word}")
    }

    fn tell_checkpoints(&self, out: &mut impl io::Write) -> io::Result<()> {
        let checked = &self.checked;
        let last = checked
            .last
            .map_or_else(String::new, |last| format!(", the last one at {last}"));
        writeln!(out, "  checkpoints  {} agree{last}", checked.agree)?;
        if checked.not_compared > 0 {
            writeln!(
                out,
                "               {} before the first position were left out",
                checked.not_compared
            )?;
        }
        if self.keys.is_empty() && checked.agree > 0 {
            writeln!(
                out,
                "               no key was expected: name the server's with --key"
            )?;
        }
        Ok(())
    }
}
