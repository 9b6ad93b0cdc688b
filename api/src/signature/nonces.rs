//! Which signatures were used before: every nonce for as long as its signature could be accepted.
//!
//! Memory is bounded, and a full one refuses instead of forgetting. What was forgotten moves a floor:
//! a signature created so early that its nonce may be forgotten is refused, also when the clock was
//! set back. The first floor is the start of the process, so a restart opens no window either.

use std::collections::{HashSet, VecDeque};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Mutex, PoisonError};

use satpost_domain::hash::tagged_16;
use satpost_domain::limits::SIGNATURE_SKEW_MAX;

use super::SignatureError;

const SHARDS: usize = 16;

/// The nonces of the last two windows.
pub(crate) struct NonceMemory {
    shards: [Mutex<Shard>; SHARDS],
    per_shard_max: usize,
    floor_secs: AtomicU64,
}

#[derive(Default)]
struct Shard {
    seen: HashSet<[u8; 16]>,
    /// What is in `seen`, with the second in which it was recorded, oldest first.
    order: VecDeque<(u64, [u8; 16])>,
}

impl NonceMemory {
    /// An empty memory for `max` nonces; signatures created before `started_at_secs` are refused.
    pub(crate) fn new(started_at_secs: u64, max: usize) -> Self {
        Self {
            shards: Default::default(),
            per_shard_max: max / SHARDS,
            floor_secs: AtomicU64::new(started_at_secs),
        }
    }

    /// A signature created before this second (Unix) may be a repeat that was forgotten.
    pub(crate) fn floor(&self) -> u64 {
        self.floor_secs.load(Ordering::Acquire)
    }

    /// Remembers that `key` used `nonce`.
    ///
    /// # Errors
    /// [`SignatureError::Replayed`] or [`SignatureError::MemoryFull`].
    pub(crate) fn record(
        &self,
        key: &[u8; 32],
        nonce: &[u8; 16],
        now_secs: u64,
    ) -> Result<(), SignatureError> {
        // A digest takes 16 bytes instead of 48, and nobody can choose where it lands.
        let id = tagged_16("satpost/nonce/1", &[key, nonce]);
        let mut shard = self.shards[usize::from(id[0]) % SHARDS]
            .lock()
            .unwrap_or_else(PoisonError::into_inner);
        self.forget_old(&mut shard, now_secs);
        if shard.seen.contains(&id) {
            return Err(SignatureError::Replayed);
        }
        if shard.seen.len() >= self.per_shard_max {
            return Err(SignatureError::MemoryFull);
        }
        shard.seen.insert(id);
        shard.order.push_back((now_secs, id));
        Ok(())
    }

    /// A nonce recorded at `t` belongs to a signature created by `t + skew`, which is accepted until
    /// `t + 2 × skew`.
    fn forget_old(&self, shard: &mut Shard, now_secs: u64) {
        let skew = SIGNATURE_SKEW_MAX.as_secs();
        while let Some(&(recorded, id)) = shard.order.front() {
            if recorded + 2 * skew >= now_secs {
                break;
            }
            shard.order.pop_front();
            shard.seen.remove(&id);
            self.floor_secs
                .fetch_max(recorded + skew + 1, Ordering::AcqRel);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const KEY: [u8; 32] = [7; 32];

    fn nonce(number: u128) -> [u8; 16] {
        number.to_be_bytes()
    }

    #[test]
    fn refuses_a_nonce_that_was_used_with_the_same_key() {
        let memory = NonceMemory::new(0, 1_024);
        memory.record(&KEY, &nonce(1), 1_000).unwrap();
        assert_eq!(
            memory.record(&KEY, &nonce(1), 1_001),
            Err(SignatureError::Replayed)
        );
        memory.record(&[8; 32], &nonce(1), 1_001).unwrap();
    }

    #[test]
    fn refuses_instead_of_forgetting_when_it_is_full() {
        let memory = NonceMemory::new(0, 64);
        let refused = (0..1_000)
            .map(|number| memory.record(&KEY, &nonce(number), 1_000))
            .filter(|outcome| *outcome == Err(SignatureError::MemoryFull))
            .count();
        assert_eq!(refused, 1_000 - 64);
        assert_eq!(
            memory.record(&KEY, &nonce(0), 1_000),
            Err(SignatureError::Replayed)
        );
    }

    #[test]
    fn has_room_again_once_a_nonce_cannot_be_used_any_more() {
        let memory = NonceMemory::new(0, 16);
        for number in 0..1_000 {
            let _full_is_fine = memory.record(&KEY, &nonce(number), 1_000).is_ok();
        }
        memory.record(&KEY, &nonce(5_000), 1_121).unwrap();
    }

    #[test]
    fn moves_the_floor_over_what_it_forgot() {
        let memory = NonceMemory::new(500, 1_024);
        assert_eq!(memory.floor(), 500);
        memory.record(&KEY, &nonce(1), 1_000).unwrap();
        for number in 2..200 {
            memory.record(&KEY, &nonce(number), 1_121).unwrap();
        }
        // The first was recorded at 1000, so its signature was created at 1060 at the latest.
        assert_eq!(memory.floor(), 1_061);
        // That is out of the window anyway, so nobody with a right clock is turned away.
        assert!(memory.floor() <= 1_121 - SIGNATURE_SKEW_MAX.as_secs());
    }
}
