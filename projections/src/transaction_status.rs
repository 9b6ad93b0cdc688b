//! What became of every transaction that touches a watched script.
//!
//! Records stay after their script is unwatched: which scripts were watched at some moment of the
//! past is not known to a rebuild, since it may have been erased.

use std::collections::HashMap;

use satpost_domain::chain::{BlockRef, ChainEvent, HistoryEvent, ReplacedIn, Touch};
use satpost_domain::ids::{ScriptHash, Txid};
use satpost_domain::limits::COINBASE_MATURITY;
use satpost_domain::{Envelope, Event, Position, Timestamp};

use crate::projection::{Projection, SnapshotError};

pub(crate) mod chain_tip;
mod changes;
mod history;
mod stored;
#[cfg(test)]
mod tests;

use chain_tip::ChainTip;
pub use changes::Change;
use history::{History, merge_changes};

impl Status {
    /// True when the transaction is in a block.
    #[must_use]
    pub const fn is_in_block(&self) -> bool {
        match self {
            Self::Confirmed { .. }
            | Self::DepthReached { .. }
            | Self::Matured { .. }
            | Self::Final { .. } => true,
            Self::Seen | Self::Unconfirmed { .. } | Self::Replaced { .. } | Self::Evicted => false,
        }
    }
}

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
    /// As deep as somebody wished.
    DepthReached {
        /// How deep.
        depth: u32,
        /// The block that made the depth.
        block: BlockRef,
    },
    /// A coinbase that can be spent.
    Matured {
        /// The block before the first that can spend it.
        block: BlockRef,
    },
    /// So deep that no reorganisation is expected to reach it.
    Final {
        /// The block that made the depth.
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

impl Status {
    /// True when it says where the transaction is; a milestone says only what it has reached there.
    #[must_use]
    pub const fn is_place(&self) -> bool {
        match self {
            Self::Seen
            | Self::Confirmed { .. }
            | Self::Unconfirmed { .. }
            | Self::Replaced { .. }
            | Self::Evicted => true,
            Self::DepthReached { .. } | Self::Matured { .. } | Self::Final { .. } => false,
        }
    }
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
    /// True when it is the first transaction of a block.
    pub is_coinbase: bool,
    /// Its way so far, oldest first. Bounded by
    /// [`satpost_domain::limits::TRANSACTION_STEPS_MAX`]: the oldest steps after the first are
    /// dropped, but never the one that says where it is now.
    pub steps: Vec<Step>,
}

impl TransactionRecord {
    /// Where it is now: the last step that is a place.
    #[must_use]
    pub fn place(&self) -> Option<&Step> {
        self.steps.iter().rfind(|step| step.state.is_place())
    }

    /// How deep it is when `tip` is the tip, from 1; nothing when it is in no block.
    #[must_use]
    pub fn depth(&self, tip: BlockRef) -> Option<u32> {
        match self.place()?.state {
            Status::Confirmed { block } => Some(tip.height.checked_sub(block.height)? + 1),
            _ => None,
        }
    }

    /// True when it is as deep below `tip` as the server calls final.
    #[must_use]
    pub fn is_final(&self, tip: BlockRef) -> bool {
        // A chain that is at the height again has said so again, with its own block.
        let milestones = self.steps.iter().rev();
        milestones
            .take_while(|step| !step.state.is_place())
            .any(|step| matches!(step.state, Status::Final { block } if block.height <= tip.height))
    }

    /// True when it is a coinbase that the block after `tip` can spend, false when it cannot yet;
    /// nothing when it is no coinbase or in no block.
    #[must_use]
    pub fn is_mature(&self, tip: BlockRef) -> Option<bool> {
        let depth = self.depth(tip).filter(|_| self.is_coinbase)?;
        Some(depth >= COINBASE_MATURITY)
    }
}

/// The projection.
#[derive(Debug, Default)]
pub struct TransactionStatus {
    histories: HashMap<ScriptHash, History>,
    tip: ChainTip,
    gap_open: bool,
}

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
        let histories = scripts
            .iter()
            .filter_map(|script| Some((script, self.histories.get(script)?)));
        merge_changes(histories, after, max)
    }

    /// The first `max` steps after `after` of transactions that touch one of `scripts`, by position.
    /// Steps that are kept no longer are not among them.
    #[must_use]
    pub fn steps_since(&self, scripts: &[ScriptHash], after: Position, max: usize) -> Vec<Change> {
        let histories = scripts
            .iter()
            .filter_map(|script| Some((script, self.histories.get(script)?)));
        changes::first_steps(histories, after, max)
    }

    /// A transaction as it touches the first of `scripts` that it touches.
    #[must_use]
    pub fn find(&self, scripts: &[ScriptHash], txid: &Txid) -> Option<TransactionRecord> {
        scripts.iter().find_map(|script| {
            let record = self.histories.get(script)?.records.get(txid)?;
            Some(record.whole(*txid, *script))
        })
    }

    /// The tip of the chain as it is in the log.
    #[must_use]
    pub fn tip(&self) -> Option<BlockRef> {
        self.tip.get()
    }

    /// True while something may have been missed and is not yet made good.
    #[must_use]
    pub fn gap_open(&self) -> bool {
        self.gap_open
    }

    /// Where a transaction is and what it takes from a script, in satoshi, as it is recorded.
    #[must_use]
    pub fn recorded(&self, script: &ScriptHash, txid: &Txid) -> Option<(Status, u64)> {
        self.histories.get(script)?.recorded(txid)
    }

    /// More is known of what a transaction does to a script; it did not move.
    fn amend(&mut self, txid: Txid, touch: &Touch, position: Position) {
        if let Some(history) = self.histories.get_mut(&touch.script_hash) {
            history.amend(txid, touch, position);
        }
    }

    /// A transaction was seen with what it does to a script; its place when it is in a block.
    fn sight(&mut self, txid: Txid, touch: &Touch, index: Option<u32>, step: Step) {
        self.histories.entry(touch.script_hash).or_default().sight(
            txid,
            touch,
            index == Some(0),
            step,
        );
    }

    /// Something happened to a transaction that was seen before.
    fn move_on(&mut self, txid: Txid, script_hash: ScriptHash, step: Step) {
        if let Some(history) = self.histories.get_mut(&script_hash) {
            history.move_on(txid, step);
        }
    }
}

