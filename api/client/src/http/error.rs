//! The closed set of ways a call can fail.

use std::time::Duration;

use satpost_api_types::problem::{Problem, ProblemCode};

/// A call did not succeed.
#[derive(Debug, thiserror::Error)]
pub enum CallError {
    /// The server said no, and why.
    #[error(transparent)]
    Refused(#[from] Box<Refusal>),
    /// The server could not be reached, or did not answer in time, at every attempt. Whether the
    /// last request was carried out is unknown; a repeat with the same idempotency key is safe.
    #[error("the server could not be reached in {attempts} attempts")]
    Unreachable {
        /// How often it was tried.
        attempts: u32,
        /// What happened at the last attempt.
        #[source]
        source: reqwest::Error,
    },
    /// An answer that no Satpost server gives.
    #[error("the server answered {status} with something unexpected: {what}")]
    UnexpectedAnswer {
        /// The HTTP status.
        status: u16,
        /// What does not fit.
        what: String,
    },
}

/// A problem (RFC 9457) with a code of the closed list.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Refusal {
    /// Programs decide by it.
    pub code: ProblemCode,
    /// What happened and what to do next.
    pub detail: Option<String>,
    /// Names the request in the server's log.
    pub request_id: String,
    /// The server's clock in milliseconds; with `clock-skew`.
    pub server_time: Option<u64>,
    /// The bound that was passed.
    pub limit: Option<u64>,
    /// When it may be tried again.
    pub retry_after: Option<Duration>,
}

impl std::error::Error for Refusal {}

impl std::fmt::Display for Refusal {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let text = self.detail.as_deref().unwrap_or(self.code.title());
        write!(
            f,
            "the server refused ({}): {text} (request {})",
            self.code.as_str(),
            self.request_id
        )
    }
}

impl Refusal {
    /// Takes over a problem; nothing when this version does not know its code.
    pub(super) fn from_problem(problem: Problem, retry_after: Option<Duration>) -> Option<Self> {
        let code = ProblemCode::ALL
            .iter()
            .copied()
            .find(|code| code.as_str() == problem.code)?;
        Some(Self {
            code,
            detail: problem.detail,
            request_id: problem.request_id,
            server_time: problem.server_time,
            limit: problem.limit,
            retry_after,
        })
    }
}

impl CallError {
    /// The server's code, if it answered with one.
    #[must_use]
    pub fn code(&self) -> Option<ProblemCode> {
        match self {
            Self::Refused(refusal) => Some(refusal.code),
            Self::Unreachable { .. } | Self::UnexpectedAnswer { .. } => None,
        }
    }

    /// True when the same call may well succeed later.
    #[must_use]
    pub fn is_temporary(&self) -> bool {
        match self {
            Self::Refused(refusal) => matches!(
                refusal.code,
                ProblemCode::BodyTimeout
                    | ProblemCode::Conflict
                    | ProblemCode::RateLimited
                    | ProblemCode::TooManyStreams
                    | ProblemCode::TooManyConnections
                    | ProblemCode::Internal
                    | ProblemCode::Unavailable
                    | ProblemCode::Behind
                    | ProblemCode::NodeUnavailable
                    | ProblemCode::StorageFull
                    | ProblemCode::QueueFull
                    | ProblemCode::ClockSkew
                    | ProblemCode::SignatureReplayed
            ),
            Self::Unreachable { .. } => true,
            Self::UnexpectedAnswer { status, .. } => *status >= 500,
        }
    }
}
