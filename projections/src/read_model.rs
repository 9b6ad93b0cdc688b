//! All projections behind one position: what queries are asked of.

use std::sync::Arc;
use std::time::Duration;

use satpost_domain::{Envelope, MessagingKey, Position};
use tokio::sync::{Notify, RwLockReadGuard};

use crate::client_directory::ClientDirectory;
use crate::mailbox_queue::MailboxQueue;
use crate::push_outbox::PushOutbox;
use crate::transaction_status::TransactionStatus;
use crate::watched_scripts::WatchedScripts;

/// The projections of this server. One writer applies each event once to all of them.
pub struct ReadModel {}

impl ReadModel {
    /// Reads the client directory.
    pub fn client_directory(&self) -> std::sync::RwLockReadGuard<'_, ClientDirectory> {
        todo!()
    }

    /// Reads the mailbox queues.
    pub fn mailbox_queue(&self) -> std::sync::RwLockReadGuard<'_, MailboxQueue> {
        todo!()
    }

    /// Reads the watched scripts.
    pub fn watched_scripts(&self) -> std::sync::RwLockReadGuard<'_, WatchedScripts> {
        todo!()
    }

    /// Reads the status of transactions.
    pub fn transaction_status(&self) -> std::sync::RwLockReadGuard<'_, TransactionStatus> {
        todo!()
    }

    /// Reads the push outbox.
    pub fn push_outbox(&self) -> std::sync::RwLockReadGuard<'_, PushOutbox> {
        todo!()
    }

    /// Applies the next event to every projection and wakes who waits for it. Events at or
    /// before [`Self::position`] are skipped.
    pub fn apply(&self, envelope: &Envelope) {
        let _ = envelope;
        todo!()
    }

    /// The position of the last applied event.
    #[must_use]
    pub fn position(&self) -> Position {
        todo!()
    }

    /// True once the history has been applied.
    #[must_use]
    pub fn is_live(&self) -> bool {
        todo!()
    }

    /// Waits until `position` is applied; false when that takes longer than `timeout`.
    pub async fn wait_for(&self, position: Position, timeout: Duration) -> bool {
        let _ = (position, timeout);
        todo!()
    }

    /// Something that is notified when a message is accepted for `mailbox`. Take it before looking
    /// into the queue, then nothing is missed in between.
    pub fn arrivals(&self, mailbox: &MessagingKey) -> Arc<Notify> {
        let _ = mailbox;
        todo!()
    }
}

#[allow(dead_code, reason = "skeleton")]
type Unused<'a> = RwLockReadGuard<'a, ()>;
