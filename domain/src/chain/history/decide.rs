//! The rules of the back-fill.

use std::collections::BTreeSet;

use crate::chain::{
    BlockRef, Chain, ChainError, ChainEvent, Coin, HistoricBlock, HistoryCommand, HistoryEvent,
    OutPoint, Sighting, Touch, TransactionState,
};
use crate::ids::{ScriptHash, Txid};
use crate::limits::{BACKFILL_SCRIPTS_PER_COMMAND_MAX, EVENTS_PER_COMMAND_MAX};
use crate::time::Timestamp;

use super::Backfill;

type Decision = Result<Vec<ChainEvent>, ChainError>;

impl Chain {
    /// Decides a command about the history of scripts.
    pub(in crate::chain) fn decide_history(&self, command: &HistoryCommand) -> Decision {
        let tip = self.tip().ok_or(ChainError::NotStarted)?;
        match command {
            HistoryCommand::Start {
                scripts,
                wanted,
                wanted_time_secs,
                from,
                at,
            } => self.start_backfill(scripts, (*wanted, *wanted_time_secs), *from, *at),
            HistoryCommand::FindCoins { coins } => self.find_coins(coins),
            HistoryCommand::DropCoins { coins, tip: as_of } => {
                if *as_of != tip {
                    return Err(ChainError::NotTheTip { hash: as_of.hash });
                }
                self.drop_coins(coins)
            }
            HistoryCommand::Record { blocks, through } => self.record(tip, blocks, *through),
            HistoryCommand::Raise { from } => {
                let backfill = self.open_backfill()?;
                let raised = HistoryEvent::BackfillRaised { from: *from };
                Ok(Vec::from_iter(
                    (*from > backfill.from).then(|| raised.into()),
                ))
            }
            HistoryCommand::Complete { through, at } => self.complete(tip, *through, *at),
        }
    }

    fn open_backfill(&self) -> Result<&Backfill, ChainError> {
        self.backfill().ok_or(ChainError::NoBackfill)
    }

    fn start_backfill(
        &self,
        scripts: &[ScriptHash],
        (wanted, wanted_time_secs): (u32, u64),
        from: u32,
        at: Timestamp,
    ) -> Decision {
        if !(1..=BACKFILL_SCRIPTS_PER_COMMAND_MAX).contains(&scripts.len()) {
            return Err(ChainError::BackfillScripts {
                actual: scripts.len(),
            });
        }
        let from = from.max(wanted);
        let mut scripts = scripts.to_vec();
        scripts.sort_unstable();
        scripts.dedup();
        if let Some(open) = self.backfill() {
            scripts.retain(|script| !open.scripts.contains(script));
            if scripts.is_empty() {
                return Ok(Vec::new());
            }
            let nothing_read = open.next == open.from;
            if !nothing_read || (open.wanted, open.from) != (wanted, from) {
                return Err(ChainError::BackfillRuns { next: open.next });
            }
        }
        let started = HistoryEvent::BackfillStarted {
            scripts,
            wanted,
            wanted_time_secs,
            from,
            at,
        };
        Ok(vec![started.into()])
    }

    fn find_coins(&self, coins: &[(OutPoint, Coin, u32, bool)]) -> Decision {
        let backfill = self.open_backfill()?;
        let mut seen = BTreeSet::new();
        let events: Vec<ChainEvent> = coins
            .iter()
            .filter(|(outpoint, coin, ..)| {
                let new = self.coin(outpoint).is_none() && seen.insert(*outpoint);
                new && backfill.scripts.contains(&coin.script_hash)
            })
            .map(|&(outpoint, coin, height, coinbase)| {
                let found = HistoryEvent::CoinFound {
                    script_hash: coin.script_hash,
                    outpoint,
                    value_sat: coin.value_sat,
                    height,
                    coinbase,
                };
                found.into()
            })
            .collect();
        bounded(events)
    }

    fn drop_coins(&self, coins: &[(ScriptHash, OutPoint)]) -> Decision {
        let backfill = self.open_backfill()?;
        let mut seen = BTreeSet::new();
        let events = coins
            .iter()
            .filter(|(script_hash, outpoint)| {
                let known = self.coin(outpoint);
                known.is_some_and(|coin| coin.script_hash == *script_hash)
                    && backfill.scripts.contains(script_hash)
                    && seen.insert(*outpoint)
            })
            .map(|&(script_hash, outpoint)| {
                let gone = HistoryEvent::CoinGone {
                    script_hash,
                    outpoint,
                };
                gone.into()
            })
            .collect();
        bounded(events)
    }

    fn record(
        &self,
        tip: BlockRef,
        blocks: &[HistoricBlock],
        through: Option<BlockRef>,
    ) -> Decision {
        let backfill = self.open_backfill()?;
        if through.is_some_and(|through| through.height < backfill.next) {
            // Recorded before.
            return Ok(Vec::new());
        }
        let mut next = backfill.next;
        for block in blocks.iter().map(|found| found.block).chain(through) {
            let last = through.is_some_and(|through| through.height == block.height);
            if block.height < next && !last {
                return Err(ChainError::BackfillOrder { block, next });
            }
            self.must_be_in_chain(tip, block)?;
            next = block.height + 1;
        }
        let mut events = Vec::new();
        let mut told = BTreeSet::new();
        for found in blocks {
            for sighting in &found.sightings {
                self.find(backfill, found.block, sighting, &mut told, &mut events)?;
            }
            for sighting in &found.amended {
                events.extend(self.amend(backfill, sighting, &mut told));
            }
        }
        events.extend(through.map(|through| HistoryEvent::BackfillAdvanced { through }.into()));
        bounded(events)
    }

