//! The rules.

use std::collections::BTreeMap;

use crate::aggregate::Aggregate;
use crate::event::Event;
use crate::ids::{BlockHash, ScriptHash, Txid};
use crate::time::Timestamp;

use super::history::amended;
use super::{
    BlockRef, Chain, ChainCommand, ChainError, ChainEvent, Conflict, RemovalCause, ReplacedIn,
    Sighting, Touch, Tracked, TransactionState,
};

impl Aggregate for Chain {
    type Command = ChainCommand;
    type Event = ChainEvent;
    type Error = ChainError;

    const CATEGORY: &'static str = "chain";

    fn own_event(event: &Event) -> Option<&ChainEvent> {
        match event {
            Event::Chain(event) => Some(event),
            _ => None,
        }
    }

    fn decide(&self, command: &ChainCommand) -> Result<Vec<ChainEvent>, ChainError> {
        let tip = self.tip().ok_or(ChainError::NotStarted);
        match command {
            ChainCommand::Start { genesis, tip, at } => self.start(*genesis, *tip, *at),
            ChainCommand::ConnectBlock {
                block,
                previous,
                time_secs,
                sightings,
                conflicts,
                depths,
                final_depth,
            } => {
                let tip = tip?;
                if self.recent_blocks().any(|known| known == *block) {
                    return Ok(Vec::new());
                }
                if *previous != tip.hash || block.height != tip.height + 1 {
                    return Err(ChainError::DoesNotConnect { block: *block, tip });
                }
                let connected = ChainEvent::BlockConnected {
                    block: *block,
                    previous: *previous,
                    time_secs: *time_secs,
                };
                Ok(std::iter::once(connected)
                    .chain(self.confirm(*block, sightings))
                    .chain(self.milestones(*block, depths, *final_depth))
                    .chain(self.remove(&replaced_by_block(sightings, conflicts)))
                    .collect())
            }
            ChainCommand::DisconnectBlock { hash } => self.disconnect(tip?, *hash),
            ChainCommand::SeeTransactions { sightings, at } => {
                tip.map(|_| self.see(sightings, *at))
            }
            ChainCommand::RemoveTransactions { removals } => tip.map(|_| self.remove(removals)),
            ChainCommand::NoteAudit {
                blocks,
                transactions,
                at,
            } => Ok(vec![ChainEvent::AuditPassed {
                tip: tip?,
                blocks: *blocks,
                transactions: *transactions,
                at: *at,
            }]),
            ChainCommand::NoteGap { kind, at } => {
                let gap = ChainEvent::FeedGap {
                    kind: *kind,
                    at: *at,
                };
                tip.map(|_| Vec::from_iter((!self.gap_open()).then_some(gap)))
            }
            ChainCommand::NoteRestored { at } => {
                let restored = ChainEvent::FeedRestored { tip: tip?, at: *at };
                Ok(Vec::from_iter(self.gap_open().then_some(restored)))
            }
            ChainCommand::History(command) => self.decide_history(command),
        }
    }

    fn evolve(&mut self, event: &ChainEvent) {
        self.apply(event);
    }
}

impl Chain {
    /// Begins at `tip`. A chain that is followed begins again only below every remembered block,
    /// after a reorganisation that reaches that far; the remembered blocks are then taken back.
    fn start(
        &self,
        genesis: BlockHash,
        tip: BlockRef,
        at: Timestamp,
    ) -> Result<Vec<ChainEvent>, ChainError> {
        if let Some(known) = self.genesis()
            && known != genesis
        {
            return Err(ChainError::OtherGenesis {
                known,
                given: genesis,
            });
        }
        let started = ChainEvent::EpochStarted { genesis, tip, at };
        let (Some(newest), Some(oldest)) = (self.tip(), self.recent_blocks().last()) else {
            return Ok(vec![started]);
        };
        if self.recent_blocks().any(|known| known == tip) {
            return Ok(Vec::new());
        }
        if tip.height >= oldest.height {
            return Err(ChainError::DoesNotConnect {
                block: tip,
                tip: newest,
            });
        }
        let mut events: Vec<ChainEvent> = self
            .recent_blocks()
            .flat_map(|block| self.take_back(block))
            .collect();
        // A back-fill may have found transactions in blocks that were never connected.
        events.extend(self.take_back_history_above(tip.height));
        events.push(started);
        Ok(events)
    }

    fn disconnect(&self, tip: BlockRef, hash: BlockHash) -> Result<Vec<ChainEvent>, ChainError> {
        if tip.hash != hash {
            return Err(ChainError::NotTheTip { hash });
        }
        if self.recent_blocks().len() == 1 {
            return Err(ChainError::TooDeep { oldest: tip.height });
        }
        Ok(self.take_back(tip))
    }

    fn take_back(&self, block: BlockRef) -> Vec<ChainEvent> {
        let unconfirmed = self.in_block(block).flat_map(|(txid, tracked)| {
            let scripts = tracked.touches.keys();
            scripts.map(move |script_hash| ChainEvent::TransactionUnconfirmed {
                txid: *txid,
                script_hash: *script_hash,
                block,
                was_final: tracked.was_final,
            })
        });
        std::iter::once(ChainEvent::BlockDisconnected { block })
            .chain(unconfirmed)
            .collect()
    }

