//! One byte of a data folder is changed, of any file. The log must then give exactly what was
//! acknowledged, or refuse and name file and offset. It must never give something else.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::Mutex;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Instant;

use satpost_commands::ports::Expected;
use satpost_domain::{EventId, PayloadId, StreamId};
use satpost_event_store::NewStoredEvent;
use satpost_event_store::embedded::{EmbeddedEventStore, EmbeddedOptions, OpenError};
use satpost_tests::random::Random;

use crate::history::{Attempt, History, Outcome};
use crate::progress::Progress;
use crate::report::Report;
use crate::simulated_disk::{Dishonesty, SimulatedDisk, Survival};

/// As short as files may be.
const FILE_BYTES: u64 = 256 * 1024;
/// How many appends the folder holds: two files of the log, some of payloads.
const APPENDS: usize = 90;
/// After how many appends a payload is erased.
const ERASED_AFTER: usize = 20;
/// How much of a file counts as its end.
const END_BYTES: usize = 1024;
/// How much is more than the last batch of the specimen.
const LAST_BYTES: usize = 500;
/// The hash at the end of a batch is compared where the next batch begins, and damage to it is said to
/// be there.
const HASH_BYTES: usize = 32;
/// The file that says what a folder is; it is read before anything can be named.
const FORMAT_FILE: &str = "format";

/// A folder, and what was acknowledged of it.
struct Specimen {
    disk: SimulatedDisk,
    history: History,
    /// Every file, with the places of its bytes that are not zero.
    files: Vec<(PathBuf, usize, Vec<usize>)>,
}

fn options(root: &Path) -> EmbeddedOptions {
    EmbeddedOptions {
        segment_bytes: FILE_BYTES,
        blob_segment_bytes: FILE_BYTES,
        ..EmbeddedOptions::new(root)
    }
}

fn attempt(random: &mut Random, number: usize, history: &History) -> Attempt {
    let stream: StreamId = format!("mailbox-{}", number % 5)
        .parse()
        .expect("a category, a dash and a number name a stream");
    let end = history.attempts.iter().rev().find_map(|before| {
        match (before.stream == stream, before.outcome) {
            (true, Outcome::Acknowledged(appended)) => Some(appended.revision),
            _ => None,
        }
    });
    // The last one is small and erases nothing: all of it lies at the end of the log, and nothing
    // else would tell that it was there.
    let is_last = number + 1 == APPENDS;
    let (largest, count_max) = if is_last { (50, 1) } else { (6_000, 2) };
    let event = |random: &mut Random| {
        let length = 50 + random.below(largest);
        NewStoredEvent {
            id: EventId::new(random.id()),
            kind: "message_accepted".into(),
            schema: 1,
            body: random.bytes(length),
            metadata: random.bytes(20),
            payload: random.one_in(2).then(|| {
                let length = 100 + random.below(6_000);
                (PayloadId::new(random.id()), Arc::from(random.bytes(length)))
            }),
        }
    };
    let count = 1 + random.below(count_max);
    let erased = number
        .checked_sub(ERASED_AFTER)
        .map(|old| &history.attempts[old].events);
    let erased = erased.filter(|_| !is_last).into_iter().flatten();
    Attempt {
        events: (0..count).map(|_| event(random)).collect(),
        erase: erased
            .filter_map(|event| event.payload.as_ref().map(|(id, _)| *id))
            .collect(),
        expected: end.map_or(Expected::NoStream, Expected::Exact),
        outcome: Outcome::Unknown,
        stream,
    }
}

async fn specimen(root: &Path, seed: u64) -> Specimen {
    let disk = SimulatedDisk::new(root, Dishonesty::default());
    let open = || {
        EmbeddedEventStore::open_on(Arc::new(disk.clone()), &options(root))
            .expect("a disk in memory opens")
    };
    let mut random = Random::new(seed);
    let mut history = History::default();
    let mut store = open();
    for number in 0..APPENDS {
        if number == APPENDS / 2 {
            drop(store);
            store = open();
        }
        let mut attempt = attempt(&mut random, number, &history);
        attempt
            .carry_out(&store)
            .await
            .expect("a disk in memory takes appends");
        history.attempts.push(attempt);
    }
    drop(store);
    let files = disk.files().into_iter();
    let files = files
        .filter(|(_, bytes)| !bytes.is_empty())
        .map(|(path, bytes)| {
            let used = bytes.iter().enumerate().filter(|(_, byte)| **byte != 0);
            (path, bytes.len(), used.map(|(at, _)| at).collect())
        });
    Specimen {
        files: files.collect(),
        history,
        disk,
    }
}

