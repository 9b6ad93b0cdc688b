//! `satpostd import`: appends what a file holds and a log does not.

use std::fs::File;
use std::io::{self, BufReader, Write as _};
use std::path::PathBuf;

use anyhow::Context as _;
use satpost_domain::Position;
use serde_json::json;

use super::block_on;
use super::log_arguments::LogArguments;
use super::progress::{Progress, Rate};
use crate::transfer::file::{Events, Scanned, scan};
use crate::transfer::import::{Imported, import};

/// What to import.
#[derive(Debug, clap::Args)]
#[command(
    after_help = "The whole file is checked before anything is written. The log may be empty or hold the beginning of the file: \
    what is there is compared event by event, and the import goes on behind it, so an interrupted import is simply repeated. \
    Nobody else may use the log meanwhile: the server must be stopped.\n\n\
    The order over all streams is kept. At the end the log is read back, and its digest must be that of the file. Payloads that \
    are not in the file are erased in the log. A log that was imported is another log: it has an identity of its own, and \
    snapshots of the old one are not used for it."
)]
pub(super) struct ImportArguments {
    #[command(flatten)]
    log: LogArguments,
    /// Tell what was done as one JSON object.
    #[arg(long)]
    json: bool,
    /// A finished file of `satpostd export`, in either form.
    #[arg(value_name = "FILE")]
    file: PathBuf,
}

pub(super) fn run(arguments: &ImportArguments) -> anyhow::Result<()> {
    let path = arguments.file.display();
    let open = || File::open(&arguments.file).map(|file| BufReader::with_capacity(1 << 20, file));
    let input = open().with_context(|| format!("cannot open {path}"))?;
    let scanned = scan(input, |_| ())
        .and_then(|scanned| scanned.check_finished().map(|()| scanned))
        .with_context(|| format!("{path} cannot be imported"))?;
    let log = arguments.log.open_to_write()?;
    let mut progress = Progress::new(Position::new(scanned.head.events, 0));
    let events = Events::open(open()?)?;
    let importing = import(
        log.store.as_ref(),
        events,
        &scanned,
        log.appends_in_flight,
        |events| progress.reach(Position::new(events, 0)),
    );
    let imported = block_on(importing)?.with_context(|| format!("{path} was not imported"))?;
    let rate = progress.finish(imported.present + imported.appended);
    tell(arguments, &scanned, &imported, &rate)
}

fn tell(
    arguments: &ImportArguments,
    scanned: &Scanned,
    imported: &Imported,
    rate: &Rate,
) -> anyhow::Result<()> {
    let Imported {
        present,
        appended,
        payloads,
        beyond,
        head,
    } = imported;
    let mut out = io::stdout().lock();
    if arguments.json {
        let line = json!({
            "present": present,
            "appended": appended,
            "payloads": payloads,
            "beyond": beyond,
            "events": head.events,
            "head": head.digest,
            "from_log": scanned.header.log.to_string(),
            "seconds": rate.seconds,
        });
        writeln!(out, "{line}")?;
        return Ok(());
    }
    writeln!(
        out,
        "imported {appended} events and {payloads} payloads; {present} events were there already"
    )?;
    if *beyond > 0 {
        writeln!(
            out,
            "the log goes on with {beyond} events that are not in the file"
        )?;
    }
    writeln!(
        out,
        "head {} after {} events, the same in file and log: {rate}",
        head.digest, head.events
    )?;
    Ok(())
}
