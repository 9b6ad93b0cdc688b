//! Records what the watcher saw on the chain, one atomic append per call.

use satpost_domain::chain::{ChainCommand, ChainError, ChainEvent};
use satpost_domain::network::Network;

use crate::error::CommandError;
use crate::handler::{Handler, Outcome};

/// Appends what `command` says to the stream of `network`. Event ids come from the content.
///
/// # Errors
/// Refused when it does not fit the chain in the log.
pub async fn record_chain(
    handler: &Handler,
    network: Network,
    command: &ChainCommand,
) -> Result<Outcome<ChainEvent>, CommandError<ChainError>> {
    let _ = (handler, network, command);
    todo!()
}
