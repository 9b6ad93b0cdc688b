//! The closed set of ways a command can fail.

use crate::ports::LogError;

/// Why a command was not carried out.
#[derive(Debug, thiserror::Error)]
pub enum CommandError<E: std::error::Error + 'static> {
    /// The aggregate refused it; nothing was changed.
    #[error(transparent)]
    Rejected(E),
    /// Other writers were faster every time; nothing was changed, try again.
    #[error("other writers changed the stream {retries} times in a row")]
    Conflict {
        /// How often it was decided.
        retries: usize,
    },
    /// The command id was used before for something else.
    #[error("the command id was used before for another request")]
    IdempotencyMismatch,
    /// The log or the payload store could not be used. Whether the command was carried out may be
    /// unknown; a repeat with the same command id is safe.
    #[error("the event log could not be used")]
    Log(#[from] LogError),
}
