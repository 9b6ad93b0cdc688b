//! Puts many addresses on a client's watch list, one append after another.

#[cfg(test)]
mod tests;

use satpost_domain::hash::tagged_16;
use satpost_domain::limits::EVENTS_PER_COMMAND_MAX;
use satpost_domain::watchlist::{WatchBounds, WatchTarget, WatchWish, WatchlistError};
use satpost_domain::{ClientId, CommandId, Position, RequestDigest};

use crate::error::CommandError;
use crate::handler::{CommandContext, Handler};
use crate::watch_addresses::watch_addresses;

/// What an import did.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct ImportedAddresses {
    /// How many were not watched before.
    pub added: usize,
    /// Of how many the options changed.
    pub changed: usize,
    /// How many of the addresses, from the first on, are watched now.
    pub carried_out: usize,
    /// Why the others are not.
    pub refused: Option<WatchlistError>,
    /// A reader at this position sees what was done.
    pub position: Position,
}

/// An import that ended in the middle, through no fault of its own.
#[derive(Debug, thiserror::Error)]
#[error("{carried_out} addresses were imported before the server could not go on")]
pub struct ImportInterrupted {
    /// How many of the addresses, from the first on, are watched now.
    pub carried_out: usize,
    /// What happened then.
    pub source: CommandError<WatchlistError>,
}

/// Watches `watches` for `client`, in appends of [`EVENTS_PER_COMMAND_MAX`], each of them whole or not at
/// all. The first refusal ends it. The same import again does only what is left to do, and
/// counts what was done before as it did then.
///
/// # Errors
/// [`ImportInterrupted`]; what was carried out stays, and the same import may be sent again.
pub async fn import_addresses(
    handler: &Handler,
    context: CommandContext,
    client: ClientId,
    watches: &[(WatchTarget, WatchWish)],
    bounds: WatchBounds,
) -> Result<ImportedAddresses, ImportInterrupted> {
    let mut done = ImportedAddresses::default();
    for (number, some) in (0_u32..).zip(watches.chunks(EVENTS_PER_COMMAND_MAX)) {
        let context = part_of(context, number);
        match watch_addresses(handler, context, client, some.to_vec(), bounds).await {
            Ok(watched) => {
                done.added += watched.added;
                done.changed += watched.changed;
                done.carried_out += some.len();
                done.position = done.position.max(watched.position);
            }
            Err(CommandError::Rejected(refusal)) => {
                done.refused = Some(refusal);
                break;
            }
            Err(source) => {
                return Err(ImportInterrupted {
                    carried_out: done.carried_out,
                    source,
                });
            }
        }
    }
    Ok(done)
}

/// The command that one append of an import is.
fn part_of(import: CommandContext, number: u32) -> CommandContext {
    let number = number.to_be_bytes();
    let id: [&[u8]; 2] = [import.command_id.as_bytes(), &number];
    let digest: [&[u8]; 2] = [import.request_digest.as_bytes(), &number];
    CommandContext {
        command_id: CommandId::new(tagged_16("satpost/import-id/1", &id)),
        request_digest: RequestDigest::new(tagged_16("satpost/import-digest/1", &digest)),
    }
}
