//! The one table from every error of every layer to a stable code, and what goes with the code.
//!
//! No arm is a wildcard: a new error does not compile until somebody decides what a client sees.

use std::fmt;
use std::time::Duration;

use actix_web::ResponseError;
use actix_web::http::StatusCode;
use satpost_api_types::problem::ProblemCode;
use satpost_commands::CommandError;
use satpost_commands::import_addresses::ImportInterrupted;
use satpost_commands::ports::LogError;
use satpost_commands::register_client::RegisterClientError;
use satpost_domain::KeyError;
use satpost_domain::client::ClientError;
use satpost_domain::limits;
use satpost_domain::mailbox::MailboxError;
use satpost_domain::push::PushTargetError;
use satpost_domain::watchlist::WatchlistError;

use crate::ports::ProofError;

mod render;

pub(crate) use render::{log_level, problem_in_batch, render, status};

/// When a refused request may come again, where the server has no better idea.
const RETRY_AFTER_DEFAULT: Duration = Duration::from_secs(2);
/// The same when the disk or a mailbox is full: somebody has to be woken first.
const RETRY_AFTER_FULL: Duration = Duration::from_secs(60);
/// The same when a mailbox is full: its owner has to fetch. It is the same for every mailbox and at any
/// time, because a sender must not learn when a phone comes and goes.
const RETRY_AFTER_QUEUE_FULL: Duration = Duration::from_secs(300);

/// Why a request is not answered with success.
#[derive(Debug, Clone)]
pub(crate) struct ApiError {
    /// What the client decides by.
    pub(crate) code: ProblemCode,
    /// For the client; says what to do next.
    pub(crate) detail: Option<Box<str>>,
    /// For the operator; never sent.
    pub(crate) cause: Option<Box<str>>,
    pub(crate) server_time: Option<u64>,
    pub(crate) limit: Option<u64>,
    pub(crate) retry_after: Option<Duration>,
    /// The methods of the route, with 405.
    pub(crate) allow: Option<Box<str>>,
    /// The rest of the request is not read, so the connection cannot go on.
    pub(crate) close: bool,
}

impl ApiError {
    /// A problem with this code and nothing to add.
    pub(crate) const fn new(code: ProblemCode) -> Self {
        Self {
            code,
            detail: None,
            cause: None,
            server_time: None,
            limit: None,
            retry_after: None,
            allow: None,
            close: false,
        }
    }

    /// Adds what happened and what to do next.
    pub(crate) fn with_detail(mut self, detail: impl fmt::Display) -> Self {
        self.detail = Some(detail.to_string().into());
        self
    }

    /// Adds what the operator has to know.
    pub(crate) fn with_cause(mut self, cause: impl fmt::Display) -> Self {
        self.cause = Some(cause.to_string().into());
        self
    }

    fn with_limit(mut self, limit: usize) -> Self {
        self.limit = Some(limit as u64);
        self
    }

    fn with_retry_after(mut self, after: Duration) -> Self {
        self.retry_after = Some(after);
        self
    }

    fn closing(mut self) -> Self {
        self.close = true;
        self
    }

    /// A header, query or body does not parse.
    pub(crate) fn malformed(detail: impl fmt::Display) -> Self {
        Self::new(ProblemCode::Malformed).with_detail(detail)
    }

    /// The body is larger than `max` bytes; the rest of it is not read.
    pub(crate) fn too_large(max: usize) -> Self {
        Self::new(ProblemCode::TooLarge)
            .with_detail(format_args!("a body of this route has at most {max} bytes"))
            .with_limit(max)
            .closing()
    }

    /// A request names too much at once, or nothing.
    pub(crate) fn count(what: &str, max: usize, actual: usize) -> Self {
        Self::new(ProblemCode::LimitExceeded)
            .with_detail(format_args!(
                "a request has 1 to {max} {what}, got {actual}"
            ))
            .with_limit(max)
    }

