//! All projections behind one position: what queries are asked of.

use std::collections::BTreeSet;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Mutex, RwLock, RwLockReadGuard};
use std::time::Duration;

use satpost_domain::client::ClientEvent;
use satpost_domain::hash::sha256;
use satpost_domain::ids::Digest;
use satpost_domain::mailbox::MailboxEvent;
use satpost_domain::{ClientId, Envelope, Event, MessagingKey, Position};
use tokio::sync::watch;

use crate::arrivals::{ArrivalBoard, Arrivals};
use crate::client_directory::ClientDirectory;
use crate::coins::Coins;
use crate::mailbox_queue::MailboxQueue;
use crate::projection::{Projection, SnapshotError};
use crate::push_outbox::PushOutbox;
use crate::stream_owner::{client_of, mailbox_of};
use crate::transaction_status::TransactionStatus;
use crate::wake_board::WakeBoard;
use crate::watched_scripts::WatchedScripts;

#[cfg(test)]
mod tests;

/// The projections of this server. One writer applies each event once to all of them.
///
/// Each projection has its own lock, so that readers of one do not wait for another. The position
/// moves when all of them have taken an event: whoever waited for it sees the event everywhere.
#[derive(Default)]
pub struct ReadModel {
    client_directory: Cell<ClientDirectory>,
    mailbox_queue: Cell<MailboxQueue>,
    watched_scripts: Cell<WatchedScripts>,
    transaction_status: Cell<TransactionStatus>,
    coins: Cell<Coins>,
    push_outbox: Cell<PushOutbox>,
    /// Held while events are applied, and while a snapshot is taken. A snapshot that kept the
    /// writer waiting at the locks below would keep every reader behind it waiting as well.
    writer: Mutex<()>,
    progress: watch::Sender<Progress>,
    watch_list_changes: AtomicU64,
    arrivals: ArrivalBoard<MessagingKey>,
    changes: ArrivalBoard<ClientId>,
    wakes: WakeBoard,
}

/// How far the projections have come.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Progress {
    /// The position of the last applied event.
    pub position: Position,
    /// How many events this process has applied.
    pub applied: u64,
    /// True once the history has been applied.
    pub live: bool,
}

/// The state of one projection as bytes.
#[derive(Clone, PartialEq, Eq)]
pub struct ProjectionSnapshot {
    /// [`Projection::NAME`].
    pub name: String,
    /// [`Projection::VERSION`].
    pub version: u32,
    /// The last event in it.
    pub position: Position,
    /// [`Projection::snapshot`].
    pub bytes: Vec<u8>,
}

/// Shows the size only: a snapshot holds scripts and push targets.
impl std::fmt::Debug for ProjectionSnapshot {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("ProjectionSnapshot")
            .field("name", &self.name)
            .field("version", &self.version)
            .field("position", &self.position)
            .field("bytes", &self.bytes.len())
            .finish()
    }
}

/// A projection and its lock.
#[derive(Default)]
struct Cell<P> {
    projection: RwLock<P>,
    /// The last event in the snapshot it came from. It may be ahead of the others, which came from
    /// older snapshots; events that it has already seen pass it by.
    restored_at: Position,
}

/// A [`Cell`] whose projection does not matter.
trait AnyCell {
    fn name(&self) -> &'static str;
    fn restored_at(&self) -> Position;
    fn apply(&self, envelopes: &[Envelope]);
    fn bytes(&self) -> Vec<u8>;
    fn version(&self) -> u32;
    fn tree(&self, bytes: &[u8]) -> Result<serde_json::Value, SnapshotError>;
}

/// A projection is never read or continued from a half-applied state.
const POISONED: &str = "a projection panicked over an event, so its state means nothing any more";

impl<P: Projection> Cell<P> {
    fn read(&self) -> RwLockReadGuard<'_, P> {
        self.projection.read().expect(POISONED)
    }

    /// The projection of its snapshot; empty when there is none that can be used.
    fn restore(snapshots: &[ProjectionSnapshot]) -> Self {
        let Some(snapshot) = snapshots.iter().find(|snapshot| snapshot.name == P::NAME) else {
            tracing::debug!(
                projection.name = P::NAME,
                "a projection has no snapshot and is rebuilt from the event log"
            );
            return Self::default();
        };
        if snapshot.version != P::VERSION {
            tracing::warn!(
                projection.name = P::NAME,
                projection.version = P::VERSION,
                snapshot.version = snapshot.version,
                "a projection has a snapshot of another version and is rebuilt from the event log"
            );
            return Self::default();
        }
        match P::restore(&snapshot.bytes) {
            Ok(projection) => Self {
                projection: RwLock::new(projection),
                restored_at: snapshot.position,
            },
            Err(error) => {
                tracing::warn!(
                    projection.name = P::NAME,
                    error = %error,
                    "a projection cannot use its snapshot and is rebuilt from the event log"
                );
                Self::default()
            }
        }
    }
}

