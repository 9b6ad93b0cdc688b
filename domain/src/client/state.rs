//! What is true of a client now.

use crate::ids::{Digest, PushTargetId};
use crate::keys::{ClientId, MessagingKey};
use crate::time::Timestamp;

/// How far a push target has come.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum PushState {
    /// Its code was sent, or is about to be.
    Pending {
        /// The registration.
        id: PushTargetId,
        /// The digest the code must have.
        code_digest: Digest,
        /// When the code stops being good.
        code_expires_at: Timestamp,
        /// How many wrong codes came back.
        attempts: u8,
    },
    /// In use.
    Active {
        /// The registration.
        id: PushTargetId,
    },
}

/// The state of one client; the default is "not registered".
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Client {
    pub(super) identity: Option<ClientId>,
    pub(super) messaging_key: Option<MessagingKey>,
    pub(super) retired: bool,
    pub(super) push: Option<PushState>,
    pub(super) woken_through: u64,
}
