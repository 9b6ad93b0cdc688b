//! The messages of a mailbox as they come, as long as one connection lives.

use std::time::Duration;

use reqwest::Response;
use satpost_api_types::live::{CLOSING, EMPTY, GONE, LineEnd, LiveDelivery, MESSAGE, SUPERSEDED};
use satpost_api_types::messages::SignedHead;
use satpost_domain::limits::EVENT_HEARTBEAT;
use serde::de::DeserializeOwned;
use tokio::time::timeout;

use super::call::Call;
use super::{CallError, HttpClient};
use crate::event_stream::{EventParser, StreamEvent};
use crate::keys::MessagingSecret;
use crate::request_signer::Signers;

/// How long a stream may say nothing; two heartbeats may be lost.
const SILENCE_MAX: Duration = Duration::from_secs(3 * EVENT_HEARTBEAT.as_secs());
/// How old a connection grows before another one takes its place.
const CONNECTION_AGE_MAX: Duration = Duration::from_secs(24 * 3600);

/// What a stream of messages tells.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum MessageEvent {
    /// A message or tombstone, not verified yet.
    Delivery(Box<LiveDelivery>),
    /// Everything that waits was told, up to this head.
    Empty(Box<SignedHead>),
    /// A newer stream or socket of the mailbox has taken over. Nothing comes after it.
    Superseded,
}

/// An open stream.
#[derive(Debug)]
pub struct MessageStream {
    response: Response,
    parser: EventParser,
    over: bool,
}

impl HttpClient {
    /// Opens the stream of the mailbox of `messaging`, from after the last acknowledged message on,
    /// and takes over from whoever reads that mailbox live.
    ///
    /// # Errors
    /// [`CallError`].
    pub async fn stream_messages(
        &self,
        messaging: &MessagingSecret,
    ) -> Result<MessageStream, CallError> {
        let mut call = Call::query("/v1/messages/stream", Some(Signers::one(messaging)));
        call.wait = CONNECTION_AGE_MAX;
        Ok(MessageStream {
            response: self.open(&call).await?,
            parser: EventParser::default(),
            over: false,
        })
    }
}

impl MessageStream {
    /// What comes next; nothing once the stream has ended, was cut, or has said nothing for too long.
    /// Dropping the future loses nothing.
    ///
    /// # Errors
    /// [`CallError::UnexpectedAnswer`] when the stream cannot be understood.
    pub async fn next(&mut self) -> Result<Option<MessageEvent>, CallError> {
        while !self.over {
            while let Some(event) = self.parser.next_event() {
                if let Some(told) = self.take(&event)? {
                    return Ok(Some(told));
                }
                if self.over {
                    return Ok(None);
                }
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

    /// What an event tells; nothing when it is of a kind that a later server has.
    fn take(&mut self, event: &StreamEvent) -> Result<Option<MessageEvent>, CallError> {
        Ok(match event.name.as_str() {
            MESSAGE | GONE => Some(MessageEvent::Delivery(Box::new(self.read(event)?))),
            EMPTY => {
                let LineEnd { head } = self.read(event)?;
                Some(MessageEvent::Empty(Box::new(head)))
            }
            SUPERSEDED => {
                self.over = true;
                Some(MessageEvent::Superseded)
            }
            CLOSING => {
                self.over = true;
                None
            }
            _ => None,
        })
    }

    fn read<T: DeserializeOwned>(&self, event: &StreamEvent) -> Result<T, CallError> {
        serde_json::from_str(&event.data).map_err(|error| self.unexpected(&error))
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