    /// As many large requests are carried out as the server has room for.
    pub(crate) fn no_room() -> Self {
        Self::new(ProblemCode::Unavailable)
            .with_detail("as many large requests are carried out as there is room for")
            .with_retry_after(RETRY_AFTER_DEFAULT)
            .closing()
    }

    /// The request line and headers are too large.
    pub(crate) fn head_too_large() -> Self {
        Self::new(ProblemCode::HeadTooLarge)
            .with_limit(limits::REQUEST_HEAD_BYTES_MAX)
            .closing()
    }

    /// The body came too slowly; the rest of it is not read.
    pub(crate) fn body_timeout() -> Self {
        Self::new(ProblemCode::BodyTimeout)
            .with_detail(format_args!(
                "a body arrives within {} seconds, and after the first {} at {} bytes per second or faster",
                limits::BODY_DEADLINE.as_secs(),
                limits::BODY_GRACE.as_secs(),
                limits::BODY_BYTES_PER_SEC_MIN
            ))
            .closing()
    }

    /// The content type is not `expected`.
    pub(crate) fn unsupported_media_type(expected: &str) -> Self {
        Self::new(ProblemCode::UnsupportedMediaType)
            .with_detail(format_args!("this route takes {expected}, not encoded"))
            .closing()
    }

    /// The method is none of `allow`.
    pub(crate) fn method_not_allowed(allow: String) -> Self {
        let mut error = Self::new(ProblemCode::MethodNotAllowed);
        error.allow = Some(allow.into());
        error
    }

    /// Too many requests; there is room again after `wait`.
    pub(crate) fn rate_limited(wait: Duration) -> Self {
        Self::new(ProblemCode::RateLimited).with_retry_after(wait)
    }

    /// The server takes no more work of this kind now.
    pub(crate) fn overloaded(cause: &str) -> Self {
        Self::new(ProblemCode::Unavailable)
            .with_cause(cause)
            .with_retry_after(RETRY_AFTER_DEFAULT)
    }

    /// The projections are behind.
    pub(crate) fn behind() -> Self {
        Self::new(ProblemCode::Behind).with_retry_after(RETRY_AFTER_DEFAULT)
    }

    /// There is no Bitcoin node.
    pub(crate) fn node_unavailable() -> Self {
        Self::new(ProblemCode::NodeUnavailable).with_retry_after(RETRY_AFTER_DEFAULT)
    }

    /// The client has as many event streams open as it may.
    pub(crate) fn too_many_streams() -> Self {
        Self::new(ProblemCode::TooManyStreams)
            .with_detail("close a stream before opening another one")
            .with_limit(limits::EVENT_STREAMS_PER_CLIENT_MAX)
            .with_retry_after(limits::EVENT_HEARTBEAT)
    }

    /// Too few exchanges agree.
    pub(crate) fn price_unavailable(detail: impl fmt::Display) -> Self {
        Self::new(ProblemCode::PriceUnavailable)
            .with_detail(detail)
            .with_retry_after(RETRY_AFTER_DEFAULT)
    }

    /// The recipient is unknown, or takes nothing from this sender. The same for every recipient and
    /// for every reason, in each byte.
    pub(crate) fn delivery_refused(work_bits: u32) -> Self {
        Self::new(ProblemCode::DeliveryRefused).with_detail(format_args!(
            "a message needs a delivery token of the recipient, or, where strangers may knock, work of {work_bits} bits for this message that is at most {} minutes old, {} bytes at most, and room for it",
            limits::KNOCK_WORK_AGE_MAX.as_secs() / 60,
            limits::KNOCK_BYTES_MAX
        ))
    }

    /// A defect of the server.
    pub(crate) fn internal(cause: impl fmt::Display) -> Self {
        Self::new(ProblemCode::Internal).with_cause(cause)
    }

    /// The signature's time does not fit; tells the server's, so that the client can sign again.
    pub(crate) fn clock_skew(server_time_ms: u64) -> Self {
        let mut error = Self::new(ProblemCode::ClockSkew)
            .with_detail("set the clock by server_time and sign again");
        error.server_time = Some(server_time_ms);
        error
    }
}

impl fmt::Display for ApiError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.code.as_str())
    }
}

