//! The closed set of everything that can happen.

use crate::chain::ChainEvent;
use crate::client::ClientEvent;
use crate::mailbox::MailboxEvent;
use crate::watchlist::WatchlistEvent;

/// Any event of any aggregate.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Event {
    /// Of a client.
    Client(ClientEvent),
    /// Of a mailbox.
    Mailbox(MailboxEvent),
    /// Of a watch list.
    Watchlist(WatchlistEvent),
    /// Of the chain.
    Chain(ChainEvent),
}

impl From<ClientEvent> for Event {
    fn from(event: ClientEvent) -> Self {
        Self::Client(event)
    }
}

impl From<MailboxEvent> for Event {
    fn from(event: MailboxEvent) -> Self {
        Self::Mailbox(event)
    }
}

impl From<WatchlistEvent> for Event {
    fn from(event: WatchlistEvent) -> Self {
        Self::Watchlist(event)
    }
}

impl From<ChainEvent> for Event {
    fn from(event: ChainEvent) -> Self {
        Self::Chain(event)
    }
}
