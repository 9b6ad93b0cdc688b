//! The arguments that all programs of the harness share.

use std::path::PathBuf;
use std::time::Duration;

use super::workload::Load;

/// The most writers, so that a slip of the finger does not take all memory.
const WRITERS_MAX: u64 = 4_096;
/// The most events that are read: 70 GB of them.
const EVENTS_MAX: u64 = 100_000_000;
/// How many events are read unless it is said, in earnest and to try.
const EVENTS: u64 = 1_000_000;
const EVENTS_QUICK: u64 = 100_000;
/// The longest round, so that the time of every answer can be kept.
const SECONDS_MAX: f64 = 60.0;

/// How much is measured, and where.
#[derive(Debug, Clone, clap::Args)]
pub struct BenchArguments {
    /// How many writers append at the same time, one number after another.
    #[arg(
        long, value_name = "COUNT", value_delimiter = ',', default_value = "1,16,64,256",
        value_parser = clap::value_parser!(u64).range(1..=WRITERS_MAX)
    )]
    writers: Vec<u64>,
    /// How long a round of one case is measured, in seconds.
    #[arg(long, value_name = "SECONDS", default_value = "2", value_parser = parse_seconds)]
    seconds: Duration,
    /// How many rounds there are. Figures are medians over them.
    #[arg(
        long, value_name = "COUNT", default_value = "5",
        value_parser = clap::value_parser!(u64).range(1..=100)
    )]
    rounds: u64,
    /// One round of 0.5 s a case: to see that it works, not to quote.
    #[arg(long)]
    quick: bool,
    /// How many events the log has that is opened and read, in streams of 256: 1,000,000, or 100,000
    /// with --quick. Each takes about 700 bytes of the disk.
    #[arg(long, value_name = "COUNT", value_parser = clap::value_parser!(u64).range(1_000..=EVENTS_MAX))]
    events: Option<u64>,
    /// Only open and read; leave out everything about appending.
    #[arg(long)]
    only_reads: bool,
    /// An empty or absent folder on the disk to be measured. It is left as it was found.
    #[arg(long, value_name = "DIR")]
    folder: Option<PathBuf>,
    /// Write one JSON object a line: bench, case, metric, value, unit, baseline, ratio.
    #[arg(long)]
    json: bool,
}

fn parse_seconds(text: &str) -> Result<Duration, String> {
    match text.parse() {
        Ok(seconds) if (0.05..=SECONDS_MAX).contains(&seconds) => {
            Ok(Duration::from_secs_f64(seconds))
        }
        _ => Err(format!(
            "not a number of seconds from 0.05 to {SECONDS_MAX}"
        )),
    }
}

impl BenchArguments {
    /// How many writers, one number after another.
    pub fn writers(&self) -> impl Iterator<Item = usize> {
        self.writers
            .iter()
            .map(|writers| usize::try_from(*writers).expect("the number of writers is bounded"))
    }

    /// How many rounds.
    #[must_use]
    pub fn rounds(&self) -> usize {
        if self.quick { 1 } else { self.rounds as usize }
    }

    /// How many events the log has that is opened and read.
    #[must_use]
    pub fn events(&self) -> u64 {
        let default = if self.quick { EVENTS_QUICK } else { EVENTS };
        self.events.unwrap_or(default)
    }

    /// Whether nothing is measured but opening and reading.
    #[must_use]
    pub fn only_reads(&self) -> bool {
        self.only_reads
    }

    /// One to try, not to quote.
    #[must_use]
    pub fn quick(&self) -> bool {
        self.quick
    }

    /// Whether programs read the output.
    #[must_use]
    pub fn json(&self) -> bool {
        self.json
    }

    /// The folder to work in, or another one when none is given.
    #[must_use]
    pub fn folder_or(&self, default: PathBuf) -> PathBuf {
        self.folder.clone().unwrap_or(default)
    }

    /// So many writers, without conflicts.
    #[must_use]
    pub fn load(&self, writers: usize) -> Load {
        let time = if self.quick {
            Duration::from_millis(500)
        } else {
            self.seconds
        };
        Load {
            writers,
            warm_up: (time / 4).min(Duration::from_millis(500)),
            time,
            stale_percent: 0,
        }
    }
}
