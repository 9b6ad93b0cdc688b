//! Takes addresses off a client's watch list and forgets them.

use satpost_domain::ids::ScriptHash;
use satpost_domain::watchlist::{Watchlist, WatchlistCommand, WatchlistError};
use satpost_domain::{ClientId, Position, StreamId};

use crate::error::CommandError;
use crate::handler::{CommandContext, Handler};

/// Stops watching the scripts with these hashes for `client`.
///
/// # Errors
/// Refused when one of them is not watched.
pub async fn unwatch_addresses(
    handler: &Handler,
    context: CommandContext,
    client: ClientId,
    scripts: Vec<ScriptHash>,
) -> Result<Position, CommandError<WatchlistError>> {
    let at = handler.now();
    let command = WatchlistCommand::Unwatch { scripts, at };
    let stream = StreamId::watchlist(client);
    let outcome = handler.handle::<Watchlist>(&stream, context, &command, None);
    Ok(outcome.await?.position)
}