impl<P: Projection> AnyCell for Cell<P> {
    fn name(&self) -> &'static str {
        P::NAME
    }

    fn restored_at(&self) -> Position {
        self.restored_at
    }

    fn apply(&self, envelopes: &[Envelope]) {
        let seen = envelopes.partition_point(|envelope| envelope.position <= self.restored_at);
        let mut projection = self.projection.write().expect(POISONED);
        for envelope in &envelopes[seen..] {
            projection.apply(envelope);
        }
    }

    fn bytes(&self) -> Vec<u8> {
        self.read().snapshot()
    }

    fn version(&self) -> u32 {
        P::VERSION
    }

    fn tree(&self, bytes: &[u8]) -> Result<serde_json::Value, SnapshotError> {
        P::tree(bytes)
    }
}

impl ReadModel {
    /// An empty model, before the first event.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// The model of these snapshots. A projection whose snapshot is missing, of another version or
    /// damaged begins empty. The model stands where the projection furthest behind stands.
    #[must_use]
    pub fn restore_from(snapshots: &[ProjectionSnapshot]) -> Self {
        let model = Self {
            client_directory: Cell::restore(snapshots),
            mailbox_queue: Cell::restore(snapshots),
            watched_scripts: Cell::restore(snapshots),
            transaction_status: Cell::restore(snapshots),
            coins: Cell::restore(snapshots),
            push_outbox: Cell::restore(snapshots),
            ..Self::default()
        };
        let furthest_behind = model.cells().map(AnyCell::restored_at).into_iter().min();
        model.advance(furthest_behind.unwrap_or(Position::START));
        model
    }

    /// The names of the projections.
    #[must_use]
    pub const fn names() -> [&'static str; 6] {
        [
            ClientDirectory::NAME,
            MailboxQueue::NAME,
            WatchedScripts::NAME,
            TransactionStatus::NAME,
            Coins::NAME,
            PushOutbox::NAME,
        ]
    }

    fn cells(&self) -> [&dyn AnyCell; 6] {
        [
            &self.client_directory,
            &self.mailbox_queue,
            &self.watched_scripts,
            &self.transaction_status,
            &self.coins,
            &self.push_outbox,
        ]
    }

    /// Which phones were woken and have not fetched yet; in memory only.
    #[must_use]
    pub const fn wakes(&self) -> &WakeBoard {
        &self.wakes
    }

