//! How long the server takes to its first answer with very many queues and messages that wait: by
//! replaying the whole log, and from the snapshot of its projections. The log is in the page cache.

use std::path::Path;
use std::sync::Arc;
use std::time::Instant;

use futures_util::stream::{self, StreamExt as _, TryStreamExt as _};
use satpost_commands::ports::{EventLog as _, Expected};
use satpost_event_store::embedded::{EmbeddedEventStore, EmbeddedOptions};

use super::history::Person;
use super::server::BenchServer;
use crate::bench::BenchError;
use crate::bench::bench_folder::{self, BenchFolder};
use crate::bench::contest::median;
use crate::bench::embedded::blocking;
use crate::bench::report::{Report, Steps};
use crate::event_log::StoredEventLog;

/// How many streams are appended to at once, so that they share the syncs of the disk.
const APPENDS_AT_ONCE: usize = 256;
/// The folder of the snapshots in a data folder.
const SNAPSHOTS: &str = "projections";

/// Starts the server on a log of so many clients, each with one message waiting.
pub(super) async fn run(
    (rounds, queues): (usize, u64),
    folder: &mut BenchFolder,
    steps: &Steps,
    report: &mut Report,
) -> Result<(), BenchError> {
    let data = folder.fresh()?;
    steps.begin(&format!("writing the history of {queues} clients"));
    write(&data, queues).await?;
    steps.done();
    let (mut replays, mut snapshots) = (Vec::new(), Vec::new());
    for round in 1..=rounds {
        steps.begin(&format!("cold start, {round} of {rounds}"));
        let saved = data.join(SNAPSHOTS);
        if saved.exists() {
            bench_folder::discard(&saved)?;
        }
        replays.push(start(&data).await?);
        snapshots.push(start(&data).await?);
        steps.done();
    }
    let case = format!("cold start with {queues} queues and messages");
    let replay = median(replays);
    report.figure(&case, "full replay", replay, "s");
    report.compared(&case, "snapshot", median(snapshots), "s", replay);
    bench_folder::discard(&data)
}

/// The seconds to the first answer. The server takes a snapshot when it stops.
async fn start(data: &Path) -> Result<f64, BenchError> {
    let began = Instant::now();
    let server = BenchServer::start(data).await?;
    let seconds = began.elapsed().as_secs_f64();
    server.stop().await?;
    Ok(seconds)
}

async fn write(data: &Path, queues: u64) -> Result<(), BenchError> {
    let options = EmbeddedOptions::new(data);
    let store = blocking(move || EmbeddedEventStore::open(&options)).await??;
    let log = StoredEventLog::new(Arc::new(store));
    stream::iter(0..queues)
        .map(|number| write_person(&log, number))
        .buffer_unordered(APPENDS_AT_ONCE)
        .try_collect::<()>()
        .await?;
    blocking(move || drop(log)).await
}

async fn write_person(log: &StoredEventLog, number: u64) -> Result<(), BenchError> {
    let person = Person::new(number);
    let (client, registered) = person.registers(1);
    let (mailbox, opened) = person.opens(1);
    let place = |(place, event)| person.new_event(place, event, None);
    let registered = (0..).zip(registered).map(place).collect();
    log.append(&client, Expected::NoStream, registered, Vec::new())
        .await?;
    let mut events: Vec<_> = (1..).zip(opened).map(place).collect();
    for (place, (accepted, body)) in (2..).zip(person.accepted(1)) {
        events.push(person.new_event(place, accepted, Some(body)));
    }
    log.append(&mailbox, Expected::NoStream, events, Vec::new())
        .await?;
    Ok(())
}
