//! Which phones have to be woken, and which codes have to be sent.
//!
//! A trigger is a message accepted for a client, or a change of a transaction that touches one of
//! its scripts. The outbox counts triggers per client; a wake-up covers all triggers so far.

use satpost_domain::push::PushRegistration;
use satpost_domain::{ClientId, Envelope, PushTargetId};

use crate::projection::{Projection, SnapshotError};

/// What one client's phone is owed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DuePush {
    /// The client.
    pub client: ClientId,
    /// The registration.
    pub id: PushTargetId,
    /// Where, and the code.
    pub registration: PushRegistration,
    /// What is owed.
    pub kind: DueKind,
}

/// What is owed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum DueKind {
    /// A wake-up that covers this many triggers.
    Wake {
        /// To be recorded once the push service took it.
        through: u64,
    },
    /// The verification code of a new target.
    Verification,
}

/// The projection.
#[derive(Debug, Default)]
pub struct PushOutbox {}

impl PushOutbox {
    /// Up to `max` owed pushes, by ascending client after `after`. A verification stays due until
    /// the target is verified, dead, removed or its code has expired; the caller paces repeats.
    #[must_use]
    pub fn due(&self, after: Option<ClientId>, max: usize) -> Vec<DuePush> {
        let _ = (after, max);
        todo!()
    }
}

impl Projection for PushOutbox {
    const NAME: &'static str = "push_outbox";
    const VERSION: u32 = 1;

    fn apply(&mut self, _envelope: &Envelope) {
        todo!()
    }

    fn snapshot(&self) -> Vec<u8> {
        todo!()
    }

    fn restore(_bytes: &[u8]) -> Result<Self, SnapshotError> {
        todo!()
    }
}
