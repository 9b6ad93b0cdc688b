//! `satpostd replay`: folds history into fresh projections, up to any position. Changes nothing.

use std::io::Write as _;

use satpost_commands::ports::EventLog as _;
use satpost_domain::Position;
use satpost_projections::{ReadModel, runner};
use serde_json::json;

use super::block_on;
use super::log_arguments::LogArguments;
use super::progress::{Progress, Rate};
use crate::event_log::StoredEventLog;

/// What to replay.
#[derive(Debug, clap::Args)]
pub(super) struct ReplayArguments {
    #[command(flatten)]
    log: LogArguments,
    /// Stop after this position; the end of the log when it is not given.
    #[arg(long, value_name = "POSITION")]
    to: Option<Position>,
    /// Write one JSON object.
    #[arg(long)]
    json: bool,
}

pub(super) fn run(arguments: &ReplayArguments) -> anyhow::Result<()> {
    let log = StoredEventLog::new(arguments.log.open_to_read()?);
    let (read_model, rate) = block_on(fold(&log, arguments.to))??;
    let mut out = std::io::stdout().lock();
    if arguments.json {
        let projections: Vec<_> = read_model
            .digests()
            .into_iter()
            .map(|(name, digest)| json!({ "name": name, "digest": digest }))
            .collect();
        let summary = json!({
            "position": read_model.position().to_string(),
            "events": rate.events,
            "seconds": rate.seconds,
            "events_per_second": rate.per_second(),
            "projections": projections,
        });
        writeln!(out, "{summary}")?;
    } else {
        writeln!(
            out,
            "replayed {rate}, up to position {}",
            read_model.position()
        )?;
        for (name, digest) in read_model.digests() {
            writeln!(out, "  {name:<20} {digest}")?;
        }
    }
    Ok(())
}

/// Folds everything up to `to`, or to the end as it is now, with a progress bar.
pub(super) async fn fold(
    log: &StoredEventLog,
    to: Option<Position>,
) -> anyhow::Result<(ReadModel, Rate)> {
    let head = log.head().await?;
    let end = to.map_or(head, |to| to.min(head));
    let mut progress = Progress::new(end);
    let read_model = runner::rebuild_all(log, end, |position| progress.reach(position)).await?;
    let events = read_model.positions().borrow().applied;
    Ok((read_model, progress.finish(events)))
}
