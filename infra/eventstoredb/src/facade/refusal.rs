//! Why a call is not carried out, in the two ways the protocol has: as the status of a call, and as
//! a status inside the answer of a batch.

use prost::Message;
use prost_types::Any;
use satpost_commands::ports::LogError;
use satpost_domain::Revision;
use tonic::metadata::MetadataValue;
use tonic::{Code, Status};

use super::append::ExpectedState;
use crate::protocol::{rpc, shared};

/// The key that clients look at to tell errors of the same code apart.
const EXCEPTION: &str = "exception";

/// Why a call is not carried out.
#[derive(Debug)]
pub(super) enum Refusal {
    /// Nobody may append here.
    AppendOff,
    /// Nobody may delete here.
    Delete,
    /// The request makes no sense.
    BadRequest(String),
    /// The stream is not where the writer expected it.
    WrongVersion {
        expected: ExpectedState,
        actual: Option<Revision>,
    },
    /// Too much is going on already.
    Exhausted(&'static str),
    /// The log cannot do it.
    Log(LogError),
}

impl From<LogError> for Refusal {
    fn from(error: LogError) -> Self {
        Self::Log(error)
    }
}

impl Refusal {
    /// The status of a whole call. A wrong version has an answer of its own there; this one is for
    /// clients that do not know it.
    pub(super) fn into_status(self) -> Status {
        let code = self.code();
        let status = Status::new(code, self.sentence());
        match self {
            Self::AppendOff | Self::Delete => with_exception(status, "access-denied", None),
            Self::Log(LogError::TooLarge { max, .. }) => with_exception(
                status,
                "maximum-append-size-exceeded",
                Some(("maximum-append-size", max)),
            ),
            _ => status,
        }
    }

    /// The status of one append of a batch.
    pub(super) fn into_rpc_status(self) -> rpc::Status {
        let code = self.code();
        let message = self.sentence();
        let details = match self {
            Self::WrongVersion { expected, actual } => wrong_version(expected, actual),
            Self::Log(LogError::TooLarge { max, .. }) => pack(
                "MaximumAppendSizeExceeded",
                &shared::MaximumAppendSizeExceeded {
                    max_append_size: u32::try_from(max).unwrap_or(u32::MAX),
                },
            ),
            Self::Log(LogError::Unknown { .. }) => pack("Timeout", &shared::Timeout {}),
            Self::BadRequest(_) => pack(
                "BadRequest",
                &shared::BadRequest {
                    message: message.clone(),
                },
            ),
            _ => pack("Unknown", &shared::Unknown {}),
        };
        rpc::Status {
            code: code.into(),
            message,
            details: Some(details),
        }
    }

    fn code(&self) -> Code {
        match self {
            Self::AppendOff | Self::Delete => Code::PermissionDenied,
            Self::BadRequest(_) | Self::Log(LogError::TooLarge { .. }) => Code::InvalidArgument,
            // What the real server answers with.
            Self::WrongVersion { .. } | Self::Log(LogError::Conflict { .. }) => Code::AlreadyExists,
            Self::Exhausted(_) => Code::ResourceExhausted,
            Self::Log(LogError::Unavailable { .. }) => Code::Unavailable,
            Self::Log(LogError::Unknown { .. }) => Code::DeadlineExceeded,
            Self::Log(LogError::Fatal { .. }) => Code::Internal,
        }
    }

    fn sentence(&self) -> String {
        match self {
            Self::AppendOff => "this log is served to be read; appending is switched off (eventstoredb.append)".to_owned(),
            Self::Delete => "nothing is deleted from this log: one hash chain proves all of it; what must be forgotten is erased by its key".to_owned(),
            Self::BadRequest(sentence) => sentence.clone(),
            Self::WrongVersion { .. } | Self::Log(LogError::Conflict { .. }) => "WrongExpectedVersion".to_owned(),
            Self::Exhausted(sentence) => (*sentence).to_owned(),
            Self::Log(LogError::TooLarge { max, .. }) => format!("Maximum Append Size of {max} Exceeded."),
            Self::Log(error) => error.to_string(),
        }
    }
}

fn with_exception(
    mut status: Status,
    name: &'static str,
    more: Option<(&'static str, usize)>,
) -> Status {
    let metadata = status.metadata_mut();
    metadata.insert(EXCEPTION, MetadataValue::from_static(name));
    if let Some((key, value)) = more {
        metadata.insert(key, MetadataValue::from(value));
    }
    status
}

fn wrong_version(expected: ExpectedState, actual: Option<Revision>) -> Any {
    use shared::wrong_expected_version::{
        CurrentStreamRevisionOption as Current, ExpectedStreamPositionOption as Wanted,
    };
    let detail = shared::WrongExpectedVersion {
        current_stream_revision_option: Some(match actual {
            Some(Revision(revision)) => Current::CurrentStreamRevision(revision),
            None => Current::CurrentNoStream(()),
        }),
        expected_stream_position_option: Some(match expected {
            ExpectedState::Exact(Revision(revision)) => Wanted::ExpectedStreamPosition(revision),
            ExpectedState::NoStream => Wanted::ExpectedNoStream(()),
            ExpectedState::Any => Wanted::ExpectedAny(()),
            ExpectedState::StreamExists => Wanted::ExpectedStreamExists(()),
        }),
    };
    pack("WrongExpectedVersion", &detail)
}

fn pack(name: &str, message: &impl Message) -> Any {
    Any {
        type_url: format!("type.googleapis.com/event_store.client.{name}"),
        value: message.encode_to_vec(),
    }
}
