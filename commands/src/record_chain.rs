//! Records what the watcher saw on the chain, one atomic append per call.

use satpost_domain::StreamId;
use satpost_domain::chain::{Chain, ChainCommand, ChainError, ChainEvent, event_id};
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
    let stream = StreamId::chain(network);
    handler
        .handle_ingest::<Chain>(&stream, command, |chain, event| {
            // The first event names the genesis block, and the state has seen the event.
            let genesis = chain
                .genesis()
                .expect("only a chain that is followed decides events");
            event_id(genesis, event)
        })
        .await
}
