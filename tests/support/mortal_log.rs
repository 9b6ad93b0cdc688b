//! A log at which a server dies.

use std::sync::atomic::{AtomicU64, Ordering};

use async_trait::async_trait;
use satpost_commands::ports::{Appended, EventLog, Expected, LogError, NewEvent, StreamPage};
use satpost_domain::{PayloadId, Position, Revision, StreamId};
use satpost_infra::event_log::StoredEventLog;
use tokio::sync::Notify;

/// A log one append of which never returns: the server is dead right before it or right after it.
pub struct MortalLog {
    log: StoredEventLog,
    /// How many appends are left; 0 is no end.
    left: AtomicU64,
    /// The append is stored before the server dies.
    stores: bool,
    death: Notify,
}

impl MortalLog {
    /// Dies at append number `at`, after it is durable if it `stores` it or before; never when `at` is 0.
    #[must_use]
    pub fn new(log: StoredEventLog, at: u64, stores: bool) -> Self {
        Self {
            log,
            left: AtomicU64::new(at),
            stores,
            death: Notify::new(),
        }
    }

    /// The log, which outlives the server.
    #[must_use]
    pub const fn log(&self) -> &StoredEventLog {
        &self.log
    }

    /// Waits until the server is dead.
    pub async fn death(&self) {
        self.death.notified().await;
    }

    async fn die(&self) {
        self.death.notify_one();
        std::future::pending::<()>().await;
    }
}

#[async_trait]
impl EventLog for MortalLog {
    async fn append(
        &self,
        stream: &StreamId,
        expected: Expected,
        events: Vec<NewEvent>,
        erase: Vec<PayloadId>,
    ) -> Result<Appended, LogError> {
        let dies = self.left.fetch_sub(1, Ordering::Relaxed) == 1;
        if dies && !self.stores {
            self.die().await;
        }
        // Others have their turn while a disk writes.
        tokio::task::yield_now().await;
        let appended = EventLog::append(&self.log, stream, expected, events, erase).await;
        tokio::task::yield_now().await;
        if dies {
            self.die().await;
        }
        appended
    }

    async fn read(
        &self,
        stream: &StreamId,
        from: Revision,
        max: usize,
    ) -> Result<StreamPage, LogError> {
        EventLog::read(&self.log, stream, from, max).await
    }

    async fn head(&self) -> Result<Position, LogError> {
        EventLog::head(&self.log).await
    }
}
