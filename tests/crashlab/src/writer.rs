//! The writer of the power cuts: a process of its own that drives the log and tells its parent
//! what it is about to append and what was acknowledged. What it appends follows from a seed and a
//! number alone, so that the parent knows it without being told.

use std::collections::BTreeMap;
use std::io::{self, BufRead as _, BufReader, Write as _};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::{Arc, Mutex};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use anyhow::{Context as _, bail, ensure};
use futures_util::future::join_all;
use satpost_commands::ports::{Appended, Expected};
use satpost_domain::{EventId, PayloadId, Position, Revision, StreamId};
use satpost_event_store::embedded::{EmbeddedEventStore, EmbeddedOptions};
use satpost_event_store::storage::{Access, Disk, Storage, StorageFile};
use satpost_event_store::{EventStore as _, NewStoredEvent};
use satpost_tests::random::Random;

use crate::history::{Attempt, History, Outcome};
use crate::mount::command;
use crate::power_cuts::Options;

/// How many appends are under way at once, each to a stream of its own.
const STREAMS: u64 = 4;
/// After how many appends a payload is erased.
const ERASED_AFTER: u64 = 3 * STREAMS;
/// As short as files may be.
const FILE_BYTES: u64 = 256 * 1024;
/// How long a writer may take to open the log.
const READY_DEADLINE: Duration = Duration::from_secs(20);
/// What the writer says when it has opened the log.
const READY: &str = "ready";

/// How the log is opened.
pub(crate) fn options(folder: &Path) -> EmbeddedOptions {
    EmbeddedOptions {
        segment_bytes: FILE_BYTES,
        blob_segment_bytes: FILE_BYTES,
        ..EmbeddedOptions::new(folder)
    }
}

fn stream(number: u64) -> StreamId {
    format!("mailbox-{}", number % STREAMS)
        .parse()
        .expect("a category, a dash and a number name a stream")
}

fn payload_id(seed: u64, number: u64) -> PayloadId {
    PayloadId::new(Random::new(seed ^ number.wrapping_mul(0x5851_f42d_4c95_7f2d)).id())
}

/// The append with this number. Only the place it expects is not known.
fn attempt(seed: u64, number: u64) -> Attempt {
    let mut random = Random::new(seed.wrapping_add(number.wrapping_mul(0x1_0001)));
    let events = (0..1 + random.below(2)).map(|place| {
        let length = 40 + random.below(1_500);
        let payload_length = 100 + random.below(2_000);
        NewStoredEvent {
            id: EventId::new(random.id()),
            kind: "message_accepted".into(),
            schema: 1,
            body: random.bytes(length),
            metadata: random.bytes(20),
            payload: (place == 0).then(|| {
                let bytes = random.bytes(payload_length);
                (payload_id(seed, number), Arc::from(bytes))
            }),
        }
    });
    let erased = number.checked_sub(ERASED_AFTER);
    Attempt {
        stream: stream(number),
        expected: Expected::NoStream,
        events: events.collect(),
        erase: erased
            .map(|old| payload_id(seed, old))
            .into_iter()
            .collect(),
        outcome: Outcome::Unknown,
    }
}

/// The real disk without its syncs.
struct Unsynced;

/// A file of it.
struct UnsyncedFile(Arc<dyn StorageFile>);

impl Storage for Unsynced {
    fn create_folder(&self, path: &Path) -> io::Result<()> {
        Disk.create_folder(path)
    }
    fn list(&self, folder: &Path) -> io::Result<Vec<PathBuf>> {
        Disk.list(folder)
    }
    fn create(&self, path: &Path) -> io::Result<Arc<dyn StorageFile>> {
        Ok(Arc::new(UnsyncedFile(Disk.create(path)?)))
    }
    fn open(&self, path: &Path, access: Access) -> io::Result<Arc<dyn StorageFile>> {
        Ok(Arc::new(UnsyncedFile(Disk.open(path, access)?)))
    }
    fn rename(&self, from: &Path, to: &Path) -> io::Result<()> {
        Disk.rename(from, to)
    }
    fn remove(&self, path: &Path) -> io::Result<()> {
        Disk.remove(path)
    }
    fn sync_folder(&self, _: &Path) -> io::Result<()> {
        Ok(())
    }
}

impl StorageFile for UnsyncedFile {
    fn read_at(&self, bytes: &mut [u8], offset: u64) -> io::Result<usize> {
        self.0.read_at(bytes, offset)
    }
    fn write_at(&self, bytes: &[u8], offset: u64) -> io::Result<()> {
        self.0.write_at(bytes, offset)
    }
    fn punch(&self, offset: u64, len: u64) -> io::Result<bool> {
        self.0.punch(offset, len)
    }
    fn sync(&self) -> io::Result<()> {
        Ok(())
    }
    fn len(&self) -> io::Result<u64> {
        self.0.len()
    }
    fn set_len(&self, len: u64) -> io::Result<()> {
        self.0.set_len(len)
    }
}