/// Only the status: the body needs the request's id and is written by [`crate::observe`].
impl ResponseError for ApiError {
    fn status_code(&self) -> StatusCode {
        status(self.code)
    }
}

impl From<ClientError> for ApiError {
    fn from(error: ClientError) -> Self {
        let code = match error {
            ClientError::AlreadyRegistered => ProblemCode::AlreadyRegistered,
            ClientError::NotRegistered => ProblemCode::NotRegistered,
            ClientError::Retired => ProblemCode::Retired,
            ClientError::KeysEqual => ProblemCode::KeyInUse,
            ClientError::TooManyMessagingKeys => {
                return Self::new(ProblemCode::LimitExceeded)
                    .with_detail(error)
                    .with_limit(limits::MESSAGING_KEYS_MAX);
            }
            ClientError::NoPushTargetPending => ProblemCode::NothingPending,
            ClientError::PushCodeSpent | ClientError::WrongPushCode { .. } => {
                ProblemCode::WrongPushCode
            }
        };
        Self::new(code).with_detail(error)
    }
}

/// A mailbox as its owner sees it; [`delivery_refusal`] is the sender's side.
impl From<MailboxError> for ApiError {
    fn from(error: MailboxError) -> Self {
        let (code, limit) = match error {
            MailboxError::OwnedByAnother => (ProblemCode::KeyInUse, None),
            // Only commands of an owner come here with these: senders get [`delivery_refusal`], and
            // the command follows the way of a mailbox that passes messages on.
            MailboxError::NotOpen
            | MailboxError::Forwarded { .. }
            | MailboxError::StrangerRefused => (ProblemCode::NotRegistered, None),
            MailboxError::TokenCount { .. } => (
                ProblemCode::LimitExceeded,
                Some(limits::DELIVERY_TOKENS_PER_REQUEST_MAX),
            ),
            MailboxError::TooManyTokens => (
                ProblemCode::LimitExceeded,
                Some(limits::DELIVERY_TOKENS_MAX),
            ),
            MailboxError::NotPadded { .. } => (ProblemCode::NotPadded, None),
            MailboxError::TtlOutOfBounds { .. } => (ProblemCode::TtlOutOfBounds, None),
            MailboxError::Full => (ProblemCode::QueueFull, Some(limits::MAILBOX_MESSAGES_MAX)),
            MailboxError::AckAheadOfDelivery { .. } => (ProblemCode::AckAheadOfDelivery, None),
            MailboxError::ChainMismatch { .. } => (ProblemCode::ChainMismatch, None),
            MailboxError::UnknownMessage => (ProblemCode::UnknownMessage, None),
            MailboxError::TooMany { .. } => {
                (ProblemCode::LimitExceeded, Some(limits::PARK_MESSAGES_MAX))
            }
        };
        let problem = Self::new(code).with_detail(error);
        let problem = match error {
            MailboxError::Full => problem.with_retry_after(RETRY_AFTER_QUEUE_FULL),
            _ => problem,
        };
        match limit {
            Some(limit) => problem.with_limit(limit),
            None => problem,
        }
    }
}

/// Why a sender is turned away. An unknown recipient and one that refuses look the same.
pub(crate) fn delivery_refusal(error: CommandError<MailboxError>, work_bits: u32) -> ApiError {
    match error {
        CommandError::Rejected(MailboxError::NotOpen | MailboxError::StrangerRefused) => {
            ApiError::delivery_refused(work_bits)
        }
        CommandError::Rejected(MailboxError::Full) => {
            ApiError::from(MailboxError::Full).with_retry_after(RETRY_AFTER_FULL)
        }
        other => other.into(),
    }
}

impl From<RegisterClientError> for ApiError {
    fn from(error: RegisterClientError) -> Self {
        match error {
            RegisterClientError::Client(error) => error.into(),
            RegisterClientError::Mailbox(error) => error.into(),
        }
    }
}

