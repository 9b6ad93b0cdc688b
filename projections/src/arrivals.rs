//! Who waits for something to happen, and where: a change in a mailbox, a change in what a client
//! watches.

use std::collections::HashMap;
use std::hash::Hash;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use satpost_domain::MessagingKey;
use tokio::sync::watch;

/// The places of one kind (mailboxes, clients) where somebody waits. A place where nobody waits
/// takes no memory.
#[derive(Debug)]
pub(crate) struct ArrivalBoard<K> {
    waited_for: Arc<Mutex<HashMap<K, watch::Sender<()>>>>,
}

impl<K> Default for ArrivalBoard<K> {
    fn default() -> Self {
        Self {
            waited_for: Arc::default(),
        }
    }
}

impl<K> Clone for ArrivalBoard<K> {
    fn clone(&self) -> Self {
        Self {
            waited_for: Arc::clone(&self.waited_for),
        }
    }
}

impl<K> ArrivalBoard<K> {
    /// Entries are inserted and removed whole, so a panic elsewhere leaves the map usable.
    fn lock(&self) -> MutexGuard<'_, HashMap<K, watch::Sender<()>>> {
        self.waited_for
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
    }

    /// True when nobody waits anywhere, so that nobody has to be looked for.
    pub(crate) fn is_empty(&self) -> bool {
        self.lock().is_empty()
    }
}

impl<K: Copy + Eq + Hash> ArrivalBoard<K> {
    /// Begins to listen: every arrival from now on is noticed.
    pub(crate) fn listen(&self, place: K) -> Arrivals<K> {
        let receiver = self
            .lock()
            .entry(place)
            .or_insert_with(|| watch::channel(()).0)
            .subscribe();
        Arrivals {
            place,
            receiver,
            board: self.clone(),
        }
    }

    /// Tells everyone who listens that something arrived.
    pub(crate) fn announce(&self, places: &[K]) {
        if places.is_empty() {
            return;
        }
        let waited_for = self.lock();
        for sender in places.iter().filter_map(|place| waited_for.get(place)) {
            sender.send_replace(());
        }
    }
}

/// What arrives in one place from the moment this was taken.
///
/// Take it, look at what is there, then wait for [`Self::next`]: nothing is missed in between.
#[derive(Debug)]
pub struct Arrivals<K: Copy + Eq + Hash = MessagingKey> {
    place: K,
    receiver: watch::Receiver<()>,
    board: ArrivalBoard<K>,
}

impl<K: Copy + Eq + Hash> Arrivals<K> {
    /// Waits until something has arrived since this was taken, or since the last call. Several
    /// arrivals may count as one. Dropping the future loses nothing.
    pub async fn next(&mut self) {
        self.receiver
            .changed()
            .await
            .expect("the sender stays on the board while somebody listens");
    }
}

impl<K: Copy + Eq + Hash> Drop for Arrivals<K> {
    fn drop(&mut self) {
        let mut waited_for = self.board.lock();
        // Listeners are added under the same lock, so this is the last one for good.
        if waited_for
            .get(&self.place)
            .is_some_and(|sender| sender.receiver_count() == 1)
        {
            waited_for.remove(&self.place);
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