    /// Refuses a block that the log knows not to be in the chain. Below the remembered blocks the
    /// node is believed.
    fn must_be_in_chain(&self, tip: BlockRef, block: BlockRef) -> Result<(), ChainError> {
        let known = self
            .recent_blocks()
            .find(|known| known.height == block.height);
        let fits = block.height <= tip.height && known.is_none_or(|known| known == block);
        if fits {
            Ok(())
        } else {
            Err(ChainError::NotInChain { block })
        }
    }

    /// What is new about a transaction of a block of the past.
    fn find(
        &self,
        backfill: &Backfill,
        block: BlockRef,
        sighting: &Sighting,
        told: &mut BTreeSet<(Txid, ScriptHash)>,
        events: &mut Vec<ChainEvent>,
    ) -> Result<(), ChainError> {
        let known = self.tracked(&sighting.txid);
        if let Some(known) = known
            && let TransactionState::Confirmed(other) = known.state
            && other != block
        {
            return Err(ChainError::NotInChain { block });
        }
        for touch in &sighting.touches {
            let new = backfill.scripts.contains(&touch.script_hash)
                && told.insert((sighting.txid, touch.script_hash));
            if !new {
                continue;
            }
            let recorded = known
                .filter(|known| matches!(known.state, TransactionState::Confirmed(_)))
                .and_then(|known| known.touches.get(&touch.script_hash));
            match recorded {
                None => events.push(ChainEvent::TransactionConfirmed {
                    txid: sighting.txid,
                    touch: touch.clone(),
                    inputs: sighting.inputs.clone(),
                    block,
                    index: sighting.index,
                    backfilled: true,
                }),
                Some(recorded) => events.extend(amended(recorded, touch, sighting)),
            }
        }
        Ok(())
    }

    /// Corrections of transactions that may be too deep to be remembered.
    fn amend<'a>(
        &'a self,
        backfill: &'a Backfill,
        sighting: &'a Sighting,
        told: &'a mut BTreeSet<(Txid, ScriptHash)>,
    ) -> impl Iterator<Item = ChainEvent> + 'a {
        let known = self.tracked(&sighting.txid);
        sighting.touches.iter().filter_map(move |touch| {
            let new = backfill.scripts.contains(&touch.script_hash)
                && told.insert((sighting.txid, touch.script_hash));
            let nothing = Touch {
                script_hash: touch.script_hash,
                received_sat: 0,
                spent_sat: 0,
                outputs: Vec::new(),
            };
            let recorded = known.and_then(|known| known.touches.get(&touch.script_hash));
            let recorded = recorded.unwrap_or(&nothing);
            new.then(|| amended(recorded, touch, sighting)).flatten()
        })
    }

    fn complete(&self, tip: BlockRef, through: BlockRef, at: Timestamp) -> Decision {
        let backfill = self.open_backfill()?;
        self.must_be_in_chain(tip, through)?;
        // A birthday above the tip leaves nothing to read.
        let read = backfill.next > through.height;
        if !read {
            return Err(ChainError::BackfillOrder {
                block: through,
                next: backfill.next,
            });
        }
        let completed = HistoryEvent::BackfillCompleted {
            from: backfill.from,
            through,
            at,
        };
        Ok(vec![completed.into()])
    }
}

impl Chain {
    /// Takes back what a back-fill found in blocks above `height` that are not remembered.
    pub(in crate::chain) fn take_back_history_above(&self, height: u32) -> Vec<ChainEvent> {
        let found = self.all_tracked().filter_map(|(txid, tracked)| {
            let TransactionState::Confirmed(block) = tracked.state else {
                return None;
            };
            let unknown = block.height > height && !self.remembers(&block.hash);
            unknown.then_some((txid, tracked, block))
        });
        found
            .flat_map(|(txid, tracked, block)| {
                let scripts = tracked.touches.keys();
                scripts.map(move |script_hash| ChainEvent::TransactionUnconfirmed {
                    txid: *txid,
                    script_hash: *script_hash,
                    block,
                    was_final: tracked.was_final,
                })
            })
            .collect()
    }
}

/// The correction when `touch` says more than what was recorded of the same transaction: not all
/// of the coins it spends were known then.
pub(in crate::chain) fn amended(
    recorded: &Touch,
    touch: &Touch,
    sighting: &Sighting,
) -> Option<ChainEvent> {
    (touch.spent_sat > recorded.spent_sat).then(|| {
        let amended = HistoryEvent::TransactionAmended {
            txid: sighting.txid,
            touch: touch.clone(),
            inputs: sighting.inputs.clone(),
        };
        amended.into()
    })
}

fn bounded(events: Vec<ChainEvent>) -> Decision {
    if events.len() > EVENTS_PER_COMMAND_MAX {
        return Err(ChainError::BackfillEvents {
            actual: events.len(),
        });
    }
    Ok(events)
}
