//! `satpostd restore`: makes a new data folder of a backup, through its end or an earlier position.

use std::io::{self, Write as _};
use std::path::{Path, PathBuf};

use anyhow::Context as _;
use indicatif::{HumanBytes, HumanCount};
use satpost_domain::Position;
use satpost_event_store::embedded::restore::{RestoreOptions, Restored, restore};
use serde_json::json;

use super::backup::{checkpoints_through, copy_keys, write_lines};
use super::progress::ByteProgress;
use crate::backup_manifest::BackupManifest;
use crate::log_checkpoints::{self, LogCheckpoint};
use crate::server_keys::ServerKeys;

/// What to restore, and where to.
#[derive(Debug, clap::Args)]
#[command(
    after_help = "Every checksum and every hash is verified on the way. Projections are rebuilt when the server starts. With --to, the log is cut at the end of the last batch whose events are all at or before the position; events that were written together stay together.\n\nA log that was cut and goes on has another history than the one it was cut from: never run both, and expect clients to notice that acknowledged events are gone."
)]
pub(super) struct RestoreArguments {
    /// The folder of the backup.
    #[arg(value_name = "SOURCE")]
    source: PathBuf,
    /// The data folder to be made: an empty folder, or one that is not there.
    #[arg(long, value_name = "DIR")]
    data_dir: PathBuf,
    /// Leave out everything behind this position.
    #[arg(long, value_name = "POSITION")]
    to: Option<Position>,
    /// The newest copy of the keys of payloads. What was erased before it was made does not come back; without it no payload does.
    #[arg(long, value_name = "FILE")]
    payload_keys: Option<PathBuf>,
    /// Refuse a backup whose checkpoint is not signed with this public key.
    #[arg(long, value_name = "HEX", value_parser = satpost_domain::ids::parse_hex::<32>)]
    key: Option<[u8; 32]>,
    /// Write one JSON object.
    #[arg(long)]
    json: bool,
}

/// What the checkpoints say about what was restored.
struct Checkpoints {
    /// How many were taken over.
    kept: usize,
    /// How many tell of events that were left out.
    behind: u64,
    is_signed: bool,
}

pub(super) fn run(arguments: &RestoreArguments) -> anyhow::Result<()> {
    let (source, target) = (arguments.source.as_path(), arguments.data_dir.as_path());
    let manifest = BackupManifest::read(source)?;
    let keys = arguments.payload_keys.as_deref();
    let options = manifest.restore_options(source, target, arguments.to, keys)?;
    let is_signed = check_signature(&manifest, &options, arguments.key)?;
    let progress = ByteProgress::new();
    let unfinished = restore(&options, &|done, total| progress.reach(done, total))
        .with_context(|| format!("cannot restore {}", source.display()))?;
    let seconds = progress.finish();
    if manifest.with_keys {
        copy_keys(&source.join("keys"), &target.join("keys"))?;
    }
    let head = unfinished.restored().head;
    let (lines, behind) = checkpoints_through(&source.join(log_checkpoints::FILE), head)?;
    write_lines(&target.join(log_checkpoints::FILE), &lines)?;
    let restored = unfinished.complete()?;
    let checkpoints = Checkpoints {
        kept: lines.len(),
        behind,
        is_signed,
    };
    let is_keyless = manifest.with_payloads && keys.is_none();
    tell(
        arguments,
        &options,
        &restored,
        &checkpoints,
        is_keyless,
        seconds,
    )
}

/// Whether the backup is signed. With an expected key it must be.
fn check_signature(
    manifest: &BackupManifest,
    options: &RestoreOptions,
    key: Option<[u8; 32]>,
) -> anyhow::Result<bool> {
    let Some(value) = &manifest.checkpoint else {
        anyhow::ensure!(key.is_none(), "the backup is not signed");
        return Ok(false);
    };
    let checkpoint = LogCheckpoint::from_line(&value.to_string())
        .context("the checkpoint of the backup cannot be read")?;
    anyhow::ensure!(
        checkpoint.is_signed(),
        "the signature of the backup is wrong"
    );
    anyhow::ensure!(
        checkpoint.position == options.head
            && checkpoint.chain == options.chain
            && checkpoint.log.to_string() == manifest.log,
        "the backup is signed for another log or another end of it"
    );
    let expected = match key {
        Some(key) => Some(key),
        None => own_key(&options.source, manifest)?,
    };
    anyhow::ensure!(
        expected.is_none_or(|expected| expected == checkpoint.key),
        "the backup is signed with the key {}, which is not the expected one",
        hex::encode(checkpoint.key)
    );
    Ok(true)
}

fn own_key(source: &Path, manifest: &BackupManifest) -> anyhow::Result<Option<[u8; 32]>> {
    if !manifest.with_keys {
        return Ok(None);
    }
    let keys = ServerKeys::load(&source.join("keys"))?;
    let keys = keys.context("the backup should hold the keys of the server and does not")?;
    Ok(Some(keys.public_key()))
}

fn tell(
    arguments: &RestoreArguments,
    options: &RestoreOptions,
    restored: &Restored,
    checkpoints: &Checkpoints,
    is_keyless: bool,
    seconds: f64,
) -> anyhow::Result<()> {
    let mut out = io::stdout().lock();
    if arguments.json {
        let summary = json!({
            "data_dir": arguments.data_dir.to_string_lossy(),
            "asked": arguments.to.map(|to| to.to_string()),
            "position": restored.head.to_string(),
            "backup_position": options.head.to_string(),
            "chain": hex::encode(restored.chain),
            "bytes": restored.bytes,
            "payloads": restored.payloads,
            "payloads_lost": restored.payloads_lost,
            "checkpoints": checkpoints.kept,
            "checkpoints_behind": checkpoints.behind,
            "signed": checkpoints.is_signed,
            "seconds": seconds,
        });
        writeln!(out, "{summary}")?;
        return Ok(());
    }
    writeln!(
        out,
        "restored {} in {seconds:.2} s, through position {}",
        HumanBytes(restored.bytes),
        restored.head
    )?;
    if let Some(to) = arguments.to.filter(|to| *to != restored.head) {
        writeln!(
            out,
            "  position  {to} is inside a batch; the log was cut before it, at {}",
            restored.head
        )?;
    }
    writeln!(out, "  chain     {}", hex::encode(restored.chain))?;
    writeln!(
        out,
        "  payloads  {} restored, {} lost",
        HumanCount(restored.payloads),
        HumanCount(restored.payloads_lost)
    )?;
    if is_keyless {
        writeln!(
            out,
            "  NOTE      the backup has ciphertexts of payloads; with the copy of their keys (--payload-keys) those that are not erased come back"
        )?;
    }
    if !checkpoints.is_signed {
        writeln!(
            out,
            "  WARNING   the backup is not signed: its hashes prove that it is whole, not whose it is"
        )?;
    }
    if checkpoints.behind > 0 {
        writeln!(
            out,
            "  WARNING   the server has signed {} checkpoints of events that are not in this log: it is behind what was promised",
            checkpoints.behind
        )?;
    }
    Ok(())
}
