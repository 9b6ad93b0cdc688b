//! `satpostd export`: writes a log to a file, without loss, or tells its digest.

use std::fs::{File, OpenOptions};
use std::io::{self, BufReader, BufWriter, Seek as _, Write};
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::{Path, PathBuf};

use anyhow::Context as _;
use satpost_domain::Position;
use satpost_event_store::EventStore;
use serde_json::json;

use super::block_on;
use super::log_arguments::LogArguments;
use super::progress::Progress;
use crate::transfer::export::{Exported, Start, export, head_through};
use crate::transfer::file::{FileError, Format, RecordWriter, Scanned, scan};
use crate::transfer::head::LogHead;

/// What to export.
#[derive(Debug, clap::Args)]
#[command(
    after_help = "The file holds every event with its stream, revision, id, type, schema, body, metadata and the id of its \
    payload. Payloads (message bodies, watched scripts, push targets) are left out unless --with-payloads asks for those that \
    are still there; what is erased cannot be exported. A log does not tell which append erased what, so a file does not either.\n\n\
    The digest is the same for the same events in every engine: compare it before and after a move.\n\n\
    A file with payloads is a copy that later erasures do not reach: delete it when the move is done."
)]
pub(super) struct ExportArguments {
    #[command(flatten)]
    log: LogArguments,
    /// Begin with the first event at or after this position.
    #[arg(long, value_name = "POSITION", conflicts_with = "resume")]
    from: Option<Position>,
    /// Stop after this position; the end of the log as it is now when it is not given.
    #[arg(long, value_name = "POSITION")]
    to: Option<Position>,
    /// `jsonl` can be read by people; `postcard` is compact and has a checksum for each record.
    #[arg(long, value_enum, default_value_t = Format::Jsonl)]
    format: Format,
    /// Export the bytes of payloads that are not erased.
    #[arg(long)]
    with_payloads: bool,
    /// Go on with FILE where it ends: after an interruption, or with what has happened since. Its
    /// form and whether it has payloads are those of the file.
    #[arg(long)]
    resume: bool,
    /// Write no file; tell the digest of the log only.
    #[arg(long, conflicts_with_all = ["file", "from", "resume", "with_payloads"])]
    digest: bool,
    /// Tell what was done as one JSON object.
    #[arg(long)]
    json: bool,
    /// The file, which must not be there yet; `-` for standard output.
    #[arg(value_name = "FILE", required_unless_present = "digest")]
    file: Option<PathBuf>,
}

pub(super) fn run(arguments: &ExportArguments) -> anyhow::Result<()> {
    let log = arguments.log.open_to_read()?;
    let store = log.as_ref();
    let head = block_on(store.head())??;
    let end = arguments.to.map_or(head, |to| to.min(head));
    let Some(path) = &arguments.file else {
        return tell_digest(arguments, store, end);
    };
    if path.as_os_str() == "-" {
        anyhow::ensure!(!arguments.resume, "standard output cannot be gone on with");
        let out = BufWriter::new(io::stdout().lock());
        let (exported, _) = write_new(arguments, store, end, out)?;
        return tell(arguments, &exported, &mut io::stderr().lock());
    }
    let exported = to_file(arguments, store, end, path)?;
    tell(arguments, &exported, &mut io::stdout().lock())
}

fn tell_digest(
    arguments: &ExportArguments,
    store: &dyn EventStore,
    end: Position,
) -> anyhow::Result<()> {
    let mut progress = Progress::new(end);
    let LogHead { events, digest } = block_on(head_through(store, end, |position| {
        progress.reach(position);
    }))??;
    let rate = progress.finish(events);
    let mut out = io::stdout().lock();
    if arguments.json {
        let seconds = rate.seconds;
        writeln!(
            out,
            "{}",
            json!({ "events": events, "head": digest, "seconds": seconds })
        )?;
    } else {
        writeln!(out, "head {digest} after {events} events")?;
    }
    Ok(())
}

fn write_new<W: Write>(
    arguments: &ExportArguments,
    store: &dyn EventStore,
    end: Position,
    out: W,
) -> anyhow::Result<(Exported, W)> {
    let writer = RecordWriter::begin(arguments.format, out)?;
    let start = Start::At(arguments.from.unwrap_or(Position::START));
    write(store, (start, end), arguments.with_payloads, writer)
}

fn write<W: Write>(
    store: &dyn EventStore,
    range: (Start<'_>, Position),
    with_payloads: bool,
    out: RecordWriter<W>,
) -> anyhow::Result<(Exported, W)> {
    let mut progress = Progress::new(range.1);
    let written = block_on(export(store, range, with_payloads, out, |position| {
        progress.reach(position);
    }))??;
    progress.finish(written.0.events);
    Ok(written)
}

fn to_file(
    arguments: &ExportArguments,
    store: &dyn EventStore,
    end: Position,
    path: &Path,
) -> anyhow::Result<Exported> {
    let started = if arguments.resume {
        begun(path).with_context(|| format!("cannot go on with {}", path.display()))?
    } else {
        None
    };
    let (exported, out) = match started {
        Some((file, scanned)) => {
            let writer = RecordWriter::resume(&scanned, BufWriter::new(file));
            let with_payloads = scanned.header.with_payloads;
            write(store, (Start::After(&scanned), end), with_payloads, writer)?
        }
        None => {
            let file = OpenOptions::new()
                .write(true)
                .create_new(true)
                .mode(0o600)
                .open(path)
                .with_context(|| {
                    format!(
                        "cannot make {}; --resume goes on with a file",
                        path.display()
                    )
                })?;
            write_new(arguments, store, end, BufWriter::new(file))?
        }
    };
    let file = out.into_inner().map_err(io::IntoInnerError::into_error)?;
    file.sync_all()?;
    Ok(exported)
}

/// An export that was begun, cut back to its last whole event; nothing when there is no file.
fn begun(path: &Path) -> anyhow::Result<Option<(File, Scanned)>> {
    let mut file = match OpenOptions::new().read(true).write(true).open(path) {
        Ok(file) => file,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
        Err(error) => return Err(error.into()),
    };
    let scanned = match scan(BufReader::new(&file), |_| ()) {
        Ok(scanned) => scanned,
        Err(error @ FileError::Unfinished { .. }) => {
            return Err(
                anyhow::Error::new(error).context("not even its header is whole; delete it")
            );
        }
        Err(error) => return Err(error.into()),
    };
    file.set_len(scanned.bytes)?;
    file.seek(io::SeekFrom::End(0))?;
    Ok(Some((file, scanned)))
}

fn tell(
    arguments: &ExportArguments,
    exported: &Exported,
    out: &mut impl Write,
) -> anyhow::Result<()> {
    let Exported {
        events,
        payloads,
        head,
    } = exported;
    if arguments.json {
        let line = json!({
            "exported": events,
            "payloads": payloads,
            "events": head.events,
            "head": head.digest,
        });
        writeln!(out, "{line}")?;
    } else {
        writeln!(out, "exported {events} events and {payloads} payloads")?;
        writeln!(out, "head {} after {} events", head.digest, head.events)?;
    }
    Ok(())
}
