//! Registers a client: opens the mailbox of its messaging key, then the client itself.
//!
//! The mailbox comes first: whoever opened it owns the key, so two clients can never share one. A
//! crash between the two appends leaves an empty mailbox that the repeat of the command finds its own.

use satpost_domain::client::ClientError;
use satpost_domain::mailbox::MailboxError;
use satpost_domain::{ClientId, MessagingKey, Position, Timestamp};

use crate::error::CommandError;
use crate::handler::{CommandContext, Handler};

/// Why a registration is refused.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum RegisterClientError {
    /// By the rules of the client.
    #[error(transparent)]
    Client(#[from] ClientError),
    /// By the rules of the mailbox.
    #[error(transparent)]
    Mailbox(#[from] MailboxError),
}

/// A registered client.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct RegisteredClient {
    /// When it was registered.
    pub registered_at: Timestamp,
    /// A reader at this position sees it.
    pub position: Position,
}

/// Registers `client` with `messaging_key`; the caller has proven possession of both.
///
/// # Errors
/// Refused when either key is in use otherwise.
pub async fn register_client(
    handler: &Handler,
    context: CommandContext,
    client: ClientId,
    messaging_key: MessagingKey,
) -> Result<RegisteredClient, CommandError<RegisterClientError>> {
    let _ = (handler, context, client, messaging_key);
    todo!()
}
