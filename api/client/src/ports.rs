//! Where time and randomness enter: everything else here is decided by its arguments, so a test
//! repeats it byte for byte.

use std::convert::Infallible;

use hpke::rand_core::{TryCryptoRng, TryRng};
use satpost_domain::{CommandId, Timestamp};

/// Tells the time.
pub trait Clock: Send + Sync {
    /// Milliseconds since the Unix epoch.
    fn now(&self) -> Timestamp;
}

/// Gives bytes that nobody can predict.
pub trait Entropy: Send + Sync {
    /// Fills `bytes`. A source that has none left must end the process rather than return.
    fn fill(&self, bytes: &mut [u8]);
}

/// Draws `N` bytes.
pub(crate) fn draw<const N: usize>(entropy: &dyn Entropy) -> [u8; N] {
    let mut bytes = [0; N];
    entropy.fill(&mut bytes);
    bytes
}

/// Draws the name of a new command: its `Idempotency-Key`.
#[must_use]
pub fn draw_command_id(entropy: &dyn Entropy) -> CommandId {
    CommandId::new(draw(entropy))
}

/// Lends an [`Entropy`] to libraries that ask for a `rand_core` generator.
pub(crate) struct EntropyRng<'a>(pub(crate) &'a dyn Entropy);

impl TryRng for EntropyRng<'_> {
    type Error = Infallible;

    fn try_next_u32(&mut self) -> Result<u32, Infallible> {
        Ok(u32::from_le_bytes(draw(self.0)))
    }

    fn try_next_u64(&mut self) -> Result<u64, Infallible> {
        Ok(u64::from_le_bytes(draw(self.0)))
    }

    fn try_fill_bytes(&mut self, bytes: &mut [u8]) -> Result<(), Infallible> {
        self.0.fill(bytes);
        Ok(())
    }
}

impl TryCryptoRng for EntropyRng<'_> {}
