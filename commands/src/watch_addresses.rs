//! Puts addresses on a client's watch list, or changes what it wants to hear of them.

#[cfg(test)]
mod tests;

use satpost_domain::watchlist::{
    NewWatch, WatchBounds, WatchTarget, WatchWish, Watchlist, WatchlistCommand, WatchlistError,
    WatchlistEvent,
};
use satpost_domain::{ClientId, Position, StreamId};

use crate::error::CommandError;
use crate::handler::{CommandContext, Handler};

/// What a watch command did.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct WatchedAddresses {
    /// How many were not watched before.
    pub added: usize,
    /// Of how many the options changed.
    pub changed: usize,
    /// A reader at this position sees them.
    pub position: Position,
}

/// Watches `watches` for `client`, up to [`satpost_domain::limits::EVENTS_PER_COMMAND_MAX`]. Those
/// watched already stay, with other options where a wish says so.
///
/// # Errors
/// Refused when the list would be too long, too many are named at once, or a birthday is absurd.
pub async fn watch_addresses(
    handler: &Handler,
    context: CommandContext,
    client: ClientId,
    watches: Vec<(WatchTarget, WatchWish)>,
    bounds: WatchBounds,
) -> Result<WatchedAddresses, CommandError<WatchlistError>> {
    let drawn = handler.ids().watch_id();
    let watches = (0..).zip(watches).map(|(place, (target, wish))| NewWatch {
        id: drawn.at_place(place),
        target,
        wish,
    });
    let command = WatchlistCommand::Watch {
        watches: watches.collect(),
        bounds,
        at: handler.now(),
    };
    let stream = StreamId::watchlist(client);
    let outcome = handler
        .handle::<Watchlist>(&stream, context, &command, None)
        .await?;
    let is_new = |event: &&WatchlistEvent| matches!(event, WatchlistEvent::AddressWatched { .. });
    let added = outcome.events.iter().filter(is_new).count();
    Ok(WatchedAddresses {
        added,
        changed: outcome.events.len() - added,
        position: outcome.position,
    })
}
