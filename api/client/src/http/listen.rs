//! The stream of changes, as long as one connection lives.

use std::time::Duration;

use reqwest::Response;
use satpost_api_types::transactions::{TransactionChange, TransactionStatus};
use satpost_domain::limits::EVENT_HEARTBEAT;
use tokio::time::timeout;

use super::call::Call;
use super::{CallError, HttpClient};
use crate::event_stream::{EventParser, StreamEvent};
use crate::keys::IdentitySecret;
use crate::request_signer::Signers;

/// How long a stream may say nothing; two heartbeats may be lost.
const SILENCE_MAX: Duration = Duration::from_secs(3 * EVENT_HEARTBEAT.as_secs());
/// How old a connection grows before another one takes its place.
const CONNECTION_AGE_MAX: Duration = Duration::from_secs(24 * 3600);
/// The event with which the server says that it ends the stream.
const BYE: &str = "bye";

/// An open stream.
#[derive(Debug)]
pub struct Listening {
    response: Response,
    parser: EventParser,
}

impl HttpClient {
    /// Opens the stream of what happened to transactions after `after`, and of what happens.
    ///
    /// # Errors
    /// [`CallError`].
    pub async fn listen(
        &self,
        identity: &IdentitySecret,
        after: Option<&str>,
    ) -> Result<Listening, CallError> {
        let mut call = Call::query("/v1/events", Some(Signers::one(identity)));
        call.wait = CONNECTION_AGE_MAX;
        if let Some(after) = after {
            call.headers.push(("last-event-id", after.to_owned()));
        }
        Ok(Listening {
            response: self.open(&call).await?,
            parser: EventParser::default(),
        })
    }
}

impl Listening {
    /// The next change; nothing once the stream has ended, was cut, or has said nothing for too long.
    /// Dropping the future loses nothing.
    ///
    /// # Errors
    /// [`CallError::UnexpectedAnswer`] when the stream cannot be understood.
    pub async fn next(&mut self) -> Result<Option<TransactionChange>, CallError> {
        loop {
            while let Some(event) = self.parser.next_event() {
                if event.name == BYE {
                    return Ok(None);
                }
                if let Some(change) = self.read(&event)? {
                    return Ok(Some(change));
                }
            }
            match timeout(SILENCE_MAX, self.response.chunk()).await {
                Ok(Ok(Some(piece))) => {
                    let pushed = self.parser.push(&piece);
                    pushed.map_err(|error| self.unexpected(&error))?;
                }
                Ok(Ok(None) | Err(_)) | Err(_) => return Ok(None),
            }
        }
    }

    /// The change of an event; nothing when it is of a kind that a later server tells of.
    fn read(&self, event: &StreamEvent) -> Result<Option<TransactionChange>, CallError> {
        if !TransactionStatus::EVENT_NAMES.contains(&event.name.as_str()) {
            return Ok(None);
        }
        let change = serde_json::from_str(&event.data);
        change.map(Some).map_err(|error| self.unexpected(&error))
    }

    fn unexpected(&self, error: &dyn std::error::Error) -> CallError {
        CallError::UnexpectedAnswer {
            status: self.response.status().as_u16(),
            what: error.to_string(),
        }
    }
}

#[cfg(test)]
mod tests;
