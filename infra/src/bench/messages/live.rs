//! How soon a message is there while nothing else happens: from the moment its sender begins to the
//! moment its recipient, who waits for it, has all of it.

use std::time::{Duration, Instant};

use satpost_domain::limits::MESSAGE_SIZE_BUCKETS;
use tokio::sync::mpsc;

use super::client::{Client, Mailbox};
use super::server::BenchServer;
use crate::bench::BenchError;
use crate::bench::bench_folder::{self, BenchFolder};
use crate::bench::contest::median;
use crate::bench::report::{Report, Steps};

/// How long nothing happens between two messages: the recipient waits again by then.
const PAUSE: Duration = Duration::from_millis(10);
/// How long a message may take.
const PATIENCE: Duration = Duration::from_secs(10);

/// Sends so many messages in each round, one after another.
pub(super) async fn run(
    (rounds, count): (usize, usize),
    folder: &mut BenchFolder,
    steps: &Steps,
    report: &mut Report,
) -> Result<(), BenchError> {
    let mut seen = Vec::new();
    for round in 1..=rounds {
        steps.begin(&format!(
            "delivery while nothing else happens, {round} of {rounds}"
        ));
        let run = folder.fresh()?;
        let server = BenchServer::start(&run).await?;
        seen.push(waits(&server, count).await?);
        server.stop().await?;
        bench_folder::discard(&run)?;
        steps.done();
    }
    for (metric, share) in [("p50", 0.5), ("p99", 0.99), ("max", 1.0)] {
        let values = seen.iter().map(|waits| quantile(waits, share)).collect();
        report.figure("live delivery, idle", metric, median(values), "ms");
    }
    Ok(())
}

/// How long each took, sorted.
async fn waits(server: &BenchServer, count: usize) -> Result<Vec<Duration>, BenchError> {
    let mut sender = Client::connect(server, 0).await?;
    let own = sender.register().await?;
    let mut recipient = Client::connect(server, 1).await?;
    let mailbox = recipient.register().await?;
    let path = mailbox.path.clone();
    let (arrived, mut arrivals) = mpsc::channel(1);
    let receiving = tokio::spawn(receive(recipient, mailbox, arrived));
    let mut waits = Vec::with_capacity(count);
    for _ in 0..count {
        tokio::time::sleep(PAUSE).await;
        let body = [0; MESSAGE_SIZE_BUCKETS[0]];
        let began = Instant::now();
        sender.send(&own.identity, &path, &body).await?;
        let arrival = tokio::time::timeout(PATIENCE, arrivals.recv()).await;
        let Ok(Some(arrival)) = arrival else {
            receiving.abort();
            return Err(BenchError::of("a recipient")("a message does not come"));
        };
        waits.push(arrival.saturating_duration_since(began));
    }
    receiving.abort();
    waits.sort_unstable();
    Ok(waits)
}

/// Tells when messages come, then acknowledges them and waits for more.
async fn receive(
    mut client: Client,
    mailbox: Mailbox,
    arrived: mpsc::Sender<Instant>,
) -> Result<(), BenchError> {
    loop {
        let Some(page) = client.fetch(&mailbox).await? else {
            continue;
        };
        if arrived.send(Instant::now()).await.is_err() {
            return Ok(());
        }
        client.acknowledge(&mailbox, page.head).await?;
    }
}

/// In milliseconds.
fn quantile(sorted: &[Duration], share: f64) -> f64 {
    let last = sorted.len().saturating_sub(1);
    let at = (last as f64 * share).ceil() as usize;
    sorted
        .get(at)
        .map_or(f64::NAN, |wait| wait.as_secs_f64() * 1e3)
}
