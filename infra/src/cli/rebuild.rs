//! `satpostd rebuild`: rebuilds projections from the first event on, beside the ones that are in
//! use, and shows what differs between them. With `--apply` the rebuilt ones take their place.

use std::io::Write as _;
use std::process::ExitCode;

use anyhow::Context as _;
use satpost_domain::ids::Digest;
use satpost_projections::read_model::ProjectionSnapshot;
use satpost_projections::{ReadModel, runner};
use serde_json::{Value, json};

use super::log_arguments::LogArguments;
use super::progress::{Progress, Rate};
use super::{EXIT_FAILURE, block_on, replay};
use crate::event_log::StoredEventLog;
use crate::snapshots::{Saved, Snapshots};
use difference::{counts, differences};

mod difference;

/// The largest snapshot that is compared entry by entry; larger ones by their digests only.
const TREE_BYTES_MAX: usize = 64 * 1024 * 1024;

/// What to rebuild.
#[derive(Debug, clap::Args)]
#[command(
    after_help = "The projections are rebuilt in memory, beside the ones in use: the last snapshot, brought up to the \
    same position, which is what a running server has. For each projection the tool tells whether both are equal, how much is in \
    them, their digests, and the first differences. Push targets are named there, never shown.\n\n\
    Nothing is changed without --apply. The exit code is 1 when something differs and was not replaced."
)]
pub(super) struct RebuildArguments {
    #[command(flatten)]
    log: LogArguments,
    /// Rebuild beside the projections in use and show what differs; this is what happens anyway, spelled out.
    #[arg(long)]
    shadow: bool,
    /// Never replace anything; works while the server runs.
    #[arg(long, conflicts_with = "apply")]
    check: bool,
    /// Replace the snapshots after the differences were shown. The server must be stopped.
    #[arg(long, visible_alias = "yes")]
    apply: bool,
    /// The projections to compare or replace; all when none is named.
    #[arg(value_name = "PROJECTION")]
    projections: Vec<String>,
    /// How many differences are shown for a projection.
    #[arg(long, value_name = "COUNT", default_value_t = 10)]
    differences: usize,
    /// Write one JSON object for each projection.
    #[arg(long)]
    json: bool,
}

impl RebuildArguments {
    fn wants(&self, name: &str) -> bool {
        self.projections.is_empty() || self.projections.iter().any(|wanted| wanted == name)
    }

    fn check_names(&self) -> anyhow::Result<()> {
        let known = ReadModel::names();
        for name in &self.projections {
            anyhow::ensure!(
                known.contains(&name.as_str()),
                "there is no projection {name}; there are {}",
                known.join(", ")
            );
        }
        Ok(())
    }

    fn open_log(&self) -> anyhow::Result<StoredEventLog> {
        if !self.apply {
            return Ok(StoredEventLog::new(self.log.open_to_read()?));
        }
        let log = self.log.open_to_write().context(
            "snapshots are replaced only while the server is stopped; without --apply they are compared beside it",
        )?;
        Ok(StoredEventLog::new(log.store))
    }
}

/// The projections in use and the rebuilt ones, at one position.
struct Pair {
    live: ReadModel,
    rebuilt: ReadModel,
    rate: Rate,
}

pub(super) fn run(arguments: &RebuildArguments) -> anyhow::Result<ExitCode> {
    arguments.check_names()?;
    let snapshots = Snapshots::new(&arguments.log.folder.data_dir);
    // Before the log: see `Snapshots::read`.
    let saved = snapshots.read();
    let log = arguments.open_log()?;
    let pair = block_on(rebuild(&log, saved))??;
    let equal = tell(arguments, &pair)?;
    if arguments.apply {
        let identity = block_on(log.store().identity())??;
        snapshots.save(identity, &chosen(arguments, &pair))?;
    }
    if !arguments.json {
        tell_end(arguments, &pair, equal)?;
    }
    Ok(if equal || arguments.apply {
        ExitCode::SUCCESS
    } else {
        ExitCode::from(EXIT_FAILURE)
    })
}

async fn rebuild(log: &StoredEventLog, saved: Saved) -> anyhow::Result<Pair> {
    let (rebuilt, rate) = replay::fold(log, None).await?;
    let end = rebuilt.position();
    let live = saved.restore(log.store().identity().await?, end);
    let mut progress = Progress::new(end);
    runner::catch_up(&live, log, end, |position| progress.reach(position)).await?;
    progress.finish(0);
    Ok(Pair {
        live,
        rebuilt,
        rate,
    })
}