impl From<WatchlistError> for ApiError {
    fn from(error: WatchlistError) -> Self {
        let problem = |code| Self::new(code).with_detail(error);
        match error {
            WatchlistError::Full { max, .. } => problem(ProblemCode::LimitExceeded).with_limit(max),
            WatchlistError::Count { .. } => {
                problem(ProblemCode::LimitExceeded).with_limit(limits::EVENTS_PER_COMMAND_MAX)
            }
            WatchlistError::NotWatched => problem(ProblemCode::NotWatched),
            WatchlistError::Birthday(_) => problem(ProblemCode::InvalidBirthday),
        }
    }
}

impl ApiError {
    /// An import that ended in the middle, of `lines` good lines.
    pub(crate) fn interrupted(interrupted: ImportInterrupted, lines: usize) -> Self {
        let carried_out = interrupted.carried_out;
        let error = Self::from(interrupted.source);
        if carried_out == 0 {
            return error;
        }
        error.with_detail(format_args!(
            "the first {carried_out} of {lines} good lines are watched; send the same request again"
        ))
    }
}

impl From<KeyError> for ApiError {
    fn from(error: KeyError) -> Self {
        match error {
            KeyError::Malformed { .. } | KeyError::NotCanonical | KeyError::SmallOrder => {
                Self::new(ProblemCode::InvalidKey).with_detail(error)
            }
        }
    }
}

impl From<ProofError> for ApiError {
    fn from(error: ProofError) -> Self {
        match error {
            ProofError::NodeUnavailable => Self::node_unavailable(),
            ProofError::BlockPruned => Self::new(ProblemCode::BlockPruned),
            ProofError::Busy => Self::overloaded("too many proofs are asked for at once"),
            ProofError::NotInBlock => {
                Self::internal("the node's block lacks a transaction that was confirmed in it")
            }
        }
    }
}

impl From<PushTargetError> for ApiError {
    fn from(error: PushTargetError) -> Self {
        let problem = Self::new(ProblemCode::InvalidPushTarget).with_detail(&error);
        match error {
            PushTargetError::EndpointSize { .. } => {
                problem.with_limit(limits::PUSH_ENDPOINT_BYTES_MAX)
            }
            PushTargetError::ApnsTokenSize { .. } => {
                problem.with_limit(limits::APNS_TOKEN_BYTES_MAX)
            }
            PushTargetError::ApnsTopicForm => problem.with_limit(limits::APNS_TOPIC_BYTES_MAX),
            PushTargetError::FcmTokenForm => problem.with_limit(limits::FCM_TOKEN_BYTES_MAX),
            PushTargetError::KeyForm => problem,
        }
    }
}

/// What the log says is for the operator: it may name files and hosts.
impl From<LogError> for ApiError {
    fn from(error: LogError) -> Self {
        match error {
            LogError::Conflict { .. } => Self::new(ProblemCode::Conflict)
                .with_cause(&error)
                .with_retry_after(RETRY_AFTER_DEFAULT),
            LogError::TooLarge { .. } => Self::internal(&error),
            LogError::StorageFull { .. } => Self::new(ProblemCode::StorageFull)
                .with_detail("the operator has to make room; what is stored can be read")
                .with_cause(&error)
                .with_retry_after(RETRY_AFTER_FULL),
            LogError::Unavailable { .. } | LogError::Unknown { .. } | LogError::Fatal { .. } => {
                Self::new(ProblemCode::Unavailable)
                    .with_cause(&error)
                    .with_retry_after(RETRY_AFTER_DEFAULT)
            }
        }
    }
}

impl<E: std::error::Error + Into<Self> + 'static> From<CommandError<E>> for ApiError {
    fn from(error: CommandError<E>) -> Self {
        match error {
            CommandError::Rejected(refusal) => refusal.into(),
            CommandError::Conflict { .. } => {
                Self::new(ProblemCode::Conflict).with_retry_after(RETRY_AFTER_DEFAULT)
            }
            CommandError::IdempotencyMismatch => Self::new(ProblemCode::IdempotencyMismatch),
            CommandError::Log(error) => error.into(),
        }
    }
}

#[cfg(test)]
mod tests;
