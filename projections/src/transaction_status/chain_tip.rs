//! The last blocks, so that the tip is known after one was taken back.

use std::collections::VecDeque;

use satpost_domain::chain::BlockRef;
use satpost_domain::ids::BlockHash;
use satpost_domain::limits::REORG_BLOCKS_MAX;

/// The last blocks, oldest first; at most [`REORG_BLOCKS_MAX`] and the tip.
#[derive(Debug, Default)]
pub(crate) struct ChainTip {
    pub(crate) recent: VecDeque<BlockRef>,
}

impl ChainTip {
    pub(crate) fn start(tip: BlockRef) -> Self {
        Self {
            recent: VecDeque::from([tip]),
        }
    }

    pub(crate) fn get(&self) -> Option<BlockRef> {
        self.recent.back().copied()
    }

    pub(crate) fn connect(&mut self, block: BlockRef, previous: BlockHash) {
        // What does not extend the tip begins anew; only its predecessor is known then.
        if self.get().is_none_or(|tip| tip.hash != previous) {
            self.recent.clear();
            if let Some(height) = block.height.checked_sub(1) {
                self.recent.push_back(BlockRef {
                    height,
                    hash: previous,
                });
            }
        }
        self.recent.push_back(block);
        if self.recent.len() > REORG_BLOCKS_MAX + 1 {
            self.recent.pop_front();
        }
    }

    pub(crate) fn disconnect(&mut self, block: BlockRef) {
        if self.get() == Some(block) {
            self.recent.pop_back();
        }
    }
}
