//! What a transaction reaches by staying where it is while blocks are added.
//!
//! Each milestone is a function of the height of the transaction and the height of the tip, so a
//! block looks only at the heights that reach one with it.

use crate::limits::COINBASE_MATURITY;

use super::{BlockRef, Chain, ChainEvent, DepthWish, TransactionState};

impl Chain {
    /// What transactions of earlier blocks reach when `block` is connected.
    pub(super) fn milestones(
        &self,
        block: BlockRef,
        wishes: &[DepthWish],
        final_depth: u32,
    ) -> impl Iterator<Item = ChainEvent> {
        let mut events = self.wished(block, wishes);
        events.extend(self.matured(block));
        events.extend(self.finalized(block, final_depth));
        events.into_iter()
    }

    fn wished(&self, block: BlockRef, wishes: &[DepthWish]) -> Vec<ChainEvent> {
        let mut events = Vec::new();
        for wish in wishes {
            let reached = ChainEvent::DepthReached {
                txid: wish.txid,
                script_hash: wish.script_hash,
                depth: wish.depth,
                block,
            };
            let fits = self.tracked(&wish.txid).is_some_and(|tracked| {
                let TransactionState::Confirmed(own) = tracked.state else {
                    return false;
                };
                height_at_depth(block, wish.depth) == Some(own.height)
                    && tracked.touches.contains_key(&wish.script_hash)
            });
            if fits && !events.contains(&reached) {
                events.push(reached);
            }
        }
        events
    }

    fn matured(&self, block: BlockRef) -> impl Iterator<Item = ChainEvent> {
        let coinbases = height_at_depth(block, COINBASE_MATURITY)
            .into_iter()
            .flat_map(|height| self.confirmed_at(height))
            .filter(|(_, tracked)| tracked.is_coinbase);
        coinbases.flat_map(move |(txid, tracked)| {
            let scripts = tracked.touches.keys();
            scripts.map(move |script_hash| ChainEvent::CoinbaseMatured {
                txid: *txid,
                script_hash: *script_hash,
                block,
            })
        })
    }

    fn finalized(&self, block: BlockRef, depth: u32) -> impl Iterator<Item = ChainEvent> {
        let finals = height_at_depth(block, depth)
            .into_iter()
            .flat_map(|height| self.confirmed_at(height));
        finals.flat_map(move |(txid, tracked)| {
            let scripts = tracked.touches.keys();
            scripts.map(move |script_hash| ChainEvent::TransactionFinal {
                txid: *txid,
                script_hash: *script_hash,
                depth,
                block,
            })
        })
    }
}

/// The height that is `depth` blocks deep when `tip` is the tip, the tip itself being 1 deep.
/// Nothing for depth 1 and below, which the confirmation says, and above the first block.
fn height_at_depth(tip: BlockRef, depth: u32) -> Option<u32> {
    if depth < 2 {
        return None;
    }
    tip.height.checked_sub(depth - 1)
}
