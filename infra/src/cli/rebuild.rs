//! `satpostd rebuild`: rebuilds projections from the first event on. With `--check` it compares them
//! with their snapshots brought up to date, which is what a running server has; otherwise it replaces the snapshots.

use std::io::Write as _;
use std::process::ExitCode;
use std::sync::Arc;

use anyhow::Context as _;
use futures_util::StreamExt as _;
use satpost_projections::ReadModel;
use satpost_projections::source::{EventSource as _, Item};
use serde_json::json;

use super::{DataFolder, EXIT_FAILURE, block_on, replay};
use crate::event_log::StoredEventLog;
use crate::snapshots::Snapshots;
use satpost_event_store::embedded::{EmbeddedEventStore, EmbeddedOptions};

/// What to rebuild.
#[derive(Debug, clap::Args)]
pub(super) struct RebuildArguments {
    #[command(flatten)]
    folder: DataFolder,
    /// Only compare; works while the server runs.
    #[arg(long)]
    check: bool,
    /// The projections to compare or replace; all when none is named.
    #[arg(value_name = "PROJECTION")]
    projections: Vec<String>,
    /// Write one JSON object for each projection.
    #[arg(long)]
    json: bool,
}

pub(super) fn run(arguments: &RebuildArguments) -> anyhow::Result<ExitCode> {
    for name in &arguments.projections {
        let known = ReadModel::names();
        anyhow::ensure!(
            known.contains(&name.as_str()),
            "there is no projection {name}; there are {}",
            known.join(", ")
        );
    }
    let snapshots = Snapshots::new(&arguments.folder.data_dir);
    let (log, live) = if arguments.check {
        let log = arguments.folder.open_log()?;
        (log, snapshots.load())
    } else {
        let store = EmbeddedEventStore::open(&EmbeddedOptions::new(&arguments.folder.data_dir))
            .context(
                "snapshots are replaced only while the server is stopped; use --check beside it",
            )?;
        (StoredEventLog::new(Arc::new(store)), snapshots.load())
    };
    let (rebuilt, rate) = block_on(replay::fold(&log, None))??;
    block_on(catch_up(&log, &live, &rebuilt))??;
    let equal = tell_differences(arguments, &live, &rebuilt)?;
    if !arguments.check {
        snapshots.save(&rebuilt, |name| {
            arguments.projections.is_empty()
                || arguments.projections.iter().any(|wanted| wanted == name)
        })?;
    }
    if !arguments.json {
        let verb = if arguments.check {
            "compared"
        } else {
            "rebuilt"
        };
        writeln!(
            std::io::stdout().lock(),
            "{verb} at position {}: {rate}",
            rebuilt.position()
        )?;
    }
    Ok(if equal || !arguments.check {
        ExitCode::SUCCESS
    } else {
        ExitCode::from(EXIT_FAILURE)
    })
}

/// Brings what the snapshots gave to the position of the rebuilt projections.
async fn catch_up(
    log: &StoredEventLog,
    live: &ReadModel,
    rebuilt: &ReadModel,
) -> anyhow::Result<()> {
    let end = rebuilt.position();
    let mut items = log.follow(live.position());
    while live.position() < end {
        match items.next().await {
            Some(Ok(Item::Event(envelope))) if envelope.position <= end => live.apply(&envelope),
            Some(Ok(Item::CheckpointAt(_))) => {}
            Some(Ok(Item::Event(_) | Item::CaughtUp)) | None => break,
            Some(Err(error)) => return Err(error.into()),
        }
    }
    Ok(())
}

fn tell_differences(
    arguments: &RebuildArguments,
    live: &ReadModel,
    rebuilt: &ReadModel,
) -> anyhow::Result<bool> {
    let mut out = std::io::stdout().lock();
    let mut all_equal = true;
    let pairs = live.digests().into_iter().zip(rebuilt.digests());
    for ((name, live_digest), (_, rebuilt_digest)) in pairs {
        if !arguments.projections.is_empty()
            && !arguments.projections.iter().any(|wanted| wanted == name)
        {
            continue;
        }
        let equal = live_digest == rebuilt_digest;
        all_equal &= equal;
        if arguments.json {
            let line = json!({ "name": name, "equal": equal, "live": live_digest, "rebuilt": rebuilt_digest });
            writeln!(out, "{line}")?;
        } else {
            let word = if equal { "equal" } else { "DIFFERENT" };
            writeln!(out, "  {name:<20} {word:<10} {rebuilt_digest}")?;
        }
    }
    Ok(all_equal)
}
