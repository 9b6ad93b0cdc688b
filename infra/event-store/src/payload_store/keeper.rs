//! Works behind the writer so that erased bytes go and space comes back: overwrites what is left
//! of erased payloads, removes segments in which nothing is alive, and empties sparse ones.
//!
//! The keeper never writes to the file the writer appends to except to overwrite what is erased
//! in it, and then through a handle of its own: the kernel tells a failed write once to every
//! handle, so a failure that one of the two meets is not hidden from the other. A failure is final
//! here as it is for the writer, which stops as well.

mod compaction;
pub(super) mod scrub;
#[cfg(test)]
mod tests;

use std::io;
use std::path::PathBuf;
use std::sync::{Arc, Condvar, Mutex, MutexGuard};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use self::compaction::Compaction;
use super::index::{Leftovers, PayloadIndex, Remains};
use crate::embedded::data_folder::LogId;
use crate::storage::{Storage, is_out_of_space};

/// How long what is left of an erased payload waits to be overwritten, unless there is much of it:
/// far below the promised minute, and long enough that a pass finds neighbours to overwrite
/// together and whole segments that need not be overwritten because they can go.
pub(crate) const SCRUB_EVERY: Duration = Duration::from_secs(5);
/// How many leftovers begin a pass before its time.
const REMAINS_MAX: usize = 64 * 1024;
/// The pause between two steps of a compaction, so that it leaves the disk to the writer.
const STEP_PAUSE: Duration = Duration::from_millis(10);

/// The name of the background thread.
pub(super) const THREAD: &str = "payload-keeper";

/// What is called with the reason when the keeper has failed.
pub(crate) type OnFailure = Box<dyn Fn(&str) + Send>;

/// Handle of the background thread. Dropping it overwrites what waits and ends the thread.
pub(super) struct Keeper {
    shared: Arc<Shared>,
    thread: Option<JoinHandle<()>>,
}

/// What the keeper is started with.
pub(super) struct KeeperParts {
    pub(super) storage: Arc<dyn Storage>,
    pub(super) folder: PathBuf,
    pub(super) log_id: LogId,
    pub(super) segment_bytes: u64,
    pub(super) index: PayloadIndex,
    pub(super) scrub_every: Duration,
    /// What is left from before.
    pub(super) remains: Vec<Remains>,
}

struct Shared {
    orders: Mutex<Orders>,
    changed: Condvar,
}

#[derive(Default)]
struct Orders {
    remains: Vec<Remains>,
    dead: Vec<PathBuf>,
    stop: bool,
    failed: Option<String>,
    on_failure: Option<OnFailure>,
}

impl Shared {
    fn orders(&self) -> MutexGuard<'_, Orders> {
        self.orders
            .lock()
            .expect("no code panics while it holds the lock")
    }
}

impl Keeper {
    pub(super) fn start(parts: KeeperParts) -> io::Result<Self> {
        let orders = Orders {
            remains: parts.remains,
            ..Orders::default()
        };
        let shared = Arc::new(Shared {
            orders: Mutex::new(orders),
            changed: Condvar::new(),
        });
        let worker = Worker {
            storage: parts.storage,
            index: parts.index.clone(),
            folder: parts.folder.clone(),
            shared: Arc::clone(&shared),
            scrub_every: parts.scrub_every,
            next_pass: now(),
            next_step: now(),
            compaction: Compaction::new(parts.folder, parts.log_id, parts.segment_bytes),
        };
        let thread = std::thread::Builder::new()
            .name(THREAD.to_owned())
            .spawn(move || worker.run())?;
        Ok(Self {
            shared,
            thread: Some(thread),
        })
    }

    /// Leaves remains to be overwritten and files to be removed. Their erasure must be durable.
    pub(super) fn leave(&self, remains: Vec<Remains>, dead: Vec<PathBuf>) {
        let mut orders = self.shared.orders();
        orders.remains.extend(remains);
        orders.dead.extend(dead);
        if !orders.dead.is_empty() || orders.remains.len() >= REMAINS_MAX {
            self.shared.changed.notify_all();
        }
    }

    /// Has the reason given to `on_failure` once the keeper fails, or at once if it has.
    pub(super) fn when_failed(&self, on_failure: OnFailure) {
        let mut orders = self.shared.orders();
        if let Some(reason) = &orders.failed {
            on_failure(reason);
        }
        orders.on_failure = Some(on_failure);
    }

    /// Fails when the keeper has.
    pub(super) fn check(&self) -> io::Result<()> {
        match &self.shared.orders().failed {
            Some(reason) => Err(io::Error::other(reason.clone())),
            None => Ok(()),
        }
    }
}

