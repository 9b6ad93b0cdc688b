//! The machine behind the ports: its clock and its source of randomness.

use std::time::{SystemTime, UNIX_EPOCH};

use ring::rand::{SecureRandom, SystemRandom};
use satpost_commands::ports::{Chance, Clock, IdSource};
use satpost_domain::push::VerificationCode;
use satpost_domain::{MessageId, PushTargetId, Timestamp, WatchId};

/// The clock of the operating system.
#[derive(Debug, Clone, Copy, Default)]
pub struct SystemClock;

impl Clock for SystemClock {
    #[expect(
        clippy::disallowed_methods,
        reason = "this is the adapter of the Clock port"
    )]
    fn now(&self) -> Timestamp {
        let since_epoch = SystemTime::now()
            .duration_since(UNIX_EPOCH)
            .unwrap_or_default();
        Timestamp::from_millis(u64::try_from(since_epoch.as_millis()).unwrap_or(u64::MAX))
    }
}

/// The random generator of the operating system.
#[derive(Debug, Clone)]
pub struct SystemIds {
    random: SystemRandom,
}

impl SystemIds {
    /// Takes the generator of the operating system.
    #[must_use]
    #[expect(
        clippy::disallowed_methods,
        reason = "this is the adapter of the IdSource port"
    )]
    pub fn new() -> Self {
        Self {
            random: SystemRandom::new(),
        }
    }

    /// The generator itself, for those who draw from it on their own.
    #[must_use]
    pub const fn generator(&self) -> &dyn SecureRandom {
        &self.random
    }

    /// `N` bytes nobody can guess.
    ///
    /// # Panics
    /// When the operating system gives no randomness: then no id and no key may be made at all.
    #[must_use]
    pub fn bytes<const N: usize>(&self) -> [u8; N] {
        let mut bytes = [0; N];
        self.random
            .fill(&mut bytes)
            .expect("the operating system gives randomness");
        bytes
    }
}

impl Chance for SystemIds {
    fn fraction(&self) -> f64 {
        // 53 bits are what a float of this size holds exactly.
        let bits = u64::from_be_bytes(self.bytes()) >> 11;
        bits as f64 / (1_u64 << 53) as f64
    }
}

impl Default for SystemIds {
    fn default() -> Self {
        Self::new()
    }
}

impl IdSource for SystemIds {
    fn message_id(&self) -> MessageId {
        MessageId::new(self.bytes())
    }

    fn watch_id(&self) -> WatchId {
        WatchId::new(self.bytes())
    }

    fn push_target_id(&self) -> PushTargetId {
        PushTargetId::new(self.bytes())
    }

    fn verification_code(&self) -> VerificationCode {
        VerificationCode::new(self.bytes())
    }
}
