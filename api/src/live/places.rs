//! Who reads which mailbox live, and who is superseded.

use std::collections::HashMap;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use satpost_domain::MessagingKey;
use satpost_domain::limits::LIVE_READERS_PER_MAILBOX_MAX;
use tokio::sync::Notify;

use crate::problem::ApiError;

/// The mailboxes that are read live. Others take no memory.
#[derive(Debug)]
pub(crate) struct LiveReaders {
    max: usize,
    open: Mutex<HashMap<MessagingKey, Readers>>,
}

/// The readers of one mailbox.
#[derive(Debug)]
struct Readers {
    newest: Arc<Signal>,
    /// The newest, and those that have not ended yet.
    count: usize,
}

/// Tells a reader that a newer one has come.
#[derive(Debug, Default)]
struct Signal {
    superseded: AtomicBool,
    wake: Notify,
}

impl LiveReaders {
    /// Room for `max` mailboxes.
    pub(crate) fn new(max: usize) -> Self {
        Self {
            max,
            open: Mutex::default(),
        }
    }

    /// Takes the place of the only reader of `mailbox`, until the place is dropped; whoever had it is
    /// told.
    ///
    /// # Errors
    /// `too-many-streams` when there is no room for another mailbox, or when too many superseded
    /// readers of this one have not ended yet. Then nobody is told anything.
    pub(crate) fn enter(self: &Arc<Self>, mailbox: MessagingKey) -> Result<Place, ApiError> {
        let mut open = self.lock();
        let count = open.get(&mailbox).map_or(0, |readers| readers.count);
        if count == 0 && open.len() >= self.max {
            return Err(ApiError::too_many_readers(self.max));
        }
        if count >= LIVE_READERS_PER_MAILBOX_MAX {
            return Err(ApiError::too_many_readers(LIVE_READERS_PER_MAILBOX_MAX));
        }
        let signal = Arc::new(Signal::default());
        let newest = Arc::clone(&signal);
        let count = count + 1;
        if let Some(before) = open.insert(mailbox, Readers { newest, count }) {
            before.newest.superseded.store(true, Ordering::Release);
            before.newest.wake.notify_one();
        }
        Ok(Place {
            readers: Arc::clone(self),
            mailbox,
            signal,
        })
    }

    /// Entries are inserted and removed whole, so a panic elsewhere leaves the map usable.
    fn lock(&self) -> MutexGuard<'_, HashMap<MessagingKey, Readers>> {
        self.open.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The place of one reader.
#[derive(Debug)]
pub(crate) struct Place {
    readers: Arc<LiveReaders>,
    mailbox: MessagingKey,
    signal: Arc<Signal>,
}

impl Place {
    /// True once a newer reader has taken over.
    pub(crate) fn is_superseded(&self) -> bool {
        self.signal.superseded.load(Ordering::Acquire)
    }

    /// Returns when a newer reader has taken over.
    pub(crate) async fn superseded(&self) {
        while !self.is_superseded() {
            // What is notified before this waits for it: there is one waiter.
            self.signal.wake.notified().await;
        }
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        let mut open = self.readers.lock();
        if let Some(readers) = open.get_mut(&self.mailbox) {
            readers.count -= 1;
            if readers.count == 0 {
                open.remove(&self.mailbox);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use futures_util::FutureExt as _;
    use satpost_api_types::problem::ProblemCode;

    use super::*;

    fn key(byte: u8) -> MessagingKey {
        MessagingKey::from_stored([byte; 32])
    }

    #[test]
    fn the_newest_reader_supersedes_the_one_before_and_no_other() {
        let readers = Arc::new(LiveReaders::new(10));
        let first = readers.enter(key(1)).unwrap();
        let other = readers.enter(key(2)).unwrap();
        assert!(first.superseded().now_or_never().is_none());
        let second = readers.enter(key(1)).unwrap();
        assert!(first.superseded().now_or_never().is_some());
        assert!(first.superseded().now_or_never().is_some(), "for good");
        assert!(!second.is_superseded() && !other.is_superseded());
    }

    #[tokio::test]
    async fn wakes_a_reader_that_waits_to_be_superseded() {
        let readers = Arc::new(LiveReaders::new(10));
        let first = readers.enter(key(1)).unwrap();
        let waiting = tokio::spawn(async move { first.superseded().await });
        tokio::task::yield_now().await;
        let _second = readers.enter(key(1)).unwrap();
        waiting.await.unwrap();
    }

    #[test]
    fn counts_mailboxes_and_lets_few_readers_of_one_linger() {
        let readers = Arc::new(LiveReaders::new(1));
        let mut places = vec![readers.enter(key(1)).unwrap()];
        let full = readers.enter(key(2)).unwrap_err();
        assert_eq!(full.code, ProblemCode::TooManyStreams);
        assert_eq!(full.limit, Some(1));
        assert!(full.retry_after.is_some());
        // A phone that has changed networks comes back although the server is full.
        while places.len() < LIVE_READERS_PER_MAILBOX_MAX {
            places.push(readers.enter(key(1)).unwrap());
        }
        let lingering = readers.enter(key(1)).unwrap_err();
        assert_eq!(lingering.code, ProblemCode::TooManyStreams);
        assert!(
            !places.last().unwrap().is_superseded(),
            "who is refused takes nothing over"
        );
        places.remove(0);
        places.push(readers.enter(key(1)).unwrap());
        drop(places);
        assert!(readers.lock().is_empty());
        readers.enter(key(2)).unwrap();
    }
}