/// Writes until it is killed: the process that `crashlab writer` is.
///
/// # Errors
/// When the log fails, or nobody listens.
pub async fn write(folder: &Path, seed: u64, first: u64, syncs: bool) -> anyhow::Result<()> {
    let storage: Arc<dyn Storage> = if syncs {
        Arc::new(Disk)
    } else {
        Arc::new(Unsynced)
    };
    let store = EmbeddedEventStore::open_on(storage, &options(folder))?;
    let say = |text: String| -> io::Result<()> {
        let mut out = io::stdout().lock();
        writeln!(out, "{text}")?;
        out.flush()
    };
    say(READY.to_owned())?;
    let lane = |lane: u64| {
        let (store, say) = (&store, &say);
        async move {
            let stream = stream(lane);
            let end = store.read_stream_back(&stream, None, 1).await?;
            let mut end = end.events.first().map(|event| event.revision);
            let start = first + (lane + STREAMS - first % STREAMS) % STREAMS;
            for number in (start..).step_by(usize::try_from(STREAMS)?) {
                let mut attempt = attempt(seed, number);
                attempt.expected = end.map_or(Expected::NoStream, Expected::Exact);
                say(format!("asked {number}"))?;
                let appended = attempt.carry_out(store).await?;
                let (revision, position) = (appended.revision.0, appended.position.major());
                say(format!("acknowledged {number} {revision} {position}"))?;
                end = Some(appended.revision);
            }
            anyhow::Ok(())
        }
    };
    for ended in join_all((0..STREAMS).map(lane)).await {
        ended?;
    }
    Ok(())
}

/// What a writer has told: every append it asked for, with its place if it was acknowledged.
#[derive(Debug, Clone, Default)]
pub(crate) struct Told {
    appends: BTreeMap<u64, Option<Appended>>,
    ready: bool,
}

impl Told {
    /// How many appends were acknowledged.
    pub(crate) fn acknowledged(&self) -> u64 {
        self.appends.values().flatten().count() as u64
    }

    /// The same appends, acknowledged only if they were in `before`.
    pub(crate) fn acknowledged_in(mut self, before: &Self) -> Self {
        for (number, acknowledged) in &mut self.appends {
            *acknowledged = before.appends.get(number).copied().flatten();
        }
        self
    }

    fn line(&mut self, line: &str) -> Option<()> {
        let mut words = line.split(' ');
        let what = words.next()?;
        let mut number = || words.next()?.parse::<u64>().ok();
        match what {
            READY => self.ready = true,
            "asked" => {
                self.appends.insert(number()?, None);
            }
            "acknowledged" => {
                let append = number()?;
                let revision = Revision(number()?);
                let position = Position::new(number()?, 0);
                self.appends
                    .insert(append, Some(Appended { revision, position }));
            }
            _ => return None,
        }
        Some(())
    }
}

/// Takes over into `history` what a writer has told.
pub(crate) fn take_over(history: &mut History, seed: u64, told: &Told) {
    for (number, acknowledged) in &told.appends {
        let mut attempt = attempt(seed, *number);
        if let Some(appended) = acknowledged {
            attempt.outcome = Outcome::Acknowledged(*appended);
        }
        history.attempts.push(attempt);
    }
    history.next_number = told
        .appends
        .keys()
        .max()
        .map_or(history.next_number, |last| last + 1);
}

/// A running writer.
pub(crate) struct WriterProcess {
    child: Child,
    told: Arc<Mutex<Told>>,
    listener: Option<JoinHandle<()>>,
}

impl WriterProcess {
    pub(crate) fn start(
        options: &Options,
        folder: &Path,
        seed: u64,
        history: &History,
    ) -> anyhow::Result<Self> {
        let mut command = Command::new(&options.program);
        command.arg("writer").arg("--folder").arg(folder);
        command.args(["--seed", &seed.to_string()]);
        command.args(["--first", &history.next_number.to_string()]);
        if !options.syncs {
            command.arg("--without-sync");
        }
        let mut child = command
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .spawn()
            .context("cannot start the writer")?;
        let out = child.stdout.take().context("the writer has no output")?;
        let told = Arc::new(Mutex::new(Told::default()));
        let heard = Arc::clone(&told);
        let listener = std::thread::spawn(move || {
            for line in BufReader::new(out).lines().map_while(Result::ok) {
                heard.lock().expect("nobody panics with it").line(&line);
            }
        });
        Ok(Self {
            child,
            told,
            listener: Some(listener),
        })
    }

    pub(crate) fn wait_until_ready(&mut self) -> anyhow::Result<()> {
        let until = Instant::now() + READY_DEADLINE;
        while !self.told().ready {
            if let Some(status) = self.child.try_wait()? {
                bail!("the writer ended at start: {status}");
            }
            ensure!(Instant::now() < until, "the writer does not open the log");
            std::thread::sleep(Duration::from_millis(2));
        }
        Ok(())
    }

    /// Stops the process where it is; what it did is not undone.
    pub(crate) fn pause(&mut self) -> anyhow::Result<()> {
        if let Some(status) = self.child.try_wait()? {
            bail!("the writer ended by itself: {status}");
        }
        command(Command::new("kill").args(["-STOP", &self.child.id().to_string()]))
    }

    /// What it has told so far.
    pub(crate) fn told(&self) -> Told {
        self.told.lock().expect("nobody panics with it").clone()
    }

    pub(crate) fn kill(&mut self) -> anyhow::Result<()> {
        self.child.kill()?;
        self.child.wait()?;
        if let Some(listener) = self.listener.take() {
            listener.join().ok();
        }
        Ok(())
    }
}

impl Drop for WriterProcess {
    fn drop(&mut self) {
        self.kill().ok();
    }
}
