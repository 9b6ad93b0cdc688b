//! The load: writers in a closed loop, each with a stream of its own, random bodies of 512 bytes,
//! ids like random UUIDs, and the exact revision expected.

use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use futures_util::future::try_join_all;
use tokio::task::JoinSet;

use super::contender::{Answer, Contender, Running, Writer};
use super::{BenchError, cost};

/// The size of an event's body.
pub const BODY_BYTES: usize = 512;

/// How much is done at once, and for how long.
#[derive(Debug, Clone, Copy)]
pub struct Load {
    /// How many append at the same time.
    pub writers: usize,
    /// How long they do before anything is measured.
    pub warm_up: Duration,
    /// How long it is measured.
    pub time: Duration,
    /// How many appends of a hundred expect a revision that is not the last one any more.
    pub stale_percent: u64,
}

/// What one round showed.
#[derive(Debug, Clone)]
pub struct Round {
    /// Appends that were answered in the measured time.
    pub events: u64,
    /// Conflicts that were answered in it.
    pub conflicts: u64,
    /// The measured time.
    pub elapsed: Duration,
    /// How long each of them took, sorted; with those that were answered when the time was over.
    latencies: Vec<Tenths>,
    /// Processor seconds for 1,000 events, warm-up included: of the server, or of everything in
    /// this process, the writers included.
    pub processor_per_1000: f64,
    /// Syncs for one event, warm-up included.
    pub syncs_per_event: Option<f64>,
    /// Bytes on the disk for one event, warm-up included.
    pub bytes_per_event: f64,
    /// How many files there are in the end.
    pub files: u64,
}

/// Tenths of a microsecond: seven minutes fit.
type Tenths = u32;

impl Round {
    /// Events a second.
    #[must_use]
    pub fn rate(&self) -> f64 {
        self.events as f64 / self.elapsed.as_secs_f64()
    }

    /// The time in microseconds in which this share of the appends was answered.
    #[must_use]
    pub fn quantile_us(&self, share: f64) -> f64 {
        let Some(last) = self.latencies.len().checked_sub(1) else {
            return 0.0;
        };
        f64::from(self.latencies[(last as f64 * share).ceil() as usize]) / 10.0
    }
}

/// What one writer saw.
#[derive(Default)]
struct Seen {
    events: u64,
    latencies: Vec<Tenths>,
    conflicts: u64,
}

/// Runs one contender on an empty folder under a load.
///
/// # Errors
/// When the contender fails or answers wrongly.
pub async fn run(
    contender: &dyn Contender,
    folder: &Path,
    load: Load,
    seed: u64,
) -> Result<Round, BenchError> {
    let running = contender.start(folder).await?;
    let before = cost::bytes_used(folder)?;
    let mut round = under_load(contender.name(), &*running, load, seed).await?;
    let answered = round.bytes_per_event;
    running.stop().await?;
    let bytes = cost::bytes_used(folder)?.saturating_sub(before);
    round.bytes_per_event = bytes as f64 / answered;
    round.files = cost::files(folder)?;
    Ok(round)
}

/// Leaves the number of all answered appends in `bytes_per_event`, for the caller to divide by.
async fn under_load(
    name: &str,
    running: &dyn Running,
    load: Load,
    seed: u64,
) -> Result<Round, BenchError> {
    let process = running.server().unwrap_or_else(std::process::id);
    // All at once: some clients take a third of a second to connect.
    let writers = try_join_all((0..load.writers).map(|_| running.writer())).await?;
    let (processor, syncs) = (cost::processor_seconds(process), running.syncs());
    let from = Instant::now() + load.warm_up;
    let all = Arc::new(AtomicU64::new(0));
    let mut tasks = JoinSet::new();
    for (number, writer) in writers.into_iter().enumerate() {
        let loop_ = Loop {
            number,
            seed,
            from,
            until: from + load.time,
            stale_percent: load.stale_percent,
            all: Arc::clone(&all),
        };
        tasks.spawn(loop_.run(writer));
    }
    let mut seen = Seen::default();
    while let Some(ended) = tasks.join_next().await {
        let one = ended.map_err(BenchError::of(name))??;
        seen.events += one.events;
        seen.latencies.extend(one.latencies);
        seen.conflicts += one.conflicts;
    }
    let answered = all.load(Ordering::Relaxed) as f64;
    let processor = cost::processor_seconds(process) - processor;
    let synced = running
        .syncs()
        .zip(syncs)
        .map(|(after, before)| after - before);
    seen.latencies.sort_unstable();
    Ok(Round {
        events: seen.events,
        conflicts: seen.conflicts,
        elapsed: load.time,
        latencies: seen.latencies,
        processor_per_1000: processor / answered * 1e3,
        syncs_per_event: synced.map(|syncs| syncs as f64 / answered),
        bytes_per_event: answered,
        files: 0,
    })
}

/// One writer in its loop.
struct Loop {
    number: usize,
    seed: u64,
    from: Instant,
    until: Instant,
    stale_percent: u64,
    /// All appends of all writers, warm-up included.
    all: Arc<AtomicU64>,
}

