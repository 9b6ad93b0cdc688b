//! How fast the embedded log is: durable appends at several numbers of writers, reading it all,
//! and opening it. Beside each figure stands what a plain loop does on the same disk in the same
//! run: write one event, sync, next.
//!
//! `cargo bench -p satpost-tests --bench log -- [--quick] [--json]`

#![allow(
    clippy::disallowed_methods,
    reason = "a benchmark measures time and reads its arguments"
)]

use std::fs::File;
use std::io::{self, Write as _};
use std::os::unix::fs::FileExt as _;
use std::path::Path;
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use satpost_commands::ports::Expected;
use satpost_domain::{EventId, PayloadId, Position, StreamId};
use satpost_event_store::embedded::{EmbeddedEventStore, EmbeddedOptions};
use satpost_event_store::{EventStore as _, NewStoredEvent};

/// The size of an event's body.
const BODY_BYTES: usize = 512;
const WRITERS: [usize; 4] = [1, 16, 64, 256];

fn main() -> io::Result<()> {
    let arguments: Vec<_> = std::env::args().collect();
    let given = |name: &str| arguments.iter().any(|argument| argument == name);
    let mut report = Report {
        json: given("--json"),
    };
    let time = Duration::from_millis(if given("--quick") { 700 } else { 4_000 });
    // In the target folder: what is in memory elsewhere is on a disk there.
    let folder = tempfile::tempdir_in(env!("CARGO_TARGET_TMPDIR"))?;
    report.header()?;
    raw_sync(&mut report, folder.path(), time)?;
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .build()?;
    for writers in WRITERS {
        let naive = naive_appends(folder.path(), writers, time)?;
        report.latencies(&format!("naive loop, {writers} writers"), &naive, None)?;
        let log = folder.path().join(format!("log-{writers}"));
        let measured = runtime.block_on(appends(&log, writers, time, false));
        let case = format!("append, {writers} writers");
        report.latencies(&case, &measured, Some(&naive))?;
    }
    let log = folder.path().join("payloads");
    let measured = runtime.block_on(appends(&log, 64, time, true));
    report.latencies(
        "append with payload and erasure, 64 writers",
        &measured,
        None,
    )?;
    read_back(&mut report, &runtime, &folder.path().join("log-256"))
}

/// One figure after another.
struct Report {
    json: bool,
}

impl Report {
    fn header(&self) -> io::Result<()> {
        if self.json {
            return Ok(());
        }
        writeln!(
            io::stdout(),
            "{:<44} {:<12} {:>12} {:<9} {:>12} {:>7}",
            "case",
            "metric",
            "value",
            "unit",
            "naive loop",
            "ratio"
        )
    }

    fn line(
        &mut self,
        case: &str,
        metric: &str,
        value: f64,
        unit: &str,
        baseline: Option<f64>,
    ) -> io::Result<()> {
        let ratio = baseline.map(|baseline| value / baseline);
        let mut out = io::stdout().lock();
        if self.json {
            let object = serde_json::json!({
                "bench": "log", "case": case, "metric": metric, "value": value, "unit": unit,
                "baseline": baseline, "ratio": ratio,
            });
            return writeln!(out, "{object}");
        }
        let text = |value: Option<f64>, digits: usize| {
            value.map_or(String::new(), |value| format!("{value:.digits$}"))
        };
        writeln!(
            out,
            "{case:<44} {metric:<12} {value:>12.0} {unit:<9} {:>12} {:>7}",
            text(baseline, 0),
            text(ratio, 2)
        )
    }

    fn latencies(
        &mut self,
        case: &str,
        measured: &Measured,
        naive: Option<&Measured>,
    ) -> io::Result<()> {
        let rate = naive.map(Measured::rate);
        self.line(case, "throughput", measured.rate(), "events/s", rate)?;
        for (metric, share) in [("p50", 0.5), ("p99", 0.99), ("max", 1.0)] {
            let baseline = naive.map(|naive| naive.quantile(share));
            self.line(case, metric, measured.quantile(share), "us", baseline)?;
        }
        Ok(())
    }
}

/// How long each operation took, and all of them together.
struct Measured {
    /// Sorted, in microseconds.
    latencies: Vec<f64>,
    elapsed: Duration,
}

impl Measured {
    fn new(mut latencies: Vec<f64>, elapsed: Duration) -> Self {
        latencies.sort_by(f64::total_cmp);
        Self { latencies, elapsed }
    }

    fn rate(&self) -> f64 {
        self.latencies.len() as f64 / self.elapsed.as_secs_f64()
    }

    fn quantile(&self, share: f64) -> f64 {
        let last = self.latencies.len() - 1;
        self.latencies[(last as f64 * share) as usize]
    }
}

fn micros(since: Instant) -> f64 {
    since.elapsed().as_secs_f64() * 1e6
}

/// Random bytes from a small generator, so that no layer below can compress them.
fn random_body(seed: u64) -> Vec<u8> {
    let mut state = seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1;
    let mut body = Vec::with_capacity(BODY_BYTES);
    while body.len() < BODY_BYTES {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        body.extend_from_slice(&state.to_le_bytes());
    }
    body
}

