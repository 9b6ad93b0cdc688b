//! Power cuts on a real file system: a writer drives the log on an ext4 image behind a loop device,
//! is stopped at a random moment, and the image is copied as it is then. The copy is what a disk
//! would hold after the power was cut: what the kernel had only in its cache is not in it. The
//! copy is mounted, recovered, checked, and is what the next round goes on with.
//!
//! Needs root, loop devices, `mkfs.ext4` and `mount`.

use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::{Duration, Instant};

use satpost_event_store::embedded::{EmbeddedEventStore, EmbeddedOptions};
use satpost_tests::random::Random;

use crate::history::History;
use crate::mount::{Mount, command, missing};
use crate::progress::Progress;
use crate::report::Report;
use crate::writer::{self, WriterProcess};

/// How large the image is.
const IMAGE_MIB: u64 = 48;
/// After how many power cuts a new image is made: the log grows from one to the next.
const CUTS_PER_IMAGE: u64 = 10;
/// How long the writer writes between two cuts, in milliseconds.
const LIFE_MS: (u64, u64) = (30, 350);
/// What reaches the disk while it is copied is not part of the cut: the writer is stopped, and this
/// is how long a request that is on its way may take.
const SETTLE: Duration = Duration::from_millis(2);

/// What is run.
#[derive(Debug, Clone)]
pub struct Options {
    /// How many cuts.
    pub rounds: u64,
    /// When they fall and what is written.
    pub seed: u64,
    /// The `crashlab` program, which is the writer.
    pub program: PathBuf,
    /// Whether the writer syncs. Without it everything must be reported as lost.
    pub syncs: bool,
}

/// How the log is opened on the image.
fn options(folder: &Path) -> EmbeddedOptions {
    writer::options(&folder.join("data"))
}

/// Cuts the power `rounds` times.
#[must_use]
pub fn run(options: &Options) -> Report {
    let experiment = "power_cuts";
    if let Some(what) = missing() {
        return Report::not_run(experiment, what);
    }
    let started = Instant::now();
    let mut report = Report::new(experiment, options.seed);
    let progress = Progress::new(experiment, options.rounds);
    let mut random = Random::new(options.seed);
    while report.rounds < options.rounds {
        let cuts = CUTS_PER_IMAGE.min(options.rounds - report.rounds);
        if let Err(error) = one_image(options, cuts, &mut random, &progress, &mut report) {
            report.fault(format_args!("the laboratory failed: {error:#}"));
            break;
        }
    }
    report.seconds = started.elapsed().as_secs_f64();
    report
}

fn one_image(
    options: &Options,
    cuts: u64,
    random: &mut Random,
    progress: &Progress,
    report: &mut Report,
) -> anyhow::Result<()> {
    let lab = tempfile::tempdir()?;
    let image = lab.path().join("image");
    std::fs::File::create(&image)?.set_len(IMAGE_MIB * 1024 * 1024)?;
    command(Command::new("mkfs.ext4").args(["-q", "-F"]).arg(&image))?;
    let folder = lab.path().join("mount");
    std::fs::create_dir(&folder)?;
    let seed = random.number();
    let mut history = History::default();
    for _ in 0..cuts {
        let copy = lab.path().join("copy");
        // A journal that is written seldom makes the most of what a missing sync loses.
        let mount = Mount::image(&image, &folder, "commit=60")?;
        let mut writer = WriterProcess::start(options, &folder.join("data"), seed, &history)?;
        let life = LIFE_MS.0 + random.number() % (LIFE_MS.1 - LIFE_MS.0);
        writer.wait_until_ready()?;
        std::thread::sleep(Duration::from_millis(life));
        writer.pause()?;
        std::thread::sleep(SETTLE);
        let before = writer.told();
        std::fs::copy(&image, &copy)?;
        writer.kill()?;
        let told = writer.told().acknowledged_in(&before);
        drop(mount);
        std::fs::rename(&copy, &image)?;
        writer::take_over(&mut history, seed, &told);
        report.rounds += 1;
        report.count("appends acknowledged before a cut", told.acknowledged());
        if !recovers(&image, &folder, &mut history, report)? {
            break;
        }
        progress.advance();
    }
    Ok(())
}

/// Opens what the power cut left and checks it. False when nothing can go on from there.
fn recovers(
    image: &Path,
    folder: &Path,
    history: &mut History,
    report: &mut Report,
) -> anyhow::Result<bool> {
    let _mount = Mount::image(image, folder, "commit=60")?;
    let round = format!("cut {}", report.rounds);
    let runtime = tokio::runtime::Builder::new_current_thread().build()?;
    let clean = match EmbeddedEventStore::open(&options(folder)) {
        Ok(store) => {
            let verdict = runtime.block_on(history.check_and_settle(&store));
            report.add(&round, &verdict);
            verdict.faults.is_empty()
        }
        Err(error) => {
            report.lost += history.acknowledged();
            report.fault(format_args!("{round}: cannot be opened: {error}"));
            false
        }
    };
    Ok(clean)
}