impl Drop for Keeper {
    fn drop(&mut self) {
        self.shared.orders().stop = true;
        self.shared.changed.notify_all();
        if let Some(thread) = self.thread.take()
            && thread.join().is_err()
        {
            tracing::error!("the thread that overwrites erased payloads panicked");
        }
    }
}

#[allow(
    clippy::disallowed_methods,
    reason = "only paces the disk; nothing that is stored depends on it"
)]
fn now() -> Instant {
    Instant::now()
}

enum Order {
    /// Overwrite what waits, and look for sparse segments.
    Pass,
    /// One step of the compaction.
    Step,
    Remove(Vec<PathBuf>),
    Stop,
}

/// The background thread.
struct Worker {
    storage: Arc<dyn Storage>,
    index: PayloadIndex,
    folder: PathBuf,
    shared: Arc<Shared>,
    scrub_every: Duration,
    next_pass: Instant,
    next_step: Instant,
    compaction: Compaction,
}

/// Says that the keeper has failed if it panics.
struct PanicGuard(Arc<Shared>);

impl Drop for PanicGuard {
    fn drop(&mut self) {
        if std::thread::panicking() {
            fail(
                &self.0,
                "the thread that overwrites erased payloads panicked",
            );
        }
    }
}

fn fail(shared: &Shared, reason: &str) {
    let mut orders = shared.orders();
    orders.failed = Some(reason.to_owned());
    if let Some(on_failure) = &orders.on_failure {
        on_failure(reason);
    }
}

impl Worker {
    fn run(mut self) {
        let _guard = PanicGuard(Arc::clone(&self.shared));
        loop {
            let order = self.next_order();
            let stop = matches!(order, Order::Stop);
            if let Err(error) = self.carry(order) {
                tracing::error!(%error, "cannot overwrite or move payloads: the disk failed");
                let reason =
                    format!("the disk failed while erased bytes were overwritten: {error}");
                fail(&self.shared, &reason);
                return;
            }
            if stop {
                return;
            }
        }
    }

    fn next_order(&mut self) -> Order {
        let mut orders = self.shared.orders();
        loop {
            if orders.stop {
                return Order::Stop;
            }
            if !orders.dead.is_empty() {
                return Order::Remove(std::mem::take(&mut orders.dead));
            }
            let now = now();
            if now >= self.next_pass || orders.remains.len() >= REMAINS_MAX {
                return Order::Pass;
            }
            let mut until = self.next_pass;
            if self.compaction.is_under_way() {
                if now >= self.next_step {
                    return Order::Step;
                }
                until = until.min(self.next_step);
            }
            let waited = self.shared.changed.wait_timeout(orders, until - now);
            orders = waited.expect("no code panics while it holds the lock").0;
        }
    }

    fn carry(&mut self, order: Order) -> io::Result<()> {
        match order {
            Order::Remove(paths) => self.remove(&paths),
            Order::Step => {
                let outcome = self.compaction.step(&*self.storage, &self.index);
                self.next_step = now() + STEP_PAUSE;
                match outcome {
                    Ok(left) => self.take(left),
                    Err(error) if is_out_of_space(&error) => {
                        tracing::warn!(%error, "no room to compact payloads");
                        let left = self.compaction.give_up(&self.index)?;
                        self.take(left)
                    }
                    Err(error) => Err(error),
                }
            }
            Order::Pass => {
                let outcome = self.scrub();
                self.next_pass = now() + self.scrub_every;
                self.compaction.plan(&self.index);
                outcome
            }
            Order::Stop => {
                let dead = std::mem::take(&mut self.shared.orders().dead);
                self.remove(&dead)?;
                self.scrub()
            }
        }
    }

    fn take(&self, left: Leftovers) -> io::Result<()> {
        self.shared.orders().remains.extend(left.remains);
        self.remove(&left.dead)
    }

    /// Overwrites what waits, durably.
    fn scrub(&self) -> io::Result<()> {
        let remains = std::mem::take(&mut self.shared.orders().remains);
        let refused = scrub::scrub(&*self.storage, &self.index, remains)?;
        self.shared.orders().remains.extend(refused);
        Ok(())
    }

    fn remove(&self, paths: &[PathBuf]) -> io::Result<()> {
        for path in paths {
            match self.storage.remove(path) {
                Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
                _ => {}
            }
        }
        if paths.is_empty() {
            return Ok(());
        }
        self.storage.sync_folder(&self.folder)
    }
}