/// Changes `rounds` bytes, one at a time.
///
/// # Panics
/// When no folder for the lock can be made.
#[must_use]
pub fn run(rounds: u64, seed: u64) -> Report {
    let started = Instant::now();
    let mut report = Report::new("byte_flips", seed);
    let lab = tempfile::tempdir().expect("a folder for lock files");
    let progress = Progress::new("byte_flips", rounds);
    let (next, shared) = (AtomicU64::new(0), Mutex::new(&mut report));
    let threads = std::thread::available_parallelism().map_or(1, usize::from);
    std::thread::scope(|scope| {
        for thread in 0..threads {
            let root = lab.path().join(format!("data-{thread}"));
            let (next, shared, progress) = (&next, &shared, &progress);
            scope.spawn(move || {
                let runtime = tokio::runtime::Builder::new_current_thread()
                    .build()
                    .expect("a runtime without I/O needs nothing");
                let specimen = runtime.block_on(specimen(&root, seed));
                let mut part = Report::default();
                loop {
                    let round = next.fetch_add(1, Ordering::SeqCst);
                    if round >= rounds {
                        break;
                    }
                    let mut random = Random::new(seed.wrapping_mul(0x1_0000).wrapping_add(round));
                    runtime.block_on(flip_one(&specimen, &root, &mut random, &mut part));
                    progress.advance();
                }
                shared.lock().expect("no thread panics with it").join(part);
            });
        }
    });
    report.seconds = started.elapsed().as_secs_f64();
    report
}

/// Changes each of the last bytes of the log, one at a time: all of the last batch and a little more.
///
/// # Panics
/// When no folder for the lock can be made.
#[must_use]
pub fn run_over_the_last_batch(seed: u64) -> Report {
    let mut report = Report::new("byte_flips", seed);
    let lab = tempfile::tempdir().expect("a folder for lock files");
    let root = lab.path().join("data");
    let runtime = tokio::runtime::Builder::new_current_thread()
        .build()
        .expect("a runtime without I/O needs nothing");
    let specimen = runtime.block_on(specimen(&root, seed));
    let log = specimen
        .files
        .iter()
        .rfind(|(path, _, _)| path.extension().is_some_and(|name| name == "log"));
    let (path, _, used) = log.expect("the folder has a log");
    let end = used.last().expect("the log has bytes") + 1;
    for at in end - LAST_BYTES..end {
        runtime.block_on(flip(&specimen, &root, (path, at, 0x10), &mut report));
    }
    report
}

async fn flip_one(specimen: &Specimen, root: &Path, random: &mut Random, report: &mut Report) {
    let (path, length, used) = &specimen.files[random.below(specimen.files.len())];
    // Most of a file may be zeros that mean nothing; at the end of what was written damage is
    // hardest to tell from a write that was torn.
    let at = match random.below(8) {
        _ if used.is_empty() => random.below(*length),
        0 | 1 => random.below(*length),
        2 | 3 => used[used.len() - 1 - random.below(used.len().min(END_BYTES))],
        _ => used[random.below(used.len())],
    };
    flip(specimen, root, (path, at, 1 << random.below(8)), report).await;
}

/// Changes one byte and looks what the log says.
async fn flip(
    specimen: &Specimen,
    root: &Path,
    (path, at, mask): (&Path, usize, u8),
    report: &mut Report,
) {
    let disk = specimen.disk.after_crash(Survival::Cached);
    disk.flip(path, at, mask);
    report.rounds += 1;
    let round = format!("byte {at} of {} xor {mask:#04x}", path.display());
    let store = match EmbeddedEventStore::open_on(Arc::new(disk), &options(root)) {
        Ok(store) => store,
        Err(OpenError::Damaged { file, offset, .. }) => {
            report.count("refused at opening", 1);
            let there = file.strip_prefix(root).is_ok_and(|file| file == path);
            if there && offset > (at + HASH_BYTES) as u64 {
                report.fault(format_args!("{round}: said to be at {offset}"));
            }
            report.count("  naming the file itself", u64::from(there));
            return;
        }
        Err(OpenError::Foreign { .. } | OpenError::Format { .. })
            if path == Path::new(FORMAT_FILE) =>
        {
            report.count("refused at opening", 1);
            return;
        }
        Err(error) => {
            report.fault(format_args!("{round}: refused without a place: {error}"));
            return;
        }
    };
    let mut verdict = specimen.history.check(&store).await;
    if let Some(error) = &verdict.unreadable {
        report.count("refused at reading", 1);
        // It has to say where, and to have given nothing wrong before.
        if error.contains("is damaged at byte") && verdict.faults.len() == 1 {
            return;
        }
    } else if verdict.faults.is_empty() {
        report.count("read as it was acknowledged", 1);
    }
    verdict.ok = 0;
    report.add(&round, &verdict);
}
