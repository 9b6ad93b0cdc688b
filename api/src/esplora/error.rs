//! Errors as Esplora clients know them: a status and one line of plain text.

use actix_web::HttpResponse;
use actix_web::http::StatusCode;
use actix_web::http::header::{CONTENT_TYPE, RETRY_AFTER};
use satpost_domain::limits::ESPLORA_RETRY_AFTER;

use super::ports::QueryError;
use crate::problem::{ApiError, status};

/// Why a request is not answered with success.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct EsploraError {
    pub(crate) status: StatusCode,
    pub(crate) text: String,
    /// In seconds.
    pub(crate) retry_after: Option<u64>,
    /// The rest of the request is not read, so the connection cannot go on.
    close: bool,
}

impl EsploraError {
    fn new(status: StatusCode, text: impl Into<String>) -> Self {
        Self {
            status,
            text: text.into(),
            retry_after: None,
            close: false,
        }
    }

    /// What the client asked cannot be.
    pub(crate) fn bad(text: impl Into<String>) -> Self {
        Self::new(StatusCode::BAD_REQUEST, text)
    }

    /// There is no such thing.
    pub(crate) fn not_found(text: impl Into<String>) -> Self {
        Self::new(StatusCode::NOT_FOUND, text)
    }

    /// The request is well formed and cannot be answered: the code of mempool.space for pages.
    pub(crate) fn unprocessable(text: impl Into<String>) -> Self {
        Self::new(StatusCode::UNPROCESSABLE_ENTITY, text)
    }

    /// The operator has switched it off.
    pub(crate) fn forbidden(text: impl Into<String>) -> Self {
        Self::new(StatusCode::FORBIDDEN, text)
    }

    /// No route has this path.
    pub(crate) fn no_endpoint(path: &str) -> Self {
        Self::not_found(format!("endpoint does not exist {path:?}"))
    }

    fn later(status: StatusCode, text: impl Into<String>) -> Self {
        Self {
            retry_after: Some(ESPLORA_RETRY_AFTER.as_secs()),
            ..Self::new(status, text)
        }
    }

    pub(crate) fn response(&self) -> HttpResponse {
        let mut response = HttpResponse::build(self.status);
        if let Some(seconds) = self.retry_after {
            response.insert_header((RETRY_AFTER, seconds));
        }
        if self.close {
            response.force_close();
        }
        response
            .insert_header((CONTENT_TYPE, "text/plain"))
            .body(self.text.clone())
    }
}

impl From<QueryError> for EsploraError {
    fn from(error: QueryError) -> Self {
        let text = error.to_string();
        match error {
            QueryError::ScriptNotWatched => Self::bad("Address is not watched by this server"),
            QueryError::TransactionNotWatched => {
                Self::bad("Transaction is not watched by this server")
            }
            QueryError::HistoryIncomplete => Self::later(
                StatusCode::SERVICE_UNAVAILABLE,
                "History of this address is not complete yet",
            ),
            QueryError::HistoryTooLong { max } => {
                Self::bad(format!("Too many history entries (>{max})"))
            }
            QueryError::TooManyUnspent { max } => {
                Self::bad(format!("Too many unspent transaction outputs (>{max})"))
            }
            QueryError::CatchingUp { .. } => Self::later(StatusCode::SERVICE_UNAVAILABLE, text),
            QueryError::Refused { .. } => Self::bad(text),
            // The reason names hosts and files; it is for the operator, who finds it in the log.
            QueryError::NodeBusy(cause) => {
                tracing::warn!(cause, "the node is too busy for an Esplora request");
                Self::later(StatusCode::SERVICE_UNAVAILABLE, "daemon is busy")
            }
            QueryError::NodeUnavailable(cause) => {
                tracing::warn!(cause, "the node did not answer an Esplora request");
                Self::later(StatusCode::GATEWAY_TIMEOUT, "daemon unavailable")
            }
            QueryError::Broken(cause) => {
                tracing::error!(cause, "an Esplora request failed");
                Self::new(StatusCode::INTERNAL_SERVER_ERROR, "Internal server error")
            }
        }
    }
}

/// What the layers before the routes refuse: limits, heads, bodies.
impl From<&ApiError> for EsploraError {
    fn from(error: &ApiError) -> Self {
        let status = status(error.code);
        let text = match status {
            StatusCode::PAYLOAD_TOO_LARGE => "Request body too large".to_owned(),
            StatusCode::REQUEST_TIMEOUT => "Request timeout".to_owned(),
            StatusCode::TOO_MANY_REQUESTS => "Too many requests".to_owned(),
            StatusCode::INTERNAL_SERVER_ERROR => "Internal server error".to_owned(),
            _ => error
                .detail
                .as_deref()
                .unwrap_or_else(|| error.code.title())
                .to_owned(),
        };
        Self {
            retry_after: error
                .retry_after
                // Rounded up: a client that comes back at that second finds room.
                .map(|after| (after.as_secs() + u64::from(after.subsec_nanos() > 0)).max(1)),
            close: error.close,
            ..Self::new(status, text)
        }
    }
}
