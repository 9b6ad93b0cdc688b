//! Predictable ports and a server double for the tests of this crate.

mod double;
pub(crate) mod listener;

use std::sync::atomic::{AtomicU64, Ordering};

use satpost_domain::Timestamp;
use satpost_domain::hash::tagged;

use crate::ports::{Clock, Entropy};

pub(crate) use double::{Double, Fault};

/// Gives SHA-256 of a counter: different at every draw, the same in every run.
#[derive(Default)]
pub(crate) struct Counting(AtomicU64);

impl Counting {
    /// Counts from elsewhere, so that two wallets of a test draw different things.
    pub(crate) fn from(start: u64) -> Self {
        Self(AtomicU64::new(start))
    }
}

impl Entropy for Counting {
    fn fill(&self, bytes: &mut [u8]) {
        for chunk in bytes.chunks_mut(32) {
            let count = self.0.fetch_add(1, Ordering::Relaxed);
            let digest = tagged("satpost/test-entropy", &[&count.to_be_bytes()]);
            chunk.copy_from_slice(&digest[..chunk.len()]);
        }
    }
}

/// Stands still at a moment.
pub(crate) struct Fixed(pub(crate) Timestamp);

impl Clock for Fixed {
    fn now(&self) -> Timestamp {
        self.0
    }
}
