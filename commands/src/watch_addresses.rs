//! Puts addresses on a client's watch list.

#[cfg(test)]
mod tests;

use satpost_domain::script::Script;
use satpost_domain::watchlist::{Watchlist, WatchlistCommand, WatchlistError};
use satpost_domain::{ClientId, Position, StreamId};

use crate::error::CommandError;
use crate::handler::{CommandContext, Handler};

/// What a watch command did.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct WatchedAddresses {
    /// How many were not watched before.
    pub added: usize,
    /// A reader at this position sees them.
    pub position: Position,
}

/// Watches `scripts` for `client`; those watched already stay as they are.
///
/// # Errors
/// Refused when the list would be too long, or too many are named at once.
pub async fn watch_addresses(
    handler: &Handler,
    context: CommandContext,
    client: ClientId,
    scripts: Vec<Script>,
) -> Result<WatchedAddresses, CommandError<WatchlistError>> {
    let named = scripts.into_iter();
    let command = WatchlistCommand::Watch {
        scripts: named
            .map(|script| (handler.ids().watch_id(), script))
            .collect(),
        at: handler.now(),
    };
    let stream = StreamId::watchlist(client);
    let outcome = handler
        .handle::<Watchlist>(&stream, context, &command, None)
        .await?;
    Ok(WatchedAddresses {
        added: outcome.events.len(),
        position: outcome.position,
    })
}