    fn confirm(&self, block: BlockRef, sightings: &[Sighting]) -> Vec<ChainEvent> {
        let mut events = Vec::new();
        for sighting in once_each(sightings, |sighting| sighting.txid) {
            let known = self.tracked(&sighting.txid);
            if known.is_some_and(|known| matches!(known.state, TransactionState::Confirmed(_))) {
                continue;
            }
            let touches = all_touches(sighting, known).into_values();
            events.extend(touches.map(|touch| ChainEvent::TransactionConfirmed {
                txid: sighting.txid,
                touch: touch.clone(),
                inputs: sighting.inputs.clone(),
                block,
                index: sighting.index,
                backfilled: false,
            }));
        }
        events
    }

    fn see(&self, sightings: &[Sighting], at: Timestamp) -> Vec<ChainEvent> {
        let mut events = Vec::new();
        for sighting in once_each(sightings, |sighting| sighting.txid) {
            let known = self.tracked(&sighting.txid);
            let mut touches = all_touches(sighting, known);
            let incarnation = match known.map(|known| (known.state, known)) {
                None => self.earlier_incarnations(&sighting.txid) + 1,
                Some((TransactionState::Gone { .. }, known)) => known.incarnation + 1,
                // A script that is watched since the transaction was seen still needs its event.
                Some((TransactionState::Mempool, known)) => {
                    let recorded = |touch: &Touch| known.touches.get(&touch.script_hash);
                    events.extend(
                        touches
                            .values()
                            .filter_map(|touch| amended(recorded(touch)?, touch, sighting)),
                    );
                    touches.retain(|script_hash, _| !known.touches.contains_key(script_hash));
                    known.incarnation
                }
                // A mempool never holds what its own chain has confirmed: the block was taken
                // back at the node, and its DisconnectBlock is on the way.
                Some((TransactionState::Confirmed(_), _)) => continue,
            };
            events.extend(
                touches
                    .into_values()
                    .map(|touch| ChainEvent::TransactionSeen {
                        txid: sighting.txid,
                        touch: touch.clone(),
                        inputs: sighting.inputs.clone(),
                        incarnation,
                        at,
                    }),
            );
        }
        events
    }

    fn remove(&self, removals: &[(Txid, RemovalCause)]) -> Vec<ChainEvent> {
        let mut events = Vec::new();
        for (txid, cause) in once_each(removals, |(txid, _)| *txid) {
            let Some(tracked) = self.tracked(txid) else {
                continue;
            };
            let goes = match tracked.state {
                TransactionState::Mempool => true,
                // What took the place is found only now.
                TransactionState::Gone { replaced, .. } => {
                    !replaced && matches!(cause, RemovalCause::Replaced { .. })
                }
                TransactionState::Confirmed(_) => false,
            };
            if goes {
                let scripts = tracked.touches.keys();
                events.extend(scripts.map(|script| gone(*txid, *script, tracked, *cause)));
            }
        }
        events
    }
}

fn gone(txid: Txid, script_hash: ScriptHash, tracked: &Tracked, cause: RemovalCause) -> ChainEvent {
    match cause {
        RemovalCause::Replaced {
            by,
            via,
            replaced_in,
        } => ChainEvent::TransactionReplaced {
            txid,
            script_hash,
            incarnation: tracked.incarnation,
            by,
            via,
            replaced_in,
        },
        RemovalCause::Evicted => ChainEvent::TransactionEvicted {
            txid,
            script_hash,
            incarnation: tracked.incarnation,
        },
    }
}

/// What a block says in the words of a removal. A transaction in the block itself is no conflict.
fn replaced_by_block(sightings: &[Sighting], conflicts: &[Conflict]) -> Vec<(Txid, RemovalCause)> {
    conflicts
        .iter()
        .filter(|conflict| sightings.iter().all(|seen| seen.txid != conflict.txid))
        .map(|conflict| {
            let cause = RemovalCause::Replaced {
                by: conflict.by,
                via: conflict.via,
                replaced_in: ReplacedIn::Block,
            };
            (conflict.txid, cause)
        })
        .collect()
}

/// What the sighting says, and what was known before: a script that is no longer watched still
/// hears how its transaction ends.
fn all_touches<'a>(
    sighting: &'a Sighting,
    known: Option<&'a Tracked>,
) -> BTreeMap<ScriptHash, &'a Touch> {
    let known = known.into_iter().flat_map(|known| known.touches.values());
    known
        .chain(&sighting.touches)
        .map(|touch| (touch.script_hash, touch))
        .collect()
}

/// The items whose key has not come before.
fn once_each<'a, T>(
    items: &'a [T],
    key: impl Fn(&T) -> Txid + 'a,
) -> impl Iterator<Item = &'a T> + 'a {
    let mut seen = std::collections::BTreeSet::new();
    items.iter().filter(move |item| seen.insert(key(item)))
}
