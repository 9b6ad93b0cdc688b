//! What became of every transaction that touches a watched script.

use satpost_domain::chain::{BlockRef, ReplacedIn};
use satpost_domain::ids::{ScriptHash, Txid};
use satpost_domain::{Envelope, Position, Timestamp};

use crate::projection::{Projection, SnapshotError};

/// One step of a transaction's way.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Step {
    /// The event's place in the log.
    pub position: Position,
    /// When it was recorded.
    pub recorded_at: Timestamp,
    /// What happened.
    pub state: Status,
}

/// Where a transaction is, as a wallet shows it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Status {
    /// Seen in the mempool.
    Seen,
    /// In a block.
    Confirmed {
        /// The block.
        block: BlockRef,
    },
    /// Its block was taken back.
    Unconfirmed {
        /// The block it was in.
        block: BlockRef,
    },
    /// Another transaction took its place.
    Replaced {
        /// The other transaction.
        by: Txid,
        /// Where that one is.
        replaced_in: ReplacedIn,
    },
    /// The node dropped it.
    Evicted,
}

/// A transaction and one script it touches.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TransactionRecord {
    /// The transaction.
    pub txid: Txid,
    /// The script.
    pub script_hash: ScriptHash,
    /// What it pays to the script, in satoshi.
    pub received_sat: u64,
    /// What it takes from the script, in satoshi.
    pub spent_sat: u64,
    /// Its way so far, oldest first; the last step is where it is now. Bounded: the oldest steps
    /// between the first and the last are dropped.
    pub steps: Vec<Step>,
}

/// The projection.
#[derive(Debug, Default)]
pub struct TransactionStatus {}

impl TransactionStatus {
    /// Up to `max` transactions that touch one of `scripts` and changed after `after`, by the
    /// position of their last change.
    #[must_use]
    pub fn changed_since(
        &self,
        scripts: &[ScriptHash],
        after: Position,
        max: usize,
    ) -> Vec<TransactionRecord> {
        let _ = (scripts, after, max);
        todo!()
    }

    /// The tip of the chain as it is in the log.
    #[must_use]
    pub fn tip(&self) -> Option<BlockRef> {
        todo!()
    }

    /// True while something may have been missed and is not yet made good.
    #[must_use]
    pub fn gap_open(&self) -> bool {
        todo!()
    }
}

impl Projection for TransactionStatus {
    const NAME: &'static str = "transaction_status";
    const VERSION: u32 = 1;

    fn apply(&mut self, _envelope: &Envelope) {
        todo!()
    }

    fn snapshot(&self) -> Vec<u8> {
        todo!()
    }

    fn restore(_bytes: &[u8]) -> Result<Self, SnapshotError> {
        todo!()
    }
}
