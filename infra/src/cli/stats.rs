//! `satpostd stats`: counts what is in the log, by type, category and stream.

use std::collections::HashMap;
use std::io::{self, Write};

use anyhow::Context as _;
use indicatif::{HumanBytes, HumanCount};
use satpost_domain::Timestamp;
use satpost_event_store::RecordedEvent;
use satpost_event_store::embedded::statistics::{Count, Statistics, statistics};
use serde_json::{Value, json};

use super::DataFolder;
use super::progress::{ByteProgress, Rate};
use crate::stored_event::decode_metadata;

/// What to count.
#[derive(Debug, clap::Args)]
pub(super) struct StatsArguments {
    #[command(flatten)]
    folder: DataFolder,
    /// How many of the largest streams are shown.
    #[arg(long, value_name = "COUNT", default_value_t = 10)]
    streams: usize,
    /// Write one JSON object.
    #[arg(long)]
    json: bool,
}

/// Names with their counts, largest first.
type Ranking = Vec<(String, Count)>;

pub(super) fn run(arguments: &StatsArguments) -> anyhow::Result<()> {
    let folder = &arguments.folder.data_dir;
    let progress = ByteProgress::new();
    let found = statistics(folder, &|done, total| progress.reach(done, total))
        .with_context(|| format!("cannot read the log in {}", folder.display()))?;
    let rate = Rate {
        events: found.total.events,
        seconds: progress.finish(),
    };
    let report = Report::new(found, rate, arguments.streams);
    let mut out = io::stdout().lock();
    if arguments.json {
        writeln!(out, "{}", report.to_json())?;
    } else {
        report.tell(&mut out)?;
    }
    Ok(())
}

struct Report {
    found: Statistics,
    rate: Rate,
    stream_count: usize,
    kinds: Ranking,
    categories: Ranking,
    streams: Ranking,
}

impl Report {
    fn new(mut found: Statistics, rate: Rate, largest: usize) -> Self {
        let mut categories: HashMap<String, Count> = HashMap::new();
        for (stream, count) in &found.streams {
            let category = stream
                .split_once('-')
                .map_or(stream.as_str(), |(name, _)| name);
            let sum = categories.entry(category.to_owned()).or_default();
            sum.events += count.events;
            sum.bytes += count.bytes;
        }
        let streams = std::mem::take(&mut found.streams);
        let stream_count = streams.len();
        let mut streams = ranked(streams);
        streams.truncate(largest);
        Self {
            rate,
            stream_count,
            kinds: ranked(std::mem::take(&mut found.kinds)),
            categories: ranked(categories),
            streams,
            found,
        }
    }

    fn to_json(&self) -> Value {
        let found = &self.found;
        json!({
            "log": found.log.to_string(),
            "head": found.head.to_string(),
            "chain": hex::encode(found.chain),
            "events": found.total.events,
            "event_bytes": found.total.bytes,
            "streams": self.stream_count,
            "batches": found.batches,
            "segments": found.segments,
            "index_files": found.index_files,
            "bytes_on_disk": found.bytes_on_disk,
            "payloads": {
                "alive": found.payloads,
                "lost": found.payloads_lost,
                "bytes": found.payload_bytes,
                "dead_bytes": found.payload_dead_bytes,
            },
            "oldest": time(found.oldest.as_ref()),
            "newest": time(found.newest.as_ref()),
            "types": counts(&self.kinds),
            "categories": counts(&self.categories),
            "largest_streams": counts(&self.streams),
            "seconds": self.rate.seconds,
            "events_per_second": self.rate.per_second(),
        })
    }

    fn tell(&self, out: &mut impl Write) -> io::Result<()> {
        let found = &self.found;
        writeln!(out, "log          {}", found.log)?;
        writeln!(out, "head         {}", found.head)?;
        writeln!(out, "chain        {}", hex::encode(found.chain))?;
        writeln!(
            out,
            "events       {} in {} streams and {} batches, {}",
            HumanCount(found.total.events),
            HumanCount(self.stream_count as u64),
            HumanCount(found.batches),
            HumanBytes(found.total.bytes)
        )?;
        writeln!(
            out,
            "files        {} segments, {} index files, {}",
            found.segments,
            found.index_files,
            HumanBytes(found.bytes_on_disk)
        )?;
        writeln!(
            out,
            "payloads     {} alive ({}), {} lost, {} dead or free",
            HumanCount(found.payloads),
            HumanBytes(found.payload_bytes),
            HumanCount(found.payloads_lost),
            HumanBytes(found.payload_dead_bytes)
        )?;
        for (name, event) in [("oldest", &found.oldest), ("newest", &found.newest)] {
            if let Some(at) = time(event.as_ref()) {
                writeln!(out, "{name:<12} {at}")?;
            }
        }
        tell_table(out, "type", &self.kinds)?;
        tell_table(out, "category", &self.categories)?;
        tell_table(out, "largest streams", &self.streams)?;
        writeln!(out, "\nread {}", self.rate)
    }
}

fn tell_table(out: &mut impl Write, title: &str, ranking: &Ranking) -> io::Result<()> {
    let names = ranking.iter().map(|(name, _)| name.len());
    let width = names.chain([title.len()]).max().unwrap_or_default();
    writeln!(out, "\n{title:<width$}  {:>12}  {:>12}", "events", "bytes")?;
    for (name, count) in ranking {
        writeln!(
            out,
            "{name:<width$}  {:>12}  {:>12}",
            HumanCount(count.events).to_string(),
            HumanBytes(count.bytes).to_string()
        )?;
    }
    Ok(())
}

fn ranked(counts: HashMap<String, Count>) -> Ranking {
    let mut ranking: Ranking = counts.into_iter().collect();
    ranking.sort_by(|(a_name, a), (b_name, b)| b.events.cmp(&a.events).then(a_name.cmp(b_name)));
    ranking
}

fn counts(ranking: &Ranking) -> Vec<Value> {
    let entry = |(name, count): &(String, Count)| json!({ "name": name, "events": count.events, "bytes": count.bytes });
    ranking.iter().map(entry).collect()
}

/// When an event was recorded, if its metadata can be read.
fn time(event: Option<&RecordedEvent>) -> Option<Timestamp> {
    decode_metadata(&event?.metadata)
        .ok()
        .map(|metadata| metadata.recorded_at)
}
