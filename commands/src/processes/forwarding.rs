//! Lets the mailbox of a former messaging key pass messages on to the present one.
//!
//! Which key is the present one is asked of the client, not of the event: a client may have gone back
//! to a key since, and its mailbox must not pass on what is for it.

#[cfg(test)]
mod tests;

use satpost_domain::client::{Client, ClientError, ClientEvent};
use satpost_domain::mailbox::{Mailbox, MailboxCommand, MailboxError};
use satpost_domain::{ClientId, Envelope, Event, MessagingKey, StreamId};

use crate::error::CommandError;
use crate::handler::Handler;

use super::follow_up;

/// Why a mailbox could not be told to pass messages on.
#[derive(Debug, thiserror::Error)]
pub enum ForwardingError {
    /// The client could not be looked at.
    #[error(transparent)]
    Client(#[from] CommandError<ClientError>),
    /// The mailbox could not be told.
    #[error(transparent)]
    Mailbox(#[from] CommandError<MailboxError>),
}

/// The client whose key `envelope` replaces, and the key that it had, if it replaces one.
#[must_use]
pub fn replaced_key(envelope: &Envelope) -> Option<(ClientId, MessagingKey)> {
    match envelope.event {
        Event::Client(ClientEvent::MessagingKeyRotated { from, .. }) => {
            let client = envelope.stream.name().parse().ok()?;
            Some((client, from))
        }
        _ => None,
    }
}

/// Follows one event: when it replaces a key, the mailbox of that key passes messages on from now on.
///
/// # Errors
/// [`ForwardingError`]; the same event is to be given again.
pub async fn handle_event(handler: &Handler, envelope: &Envelope) -> Result<(), ForwardingError> {
    let Some((client, former)) = replaced_key(envelope) else {
        return Ok(());
    };
    let state = handler.state::<Client>(&StreamId::client(client)).await?;
    let Some(to) = state.messaging_key().filter(|key| *key != former) else {
        return Ok(());
    };
    let revision = envelope.revision.0.to_be_bytes();
    let context = follow_up("forwarding", &[client.as_bytes(), &revision]);
    let command = MailboxCommand::Forward {
        to,
        at: handler.now(),
    };
    handler
        .handle::<Mailbox>(&StreamId::mailbox(former), context, &command, None)
        .await?;
    Ok(())
}