/// What the disk does at best: 512 bytes into a prepared file, and a sync.
fn raw_sync(report: &mut Report, folder: &Path, time: Duration) -> io::Result<()> {
    const FILE_BYTES: usize = 16 * 1024 * 1024;
    let file = File::create_new(folder.join("raw"))?;
    file.write_all_at(&vec![0; FILE_BYTES], 0)?;
    file.sync_all()?;
    let body = random_body(1);
    let mut latencies = Vec::new();
    let start = Instant::now();
    for at in (0..FILE_BYTES as u64).step_by(BODY_BYTES) {
        if start.elapsed() > time {
            break;
        }
        let began = Instant::now();
        file.write_all_at(&body, at)?;
        file.sync_data()?;
        latencies.push(micros(began));
    }
    let measured = Measured::new(latencies, start.elapsed());
    report.latencies("fdatasync of 512 prepared bytes", &measured, None)
}

/// A loop that appends an event to a file and syncs it, under a lock when there are several.
fn naive_appends(folder: &Path, writers: usize, time: Duration) -> io::Result<Measured> {
    let file = File::create_new(folder.join(format!("naive-{writers}")))?;
    let file = Arc::new(Mutex::new(file));
    let start = Instant::now();
    let threads: Vec<_> = (0..writers)
        .map(|writer| {
            let file = Arc::clone(&file);
            std::thread::spawn(move || -> io::Result<Vec<f64>> {
                let mut latencies = Vec::new();
                let mut seed = (writer as u64) << 32;
                while start.elapsed() < time {
                    seed += 1;
                    let body = random_body(seed);
                    let began = Instant::now();
                    let mut file = file.lock().expect("nobody panics with the lock");
                    file.write_all(&body)?;
                    file.sync_data()?;
                    drop(file);
                    latencies.push(micros(began));
                }
                Ok(latencies)
            })
        })
        .collect();
    let mut latencies = Vec::new();
    for thread in threads {
        latencies.extend(thread.join().expect("a writer does not panic")?);
    }
    Ok(Measured::new(latencies, start.elapsed()))
}

fn id(writer: usize, number: u64) -> [u8; 16] {
    let mut id = [0; 16];
    id[..8].copy_from_slice(&(writer as u64).to_be_bytes());
    id[8..].copy_from_slice(&number.to_be_bytes());
    id
}

/// Each writer appends to its own stream, one event at a time, expecting the exact revision.
async fn appends(folder: &Path, writers: usize, time: Duration, payloads: bool) -> Measured {
    let options = EmbeddedOptions::new(folder);
    let store = EmbeddedEventStore::open(&options).expect("a fresh log opens");
    let store = Arc::new(store);
    let start = Instant::now();
    let tasks: Vec<_> = (0..writers)
        .map(|writer| {
            let store = Arc::clone(&store);
            tokio::spawn(write(store, writer, start + time, payloads))
        })
        .collect();
    let mut latencies = Vec::new();
    for task in tasks {
        latencies.extend(task.await.expect("a writer does not panic"));
    }
    Measured::new(latencies, start.elapsed())
}

async fn write(
    store: Arc<EmbeddedEventStore>,
    writer: usize,
    until: Instant,
    payloads: bool,
) -> Vec<f64> {
    let stream: StreamId = format!("mailbox-{writer:064x}").parse().expect("a name");
    let mut expected = Expected::NoStream;
    let mut latencies = Vec::new();
    for number in 0.. {
        if Instant::now() >= until {
            break;
        }
        let body = random_body((writer as u64) << 32 | number);
        let payload_id = PayloadId::new(id(writer, number));
        let mut event = NewStoredEvent {
            id: EventId::new(id(writer, number)),
            kind: "message_accepted".into(),
            schema: 1,
            body,
            metadata: vec![0; 40],
            payload: None,
        };
        let mut erase = Vec::new();
        if payloads {
            // The body goes beside the log instead; the payload before is erased.
            let body = std::mem::replace(&mut event.body, vec![0; 100]);
            event.payload = Some((payload_id, body.into()));
            erase.extend(
                number
                    .checked_sub(1)
                    .map(|last| PayloadId::new(id(writer, last))),
            );
        }
        let began = Instant::now();
        let appended = store
            .append(&stream, expected, vec![event], erase)
            .await
            .expect("an append succeeds");
        latencies.push(micros(began));
        expected = Expected::Exact(appended.revision);
    }
    latencies
}

/// Opens the log of a run before, and reads all of it.
fn read_back(
    report: &mut Report,
    runtime: &tokio::runtime::Runtime,
    folder: &Path,
) -> io::Result<()> {
    let began = Instant::now();
    let store = EmbeddedEventStore::open(&EmbeddedOptions::new(folder)).expect("a log opens");
    let opening = began.elapsed();
    let (events, reading) = runtime.block_on(async {
        let began = Instant::now();
        let (mut after, mut events) = (Position::START, 0);
        loop {
            let page = store.read_all(after, 1_024).await.expect("a page");
            let Some(last) = page.last() else { break };
            after = last.position;
            events += page.len();
        }
        (events as f64, began.elapsed())
    });
    let per_second = |time: Duration| events / time.as_secs_f64();
    report.line("open", "time", opening.as_secs_f64() * 1e3, "ms", None)?;
    report.line("open", "events", events, "events", None)?;
    report.line("open", "throughput", per_second(opening), "events/s", None)?;
    report.line(
        "read_all",
        "throughput",
        per_second(reading),
        "events/s",
        None,
    )
}
