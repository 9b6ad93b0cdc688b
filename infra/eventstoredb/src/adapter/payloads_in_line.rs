//! Keeps the local payloads in line with the cluster's log. The log says what is alive: a payload
//! is, when an event names it and no later event erases it.
//!
//! A checkpoint file tells how far the store was in line. Everything after it is looked at again
//! when the adapter starts: what was erased is erased again. Payloads that no event names come from
//! appends that never happened; after a crash they are looked for, in the background and not before
//! the last request of the process that ended can have reached the server, and destroyed.

use std::collections::{BTreeMap, HashMap, HashSet};
use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard};

use satpost_commands::ports::LogError;
use satpost_domain::{PayloadId, Position};
use satpost_event_store::payload_store::PayloadStore;
use satpost_event_store::storage::{Disk, replace_file};
use satpost_event_store::{LogIdentity, NewStoredEvent};
use serde::{Deserialize, Serialize};

use super::Inner;
use super::convert::Read;

/// How many events are looked at at once.
const CHUNK_EVENTS: usize = 1_024;

/// The payloads of this process.
pub(super) struct PayloadsInLine {
    pub(super) store: Arc<dyn PayloadStore>,
    file: PathBuf,
    state: Mutex<State>,
    /// Held for reading while payloads are stored, for writing while orphans are destroyed.
    storing: tokio::sync::RwLock<()>,
}

#[derive(Default)]
struct State {
    /// Which log the payloads belong to, once it is known.
    log: Option<LogIdentity>,
    /// The last event that an answer of ours told of, or that was looked at.
    answered: Position,
    /// Where the log was when each append began that is not settled yet.
    floors: BTreeMap<u64, Position>,
    next_ticket: u64,
    /// What was alive when the process started, and that no event is known to name.
    suspects: HashSet<PayloadId>,
}

/// An append that is not settled. Kept for ever when it never is, which keeps the checkpoint back.
#[derive(Debug)]
pub(super) struct Ticket(u64);

/// Payloads that were stored for an append that is not answered yet.
#[derive(Default)]
pub(super) struct Staged {
    new: Vec<PayloadId>,
    /// What the ids stood for before, if they were in use.
    replaced: Vec<(PayloadId, Arc<[u8]>)>,
}

/// The checkpoint file.
#[derive(Serialize, Deserialize)]
struct Checkpoint {
    /// The log, 32 hexadecimal digits.
    log: String,
    /// Everything through here is in line.
    position: String,
    /// Nothing was under way when it was written, and nothing came after it.
    settled: bool,
}

impl PayloadsInLine {
    pub(super) fn new(store: Arc<dyn PayloadStore>, folder: &Path) -> Self {
        Self {
            store,
            file: folder.join("checkpoint"),
            state: Mutex::default(),
            storing: tokio::sync::RwLock::default(),
        }
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state
            .lock()
            .expect("no code panics while it holds the lock")
    }

    /// Stores the payloads of `events`.
    pub(super) async fn stage(&self, events: &[NewStoredEvent]) -> Result<Staged, LogError> {
        let payloads: Vec<_> = events
            .iter()
            .filter_map(|event| event.payload.clone())
            .collect();
        let mut staged = Staged::default();
        if payloads.is_empty() {
            return Ok(staged);
        }
        let _storing = self.storing.read().await;
        for (id, _) in &payloads {
            match self.store.read(*id).await? {
                Some(bytes) => staged.replaced.push((*id, bytes.into())),
                None => staged.new.push(*id),
            }
        }
        {
            let mut state = self.state();
            for (id, _) in &payloads {
                state.suspects.remove(id);
            }
        }
        // The last one of an id wins, as if they had been stored one by one.
        let last: HashMap<_, _> = payloads.into_iter().collect();
        self.store.store(last.into_iter().collect()).await?;
        Ok(staged)
    }

    /// Makes storing undone, after an append that was refused.
    pub(super) async fn unstage(&self, staged: Staged) -> Result<(), LogError> {
        if !staged.replaced.is_empty() {
            self.store.store(staged.replaced).await?;
        }
        self.erase(staged.new).await
    }

    pub(super) async fn erase(&self, ids: Vec<PayloadId>) -> Result<(), LogError> {
        if ids.is_empty() {
            return Ok(());
        }
        self.store.erase(ids).await
    }

    /// An append begins.
    pub(super) fn begin(&self) -> Ticket {
        let mut state = self.state();
        let number = state.next_ticket;
        state.next_ticket += 1;
        let floor = state.answered;
        state.floors.insert(number, floor);
        Ticket(number)
    }

    /// An append is settled: its payloads are as its outcome says.
    pub(super) fn settle(&self, ticket: &Ticket, position: Option<Position>) {
        let mut state = self.state();
        state.floors.remove(&ticket.0);
        state.answered = state.answered.max(position.unwrap_or(Position::START));
    }

