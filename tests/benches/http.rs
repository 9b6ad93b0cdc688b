//! How many messages a second the real server takes over HTTP: signed, verified, durable before
//! they are answered. Beside it stands what the same clients get from a route that does nothing.
//!
//! `cargo bench -p satpost-tests --bench http -- [--quick] [--json]`

#![allow(
    clippy::disallowed_methods,
    reason = "a bench measures time and reads its own arguments"
)]

use std::io::{self, Write as _};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use satpost_client::http::{HttpClient, HttpOptions};
use satpost_client::keys::{IdentitySecret, MessagingSecret};
use satpost_client::seed::Seed;
use satpost_domain::limits::{MAILBOX_MESSAGES_MAX, MESSAGE_SIZE_BUCKETS};
use satpost_domain::{CommandId, MessagingKey};
use satpost_tests::open_mailbox::open_to_strangers;
use satpost_tests::process::{ServerProcess, without_rate_limits};

/// How many clients ask at once, each on a connection of its own.
const CONNECTIONS: [usize; 2] = [1, 64];

fn main() -> io::Result<()> {
    let arguments: Vec<_> = std::env::args().collect();
    let given = |name: &str| arguments.iter().any(|argument| argument == name);
    let time = Duration::from_secs(if given("--quick") { 1 } else { 5 });
    let json = given("--json");
    // In the target folder: what is in memory elsewhere is on a disk there.
    let folder = tempfile::tempdir_in(env!("CARGO_TARGET_TMPDIR"))?;
    let flags = without_rate_limits(folder.path());
    let server = ServerProcess::start(&folder.path().join("satpost"), &flags);
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .build()?;
    runtime.block_on(async {
        for connections in CONNECTIONS {
            let idle = measure(&server.url(), connections, time, Work::Info).await;
            let sends = measure(&server.url(), connections, time, Work::Send).await;
            report(json, connections, "info", &idle, None)?;
            report(json, connections, "send", &sends, Some(&idle))?;
        }
        Ok(())
    })
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Work {
    /// `GET /v1/info`: unsigned, from memory.
    Info,
    /// `POST /v1/queues/{recipient}/messages` with 512 bytes, each to a queue that has room.
    Send,
}

/// What was seen: the time of every answer.
struct Seen {
    latencies: Vec<Duration>,
    elapsed: Duration,
}

impl Seen {
    #[expect(clippy::cast_precision_loss, reason = "a rate for people")]
    fn rate(&self) -> f64 {
        self.latencies.len() as f64 / self.elapsed.as_secs_f64()
    }

    fn percentile_ms(&self, percent: usize) -> f64 {
        let index = (self.latencies.len() * percent / 100).min(self.latencies.len() - 1);
        self.latencies[index].as_secs_f64() * 1_000.0
    }
}

async fn measure(url: &str, connections: usize, time: Duration, work: Work) -> Seen {
    let stop = Arc::new(AtomicBool::new(false));
    let mut workers = Vec::new();
    for number in 0..connections {
        let worker = Worker::register(url, number).await;
        workers.push(worker);
    }
    let started = Instant::now();
    let tasks: Vec<_> = workers
        .into_iter()
        .map(|worker| tokio::spawn(worker.run(Arc::clone(&stop), work)))
        .collect();
    tokio::time::sleep(time).await;
    stop.store(true, Ordering::Relaxed);
    let mut latencies = Vec::new();
    for task in tasks {
        latencies.extend(task.await.expect("a worker ends when it is told to"));
    }
    let elapsed = started.elapsed();
    latencies.sort_unstable();
    Seen { latencies, elapsed }
}

/// A client that writes to a queue of its own.
struct Worker {
    http: HttpClient,
    identity: IdentitySecret,
    messaging: MessagingSecret,
    queue: MessagingKey,
}

impl Worker {
    async fn register(url: &str, number: usize) -> Self {
        let mut entropy = [7; 16];
        entropy[..8].copy_from_slice(&(number as u64).to_be_bytes());
        let seed = Seed::from_entropy(&entropy).expect("16 bytes make a seed");
        let base = satpost_client::base_url::parse(url).expect("the URL of the server");
        let http = HttpClient::new(base, HttpOptions::default()).expect("an HTTP client");
        let identity = IdentitySecret::derive(&seed);
        let messaging = MessagingSecret::derive(&seed, 0);
        http.register_client(&identity, &messaging)
            .await
            .expect("the server takes a client");
        open_to_strangers(url, &messaging).await;
        let queue = messaging.public();
        Self {
            http,
            identity,
            messaging,
            queue,
        }
    }

    async fn run(self, stop: Arc<AtomicBool>, work: Work) -> Vec<Duration> {
        let mut latencies = Vec::new();
        while !stop.load(Ordering::Relaxed) {
            if work == Work::Send && latencies.len() % MAILBOX_MESSAGES_MAX == 0 {
                // Not measured: it makes room in a queue that would be full.
                self.http
                    .wipe_queue(&self.messaging)
                    .await
                    .expect("the queue can be wiped");
            }
            let started = Instant::now();
            match work {
                Work::Info => drop(self.http.get_info().await.expect("an answer")),
                Work::Send => self.send().await,
            }
            latencies.push(started.elapsed());
        }
        latencies
    }

    async fn send(&self) {
        let body = [0; MESSAGE_SIZE_BUCKETS[0]];
        let command = CommandId::new(*uuid::Uuid::new_v4().as_bytes());
        self.http
            .send_message(&self.identity, &self.queue, &body, None, command)
            .await
            .expect("the server takes a message");
    }
}

fn report(
    json: bool,
    connections: usize,
    case: &str,
    seen: &Seen,
    baseline: Option<&Seen>,
) -> io::Result<()> {
    let mut out = io::stdout().lock();
    let baseline = baseline.map(Seen::rate);
    let ratio = baseline.map(|baseline| seen.rate() / baseline);
    let case = format!("{case} x{connections}");
    if json {
        let line = serde_json::json!({
            "bench": "http", "case": case, "metric": "throughput", "value": seen.rate(),
            "unit": "requests/s", "baseline": baseline, "ratio": ratio,
        });
        writeln!(out, "{line}")?;
        for percent in [50, 99] {
            let line = serde_json::json!({
                "bench": "http", "case": case, "metric": format!("p{percent}"),
                "value": seen.percentile_ms(percent), "unit": "ms", "baseline": null, "ratio": null,
            });
            writeln!(out, "{line}")?;
        }
        return Ok(());
    }
    let ratio = ratio.map_or(String::new(), |ratio| format!("  {ratio:.2} of info"));
    writeln!(
        out,
        "{case:<14} {:>9.0} requests/s   p50 {:>7.2} ms   p99 {:>7.2} ms{ratio}",
        seen.rate(),
        seen.percentile_ms(50),
        seen.percentile_ms(99)
    )
}