impl Projection for TransactionStatus {
    const NAME: &'static str = "transaction_status";
    const VERSION: u32 = 2;

    fn apply(&mut self, envelope: &Envelope) {
        let Event::Chain(event) = &envelope.event else {
            return;
        };
        let step = |state| Step {
            position: envelope.position,
            recorded_at: envelope.metadata.recorded_at,
            state,
        };
        match *event {
            ChainEvent::EpochStarted { tip, .. } => self.tip = ChainTip::start(tip),
            ChainEvent::BlockConnected {
                block, previous, ..
            } => self.tip.connect(block, previous),
            ChainEvent::BlockDisconnected { block } => self.tip.disconnect(block),
            ChainEvent::TransactionSeen {
                txid, ref touch, ..
            } => self.sight(txid, touch, None, step(Status::Seen)),
            ChainEvent::TransactionConfirmed {
                txid,
                ref touch,
                block,
                index,
                ..
            } => self.sight(txid, touch, Some(index), step(Status::Confirmed { block })),
            ChainEvent::TransactionUnconfirmed {
                txid,
                script_hash,
                block,
                ..
            } => self.move_on(txid, script_hash, step(Status::Unconfirmed { block })),
            ChainEvent::DepthReached {
                txid,
                script_hash,
                depth,
                block,
            } => self.move_on(
                txid,
                script_hash,
                step(Status::DepthReached { depth, block }),
            ),
            ChainEvent::CoinbaseMatured {
                txid,
                script_hash,
                block,
            } => self.move_on(txid, script_hash, step(Status::Matured { block })),
            ChainEvent::TransactionFinal {
                txid,
                script_hash,
                block,
                ..
            } => self.move_on(txid, script_hash, step(Status::Final { block })),
            ChainEvent::AuditPassed { .. } => {}
            ChainEvent::TransactionReplaced {
                txid,
                script_hash,
                by,
                replaced_in,
                ..
            } => self.move_on(
                txid,
                script_hash,
                step(Status::Replaced { by, replaced_in }),
            ),
            ChainEvent::TransactionEvicted {
                txid, script_hash, ..
            } => self.move_on(txid, script_hash, step(Status::Evicted)),
            ChainEvent::FeedGap { .. } => self.gap_open = true,
            ChainEvent::FeedRestored { .. } => self.gap_open = false,
            ChainEvent::History(HistoryEvent::TransactionAmended {
                txid, ref touch, ..
            }) => self.amend(txid, touch, envelope.position),
            ChainEvent::History(_) => {}
        }
    }

    fn snapshot(&self) -> Vec<u8> {
        stored::snapshot(self)
    }

    fn restore(bytes: &[u8]) -> Result<Self, SnapshotError> {
        stored::restore(bytes)
    }

    fn tree(bytes: &[u8]) -> Result<serde_json::Value, SnapshotError> {
        stored::tree(bytes)
    }
}
