//! Why a socket ends, and what is said about it: a last frame, and a close code.

use std::io::ErrorKind;

use actix_ws::{
    AggregatedMessage, AggregatedMessageStream, CloseCode, CloseReason, ProtocolError, Session,
};
use futures_util::StreamExt as _;
use satpost_api_types::live::{
    CLOSE_NOT_REGISTERED, CLOSE_SILENT, CLOSE_SUPERSEDED, Closing, ClosingReason, SUPERSEDED,
    ServerFrame,
};
use satpost_domain::limits::SOCKET_MESSAGE_BYTES_MAX;

use super::{command, reason, send};
use crate::form::Form;
use crate::problem::ApiError;

/// Why a socket ends.
#[derive(Debug)]
pub(super) enum Ending {
    /// The other side is gone, or takes nothing.
    Gone,
    /// The client closes.
    Closed(Option<CloseReason>),
    /// A newer reader has taken over.
    Superseded,
    /// The server ends it.
    Closing(ClosingReason),
    /// The client said what cannot be understood; nothing that comes after it can be.
    Fault(Box<ApiError>, CloseCode),
}

impl Ending {
    /// A frame that does not parse.
    pub(super) fn unreadable(error: &str) -> Self {
        let error = ApiError::malformed(format_args!("the frame does not parse: {error}"));
        Self::Fault(Box::new(error), CloseCode::Invalid)
    }

    /// A text message where binary ones are agreed on, or the other way round.
    pub(super) fn wrong_kind(expected: &str) -> Self {
        let error = ApiError::malformed(format_args!(
            "the frames of this subprotocol are {expected} messages"
        ));
        Self::Fault(Box::new(error), CloseCode::Unsupported)
    }

    /// Bytes that are no WebSocket, or too many.
    pub(super) fn of_protocol(error: &ProtocolError) -> Self {
        let malformed = || Box::new(ApiError::malformed(error));
        let too_large = || Box::new(ApiError::too_large(SOCKET_MESSAGE_BYTES_MAX));
        match error {
            ProtocolError::Overflow => Self::Fault(too_large(), CloseCode::Size),
            ProtocolError::Io(error) if error.kind() == ErrorKind::InvalidData => {
                let error = ApiError::malformed("a text message is UTF-8");
                Self::Fault(Box::new(error), CloseCode::Invalid)
            }
            // What the aggregation says of too many continuations.
            ProtocolError::Io(error) if error.get_ref().is_some_and(is_continuation_size) => {
                Self::Fault(too_large(), CloseCode::Size)
            }
            ProtocolError::Io(_) => Self::Gone,
            ProtocolError::UnmaskedFrame
            | ProtocolError::MaskedFrame
            | ProtocolError::InvalidOpcode(_)
            | ProtocolError::InvalidLength(_)
            | ProtocolError::BadOpCode
            | ProtocolError::ContinuationNotStarted
            | ProtocolError::ContinuationStarted
            | ProtocolError::ContinuationFragment(_) => {
                Self::Fault(malformed(), CloseCode::Protocol)
            }
        }
    }

    /// The last frame, if there is one, and how the socket closes; nothing to say when nobody listens.
    fn last_words(self) -> Option<(Option<ServerFrame>, Option<CloseReason>)> {
        match self {
            Self::Gone => None,
            Self::Closed(theirs) => Some((None, theirs)),
            Self::Superseded => {
                let close = reason(CloseCode::Other(CLOSE_SUPERSEDED), SUPERSEDED);
                Some((Some(ServerFrame::Superseded), Some(close)))
            }
            Self::Closing(why) => {
                let code = match why {
                    ClosingReason::Stopping => CloseCode::Away,
                    ClosingReason::NotRegistered => CloseCode::Other(CLOSE_NOT_REGISTERED),
                    ClosingReason::Silent => CloseCode::Other(CLOSE_SILENT),
                    ClosingReason::Slow => CloseCode::Policy,
                    ClosingReason::Failed => CloseCode::Error,
                };
                let frame = ServerFrame::Closing(Closing { reason: why });
                Some((Some(frame), Some(reason(code, why.as_str()))))
            }
            Self::Fault(error, code) => {
                let close = reason(code, error.code.as_str());
                Some((Some(command::refused(None, &error)), Some(close)))
            }
        }
    }

    /// Says the last words, and waits for the client's own: what it has sent meanwhile must be read,
    /// or the system would throw ours away with it.
    pub(super) async fn say(
        self,
        mut session: Session,
        form: Form,
        mut messages: AggregatedMessageStream,
    ) {
        let answers = matches!(self, Self::Closed(_));
        let Some((frame, close)) = self.last_words() else {
            return;
        };
        if let Some(frame) = frame
            && send(&mut session, form, &frame).await.is_err()
        {
            return;
        }
        if session.close(close).await.is_err() || answers {
            return;
        }
        while let Some(Ok(message)) = messages.next().await {
            if matches!(message, AggregatedMessage::Close(_)) {
                return;
            }
        }
    }
}

/// The library has no kind of its own for this one.
fn is_continuation_size(error: &(dyn std::error::Error + Send + Sync + 'static)) -> bool {
    error.to_string().contains("continuation size")
}
