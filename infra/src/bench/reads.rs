//! How fast a log is opened and read: with index files and without, page by page, and followed.

use std::path::Path;
use std::sync::Arc;
use std::time::Instant;

use futures_util::StreamExt as _;
use satpost_commands::ports::Expected;
use satpost_domain::{Position, StreamId};
use satpost_event_store::embedded::{EmbeddedEventStore, EmbeddedOptions};
use satpost_event_store::{EventStore as _, Filter, StoredItem};
use tokio::task::JoinSet;

use super::BenchError;
use super::bench_folder::{self, BenchFolder};
use super::contest::median;
use super::embedded::{blocking, event};
use super::report::{Report, Steps};
use super::sweeps::Sweeps;
use super::workload::{BODY_BYTES, Random, stream_name};

/// How many events each stream has.
const EVENTS_PER_STREAM: u64 = 256;
/// How many streams are written at a time.
const WRITERS: u64 = 16;
/// How many events a page has.
const PAGE: usize = 1_024;

/// The bodies of a log of small events: about what the events of a wallet server have.
const SMALL_BODY_BYTES: usize = 64;

/// Makes a log of about `events` events and reads it `rounds` times in every way, then the same with
/// small events. What is read is in the page cache: a disk that has to be waited for is not
/// measured.
///
/// # Errors
/// When the log fails.
pub async fn run(
    events: u64,
    rounds: usize,
    folder: &mut BenchFolder,
    steps: &Steps,
    report: &mut Report,
) -> Result<(), BenchError> {
    let run = Log {
        events,
        rounds,
        body_bytes: BODY_BYTES,
        name: "events",
    };
    run.measure(folder, steps, report).await?;
    let run = Log {
        body_bytes: SMALL_BODY_BYTES,
        name: "events of 64 bytes",
        ..run
    };
    run.measure(folder, steps, report).await
}

/// A log to be made and read.
struct Log {
    events: u64,
    rounds: usize,
    body_bytes: usize,
    name: &'static str,
}

impl Log {
    async fn measure(
        &self,
        folder: &mut BenchFolder,
        steps: &Steps,
        report: &mut Report,
    ) -> Result<(), BenchError> {
        let Self {
            events,
            rounds,
            body_bytes,
            name,
        } = *self;
        steps.begin(&format!("writing {events} {name} to be read"));
        let run = folder.fresh()?;
        let written = write(&run, events, body_bytes).await? as f64;
        steps.done();
        let (mut seen, mut sweeps) = (Times::default(), Sweeps::default());
        for round in 1..=rounds {
            steps.begin(&format!("opening and reading, {round} of {rounds}"));
            seen.open.push(opened(&run).await?.0);
            if remove_index_files(&run)? > 0 {
                seen.open_without_index.push(opened(&run).await?.0);
            }
            let store = opened(&run).await?.1;
            seen.scan.push(written / scan(&store).await?);
            seen.follow.push(written / follow(&store).await?);
            blocking(move || drop(store)).await?;
            sweeps.measure(&run).await?;
            steps.done();
        }
        let case = format!("a log of {written} {name}");
        let open = median(seen.open);
        report.figure(&case, "open", open * 1e3, "ms");
        report.figure(&case, "open", written / open, "events/s");
        if !seen.open_without_index.is_empty() {
            let without = median(seen.open_without_index);
            let (metric, baseline) = ("open without index files", open * 1e3);
            report.compared(&case, metric, without * 1e3, "ms", baseline);
            report.figure(&case, "index files made", written / without, "events/s");
        }
        report.figure(&case, "read in pages", median(seen.scan), "events/s");
        report.figure(&case, "follow", median(seen.follow), "events/s");
        sweeps.tell(&case, written, report);
        bench_folder::discard(&run)
    }
}

/// Seconds, and events a second.
#[derive(Default)]
struct Times {
    open: Vec<f64>,
    open_without_index: Vec<f64>,
    scan: Vec<f64>,
    follow: Vec<f64>,
}

async fn opened(folder: &Path) -> Result<(f64, Arc<EmbeddedEventStore>), BenchError> {
    let options = EmbeddedOptions::new(folder);
    blocking(move || {
        let began = Instant::now();
        let store = EmbeddedEventStore::open(&options)?;
        Ok((began.elapsed().as_secs_f64(), Arc::new(store)))
    })
    .await?
}

/// How many there were.
fn remove_index_files(folder: &Path) -> Result<usize, BenchError> {
    let log = folder.join("log");
    let mut removed = 0;
    for entry in std::fs::read_dir(&log).map_err(BenchError::io("list", &log))? {
        let path = entry.map_err(BenchError::io("list", &log))?.path();
        if path.extension().is_some_and(|extension| extension == "idx") {
            std::fs::remove_file(&path).map_err(BenchError::io("remove", &path))?;
            removed += 1;
        }
    }
    Ok(removed)
}

/// Fills a log, many events an append; how many there are.
async fn write(folder: &Path, events: u64, body_bytes: usize) -> Result<u64, BenchError> {
    let (_, store) = opened(folder).await?;
    let streams = events.div_ceil(EVENTS_PER_STREAM);
    let mut tasks = JoinSet::new();
    for writer in 0..WRITERS {
        let store = Arc::clone(&store);
        tasks.spawn(async move {
            for stream in (writer..streams).step_by(WRITERS as usize) {
                write_stream(&store, stream as usize, body_bytes).await?;
            }
            Ok::<_, BenchError>(())
        });
    }
    while let Some(ended) = tasks.join_next().await {
        ended.map_err(BenchError::of("a writer"))??;
    }
    blocking(move || drop(store)).await?;
    Ok(streams * EVENTS_PER_STREAM)
}

async fn write_stream(
    store: &EmbeddedEventStore,
    number: usize,
    body_bytes: usize,
) -> Result<(), BenchError> {
    let stream: StreamId = stream_name(number)
        .parse()
        .map_err(BenchError::of("satpost"))?;
    let mut random = Random::new(1, number);
    let events = (0..EVENTS_PER_STREAM).map(|_| {
        let mut body = random.body();
        body.truncate(body_bytes);
        event(random.id(), body)
    });
    let (events, none) = (events.collect(), Vec::new());
    store
        .append(&stream, Expected::NoStream, events, none)
        .await?;
    Ok(())
}

/// Reads everything in pages; the seconds it took.
async fn scan(store: &EmbeddedEventStore) -> Result<f64, BenchError> {
    let began = Instant::now();
    let mut after = Position::START;
    while let Some(last) = store.read_all(after, PAGE).await?.last() {
        after = last.position;
    }
    Ok(began.elapsed().as_secs_f64())
}

/// Follows from the start until it has caught up; the seconds it took.
async fn follow(store: &EmbeddedEventStore) -> Result<f64, BenchError> {
    let began = Instant::now();
    let mut items = store.follow(Position::START, Filter::all());
    while let Some(item) = items.next().await {
        if item? == StoredItem::CaughtUp {
            break;
        }
    }
    Ok(began.elapsed().as_secs_f64())
}
