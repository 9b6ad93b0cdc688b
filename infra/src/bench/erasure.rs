//! How soon the key of an acknowledged body is gone: the time from an append that erases a payload to
//! its answer, under load. When the answer is there the key is overwritten on the disk, and the
//! payload must not be found any more.

use std::sync::Arc;
use std::time::{Duration, Instant};

use satpost_commands::ports::{Expected, LogError};
use satpost_domain::{PayloadId, StreamId};
use satpost_event_store::embedded::{EmbeddedEventStore, EmbeddedOptions};
use satpost_event_store::{EventStore as _, NewStoredEvent};
use tokio::task::JoinSet;

use super::BenchError;
use super::bench_folder::{self, BenchFolder};
use super::contest::median;
use super::embedded::{blocking, event};
use super::report::{Report, Steps};
use super::workload::{Random, stream_name};

/// How many store and erase at the same time.
const WRITERS: [usize; 2] = [1, 64];

/// Measures `rounds` times for `time` each.
///
/// # Errors
/// When the log fails, or gives back what was erased.
pub async fn run(
    rounds: usize,
    time: Duration,
    folder: &mut BenchFolder,
    steps: &Steps,
    report: &mut Report,
) -> Result<(), BenchError> {
    for writers in WRITERS {
        let mut rounds_seen = Vec::new();
        for round in 1..=rounds {
            steps.begin(&format!("erasures of {writers}, {round} of {rounds}"));
            let run = folder.fresh()?;
            let options = EmbeddedOptions::new(&run);
            let store = blocking(move || EmbeddedEventStore::open(&options)).await??;
            let store = Arc::new(store);
            rounds_seen.push(waits(&store, writers, time).await?);
            blocking(move || drop(store)).await?;
            bench_folder::discard(&run)?;
            steps.done();
        }
        let case = super::contest::case("key of an erased payload gone", writers);
        for (metric, share) in [("p50", 0.5), ("p99", 0.99), ("max", 1.0)] {
            let values = rounds_seen.iter().map(|waits| quantile(waits, share));
            report.figure(&case, metric, median(values.collect()), "ms");
        }
        let erasures = rounds_seen.iter().map(|waits| waits.len() as f64);
        let rate = median(erasures.collect()) / time.as_secs_f64();
        report.figure(&case, "erasures", rate, "1/s");
    }
    Ok(())
}

/// How long erasures took, sorted.
async fn waits(
    store: &Arc<EmbeddedEventStore>,
    writers: usize,
    time: Duration,
) -> Result<Vec<Duration>, BenchError> {
    let until = Instant::now() + time;
    let mut tasks = JoinSet::new();
    for writer in 0..writers {
        tasks.spawn(store_and_erase(Arc::clone(store), writer, until));
    }
    let mut waits = Vec::new();
    while let Some(ended) = tasks.join_next().await {
        waits.extend(ended.map_err(BenchError::of("a writer"))??);
    }
    waits.sort_unstable();
    Ok(waits)
}

/// Stores a body, erases it with the next event, and so on, as a mailbox does.
async fn store_and_erase(
    store: Arc<EmbeddedEventStore>,
    writer: usize,
    until: Instant,
) -> Result<Vec<Duration>, BenchError> {
    let stream: StreamId = stream_name(writer)
        .parse()
        .map_err(BenchError::of("satpost"))?;
    let (mut random, mut waits) = (Random::new(1, writer), Vec::new());
    let mut expected = Expected::NoStream;
    while Instant::now() < until {
        let payload = PayloadId::new(random.id());
        let body: Arc<[u8]> = random.body().into();
        let accepted = NewStoredEvent {
            payload: Some((payload, body)),
            ..event(random.id(), Vec::new())
        };
        let appended = store.append(&stream, expected, vec![accepted], Vec::new());
        expected = Expected::Exact(appended.await?.revision);
        let acknowledged = vec![event(random.id(), Vec::new())];
        let began = Instant::now();
        let appended = store.append(&stream, expected, acknowledged, vec![payload]);
        expected = Expected::Exact(appended.await?.revision);
        waits.push(began.elapsed());
        if store.payload(payload).await?.is_some() {
            let reason = "a payload is there after it was erased".to_owned();
            return Err(LogError::Fatal { reason }.into());
        }
    }
    Ok(waits)
}

/// In milliseconds.
fn quantile(sorted: &[Duration], share: f64) -> f64 {
    let last = sorted.len().saturating_sub(1);
    let at = (last as f64 * share).ceil() as usize;
    sorted
        .get(at)
        .map_or(0.0, |wait| wait.as_secs_f64() * 1_000.0)
}