    /// Reads the client directory.
    pub fn client_directory(&self) -> RwLockReadGuard<'_, ClientDirectory> {
        self.client_directory.read()
    }

    /// Reads the mailbox queues.
    pub fn mailbox_queue(&self) -> RwLockReadGuard<'_, MailboxQueue> {
        self.mailbox_queue.read()
    }

    /// Reads the watched scripts.
    pub fn watched_scripts(&self) -> RwLockReadGuard<'_, WatchedScripts> {
        self.watched_scripts.read()
    }

    /// Reads the status of transactions.
    pub fn transaction_status(&self) -> RwLockReadGuard<'_, TransactionStatus> {
        self.transaction_status.read()
    }

    /// Reads the coins of watched scripts.
    pub fn coins(&self) -> RwLockReadGuard<'_, Coins> {
        self.coins.read()
    }

    /// Reads the push outbox.
    pub fn push_outbox(&self) -> RwLockReadGuard<'_, PushOutbox> {
        self.push_outbox.read()
    }

    /// Applies the next event to every projection and wakes who waits for it. Events at or
    /// before [`Self::position`] are skipped.
    pub fn apply(&self, envelope: &Envelope) {
        self.apply_all(std::slice::from_ref(envelope));
    }

    /// Like [`Self::apply`], for events in the order of the log. Each lock is taken once, so keep
    /// the batch small enough for readers to wait for.
    pub fn apply_all(&self, envelopes: &[Envelope]) {
        let writer = self.writer.lock().expect(POISONED);
        let position = self.position();
        let known = envelopes.partition_point(|envelope| envelope.position <= position);
        let envelopes = &envelopes[known..];
        let Some(last) = envelopes.last() else {
            return;
        };
        for cell in self.cells() {
            cell.apply(envelopes);
        }
        let of_watch_lists = |envelope: &&Envelope| matches!(envelope.event, Event::Watchlist(_));
        let changes = envelopes.iter().filter(of_watch_lists).count() as u64;
        self.watch_list_changes
            .fetch_add(changes, Ordering::Release);
        self.progress.send_modify(|progress| {
            progress.position = last.position;
            progress.applied += envelopes.len() as u64;
        });
        drop(writer);
        self.arrivals.announce(&mailboxes_with_changes(envelopes));
        if !self.changes.is_empty() {
            self.changes.announce(&self.clients_with_changes(envelopes));
        }
    }

    /// Notes that nothing of interest happened up to `position`.
    pub fn advance(&self, position: Position) {
        self.progress.send_if_modified(|progress| {
            let later = position > progress.position;
            progress.position = progress.position.max(position);
            later
        });
    }

    /// Notes that the history has been applied.
    pub fn mark_live(&self) {
        self.progress
            .send_if_modified(|progress| !std::mem::replace(&mut progress.live, true));
    }

    /// The position of the last applied event.
    #[must_use]
    pub fn position(&self) -> Position {
        self.progress.borrow().position
    }

    /// True once the history has been applied.
    #[must_use]
    pub fn is_live(&self) -> bool {
        self.progress.borrow().live
    }

    /// How many changes of watch lists this process has applied. Counted after they can be seen.
    #[must_use]
    pub fn watch_list_changes(&self) -> u64 {
        self.watch_list_changes.load(Ordering::Acquire)
    }

    /// How far the projections have come, now and whenever it changes.
    #[must_use]
    pub fn positions(&self) -> watch::Receiver<Progress> {
        self.progress.subscribe()
    }

    /// Waits until `position` is applied; false when that takes longer than `timeout`.
    pub async fn wait_for(&self, position: Position, timeout: Duration) -> bool {
        if self.position() >= position {
            return true;
        }
        let mut progress = self.progress.subscribe();
        let reached = progress.wait_for(|progress| progress.position >= position);
        matches!(tokio::time::timeout(timeout, reached).await, Ok(Ok(_)))
    }

    /// What changes from now on in the line of `mailbox`: messages that arrive, acknowledgements, its
    /// end. Take it before looking into the queue, then nothing is missed in between.
    #[must_use]
    pub fn arrivals(&self, mailbox: &MessagingKey) -> Arrivals {
        self.arrivals.listen(*mailbox)
    }

    /// What changes in the transactions of `client` from now on. Take it before looking at them,
    /// then nothing is missed in between.
    #[must_use]
    pub fn changes(&self, client: &ClientId) -> Arrivals<ClientId> {
        self.changes.listen(*client)
    }

    /// Who watches what these events touch, and who was retired: nothing happens to them any more.
    fn clients_with_changes(&self, envelopes: &[Envelope]) -> Vec<ClientId> {
        let touched = envelopes
            .iter()
            .filter_map(|envelope| match &envelope.event {
                Event::Chain(event) => event.touched_script(),
                _ => None,
            });
        let scripts: BTreeSet<_> = touched.collect();
        let retired = envelopes
            .iter()
            .filter(|envelope| {
                let event = &envelope.event;
                matches!(event, Event::Client(ClientEvent::ClientRetired { .. }))
            })
            .filter_map(|envelope| client_of(&envelope.stream));
        let mut clients: BTreeSet<_> = retired.collect();
        if !scripts.is_empty() {
            let watched = self.watched_scripts();
            let watchers = scripts.iter().flat_map(|script| watched.watchers(script));
            clients.extend(watchers);
        }
        clients.into_iter().collect()
    }

    /// The state of every projection, all at one position once the model has passed the snapshots
    /// it came from. Readers go on meanwhile; events wait, so this is for a background task.
    #[must_use]
    pub fn snapshots(&self) -> Vec<ProjectionSnapshot> {
        let _writer = self.writer.lock().expect(POISONED);
        let position = self.position();
        self.cells()
            .map(|cell| ProjectionSnapshot {
                name: cell.name().to_owned(),
                version: cell.version(),
                position: position.max(cell.restored_at()),
                bytes: cell.bytes(),
            })
            .into()
    }

    /// The name of every projection and the SHA-256 of its snapshot, at one position. Two servers
    /// that have applied the same log have the same digests.
    #[must_use]
    pub fn digests(&self) -> Vec<(&'static str, Digest)> {
        let _writer = self.writer.lock().expect(POISONED);
        self.cells()
            .map(|cell| (cell.name(), sha256(&cell.bytes())))
            .into()
    }

    /// The state of the projection with this name as a tree (see [`Projection::tree`]). Nothing when
    /// there is none, or when its snapshot has more than `bytes_max` bytes: a tree takes about ten
    /// times as much memory.
    ///
    /// # Errors
    /// [`SnapshotError`] when the projection does not understand its own snapshot.
    pub fn tree(
        &self,
        name: &str,
        bytes_max: usize,
    ) -> Result<Option<serde_json::Value>, SnapshotError> {
        let Some(cell) = self.cells().into_iter().find(|cell| cell.name() == name) else {
            return Ok(None);
        };
        let bytes = cell.bytes();
        if bytes.len() > bytes_max {
            return Ok(None);
        }
        cell.tree(&bytes).map(Some)
    }

    /// The digest of the projection with this name, if there is one.
    #[must_use]
    pub fn digest(&self, name: &str) -> Option<Digest> {
        let cell = self.cells().into_iter().find(|cell| cell.name() == name)?;
        Some(sha256(&cell.bytes()))
    }
}

fn mailboxes_with_changes(envelopes: &[Envelope]) -> Vec<MessagingKey> {
    envelopes
        .iter()
        .filter(|envelope| {
            matches!(
                envelope.event,
                Event::Mailbox(
                    MailboxEvent::MessageAccepted { .. }
                        | MailboxEvent::MessagesAcknowledged { .. }
                        | MailboxEvent::MailboxClosed { .. }
                )
            )
        })
        .filter_map(|envelope| mailbox_of(&envelope.stream))
        .collect()
}
