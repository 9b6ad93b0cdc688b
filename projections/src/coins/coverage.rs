//! How far back the history of each script is known.

use std::collections::HashMap;

use satpost_domain::chain::{BlockRef, ChainEvent, HistoryEvent};
use satpost_domain::ids::ScriptHash;
use satpost_domain::watchlist::Birthday;
use serde::{Deserialize, Serialize};

/// Whether a back-fill still reads.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum Reading {
    /// It goes on with the block at this height.
    Next(u32),
    /// It has read everything up to this height; the watcher has seen what came after it.
    Through(u32),
}

/// A back-fill, complete or not, and what it covers.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Coverage {
    /// How many back-fills had begun before it.
    pub number: u32,
    /// From which height history was asked for.
    pub wanted: u32,
    /// The earliest birthday, in Unix seconds, that `wanted` satisfies.
    pub wanted_time_secs: u64,
    /// From which height it is known; above `wanted` when the node has no older blocks.
    pub from: u32,
    /// How far it has come.
    pub reading: Reading,
}

impl Coverage {
    /// True when it reads, or has read, from `birthday` on or from earlier.
    #[must_use]
    pub const fn reaches(&self, birthday: Birthday) -> bool {
        match birthday {
            Birthday::Height(height) => self.wanted <= height,
            Birthday::Time(time) => self.wanted_time_secs <= time.as_secs(),
        }
    }

    /// True when the node had no blocks any more from where history was asked for.
    #[must_use]
    pub const fn is_pruned(&self) -> bool {
        self.from > self.wanted
    }

    /// True when nothing is missing for somebody who wants history from `birthday` on and has watched
    /// since before a back-fill, `passes_before` others having begun earlier. One that had begun
    /// already may have passed over the script, because nobody watched it for a while.
    #[must_use]
    pub const fn satisfies(&self, birthday: Birthday, passes_before: u32) -> bool {
        let joined = match self.reading {
            Reading::Next(_) => false,
            Reading::Through(_) => self.number >= passes_before,
        };
        joined && self.reaches(birthday)
    }
}

/// Every back-fill so far, and which one is the last of each script.
#[derive(Debug, Default)]
pub(super) struct Coverages {
    pub(super) passes: Vec<Coverage>,
    pub(super) of_script: HashMap<ScriptHash, u32>,
}

impl Coverages {
    pub(super) fn get(&self, script: &ScriptHash) -> Option<Coverage> {
        let pass = self.of_script.get(script)?;
        self.passes.get(*pass as usize).copied()
    }

    /// The last one, when it is not complete.
    pub(super) fn running(&self) -> Option<Coverage> {
        let last = self.passes.last()?;
        matches!(last.reading, Reading::Next(_)).then_some(*last)
    }

    pub(super) fn apply(&mut self, event: &ChainEvent) {
        match event {
            ChainEvent::History(event) => self.apply_history(event),
            ChainEvent::BlockDisconnected { block } => self.go_back(block.height),
            ChainEvent::EpochStarted {
                tip: BlockRef { height, .. },
                ..
            } => self.go_back(height + 1),
            _ => {}
        }
    }

    fn apply_history(&mut self, event: &HistoryEvent) {
        match event {
            HistoryEvent::BackfillStarted {
                scripts,
                wanted,
                wanted_time_secs,
                from,
                ..
            } => {
                if self.running().is_none() {
                    let number = u32::try_from(self.passes.len()).unwrap_or(u32::MAX);
                    self.passes.push(Coverage {
                        number,
                        wanted: *wanted,
                        wanted_time_secs: *wanted_time_secs,
                        from: *from,
                        reading: Reading::Next(*from),
                    });
                }
                let pass = u32::try_from(self.passes.len().saturating_sub(1)).unwrap_or(u32::MAX);
                let scripts = scripts.iter();
                self.of_script.extend(scripts.map(|script| (*script, pass)));
            }
            HistoryEvent::BackfillAdvanced { through } => {
                self.move_on(|pass| pass.reading = Reading::Next(through.height + 1));
            }
            HistoryEvent::BackfillRaised { from } => self.move_on(|pass| {
                pass.from = *from;
                if let Reading::Next(next) = &mut pass.reading {
                    *next = (*next).max(*from);
                }
            }),
            HistoryEvent::BackfillCompleted { through, .. } => {
                self.move_on(|pass| pass.reading = Reading::Through(through.height));
            }
            HistoryEvent::CoinFound { .. }
            | HistoryEvent::CoinGone { .. }
            | HistoryEvent::TransactionAmended { .. } => {}
        }
    }

    fn move_on(&mut self, change: impl FnOnce(&mut Coverage)) {
        if self.running().is_some()
            && let Some(pass) = self.passes.last_mut()
        {
            change(pass);
        }
    }

    /// The block at `height` and all above it were taken back.
    fn go_back(&mut self, height: u32) {
        self.doubt_what_is_pruned();
        // Only the last back-fills reach so far up; what is complete stays so for those who have
        // watched since.
        for pass in &mut self.passes {
            match &mut pass.reading {
                Reading::Next(next) => *next = (*next).min(height).max(pass.from),
                Reading::Through(through) => *through = (*through).min(height.saturating_sub(1)),
            }
        }
    }

    /// A coin from below the first block that was read was not looked for when a block had spent it.
    /// When blocks are taken back it may be unspent again, so these scripts are read once more.
    fn doubt_what_is_pruned(&mut self) {
        let passes = &self.passes;
        if passes.iter().any(Coverage::is_pruned) {
            self.of_script.retain(|_, pass| {
                let pass = passes.get(*pass as usize);
                pass.is_some_and(|pass| !pass.is_pruned())
            });
        }
    }
}
