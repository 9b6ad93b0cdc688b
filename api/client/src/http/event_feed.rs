//! A stream of Server-Sent Events, as long as one connection lives.

use std::time::Duration;

use reqwest::Response;
use satpost_domain::limits::EVENT_HEARTBEAT;
use serde::de::DeserializeOwned;
use tokio::time::timeout;

use super::call::Call;
use super::{CallError, HttpClient};
use crate::event_stream::{EventParser, StreamEvent};

/// How long a stream may say nothing; two heartbeats may be lost.
const SILENCE_MAX: Duration = Duration::from_secs(3 * EVENT_HEARTBEAT.as_secs());
/// How old a connection grows before another one takes its place.
const CONNECTION_AGE_MAX: Duration = Duration::from_secs(24 * 3600);

/// An open stream.
#[derive(Debug)]
pub(super) struct EventFeed {
    response: Response,
    parser: EventParser,
    over: bool,
}

impl HttpClient {
    /// Opens the stream that answers `call`.
    pub(super) async fn open_events(&self, mut call: Call<'_>) -> Result<EventFeed, CallError> {
        call.wait = CONNECTION_AGE_MAX;
        Ok(EventFeed {
            response: self.open(&call).await?,
            parser: EventParser::default(),
            over: false,
        })
    }
}

impl EventFeed {
    /// The next event; nothing once the stream has ended, was cut, or has said nothing for too long.
    /// Dropping the future loses nothing.
    pub(super) async fn next(&mut self) -> Result<Option<StreamEvent>, CallError> {
        while !self.over {
            if let Some(event) = self.parser.next_event() {
                return Ok(Some(event));
            }
            match timeout(SILENCE_MAX, self.response.chunk()).await {
                Ok(Ok(Some(piece))) => {
                    let pushed = self.parser.push(&piece);
                    pushed.map_err(|error| self.unexpected(&error))?;
                }
                Ok(Ok(None) | Err(_)) | Err(_) => self.over = true,
            }
        }
        Ok(None)
    }

    /// Nothing is told any more, whatever has come.
    pub(super) const fn end(&mut self) {
        self.over = true;
    }

    /// What an event says.
    pub(super) fn read<T: DeserializeOwned>(&self, event: &StreamEvent) -> Result<T, CallError> {
        serde_json::from_str(&event.data).map_err(|error| self.unexpected(&error))
    }

    fn unexpected(&self, error: &dyn std::error::Error) -> CallError {
        CallError::UnexpectedAnswer {
            status: self.response.status().as_u16(),
            what: error.to_string(),
        }
    }
}
