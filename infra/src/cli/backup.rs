//! `satpostd backup`: copies the log at one position, while the server runs or not.

use std::fs;
use std::io::{self, Write as _};
use std::path::{Path, PathBuf};

use anyhow::Context as _;
use indicatif::HumanBytes;
use satpost_commands::ports::Clock as _;
use satpost_domain::Position;
use satpost_event_store::embedded::backup::{BackedUp, BackupOptions, backup};
use satpost_event_store::storage::{Disk, replace_file};
use serde_json::json;

use super::DataFolder;
use super::progress::ByteProgress;
use crate::backup_manifest::{self, BackupManifest};
use crate::log_checkpoints::{self, LogCheckpoint};
use crate::server_keys::ServerKeys;
use crate::system::SystemClock;

/// What to back up, and where to.
#[derive(Debug, clap::Args)]
#[command(
    after_help = "By default a backup holds the log and its signed checkpoints. It does not hold payloads: messages that were not acknowledged yet, watched addresses and push targets are lost when it is restored. It does not hold the server's keys.\n\nWith --payload-keys FILE ciphertexts are in the backup, and their keys are in FILE only, which must be elsewhere. Each backup replaces FILE, and so does `satpostd erasure keys`: what was erased until then stays erased in every backup, however old. Keep no other copy of FILE.\n\nFull segments are linked where the backup is on the same file system. That takes no time and no space, and protects from a wrong command, not from a broken disk: copy such a backup to another machine, or use --copy."
)]
pub(super) struct BackupArguments {
    #[command(flatten)]
    folder: DataFolder,
    /// Where the backup goes: an empty folder, or one that is not there.
    #[arg(value_name = "TARGET")]
    target: PathBuf,
    /// Also copy the ciphertexts of payloads, and replace FILE by a copy of their keys.
    #[arg(long, value_name = "FILE")]
    payload_keys: Option<PathBuf>,
    /// Also copy the server's signing key and Web Push key.
    #[arg(long)]
    with_keys: bool,
    /// Copy everything, link nothing.
    #[arg(long)]
    copy: bool,
    /// Write one JSON object.
    #[arg(long)]
    json: bool,
}

pub(super) fn run(arguments: &BackupArguments) -> anyhow::Result<()> {
    let folder = arguments.folder.data_dir.as_path();
    let target = arguments.target.as_path();
    let keys = ServerKeys::load(&folder.join("keys"))?;
    anyhow::ensure!(
        keys.is_some() || !arguments.with_keys,
        "there are no keys of the server in {}",
        folder.display()
    );
    let options = BackupOptions {
        folder: folder.to_owned(),
        target: target.to_owned(),
        payload_keys: arguments.payload_keys.clone(),
        link: !arguments.copy,
    };
    let progress = ByteProgress::new();
    let copied = backup(&options, &|done, total| progress.reach(done, total))
        .with_context(|| format!("cannot back up {}", folder.display()))?;
    let seconds = progress.finish();
    let checkpoint = keys.as_ref().map(|keys| sign(keys, &copied));
    let manifest = BackupManifest::new(
        &copied,
        SystemClock.now(),
        arguments.with_keys,
        checkpoint.as_ref(),
    );
    finish(arguments, &copied, checkpoint.as_ref(), &manifest)
        .with_context(|| format!("cannot complete the backup {}", target.display()))?;
    tell(arguments, &copied, checkpoint.is_some(), seconds)
}

/// The log is durable up to here, so this can be signed without being asked back.
fn sign(keys: &ServerKeys, copied: &BackedUp) -> LogCheckpoint {
    LogCheckpoint::sign(
        keys,
        copied.log,
        copied.head,
        copied.chain,
        SystemClock.now(),
    )
}

/// Adds what is not the log's, and in the end the description that makes it a backup.
fn finish(
    arguments: &BackupArguments,
    copied: &BackedUp,
    checkpoint: Option<&LogCheckpoint>,
    manifest: &BackupManifest,
) -> anyhow::Result<()> {
    let (folder, target) = (&arguments.folder.data_dir, &arguments.target);
    let mut lines = checkpoints_through(&folder.join(log_checkpoints::FILE), copied.head)?.0;
    lines.extend(checkpoint.map(LogCheckpoint::to_line));
    write_lines(&target.join(log_checkpoints::FILE), &lines)?;
    if arguments.with_keys {
        copy_keys(&folder.join("keys"), &target.join("keys"))?;
    }
    manifest.write(target)?;
    Ok(())
}