/// The rebuilt projections that were named, and the live ones of the others.
fn chosen(arguments: &RebuildArguments, pair: &Pair) -> Vec<ProjectionSnapshot> {
    let rebuilt = pair.rebuilt.snapshots().into_iter();
    let live = pair.live.snapshots().into_iter();
    rebuilt
        .filter(|snapshot| arguments.wants(&snapshot.name))
        .chain(live.filter(|snapshot| !arguments.wants(&snapshot.name)))
        .collect()
}

/// One projection, compared.
struct Comparison {
    name: &'static str,
    live: Digest,
    rebuilt: Digest,
    live_counts: Counts,
    rebuilt_counts: Counts,
    differences: Vec<String>,
}

type Counts = Vec<(String, u64)>;

fn tell(arguments: &RebuildArguments, pair: &Pair) -> anyhow::Result<bool> {
    let mut out = std::io::stdout().lock();
    let digests = pair.live.digests().into_iter().zip(pair.rebuilt.digests());
    let mut all_equal = true;
    for ((name, live), (_, rebuilt)) in digests.filter(|((name, _), _)| arguments.wants(name)) {
        all_equal &= live == rebuilt;
        let comparison = Comparison::new(name, pair, (live, rebuilt), arguments.differences)?;
        if arguments.json {
            writeln!(out, "{}", comparison.to_json())?;
        } else {
            comparison.tell(&mut out)?;
        }
    }
    Ok(all_equal)
}

impl Comparison {
    fn new(
        name: &'static str,
        pair: &Pair,
        (live, rebuilt): (Digest, Digest),
        max: usize,
    ) -> anyhow::Result<Self> {
        let rebuilt_tree = pair.rebuilt.tree(name, TREE_BYTES_MAX)?;
        let live_tree = if live == rebuilt {
            None
        } else {
            pair.live.tree(name, TREE_BYTES_MAX)?
        };
        let rebuilt_counts = rebuilt_tree.as_ref().map(counts).unwrap_or_default();
        let (live_counts, differences) = match (&live_tree, &rebuilt_tree) {
            _ if live == rebuilt => (rebuilt_counts.clone(), Vec::new()),
            (Some(a), Some(b)) => (counts(a), differences(a, b, max)),
            _ => (
                live_tree.as_ref().map(counts).unwrap_or_default(),
                vec!["too large to be compared entry by entry".to_owned()],
            ),
        };
        Ok(Self {
            name,
            live,
            rebuilt,
            live_counts,
            rebuilt_counts,
            differences,
        })
    }

    fn to_json(&self) -> Value {
        json!({
            "name": self.name,
            "equal": self.live == self.rebuilt,
            "live": self.live,
            "rebuilt": self.rebuilt,
            "live_counts": self.live_counts,
            "rebuilt_counts": self.rebuilt_counts,
            "differences": self.differences,
        })
    }

    fn tell(&self, out: &mut impl std::io::Write) -> std::io::Result<()> {
        let name = self.name;
        let rebuilt = words(&self.rebuilt_counts);
        if self.live == self.rebuilt {
            return writeln!(out, "  {name:<20} equal      {}  {rebuilt}", self.rebuilt);
        }
        let live = words(&self.live_counts);
        writeln!(out, "  {name:<20} DIFFERENT")?;
        writeln!(out, "    live     {}  {live}", self.live)?;
        writeln!(out, "    rebuilt  {}  {rebuilt}", self.rebuilt)?;
        for difference in &self.differences {
            writeln!(out, "    {difference}")?;
        }
        Ok(())
    }
}

fn words(counts: &[(String, u64)]) -> String {
    let words: Vec<_> = counts
        .iter()
        .map(|(name, count)| format!("{count} {name}"))
        .collect();
    words.join(", ")
}

fn tell_end(arguments: &RebuildArguments, pair: &Pair, equal: bool) -> anyhow::Result<()> {
    let mut out = std::io::stdout().lock();
    let (position, rate) = (pair.rebuilt.position(), &pair.rate);
    let verb = if arguments.apply {
        "rebuilt"
    } else {
        "compared"
    };
    writeln!(out, "{verb} at position {position}: {rate}")?;
    if arguments.apply {
        writeln!(out, "the rebuilt projections are the snapshot now")?;
    } else if !equal {
        writeln!(
            out,
            "nothing was changed; stop the server and use --apply to replace the snapshot"
        )?;
    }
    Ok(())
}
