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

impl<E: std::error::Error + 'static> CommandError<E> {
    /// The same failure for a caller with another kind of refusal.
    pub fn map_rejected<F: std::error::Error + 'static>(
        self,
        rejected: impl FnOnce(E) -> F,
    ) -> CommandError<F> {
        match self {
            Self::Rejected(error) => CommandError::Rejected(rejected(error)),
            Self::Conflict { retries } => CommandError::Conflict { retries },
            Self::IdempotencyMismatch => CommandError::IdempotencyMismatch,
            Self::Log(error) => CommandError::Log(error),
        }
    }
}
