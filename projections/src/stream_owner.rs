//! Whose stream an event belongs to. Most events do not repeat the key that names their stream.

use satpost_domain::ids::parse_hex;
use satpost_domain::{ClientId, MessagingKey, StreamId};

/// The client behind a `client-` or `watchlist-` stream. The key was checked when the stream was
/// created; checking the point again would cost more than applying the event.
pub(crate) fn client_of(stream: &StreamId) -> Option<ClientId> {
    matches!(stream.category(), "client" | "watchlist")
        .then(|| parse_hex(stream.name()).ok())?
        .map(ClientId::from_stored)
}

/// The key of a `mailbox-` stream.
pub(crate) fn mailbox_of(stream: &StreamId) -> Option<MessagingKey> {
    (stream.category() == "mailbox")
        .then(|| parse_hex(stream.name()).ok())?
        .map(MessagingKey::from_stored)
}
