//! A process is killed under load, again and again: how soon the log takes an append after it, and
//! whether everything that was acknowledged is there.

use std::fs::File;
use std::io;
use std::os::unix::fs::FileExt as _;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::sync::Arc;
use std::time::{Duration, Instant};

use satpost_commands::ports::Expected;
use satpost_domain::StreamId;
use satpost_event_store::EventStore as _;
use satpost_event_store::embedded::{EmbeddedEventStore, EmbeddedOptions};

use super::BenchError;
use super::bench_folder::{self, BenchFolder};
use super::contender::Writer as _;
use super::contest::median;
use super::embedded::{Bodies, StoreWriter, blocking, event};
use super::report::{Report, Steps};
use super::workload::{Random, stream_name};

/// How many writers there are in the process that is killed.
const WRITERS: usize = 64;
/// Where each writer notes how many of its appends were answered: 8 bytes each. What is written to
/// a file outlives its process, synced or not.
const NOTES: &str = "acknowledged";
/// Where the log is.
const LOG: &str = "data";
/// All writers use the numbers of one round.
const SEED: u64 = 1;

/// Kills a process a number of times, and reports. `child` names the program that calls [`load`]
/// with this folder.
///
/// # Errors
/// [`BenchError::Lost`] when the log broke its promise.
pub async fn run(
    child: &(dyn Fn(&Path) -> Command + Send + Sync),
    rounds: usize,
    time: Duration,
    folder: &mut BenchFolder,
    steps: &Steps,
    report: &mut Report,
) -> Result<(), BenchError> {
    let (mut times, mut events) = (Vec::new(), Vec::new());
    for round in 1..=rounds {
        steps.begin(&format!("kill -9 under load, {round} of {rounds}"));
        let run = folder.fresh()?;
        let mut process = Killed::start(child(&run), &run)?;
        tokio::time::sleep(time).await;
        let began = Instant::now();
        process
            .kill()
            .map_err(BenchError::io("kill the writer in", &run))?;
        let options = EmbeddedOptions::new(run.join(LOG));
        let store = blocking(move || EmbeddedEventStore::open(&options)).await??;
        first_append(&store).await?;
        times.push(began.elapsed().as_secs_f64() * 1e3);
        events.push(check(&store, &run).await? as f64);
        blocking(move || drop(store)).await?;
        bench_folder::discard(&run)?;
        steps.done();
    }
    let case = "kill -9 under load, 64 writers";
    let slowest = times.iter().copied().fold(0.0, f64::max);
    report.figure(case, "events then", median(events), "events");
    report.figure(case, "first append", median(times), "ms");
    report.figure(case, "slowest", slowest, "ms");
    // A run in which one is lost ends with an error instead.
    report.figure(case, "lost", 0.0, "acknowledged events");
    Ok(())
}

/// A process that does not outlive the one that started it.
struct Killed(Child);

impl Killed {
    fn start(mut command: Command, folder: &Path) -> Result<Self, BenchError> {
        let child = command.stdin(Stdio::null()).stdout(Stdio::null()).spawn();
        child
            .map(Self)
            .map_err(BenchError::io("start a writer in", folder))
    }

    fn kill(&mut self) -> io::Result<()> {
        self.0.kill()?;
        self.0.wait().map(drop)
    }
}

impl Drop for Killed {
    fn drop(&mut self) {
        if let Ok(None) = self.0.try_wait()
            && let Err(error) = self.kill()
        {
            tracing::warn!(%error, "cannot end the process of the benchmark");
        }
    }
}

async fn first_append(store: &EmbeddedEventStore) -> Result<(), BenchError> {
    let stream: StreamId = "after-the-kill"
        .parse()
        .map_err(BenchError::of("satpost"))?;
    let mut random = Random::new(SEED, usize::MAX);
    let event = event(random.id(), random.body());
    store
        .append(&stream, Expected::NoStream, vec![event], Vec::new())
        .await?;
    Ok(())
}

/// Compares what was acknowledged with what is there; how many events were acknowledged.
async fn check(store: &EmbeddedEventStore, folder: &Path) -> Result<u64, BenchError> {
    let notes = folder.join(NOTES);
    let notes = std::fs::read(&notes).map_err(BenchError::io("read", &notes))?;
    let (mut acknowledged, mut lost, mut phantom) = (0, 0, 0);
    for writer in 0..WRITERS {
        let noted = notes.get(writer * 8..writer * 8 + 8);
        let noted = noted.and_then(|bytes| bytes.try_into().ok());
        let noted = noted.map_or(0, u64::from_le_bytes);
        let stream: StreamId = stream_name(writer)
            .parse()
            .map_err(BenchError::of("satpost"))?;
        let page = store.read_stream_back(&stream, None, 1).await?;
        let there = page.events.first().map_or(0, |event| event.revision.0 + 1);
        acknowledged += noted;
        lost += noted.saturating_sub(there);
        // One append was on its way, or answered and not noted yet.
        phantom += there.saturating_sub(noted + 1);
        if let Some(last) = page.events.first()
            && *last.id.as_bytes() != id_of(writer, last.revision.0)
        {
            phantom += 1;
        }
    }
    if lost > 0 || phantom > 0 {
        return Err(BenchError::Lost { lost, phantom });
    }
    Ok(acknowledged)
}

/// The id of an append, known to both processes.
fn id_of(writer: usize, revision: u64) -> [u8; 16] {
    Random::new(revision, writer).id()
}

/// What the process that is killed does: appends until it is.
///
/// # Errors
/// When the log fails.
pub async fn load(folder: &Path) -> Result<(), BenchError> {
    let notes = folder.join(NOTES);
    let notes = Arc::new(File::create_new(&notes).map_err(BenchError::io("make", &notes))?);
    let options = EmbeddedOptions::new(folder.join(LOG));
    let store = Arc::new(blocking(move || EmbeddedEventStore::open(&options)).await??);
    let mut tasks = tokio::task::JoinSet::new();
    for number in 0..WRITERS {
        let writer = StoreWriter::new(Arc::clone(&store) as _, Bodies::Within);
        tasks.spawn(append_and_note(writer, number, Arc::clone(&notes)));
    }
    match tasks.join_next().await {
        Some(ended) => ended.map_err(BenchError::of("a writer"))?,
        None => Ok(()),
    }
}

async fn append_and_note(
    mut writer: StoreWriter,
    number: usize,
    notes: Arc<File>,
) -> Result<(), BenchError> {
    let stream = stream_name(number);
    let mut random = Random::new(SEED, number);
    let place = number as u64 * 8;
    for revision in 0_u64.. {
        let expected = revision.checked_sub(1);
        writer
            .append(&stream, expected, id_of(number, revision), random.body())
            .await?;
        notes
            .write_all_at(&(revision + 1).to_le_bytes(), place)
            .map_err(BenchError::of("the notes"))?;
    }
    Ok(())
}