/// The lines of a file of checkpoints through `head`, and how many are behind it. Lines that are no
/// checkpoints stay: they are for a verification to find.
pub(super) fn checkpoints_through(
    path: &Path,
    head: Position,
) -> anyhow::Result<(Vec<String>, u64)> {
    let text = match fs::read_to_string(path) {
        Ok(text) => text,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok((Vec::new(), 0)),
        Err(error) => return Err(error).with_context(|| format!("cannot read {}", path.display())),
    };
    let (mut lines, mut behind) = (Vec::new(), 0);
    // A last line without an end is being written just now.
    for line in text
        .split_inclusive('\n')
        .filter_map(|line| line.strip_suffix('\n'))
    {
        match LogCheckpoint::from_line(line) {
            Ok(checkpoint) if checkpoint.position > head => behind += 1,
            _ => lines.push(line.to_owned()),
        }
    }
    Ok((lines, behind))
}

/// Writes lines whole and durably; nothing when there are none.
pub(super) fn write_lines(path: &Path, lines: &[String]) -> anyhow::Result<()> {
    if lines.is_empty() {
        return Ok(());
    }
    let text = lines.join("\n") + "\n";
    replace_file(&Disk, path, text.as_bytes())
        .with_context(|| format!("cannot write {}", path.display()))
}

/// Copies the keys of the server, readable by their owner only.
pub(super) fn copy_keys(from: &Path, to: &Path) -> anyhow::Result<()> {
    fs::create_dir_all(to).with_context(|| format!("cannot create {}", to.display()))?;
    for name in ServerKeys::FILES {
        let copied = fs::read(from.join(name))
            .and_then(|bytes| replace_file(&Disk, &to.join(name), &zeroize::Zeroizing::new(bytes)));
        copied.with_context(|| format!("cannot copy the key {name}"))?;
    }
    Ok(())
}

fn tell(
    arguments: &BackupArguments,
    copied: &BackedUp,
    is_signed: bool,
    seconds: f64,
) -> anyhow::Result<()> {
    let mut out = io::stdout().lock();
    let files = || {
        copied
            .segments
            .iter()
            .map(|segment| &segment.file)
            .chain(copied.payloads.iter().flatten())
    };
    let sum = |is_linked: bool| -> u64 {
        let files = files().filter(|file| file.sha256.is_none() == is_linked);
        files.map(|file| file.bytes).sum()
    };
    if arguments.json {
        let summary = json!({
            "target": arguments.target.to_string_lossy(),
            "manifest": arguments.target.join(backup_manifest::FILE).to_string_lossy(),
            "log": copied.log.to_string(),
            "position": copied.head.to_string(),
            "chain": hex::encode(copied.chain),
            "segments": copied.segments.len(),
            "linked_bytes": sum(true),
            "copied_bytes": sum(false),
            "with_payloads": copied.payloads.is_some(),
            "with_keys": arguments.with_keys,
            "signed": is_signed,
            "seconds": seconds,
        });
        writeln!(out, "{summary}")?;
        return Ok(());
    }
    writeln!(
        out,
        "backed up through position {} in {seconds:.2} s: {} segments, {} linked, {} copied",
        copied.head,
        copied.segments.len(),
        HumanBytes(sum(true)),
        HumanBytes(sum(false)),
    )?;
    writeln!(out, "  chain     {}", hex::encode(copied.chain))?;
    match &arguments.payload_keys {
        Some(keys) => writeln!(
            out,
            "  payloads  their keys are in {}; refresh it with `satpostd erasure keys`",
            keys.display()
        )?,
        None => writeln!(
            out,
            "  payloads  not in the backup: waiting messages, watched addresses and push targets are lost on restore"
        )?,
    }
    let keys = if arguments.with_keys {
        "in the backup"
    } else {
        "not in the backup"
    };
    writeln!(out, "  keys      {keys}")?;
    Ok(())
}
