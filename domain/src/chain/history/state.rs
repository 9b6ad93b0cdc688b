//! Where the back-fill stands.

use std::collections::BTreeSet;

use crate::chain::{BlockRef, ChainEvent, HistoryEvent};
use crate::ids::ScriptHash;

/// A back-fill that is not complete. Scripts that never asked for history are not here, and those
/// that have it are forgotten: the projections know them.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Backfill {
    pub(super) scripts: BTreeSet<ScriptHash>,
    pub(super) wanted: u32,
    pub(super) from: u32,
    pub(super) next: u32,
}

impl Backfill {
    /// The scripts whose history is read.
    #[must_use]
    pub const fn scripts(&self) -> &BTreeSet<ScriptHash> {
        &self.scripts
    }

    /// From which height history was asked for.
    #[must_use]
    pub const fn wanted(&self) -> u32 {
        self.wanted
    }

    /// The height from which history is read.
    #[must_use]
    pub const fn from(&self) -> u32 {
        self.from
    }

    /// The height of the next block to read; every block from [`Self::from`] up to it is read.
    #[must_use]
    pub const fn next(&self) -> u32 {
        self.next
    }

    /// The back-fill after `event`, whichever kind of event that is.
    pub(in crate::chain) fn after(open: Option<Self>, event: &ChainEvent) -> Option<Self> {
        let mut open = open;
        match (event, &mut open) {
            (
                ChainEvent::History(HistoryEvent::BackfillStarted {
                    scripts,
                    wanted,
                    from,
                    ..
                }),
                open,
            ) => {
                let backfill = open.get_or_insert_with(|| Self {
                    scripts: BTreeSet::new(),
                    wanted: *wanted,
                    from: *from,
                    next: *from,
                });
                backfill.scripts.extend(scripts);
            }
            (ChainEvent::History(event), Some(backfill)) => match event {
                HistoryEvent::BackfillAdvanced { through } => backfill.next = through.height + 1,
                HistoryEvent::BackfillRaised { from } => {
                    backfill.from = *from;
                    backfill.next = backfill.next.max(*from);
                }
                HistoryEvent::BackfillCompleted { .. } => return None,
                HistoryEvent::BackfillStarted { .. }
                | HistoryEvent::CoinFound { .. }
                | HistoryEvent::CoinGone { .. }
                | HistoryEvent::TransactionAmended { .. } => {}
            },
            (ChainEvent::BlockDisconnected { block }, Some(backfill)) => {
                backfill.go_back_to(block.height);
            }
            (ChainEvent::EpochStarted { tip, .. }, Some(backfill)) => backfill.restart_above(*tip),
            _ => {}
        }
        open
    }

    /// The block at `height` was taken back: what takes its place is read as well.
    fn go_back_to(&mut self, height: u32) {
        self.next = self.next.min(height).max(self.from);
    }

    /// The watcher begins again at `tip`, below every block that it remembered.
    fn restart_above(&mut self, tip: BlockRef) {
        self.next = self.next.min(tip.height + 1).max(self.from);
    }
}
