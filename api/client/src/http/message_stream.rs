//! The messages of a mailbox as they come, as long as one connection lives.

use satpost_api_types::live::{CLOSING, EMPTY, GONE, LineEnd, LiveDelivery, MESSAGE, SUPERSEDED};
use satpost_api_types::messages::SignedHead;

use super::call::Call;
use super::event_feed::EventFeed;
use super::{CallError, HttpClient};
use crate::event_stream::StreamEvent;
use crate::keys::MessagingSecret;
use crate::request_signer::Signers;

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
pub struct MessageStream(EventFeed);

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
        let call = Call::query("/v1/messages/stream", Some(Signers::one(messaging)));
        self.open_events(call).await.map(MessageStream)
    }
}

impl MessageStream {
    /// What comes next; nothing once the stream has ended, was cut, or has said nothing for too long.
    /// Dropping the future loses nothing.
    ///
    /// # Errors
    /// [`CallError::UnexpectedAnswer`] when the stream cannot be understood.
    pub async fn next(&mut self) -> Result<Option<MessageEvent>, CallError> {
        while let Some(event) = self.0.next().await? {
            if let Some(told) = self.take(&event)? {
                return Ok(Some(told));
            }
        }
        Ok(None)
    }

    /// What an event tells; nothing when it is of a kind that a later server has.
    fn take(&mut self, event: &StreamEvent) -> Result<Option<MessageEvent>, CallError> {
        Ok(match event.name.as_str() {
            MESSAGE | GONE => Some(MessageEvent::Delivery(Box::new(self.0.read(event)?))),
            EMPTY => {
                let LineEnd { head } = self.0.read(event)?;
                Some(MessageEvent::Empty(Box::new(head)))
            }
            SUPERSEDED => {
                self.0.end();
                Some(MessageEvent::Superseded)
            }
            CLOSING => {
                self.0.end();
                None
            }
            _ => None,
        })
    }
}

#[cfg(test)]
mod tests;
