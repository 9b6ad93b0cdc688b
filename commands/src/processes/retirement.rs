//! Lets go of what belonged to a retired client: its mailboxes and its watch list.
//!
//! Its push target went with the retirement itself. Everything here can be run again at any time,
//! so a crash in the middle is mended by [`clean_up`] from the checkpoint or at the next start.

#[cfg(test)]
mod tests;

use satpost_domain::client::{Client, ClientError, ClientEvent};
use satpost_domain::mailbox::{Mailbox, MailboxCommand, MailboxError};
use satpost_domain::watchlist::{Watchlist, WatchlistCommand, WatchlistError};
use satpost_domain::{ClientId, Envelope, Event, MessagingKey, StreamId};

use crate::error::CommandError;
use crate::handler::Handler;

use super::follow_up;

/// Why a retired client's belongings could not be let go.
#[derive(Debug, thiserror::Error)]
pub enum RetirementError {
    /// The client could not be looked at.
    #[error(transparent)]
    Client(#[from] CommandError<ClientError>),
    /// A mailbox could not be closed.
    #[error(transparent)]
    Mailbox(#[from] CommandError<MailboxError>),
    /// The watch list could not be cleared.
    #[error(transparent)]
    Watchlist(#[from] CommandError<WatchlistError>),
}

/// One thing to do for a retired client.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum RetirementStep {
    /// Close the mailbox of a present or former messaging key.
    CloseMailbox(MessagingKey),
    /// Forget the watched addresses.
    ClearWatchlist,
}

/// The client that `envelope` retires, if it retires one.
#[must_use]
pub fn retired_client(envelope: &Envelope) -> Option<ClientId> {
    match envelope.event {
        Event::Client(ClientEvent::ClientRetired { .. }) => envelope.stream.name().parse().ok(),
        _ => None,
    }
}

/// What is to be done for `client`; nothing unless it is retired.
#[must_use]
pub fn steps(client: &Client) -> Vec<RetirementStep> {
    if !client.is_retired() {
        return Vec::new();
    }
    let keys = client.messaging_keys();
    keys.map(RetirementStep::CloseMailbox)
        .chain([RetirementStep::ClearWatchlist])
        .collect()
}

/// Follows one event: cleans up when it retires a client.
///
/// # Errors
/// [`RetirementError`]; the same event is to be given again.
pub async fn handle_event(handler: &Handler, envelope: &Envelope) -> Result<(), RetirementError> {
    match retired_client(envelope) {
        Some(client) => clean_up(handler, client).await,
        None => Ok(()),
    }
}

/// Does what is left to do for `client`; nothing unless it is retired.
///
/// # Errors
/// [`RetirementError`]; asking again is safe.
pub async fn clean_up(handler: &Handler, client: ClientId) -> Result<(), RetirementError> {
    let state = handler.state::<Client>(&StreamId::client(client)).await?;
    for step in steps(&state) {
        match step {
            RetirementStep::CloseMailbox(key) => close_mailbox(handler, client, key).await?,
            RetirementStep::ClearWatchlist => clear_watchlist(handler, client).await?,
        }
    }
    Ok(())
}

async fn close_mailbox(
    handler: &Handler,
    client: ClientId,
    key: MessagingKey,
) -> Result<(), CommandError<MailboxError>> {
    let context = follow_up("retirement", &[client.as_bytes()]);
    let command = MailboxCommand::Close { at: handler.now() };
    handler
        .handle::<Mailbox>(&StreamId::mailbox(key), context, &command, None)
        .await?;
    Ok(())
}

/// The list is cleared in rounds, because one append takes a bounded number of events.
async fn clear_watchlist(
    handler: &Handler,
    client: ClientId,
) -> Result<(), CommandError<WatchlistError>> {
    let stream = StreamId::watchlist(client);
    for round in 0_u32.. {
        let cause: [&[u8]; 2] = [client.as_bytes(), &round.to_be_bytes()];
        let context = follow_up("retirement", &cause);
        let command = WatchlistCommand::Clear { at: handler.now() };
        let outcome = handler.handle::<Watchlist>(&stream, context, &command, None);
        if outcome.await?.events.is_empty() {
            break;
        }
    }
    Ok(())
}
