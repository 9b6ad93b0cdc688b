//! Doubles of the ports: an event log in memory that fails when it is told to, a clock that steps,
//! and ids that count.

mod faulty_log;

use std::sync::atomic::{AtomicU64, Ordering};

use satpost_domain::push::VerificationCode;
use satpost_domain::{MessageId, PushTargetId, Timestamp, WatchId};

use crate::ports::{Clock, IdSource};

pub use faulty_log::{Fault, FaultyLog};

/// A clock that moves on by one millisecond whenever it is read.
#[derive(Debug)]
pub struct StepClock(AtomicU64);

impl StepClock {
    /// Starts at `start`.
    #[must_use]
    pub const fn new(start: Timestamp) -> Self {
        Self(AtomicU64::new(start.as_millis()))
    }

    /// Moves on by `millis`.
    pub fn advance(&self, millis: u64) {
        self.0.fetch_add(millis, Ordering::SeqCst);
    }
}

impl Clock for StepClock {
    fn now(&self) -> Timestamp {
        Timestamp::from_millis(self.0.fetch_add(1, Ordering::SeqCst))
    }
}

/// Ids that count from 1; each is unique among all kinds of ids.
#[derive(Debug, Default)]
pub struct CountingIds(AtomicU64);

impl CountingIds {
    fn next(&self) -> [u8; 16] {
        let number = self.0.fetch_add(1, Ordering::SeqCst) + 1;
        u128::from(number).to_be_bytes()
    }
}

impl IdSource for CountingIds {
    fn message_id(&self) -> MessageId {
        MessageId::new(self.next())
    }

    fn watch_id(&self) -> WatchId {
        WatchId::new(self.next())
    }

    fn push_target_id(&self) -> PushTargetId {
        PushTargetId::new(self.next())
    }

    fn verification_code(&self) -> VerificationCode {
        VerificationCode::new(self.next())
    }
}
