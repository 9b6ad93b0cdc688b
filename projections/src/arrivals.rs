//! Who waits for a message, and in which mailbox.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use satpost_domain::MessagingKey;
use tokio::sync::Notify;
use tokio::sync::futures::Notified;

/// The mailboxes somebody waits for. A mailbox nobody waits for takes no memory.
#[derive(Debug, Clone, Default)]
pub(crate) struct ArrivalBoard {
    waited_for: Arc<Mutex<HashMap<MessagingKey, Arc<Notify>>>>,
}

impl ArrivalBoard {
    /// Puts a listener on the board.
    pub(crate) fn listen(&self, mailbox: MessagingKey) -> Arrivals {
        Arrivals {
            mailbox,
            notify: Arc::clone(self.lock().entry(mailbox).or_default()),
            board: self.clone(),
        }
    }

    /// Tells everyone who listens that a message arrived.
    pub(crate) fn announce(&self, mailboxes: &[MessagingKey]) {
        if mailboxes.is_empty() {
            return;
        }
        let waited_for = self.lock();
        for notify in mailboxes.iter().filter_map(|key| waited_for.get(key)) {
            notify.notify_waiters();
        }
    }

    /// Entries are inserted and removed whole, so a panic elsewhere leaves the map usable.
    fn lock(&self) -> MutexGuard<'_, HashMap<MessagingKey, Arc<Notify>>> {
        self.waited_for
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
    }
}

/// The messages that arrive in one mailbox. As long as one of these lives, arrivals are announced.
#[derive(Debug)]
pub struct Arrivals {
    mailbox: MessagingKey,
    notify: Arc<Notify>,
    board: ArrivalBoard,
}

impl Arrivals {
    /// Completes once a message has arrived after this call. Take it before looking into the
    /// queue and wait for it afterwards: then nothing is missed in between.
    pub fn notified(&self) -> Notified<'_> {
        self.notify.notified()
    }
}

impl Drop for Arrivals {
    fn drop(&mut self) {
        let mut waited_for = self.board.lock();
        // Listeners are added under the same lock. With the board's own reference and this one
        // left, nobody else listens.
        if Arc::strong_count(&self.notify) == 2 {
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
        let arrivals = board.listen(key(1));
        let arrival = arrivals.notified();
        board.announce(&[key(1)]);
        assert!(arrival.now_or_never().is_some());
        assert!(arrivals.notified().now_or_never().is_none(), "noticed once");
    }

    #[test]
    fn tells_every_listener_of_that_mailbox_only() {
        let board = ArrivalBoard::default();
        let (first, second) = (board.listen(key(1)), board.listen(key(1)));
        let other = board.listen(key(2));
        let waiting = [first.notified(), second.notified()];
        let elsewhere = other.notified();
        board.announce(&[key(1)]);
        for arrival in waiting {
            assert!(arrival.now_or_never().is_some());
        }
        assert!(elsewhere.now_or_never().is_none());
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
