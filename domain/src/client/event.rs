//! What can happen to a client.

use crate::ids::{Digest, PushTargetId};
use crate::keys::{ClientId, MessagingKey};
use crate::push::PushRegistration;
use crate::sealed::Sealed;
use crate::time::Timestamp;

/// Why a push target is dead.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum PushDeathReason {
    /// The push service does not know it any more.
    Gone,
    /// It refused our wake-ups for good (too large, not authorised, malformed).
    Refused,
    /// It may not be connected to (an address that is not globally routable).
    Forbidden,
}

/// An event of one client.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ClientEvent {
    /// The client exists.
    ClientRegistered {
        /// The identity key.
        client: ClientId,
        /// The key its messages are addressed to.
        messaging_key: MessagingKey,
        /// When.
        at: Timestamp,
    },
    /// Another messaging key is in use; the old one only drains its mailbox.
    MessagingKeyRotated {
        /// The key before.
        from: MessagingKey,
        /// The key now.
        to: MessagingKey,
        /// When.
        at: Timestamp,
    },
    /// A push target waits for its code.
    PushTargetSet {
        /// The id of this registration, also of its payload.
        id: PushTargetId,
        /// Where, and the code; erased when it is replaced, removed or dead.
        registration: Sealed<PushRegistration>,
        /// The digest the code must have.
        code_digest: Digest,
        /// When the code stops being good.
        code_expires_at: Timestamp,
        /// When.
        at: Timestamp,
    },
    /// The code came back: the target is in use.
    PushTargetVerified {
        /// Which registration.
        id: PushTargetId,
        /// When.
        at: Timestamp,
    },
    /// A wrong code came back; counted before anything is said about it.
    PushCodeRefused {
        /// Which registration.
        id: PushTargetId,
        /// When.
        at: Timestamp,
    },
    /// The target was removed by its client.
    PushTargetRemoved {
        /// Which registration.
        id: PushTargetId,
        /// When.
        at: Timestamp,
    },
    /// The target does not work any more.
    PushTargetDead {
        /// Which registration.
        id: PushTargetId,
        /// Why.
        reason: PushDeathReason,
        /// When.
        at: Timestamp,
    },
    /// The push service took a wake-up.
    PushWoken {
        /// Which registration.
        id: PushTargetId,
        /// The number of the last trigger it covers, counted over the whole log.
        through: u64,
        /// When.
        at: Timestamp,
    },
    /// The client is gone for ever; its mailboxes, addresses and push target follow.
    ClientRetired {
        /// When.
        at: Timestamp,
    },
}
