//! What the watcher and the back-fill tell each other.

use std::sync::{Mutex, MutexGuard, PoisonError};

use satpost_domain::Position;
use satpost_domain::ids::Txid;
use tokio::sync::{Notify, watch};

/// Between one watcher and one back-fill.
#[derive(Debug)]
pub struct LiveJoin {
    /// Whatever the watcher records from now on was matched with the watch list and the coins at
    /// this position of the log or later ones. Nothing before it agrees with the node.
    matched_since: watch::Sender<Option<Position>>,
    /// Mempool transactions that spend coins of the past.
    spenders: Mutex<Vec<Txid>>,
    asked: Notify,
}

impl Default for LiveJoin {
    fn default() -> Self {
        Self {
            matched_since: watch::Sender::new(None),
            spenders: Mutex::new(Vec::new()),
            asked: Notify::new(),
        }
    }
}

impl LiveJoin {
    /// For the watcher: the mempool transactions it is to look at again.
    pub fn spenders(&self) -> Vec<Txid> {
        self.locked().clone()
    }

    /// For the watcher, when nothing is being matched and it has looked at the first `looked_at` of
    /// [`Self::spenders`]: what it matches next, it matches with everything up to `position`.
    pub fn matches_since(&self, position: Position, looked_at: usize) {
        self.locked().drain(..looked_at);
        self.matched_since.send_if_modified(|since| {
            let later = since.is_none_or(|since| since < position);
            if later {
                *since = Some(position);
            }
            later || looked_at > 0
        });
    }

    /// For the watcher: returns when the back-fill waits for it.
    pub async fn asked(&self) {
        self.asked.notified().await;
    }

    /// For the back-fill: have the watcher look at these mempool transactions again.
    pub(super) fn look_at(&self, txids: &[Txid]) {
        self.locked().extend(txids);
    }

    /// For the back-fill: waits until the watcher has looked at all of them.
    pub(super) async fn until_looked_at(&self) {
        let mut since = self.matched_since.subscribe();
        self.asked.notify_one();
        let done = since.wait_for(|_| self.locked().is_empty());
        drop(done.await.expect(HELD));
    }

    /// For the back-fill: waits until the watcher has agreed with the node once.
    pub(super) async fn until_live(&self) {
        self.until(Position::START).await;
    }

    /// For the back-fill: waits until whatever the watcher records is matched with `position`.
    pub(super) async fn until(&self, position: Position) {
        let mut since = self.matched_since.subscribe();
        self.asked.notify_one();
        let reached = since.wait_for(|since| since.is_some_and(|since| since >= position));
        drop(reached.await.expect(HELD));
    }

    fn locked(&self) -> MutexGuard<'_, Vec<Txid>> {
        self.spenders.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

const HELD: &str = "the sender lives as long as the reference to it";

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    #[tokio::test]
    async fn waits_for_the_watcher() {
        let join = LiveJoin::default();
        let position = Position::new(7, 0);
        let waiting = || tokio::time::timeout(Duration::from_millis(20), join.until(position));
        assert!(waiting().await.is_err());
        join.matches_since(Position::new(6, 0), 0);
        assert!(waiting().await.is_err());
        join.matches_since(position, 0);
        assert!(waiting().await.is_ok());
        join.matches_since(Position::new(3, 0), 0);
        assert!(waiting().await.is_ok(), "it does not go back");
    }

    #[tokio::test]
    async fn waits_until_every_spender_was_looked_at() {
        let join = LiveJoin::default();
        let waiting = || tokio::time::timeout(Duration::from_millis(20), join.until_looked_at());
        assert!(waiting().await.is_ok());
        join.look_at(&[Txid::new([1; 32]), Txid::new([2; 32])]);
        join.matches_since(Position::new(1, 0), 1);
        assert!(waiting().await.is_err());
        assert_eq!(join.spenders(), [Txid::new([2; 32])]);
        join.matches_since(Position::new(1, 0), 1);
        assert!(waiting().await.is_ok());
    }
}
