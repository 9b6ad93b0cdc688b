//! The stream of changes, as long as one connection lives.

use satpost_api_types::transactions::{TransactionChange, TransactionStatus};

use super::call::Call;
use super::event_feed::EventFeed;
use super::{CallError, HttpClient};
use crate::keys::IdentitySecret;
use crate::request_signer::Signers;

/// The event with which the server says that it ends the stream.
const BYE: &str = "bye";

/// An open stream.
#[derive(Debug)]
pub struct Listening(EventFeed);

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
        if let Some(after) = after {
            call.headers.push(("last-event-id", after.to_owned()));
        }
        self.open_events(call).await.map(Listening)
    }
}

impl Listening {
    /// The next change; nothing once the stream has ended, was cut, or has said nothing for too long.
    /// Dropping the future loses nothing.
    ///
    /// # Errors
    /// [`CallError::UnexpectedAnswer`] when the stream cannot be understood.
    pub async fn next(&mut self) -> Result<Option<TransactionChange>, CallError> {
        while let Some(event) = self.0.next().await? {
            if event.name == BYE {
                self.0.end();
            } else if TransactionStatus::EVENT_NAMES.contains(&event.name.as_str()) {
                return self.0.read(&event).map(Some);
            }
            // Others are of kinds that a later server tells of.
        }
        Ok(None)
    }
}

#[cfg(test)]
mod tests;