impl Loop {
    async fn run(self, mut writer: Box<dyn Writer>) -> Result<Seen, BenchError> {
        let stream = stream_name(self.number);
        let mut random = Random::new(self.seed, self.number);
        let mut seen = Seen::default();
        let mut appended = 0_u64;
        loop {
            // One revision behind is stale; an absent stream can only be expected wrongly.
            let stale = appended > 1 && random.next() % 100 < self.stale_percent;
            let expected = appended.checked_sub(if stale { 2 } else { 1 });
            let (id, body) = (random.id(), random.body());
            let began = Instant::now();
            let answer = writer.append(&stream, expected, id, body).await?;
            let now = Instant::now();
            if now >= self.until {
                // Too late to be counted, and not to be a long wait.
                seen.latencies.push(tenths(now - began));
                break;
            }
            if (answer == Answer::Conflict) != stale {
                return Err(BenchError::Contender {
                    contender: stream,
                    reason: format!("{answer:?} is the answer after revision {expected:?}"),
                });
            }
            let in_time = now >= self.from;
            match answer {
                Answer::Appended => {
                    appended += 1;
                    if in_time {
                        seen.events += 1;
                        seen.latencies.push(tenths(now - began));
                    }
                }
                Answer::Conflict if in_time => seen.conflicts += 1,
                Answer::Conflict => {}
            }
        }
        // The last append was answered after the end and is on the disk all the same.
        self.all.fetch_add(appended + 1, Ordering::Relaxed);
        Ok(seen)
    }
}

fn tenths(time: Duration) -> Tenths {
    Tenths::try_from(time.as_nanos() / 100).unwrap_or(Tenths::MAX)
}

/// The stream of a writer: as long as the name of a mailbox.
#[must_use]
pub fn stream_name(writer: usize) -> String {
    format!("mailbox-{writer:064x}")
}

/// 32 bytes of their own for each kind and number.
#[must_use]
pub fn wide(kind: u8, number: u64) -> [u8; 32] {
    let mut bytes = [kind; 32];
    bytes[..8].copy_from_slice(&spread(number).to_be_bytes());
    bytes
}

/// 16 bytes of their own for each kind and number.
#[must_use]
pub fn short(kind: u8, number: u64) -> [u8; 16] {
    let mut bytes = [kind; 16];
    bytes[..8].copy_from_slice(&spread(number).to_be_bytes());
    bytes
}

/// Another number for each number, in no order: keys and ids are not drawn in order either.
const fn spread(number: u64) -> u64 {
    number.wrapping_mul(0x9e37_79b9_7f4a_7c15)
}

/// A small generator (xorshift64): fast enough not to be measured, random enough not to be
/// compressed, and the same for everyone.
#[derive(Debug, Clone)]
pub struct Random(u64);

impl Random {
    /// The numbers of one writer in one round.
    #[must_use]
    pub fn new(seed: u64, writer: usize) -> Self {
        let mixed = (seed << 32 | writer as u64).wrapping_mul(0x9e37_79b9_7f4a_7c15);
        let mut random = Self(mixed | 1);
        // The first numbers of close seeds are close.
        for _ in 0..8 {
            random.next();
        }
        random
    }

    /// The next number.
    #[expect(
        clippy::should_implement_trait,
        reason = "a generator has no end, so it is no iterator"
    )]
    pub fn next(&mut self) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0
    }

    /// A body without a pattern.
    pub fn body(&mut self) -> Vec<u8> {
        let mut body = Vec::with_capacity(BODY_BYTES);
        while body.len() < BODY_BYTES {
            body.extend_from_slice(&self.next().to_le_bytes());
        }
        body
    }

    /// An id in the form of a UUID of version 4 (RFC 9562, section 5.4).
    pub fn id(&mut self) -> [u8; 16] {
        let mut id = [0; 16];
        id[..8].copy_from_slice(&self.next().to_le_bytes());
        id[8..].copy_from_slice(&self.next().to_le_bytes());
        id[6] = id[6] & 0x0f | 0x40;
        id[8] = id[8] & 0x3f | 0x80;
        id
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn round(latencies: Vec<Tenths>) -> Round {
        Round {
            events: latencies.len() as u64,
            conflicts: 0,
            elapsed: Duration::from_secs(2),
            latencies,
            processor_per_1000: 0.0,
            syncs_per_event: None,
            bytes_per_event: 0.0,
            files: 0,
        }
    }

    #[test]
    fn quantiles_name_a_time_that_was_seen() {
        let round = round((1..=1_000).map(|number| number * 10).collect());
        assert!((round.rate() - 500.0).abs() < 1e-9);
        assert!((round.quantile_us(0.5) - 501.0).abs() < 1e-9);
        assert!((round.quantile_us(0.99) - 991.0).abs() < 1e-9);
        assert!((round.quantile_us(1.0) - 1_000.0).abs() < 1e-9);
    }

    #[test]
    fn a_round_without_an_answer_has_no_latency() {
        assert!(round(Vec::new()).quantile_us(0.99).abs() < 1e-9);
    }

    #[test]
    fn ids_are_uuids_and_differ_between_writers() {
        let id = Random::new(1, 7).id();
        assert_eq!((id[6] >> 4, id[8] >> 6), (4, 2));
        assert_ne!(id, Random::new(1, 8).id());
        assert_ne!(id, Random::new(2, 7).id());
        assert_eq!(id, Random::new(1, 7).id());
    }
}
