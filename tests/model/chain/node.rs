//! The truth, in the simplest form.

use std::collections::BTreeSet;

use satpost_domain::chain::BlockRef;
use satpost_domain::ids::BlockHash;

use super::GENESIS;

/// A node: its chain and its mempool.
pub(super) struct Node {
    /// The best chain from block 0 on, with the transactions of each block.
    pub(super) blocks: Vec<(BlockHash, Vec<u8>)>,
    pub(super) mempool: BTreeSet<u8>,
    pub(super) blocks_made: u64,
    /// The greatest height so far: what is far enough below it may be forgotten.
    pub(super) highest: usize,
}

impl Node {
    pub(super) fn new() -> Self {
        let mut node = Self {
            blocks: vec![(GENESIS, Vec::new())],
            mempool: BTreeSet::new(),
            blocks_made: 0,
            highest: 0,
        };
        for _ in 0..5 {
            node.mine(Vec::new());
        }
        node
    }

    pub(super) fn mine(&mut self, transactions: Vec<u8>) {
        self.blocks_made += 1;
        let mut hash = [0xb1; 32];
        hash[..8].copy_from_slice(&self.blocks_made.to_be_bytes());
        self.blocks.push((BlockHash::new(hash), transactions));
        self.highest = self.highest.max(self.blocks.len() - 1);
    }

    pub(super) fn tip(&self) -> BlockRef {
        self.at(self.blocks.len() - 1)
    }

    pub(super) fn at(&self, height: usize) -> BlockRef {
        BlockRef {
            height: u32::try_from(height).unwrap(),
            hash: self.blocks[height].0,
        }
    }

    pub(super) fn has(&self, block: &BlockRef) -> bool {
        self.blocks
            .get(block.height as usize)
            .is_some_and(|(hash, _)| *hash == block.hash)
    }

    /// Where a transaction is confirmed.
    pub(super) fn block_of(&self, transaction: u8) -> Option<BlockRef> {
        let height = self
            .blocks
            .iter()
            .position(|(_, transactions)| transactions.contains(&transaction))?;
        Some(self.at(height))
    }

    /// True when the output a transaction spends is spent in a block.
    pub(super) fn is_spent(&self, transaction: u8) -> bool {
        [transaction, transaction ^ 1]
            .into_iter()
            .any(|either| self.block_of(either).is_some())
    }
}
