//! Why a command to a client is refused.

use crate::limits::MESSAGING_KEYS_MAX;

/// A refusal; nothing was changed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum ClientError {
    /// The identity key is registered with another messaging key.
    #[error(
        "the client is registered already, with another messaging key; rotate the messaging key instead"
    )]
    AlreadyRegistered,
    /// No client has this identity key.
    #[error("no client is registered with this identity key")]
    NotRegistered,
    /// The client was retired.
    #[error("the client was retired; register with a new identity key")]
    Retired,
    /// The identity key may not be the messaging key.
    #[error("the messaging key must differ from the identity key")]
    KeysEqual,
    /// Each former key keeps a mailbox, so there is a bound on them.
    #[error(
        "a client has at most {MESSAGING_KEYS_MAX} messaging keys, former ones included; rotate to a former one, or register anew"
    )]
    TooManyMessagingKeys,
    /// There is no push target, or it was verified or removed already.
    #[error("no push target waits for a code")]
    NoPushTargetPending,
    /// The code's time has run out, or it was tried too often.
    #[error("the code is not good any more; set the push target again")]
    PushCodeSpent,
    /// The code is not the one that was sent.
    #[error("the code is wrong; {attempts_left} attempts are left")]
    WrongPushCode {
        /// How many wrong codes are still borne.
        attempts_left: u8,
    },
}
