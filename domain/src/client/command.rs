//! What can be asked of a client.

use crate::client::PushDeathReason;
use crate::ids::PushTargetId;
use crate::keys::{ClientId, MessagingKey};
use crate::push::{PushRegistration, VerificationCode};
use crate::time::Timestamp;

/// A command to one client. Whoever sends it has proven possession of the identity key, and of
/// the messaging key where one is named.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ClientCommand {
    /// Register the client.
    Register {
        /// The identity key.
        client: ClientId,
        /// The key its messages are addressed to.
        messaging_key: MessagingKey,
        /// When.
        at: Timestamp,
    },
    /// Use another messaging key from now on.
    RotateMessagingKey {
        /// The new key.
        messaging_key: MessagingKey,
        /// When.
        at: Timestamp,
    },
    /// Name the place where the phone is woken; it is used once its code came back.
    SetPushTarget {
        /// The id of this registration.
        id: PushTargetId,
        /// Where, and the code that must come back.
        registration: PushRegistration,
        /// When.
        at: Timestamp,
    },
    /// Give back the code that came through the push target.
    VerifyPushTarget {
        /// The code.
        code: VerificationCode,
        /// When.
        at: Timestamp,
    },
    /// Forget the push target.
    RemovePushTarget {
        /// When.
        at: Timestamp,
    },
    /// The push service says that the target is gone.
    MarkPushTargetDead {
        /// Which registration was tried.
        id: PushTargetId,
        /// What the push service said.
        reason: PushDeathReason,
        /// Since when the push service knows that, if it says so. What is older than the
        /// registration is about an earlier life of the target and changes nothing.
        since: Option<Timestamp>,
        /// When.
        at: Timestamp,
    },
    /// The push service took a wake-up.
    RecordWake {
        /// Which registration was woken.
        id: PushTargetId,
        /// The number of the last trigger the wake-up covers; the outbox numbers them over the whole log.
        through: u64,
        /// When.
        at: Timestamp,
    },
    /// Retire the client for ever.
    Retire {
        /// When.
        at: Timestamp,
    },
}
