//! What the crate's errors mean for a caller: whether to try again, with a new client or not, and
//! the sentence for the operator.

use eventstore::Error;
use satpost_commands::ports::LogError;

/// Why a call did not give what it should.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Failure {
    /// The stream is not there.
    Absent,
    /// The stream was deleted for good.
    Deleted,
    /// It will not get better by trying: credentials, rights, a server that is too old.
    Refused(String),
    /// It can get better by trying.
    Passing {
        /// What is wrong.
        reason: String,
        /// Whether the client is of no use any more.
        disconnected: bool,
    },
    /// The log holds what must not be folded.
    Untrusted(String),
}

impl Failure {
    /// Something that passes and leaves the client as it is.
    pub(super) fn passing(reason: impl Into<String>) -> Self {
        Self::Passing {
            reason: reason.into(),
            disconnected: false,
        }
    }

    fn disconnected(reason: String) -> Self {
        Self::Passing {
            reason,
            disconnected: true,
        }
    }

    /// What a caller who changed nothing is told.
    pub(super) fn into_error(self, place: &str) -> LogError {
        let reason = match self {
            Self::Untrusted(reason) => return LogError::Fatal { reason },
            Self::Absent => "it does not know the stream".to_owned(),
            Self::Deleted => "the stream was deleted on the server".to_owned(),
            Self::Refused(reason) | Self::Passing { reason, .. } => reason,
        };
        LogError::Unavailable {
            reason: format!("{place}: {reason}"),
        }
    }
}

impl From<Error> for Failure {
    fn from(error: Error) -> Self {
        match error {
            Error::ResourceNotFound => Self::Absent,
            Error::ResourceDeleted => Self::Deleted,
            Error::AccessDenied => Self::Refused(
                "it refuses our credentials, or what they may do; check user and password in `log`"
                    .to_owned(),
            ),
            Error::UnsupportedFeature => Self::Refused(
                "it does not offer batch append; EventStoreDB 21.10 or later is needed".to_owned(),
            ),
            // The crate goes to the leader that was named by itself.
            Error::NotLeaderException(leader) => Self::passing(format!(
                "the node is not the leader; that is {}:{}",
                leader.host, leader.port
            )),
            Error::DeadlineExceeded => Self::passing("no answer came in time"),
            // Another append of the session was refused; the connection is as good as before.
            Error::ServerError(text) if text.contains("Batch-append stream has been closed") => {
                Self::passing("the session of appends has ended")
            }
            Error::ServerError(text) => Self::disconnected(format!("it failed: {}", short(&text))),
            Error::ConnectionClosed => Self::disconnected("it cannot be reached".to_owned()),
            Error::GrpcConnectionError(error) => Self::disconnected(format!(
                "it cannot be reached: {}",
                short(&error.to_string())
            )),
            other => Self::disconnected(short(&other.to_string())),
        }
    }
}

/// A status without the headers that tonic prints after it, in a length for one line.
fn short(text: &str) -> String {
    let end = [", details:", ", metadata:"]
        .iter()
        .filter_map(|mark| text.find(mark))
        .min()
        .unwrap_or(text.len());
    text[..end].chars().take(300).collect()
}
