//! Ids of chain events, computed from their content so that two servers on two nodes give the
//! same events the same ids.

use crate::chain::ChainEvent;
use crate::ids::{BlockHash, EventId};

/// The id of a chain event: the first 16 bytes of a tagged hash over the genesis hash, the kind
/// of event, the script hash, the transaction, and an anchor (the block for what a block says,
/// the incarnation for what the mempool says).
#[must_use]
pub fn event_id(_genesis: BlockHash, _event: &ChainEvent) -> EventId {
    todo!()
}
