//! How fast the tools go through a whole log: verification and statistics, beside programs that do
//! nothing with the same files but hash them or add up their checksums.

use std::fs::File;
use std::io::Read as _;
use std::path::{Path, PathBuf};
use std::sync::Mutex;
use std::time::Instant;

use satpost_event_store::embedded::statistics::statistics;
use satpost_event_store::embedded::verify::{VerifyOptions, verify};
use sha2::{Digest as _, Sha256};

use super::BenchError;
use super::contest::median;
use super::embedded::blocking;
use super::report::Report;

/// How much the programs to compare with read at a time.
const CHUNK_BYTES: usize = 256 * 1024;

/// What the rounds showed, in bytes a second.
#[derive(Default)]
pub(super) struct Sweeps {
    verify: Vec<f64>,
    hash: Vec<f64>,
    statistics: Vec<f64>,
    checksum: Vec<f64>,
    /// How many bytes all segments have.
    bytes: f64,
}

impl Sweeps {
    /// Goes through the log of a data folder once in each way.
    pub(super) async fn measure(&mut self, folder: &Path) -> Result<(), BenchError> {
        let (log, options) = (folder.join("log"), verify_options(folder));
        let threads = options.threads;
        let rate = |path: &Path, threads, sum| {
            let path = path.to_owned();
            blocking(move || plainly(&path, threads, sum))
        };
        self.hash
            .push(rate(&log, threads, Sum::Hash).await??.rate());
        let plain = rate(&log, threads, Sum::Checksum).await??;
        self.checksum.push(plain.rate());
        let bytes = plain.bytes as f64;
        self.bytes = bytes;
        self.verify
            .push(bytes / blocking(move || verified(&options)).await??);
        let folder = folder.to_owned();
        self.statistics
            .push(bytes / blocking(move || counted(&folder)).await??);
        Ok(())
    }

    /// Says how fast it was.
    pub(super) fn tell(self, case: &str, events: f64, report: &mut Report) {
        let (verify, statistics) = (median(self.verify.clone()), median(self.statistics.clone()));
        let giga = |rates| median(rates) / 1e9;
        let (hash, checksum) = (giga(self.hash), giga(self.checksum));
        report.figure(case, "SHA-256 alone", hash, "GB/s");
        report.compared(case, "verify", verify / 1e9, "GB/s", hash);
        report.figure(case, "CRC-32C alone", checksum, "GB/s");
        report.compared(case, "statistics", statistics / 1e9, "GB/s", checksum);
        let per_event = self.bytes / events;
        report.figure(case, "verify", verify / per_event, "events/s");
        report.figure(case, "statistics", statistics / per_event, "events/s");
    }
}

fn verify_options(folder: &Path) -> VerifyOptions {
    VerifyOptions {
        folder: folder.to_owned(),
        from: None,
        chains_at: Vec::new(),
        threads: std::thread::available_parallelism().map_or(1, usize::from),
    }
}

/// The seconds that it took.
fn verified(options: &VerifyOptions) -> Result<f64, BenchError> {
    let began = Instant::now();
    let verified = verify(options, &|_, _| ())?;
    match verified.findings.first() {
        None => Ok(began.elapsed().as_secs_f64()),
        Some(finding) => Err(BenchError::of("satpost")(&finding.reason)),
    }
}

/// The seconds that it took.
fn counted(folder: &Path) -> Result<f64, BenchError> {
    let began = Instant::now();
    statistics(folder, &|_, _| ())?;
    Ok(began.elapsed().as_secs_f64())
}

/// What is made of the bytes.
#[derive(Clone, Copy)]
enum Sum {
    Hash,
    Checksum,
}

struct Plain {
    bytes: u64,
    seconds: f64,
}

impl Plain {
    fn rate(&self) -> f64 {
        self.bytes as f64 / self.seconds
    }
}

/// Reads the segments, several at a time.
fn plainly(log: &Path, threads: usize, sum: Sum) -> Result<Plain, BenchError> {
    let mut paths = Vec::new();
    for entry in std::fs::read_dir(log).map_err(BenchError::io("list", log))? {
        let path = entry.map_err(BenchError::io("list", log))?.path();
        if path.extension().is_some_and(|extension| extension == "log") {
            paths.push(path);
        }
    }
    let began = Instant::now();
    let left = Mutex::new(paths);
    let work = || {
        let next = || left.lock().expect("nobody panics with it").pop();
        let mut bytes = 0;
        while let Some(path) = next() {
            bytes += sum_up(&path, sum)?;
        }
        Ok::<_, BenchError>(bytes)
    };
    let bytes = std::thread::scope(|scope| {
        let workers: Vec<_> = (0..threads).map(|_| scope.spawn(work)).collect();
        let ended = workers.into_iter().map(|worker| {
            let ended = worker.join();
            ended.expect("reading does not panic")
        });
        ended.sum::<Result<u64, BenchError>>()
    })?;
    Ok(Plain {
        bytes,
        seconds: began.elapsed().as_secs_f64(),
    })
}

fn sum_up(path: &PathBuf, sum: Sum) -> Result<u64, BenchError> {
    let mut file = File::open(path).map_err(BenchError::io("open", path))?;
    let (mut chunk, mut bytes) = (vec![0; CHUNK_BYTES], 0);
    let (mut hasher, mut checksum) = (Sha256::new(), 0);
    loop {
        let read = file
            .read(&mut chunk)
            .map_err(BenchError::io("read", path))?;
        if read == 0 {
            break;
        }
        bytes += read as u64;
        match sum {
            Sum::Hash => hasher.update(&chunk[..read]),
            Sum::Checksum => checksum = crc32c::crc32c_append(checksum, &chunk[..read]),
        }
    }
    // Or the compiler could leave it out.
    std::hint::black_box((hasher.finalize(), checksum));
    Ok(bytes)
}
