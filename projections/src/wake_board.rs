//! Which phones were woken and have not fetched yet. One wake-up at a time is enough: whoever
//! fetches gets everything.
//!
//! Nothing of this is in the log, because a fetch changes nothing worth keeping. After a restart
//! nobody counts as woken, so a phone is woken once too often rather than once too seldom.

use std::collections::HashMap;
use std::sync::{Mutex, MutexGuard, PoisonError};

use satpost_domain::limits::{PUSH_FETCH_GRACE, PUSH_TTL};
use satpost_domain::{ClientId, Timestamp};

/// The phones that were woken lately. Others take no memory.
#[derive(Debug, Default)]
pub struct WakeBoard {
    phones: Mutex<HashMap<ClientId, Phone>>,
}

/// What is known of a phone that was woken.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Phone {
    /// A wake-up is on its way, or waits at the push service.
    Woken { at: Timestamp },
    /// It has fetched, and is given time to acknowledge what it got.
    Working { since: Timestamp },
}

impl Phone {
    /// A wake-up that the push service has dropped by now counts no more, nor does one from the
    /// future: the clock was put back.
    fn is_busy(self, now: Timestamp) -> bool {
        let (start, length) = match self {
            Self::Woken { at } => (at, PUSH_TTL),
            Self::Working { since } => (since, PUSH_FETCH_GRACE),
        };
        start <= now && now.since(start) < length
    }
}

impl WakeBoard {
    /// False while a wake-up is outstanding, and for [`PUSH_FETCH_GRACE`] after the fetch that answered it.
    #[must_use]
    pub fn may_wake(&self, client: &ClientId, now: Timestamp) -> bool {
        self.lock()
            .get(client)
            .is_none_or(|phone| !phone.is_busy(now))
    }

    /// A wake-up begins its way. Said before it is sent: the phone may fetch before the push service
    /// has answered.
    pub fn wake(&self, client: ClientId, now: Timestamp) {
        self.lock().insert(client, Phone::Woken { at: now });
    }

    /// The push service did not take the wake-up.
    pub fn take_back(&self, client: &ClientId) {
        let mut phones = self.lock();
        if matches!(phones.get(client), Some(Phone::Woken { .. })) {
            phones.remove(client);
        }
    }

    /// The client fetches. Said before the answer is made up, so that whatever happens after that is a
    /// reason to wake it again.
    pub fn fetched(&self, client: &ClientId, now: Timestamp) {
        if let Some(phone @ Phone::Woken { .. }) = self.lock().get_mut(client) {
            *phone = Phone::Working { since: now };
        }
    }

    /// True when nobody was woken lately, so that nobody has to be looked for.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.lock().is_empty()
    }

    /// Forgets what means nothing any more, and says how many wake-ups are outstanding.
    pub fn tidy(&self, now: Timestamp) -> usize {
        let mut phones = self.lock();
        phones.retain(|_, phone| phone.is_busy(now));
        let outstanding = |phone: &&Phone| matches!(phone, Phone::Woken { .. });
        phones.values().filter(outstanding).count()
    }

    /// Entries are inserted and removed whole, so a panic elsewhere leaves the map usable.
    fn lock(&self) -> MutexGuard<'_, HashMap<ClientId, Phone>> {
        self.phones.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::test_log::client;

    const NOW: Timestamp = Timestamp::from_millis(1_000_000_000);

    fn woken() -> WakeBoard {
        let board = WakeBoard::default();
        board.wake(client(1), NOW);
        board
    }

    #[test]
    fn a_phone_is_woken_once_until_it_fetches() {
        let board = woken();
        assert!(!board.may_wake(&client(1), NOW.plus(PUSH_FETCH_GRACE)));
        assert!(board.may_wake(&client(2), NOW));
        assert_eq!(board.tidy(NOW), 1);
        board.fetched(&client(1), NOW);
        assert!(!board.may_wake(&client(1), NOW), "it is left to work");
        assert_eq!(board.tidy(NOW), 0);
        assert!(board.may_wake(&client(1), NOW.plus(PUSH_FETCH_GRACE)));
    }

    #[test]
    fn a_fetch_without_a_wake_up_does_not_delay_the_next_one() {
        let board = WakeBoard::default();
        board.fetched(&client(1), NOW);
        assert!(board.may_wake(&client(1), NOW));
    }

    #[test]
    fn more_fetches_do_not_put_off_the_next_wake_up_for_ever() {
        let board = woken();
        board.fetched(&client(1), NOW);
        let end = NOW.plus(PUSH_FETCH_GRACE);
        board.fetched(&client(1), end);
        assert!(board.may_wake(&client(1), end));
    }

    #[test]
    fn a_wake_up_that_was_not_taken_or_was_dropped_counts_no_more() {
        let board = woken();
        board.take_back(&client(1));
        assert!(board.may_wake(&client(1), NOW));
        assert!(woken().may_wake(&client(1), NOW.plus(PUSH_TTL)));
        let earlier = Timestamp::from_millis(NOW.as_millis() - 1);
        assert!(
            woken().may_wake(&client(1), earlier),
            "the clock was put back"
        );
    }

    #[test]
    fn a_fetch_during_the_send_is_not_undone_when_the_push_fails() {
        let board = woken();
        board.fetched(&client(1), NOW);
        board.take_back(&client(1));
        assert!(!board.may_wake(&client(1), NOW));
    }

    #[test]
    fn forgets_what_is_over() {
        let board = woken();
        assert_eq!(board.tidy(NOW.plus(PUSH_TTL)), 0);
        assert!(board.is_empty());
    }
}