    /// Writes the checkpoint file. Blocks.
    pub(super) fn save(&self, closing: bool) -> io::Result<()> {
        let checkpoint = {
            let state = self.state();
            let Some(log) = state.log else { return Ok(()) };
            let position = state.floors.values().min().copied();
            Checkpoint {
                log: log.to_string(),
                position: position.unwrap_or(state.answered).to_string(),
                settled: closing && state.floors.is_empty() && state.suspects.is_empty(),
            }
        };
        let bytes = serde_json::to_vec(&checkpoint)
            .expect("a form of strings and a truth value has a JSON form");
        replace_file(&Disk, &self.file, &bytes)
    }

    fn load(&self) -> Result<Option<Checkpoint>, LogError> {
        let unusable = |reason: String| LogError::Fatal {
            reason: format!("{} cannot be used: {reason}", self.file.display()),
        };
        match fs::read(&self.file) {
            Ok(bytes) => serde_json::from_slice(&bytes)
                .map(Some)
                .map_err(|error| unusable(error.to_string())),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
            Err(error) => Err(unusable(error.to_string())),
        }
    }
}

/// What the log says last about a payload.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Said {
    Named,
    Erased,
}

impl Inner {
    /// Brings the payloads in line with the log, as far as the log goes now.
    pub(super) async fn bring_payloads_in_line(&self, log: LogIdentity) -> Result<(), LogError> {
        let payloads = &self.payloads;
        let checkpoint = payloads.load()?;
        let (mut position, settled) = match &checkpoint {
            None => (Position::START, false),
            Some(saved) if saved.log == log.to_string() => {
                let position = saved.position.parse().map_err(|_| LogError::Fatal {
                    reason: format!("{} holds no position", payloads.file.display()),
                })?;
                (position, saved.settled)
            }
            Some(saved) => {
                return Err(LogError::Fatal {
                    reason: format!(
                        "the payloads in the data folder belong to the log {}, and the cluster holds the log {log}",
                        saved.log
                    ),
                });
            }
        };
        let mut alive: HashSet<PayloadId> = payloads.store.alive().await?.into_iter().collect();
        let mut erased = 0_usize;
        if alive.is_empty() {
            position = position.max(self.last_position().await?);
        } else {
            let mut said = HashMap::new();
            let head = self
                .look_through(position, |read| note_said(&mut said, &alive, read))
                .await?;
            let ids: Vec<_> = ids_of(&said, Said::Erased);
            erased = ids.len();
            payloads.erase(ids).await?;
            alive.retain(|id| !said.contains_key(id));
            position = head;
        }
        {
            let mut state = payloads.state();
            state.log = Some(log);
            state.answered = state.answered.max(position);
            state.suspects = if settled { HashSet::new() } else { alive };
            tracing::info!(
                payloads.erased_again = erased,
                payloads.unproven = state.suspects.len(),
                log.position = %position,
                "the payloads are in line with the cluster's log"
            );
        }
        payloads.save(false).map_err(|error| LogError::Fatal {
            reason: format!("{} cannot be written: {error}", payloads.file.display()),
        })
    }

    /// Destroys what was alive at the start and is named by no event at all.
    pub(super) async fn destroy_orphans(&self) -> Result<usize, LogError> {
        if self.payloads.state().suspects.is_empty() {
            return Ok(0);
        }
        self.look_through(Position::START, |read| {
            let Some(id) = read.event.payload else { return };
            self.payloads.state().suspects.remove(&id);
        })
        .await?;
        let _alone = self.payloads.storing.write().await;
        let orphans: Vec<_> = self.payloads.state().suspects.drain().collect();
        let count = orphans.len();
        self.payloads.erase(orphans).await?;
        Ok(count)
    }

    /// Shows every event of ours after `after` to `see`; answers with the last one's position.
    async fn look_through(
        &self,
        after: Position,
        mut see: impl FnMut(&Read) + Send,
    ) -> Result<Position, LogError> {
        let mut position = after;
        loop {
            let events = self.read_log(position, CHUNK_EVENTS).await?;
            let Some(last) = events.last() else {
                return Ok(position);
            };
            position = last.event.position;
            events.iter().for_each(&mut see);
        }
    }
}

fn note_said(said: &mut HashMap<PayloadId, Said>, alive: &HashSet<PayloadId>, read: &Read) {
    if let Some(id) = read.event.payload.filter(|id| alive.contains(id)) {
        said.insert(id, Said::Named);
    }
    for id in read.erases.iter().filter(|id| alive.contains(id)) {
        said.insert(*id, Said::Erased);
    }
}

fn ids_of(said: &HashMap<PayloadId, Said>, what: Said) -> Vec<PayloadId> {
    let found = said.iter().filter(|(_, said)| **said == what);
    found.map(|(id, _)| *id).collect()
}
