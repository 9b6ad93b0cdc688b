//! Who waits for a message, and in which mailbox.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use satpost_domain::MessagingKey;
use tokio::sync::watch;

/// The mailboxes somebody waits for. A mailbox nobody waits for takes no memory.
#[derive(Debug, Clone, Default)]
pub(crate) struct ArrivalBoard {
    waited_for: Arc<Mutex<HashMap<MessagingKey, watch::Sender<()>>>>,
}

impl ArrivalBoard {
    /// Begins to listen: every arrival from now on is noticed.
    pub(crate) fn listen(&self, mailbox: MessagingKey) -> Arrivals {
        let receiver = self
            .lock()
            .entry(mailbox)
            .or_insert_with(|| watch::channel(()).0)
            .subscribe();
        Arrivals {
            mailbox,
            receiver,
            board: self.clone(),
        }
    }

    /// Tells everyone who listens that a message arrived.
    pub(crate) fn announce(&self, mailboxes: &[MessagingKey]) {
        if mailboxes.is_empty() {
            return;
        }
        let waited_for = self.lock();
        for sender in mailboxes.iter().filter_map(|key| waited_for.get(key)) {
            sender.send_replace(());
        }
    }

    /// Entries are inserted and removed whole, so a panic elsewhere leaves the map usable.
    fn lock(&self) -> MutexGuard<'_, HashMap<MessagingKey, watch::Sender<()>>> {
        self.waited_for
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
    }
}

/// The messages that arrive in one mailbox from the moment this was taken.
///
/// Take it, look into the queue, then wait for [`Self::next`]: nothing is missed in between.
#[derive(Debug)]
pub struct Arrivals {
    mailbox: MessagingKey,
    receiver: watch::Receiver<()>,
    board: ArrivalBoard,
}

impl Arrivals {
    /// Waits until a message has arrived since this was taken, or since the last call. Several
    /// arrivals may count as one. Dropping the future loses nothing.
    pub async fn next(&mut self) {
        self.receiver
            .changed()
            .await
            .expect("the sender stays on the board while somebody listens");
    }
}

impl Drop for Arrivals {
    fn drop(&mut self) {
        let mut waited_for = self.board.lock();
        // Listeners are added under the same lock, so this is the last one for good.
        if waited_for
            .get(&self.mailbox)
            .is_some_and(|sender| sender.receiver_count() == 1)
        {
            waited_for.remove(&self.mailbox);
        }
    }
}

#[cfg(test)]
mod tests {
    use futures_util::FutureExt as _;

    use super::*;

    fn key(byte: u8) -> MessagingKey {
        MessagingKey::from_stored([byte; 32])
    }

    #[test]
    fn notices_what_arrived_between_listening_and_waiting() {
        let board = ArrivalBoard::default();
        let mut arrivals = board.listen(key(1));
        board.announce(&[key(1)]);
        assert!(arrivals.next().now_or_never().is_some());
        assert!(arrivals.next().now_or_never().is_none(), "noticed once");
    }

    #[test]
    fn tells_every_listener_of_that_mailbox_only() {
        let board = ArrivalBoard::default();
        let (mut first, mut second) = (board.listen(key(1)), board.listen(key(1)));
        let mut other = board.listen(key(2));
        board.announce(&[key(1)]);
        assert!(first.next().now_or_never().is_some());
        assert!(second.next().now_or_never().is_some());
        assert!(other.next().now_or_never().is_none());
    }

    #[test]
    fn forgets_a_mailbox_when_its_last_listener_leaves() {
        let board = ArrivalBoard::default();
        let (first, second) = (board.listen(key(1)), board.listen(key(1)));
        drop(first);
        assert_eq!(board.lock().len(), 1);
        drop(second);
        assert_eq!(board.lock().len(), 0);
    }
}
