//! What is true of a chain now.

use std::collections::{BTreeMap, VecDeque};

use crate::chain::{BlockRef, OutPoint, Touch};
use crate::ids::{BlockHash, ScriptHash, Txid};

/// Where a transaction is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum TransactionState {
    /// In the mempool.
    Mempool,
    /// In a block of the chain.
    Confirmed(BlockRef),
    /// In neither.
    Gone,
}

/// A transaction that touches watched scripts.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Tracked {
    /// Where it is.
    pub state: TransactionState,
    /// How often it has entered the mempool.
    pub incarnation: u32,
    /// How it touches each watched script.
    pub touches: BTreeMap<ScriptHash, Touch>,
    /// The outputs it spends.
    pub inputs: Vec<OutPoint>,
}

/// The state of one chain; the default is "not followed yet".
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Chain {
    pub(super) genesis: Option<BlockHash>,
    /// The last blocks, oldest first, the tip last; at most `REORG_BLOCKS_MAX` + 1.
    pub(super) recent: VecDeque<BlockRef>,
    /// What is in the mempool, in a remembered block, or gone since then.
    pub(super) tracked: BTreeMap<Txid, Tracked>,
    pub(super) gap_open: bool,
}

impl Chain {
    /// The hash of block 0, once the chain is followed.
    #[must_use]
    pub const fn genesis(&self) -> Option<BlockHash> {
        self.genesis
    }
}
