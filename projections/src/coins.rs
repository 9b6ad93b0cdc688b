//! What every watched script has: its coins, what spends them, and how far back both are known.
//!
//! A coin lives from the transaction that makes it until its spender is too deep to be taken back;
//! what is kept is the unspent coins and the last blocks. A spend may be recorded before its coin,
//! because a back-fill finds the past last; it waits for the coin then. Coins stay after their
//! script is unwatched, for the same reason as the status of transactions.

use std::collections::{BTreeMap, BTreeSet, HashMap};

use satpost_domain::chain::{BlockRef, ChainEvent, HistoryEvent, OutPoint};
use satpost_domain::ids::{ScriptHash, Txid};
use satpost_domain::limits::{COINBASE_MATURITY, REORG_BLOCKS_MAX};
use satpost_domain::{Envelope, Event};

use crate::projection::{Projection, SnapshotError};
use crate::transaction_status::chain_tip::ChainTip;

mod coverage;
mod script_coins;
mod stored;
#[cfg(test)]
mod tests;

pub use coverage::{Coverage, Reading};
pub use script_coins::Origin;

use coverage::Coverages;
use script_coins::{Effect, Place, ScriptCoins};

/// What a script has, in satoshi, at the tip and with the mempool as it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Balance {
    /// In blocks, unspent in blocks, and spendable as far as maturity goes.
    pub confirmed_sat: u64,
    /// From coinbases that are not deep enough to be spent.
    pub immature_sat: u64,
    /// What mempool transactions pay to it.
    pub incoming_sat: u64,
    /// What mempool transactions take from it, be it confirmed or incoming itself.
    pub outgoing_sat: u64,
}

impl Balance {
    /// Adds another script's balance.
    pub const fn add(&mut self, other: &Self) {
        self.confirmed_sat = self.confirmed_sat.saturating_add(other.confirmed_sat);
        self.immature_sat = self.immature_sat.saturating_add(other.immature_sat);
        self.incoming_sat = self.incoming_sat.saturating_add(other.incoming_sat);
        self.outgoing_sat = self.outgoing_sat.saturating_add(other.outgoing_sat);
    }
}

/// A coin that no block has spent.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct UnspentCoin {
    /// Where it is.
    pub outpoint: OutPoint,
    /// Its value, in satoshi.
    pub value_sat: u64,
    /// What made it.
    pub origin: Origin,
    /// False while it comes from a coinbase that is not deep enough to be spent.
    pub mature: bool,
    /// The mempool transaction that spends it.
    pub spent_by: Option<Txid>,
}

/// The projection.
#[derive(Debug, Default)]
pub struct Coins {
    scripts: HashMap<ScriptHash, ScriptCoins>,
    tip: ChainTip,
    /// The transactions of the last blocks by height; one that moved since is looked for in vain.
    recent: BTreeMap<u32, BTreeSet<(ScriptHash, Txid)>>,
    coverages: Coverages,
}

impl Coins {
    /// The tip as of which everything here holds.
    #[must_use]
    pub fn tip(&self) -> Option<BlockRef> {
        self.tip.get()
    }

    /// The balance of a script, as far as its history is known. Looks at each of its coins.
    #[must_use]
    pub fn balance(&self, script: &ScriptHash) -> Balance {
        let mut balance = Balance::default();
        for coin in self.unspent(script, None) {
            let part = match coin.origin {
                Origin::Mempool => &mut balance.incoming_sat,
                Origin::Block { .. } if !coin.mature => &mut balance.immature_sat,
                Origin::Block { .. } => &mut balance.confirmed_sat,
            };
            *part = part.saturating_add(coin.value_sat);
            if coin.spent_by.is_some() {
                balance.outgoing_sat = balance.outgoing_sat.saturating_add(coin.value_sat);
            }
        }
        balance
    }

    /// The coins of a script that no block has spent, by outpoint, those after `after`.
    pub fn unspent(
        &self,
        script: &ScriptHash,
        after: Option<OutPoint>,
    ) -> impl Iterator<Item = UnspentCoin> + '_ {
        let coins = self.scripts.get(script).into_iter();
        let spendable_at = self.tip.get().map_or(0, |tip| tip.height + 1);
        coins
            .flat_map(move |coins| coins.unspent(after))
            .map(move |(outpoint, coin, spent_by)| UnspentCoin {
                outpoint,
                value_sat: coin.value_sat,
                origin: coin.origin,
                mature: is_mature(coin.origin, spendable_at),
                spent_by,
            })
    }

    /// The height of the oldest confirmed coin of a script that is kept. A back-fill of a script
    /// that was not watched for a while must find what has spent it since.
    #[must_use]
    pub fn oldest_height(&self, script: &ScriptHash) -> Option<u32> {
        self.scripts.get(script)?.oldest_height()
    }

    /// How far back the history of a script is known; nothing when it was never asked for.
    #[must_use]
    pub fn coverage(&self, script: &ScriptHash) -> Option<Coverage> {
        self.coverages.get(script)
    }

    /// The back-fill that is not complete, if there is one.
    #[must_use]
    pub fn running(&self) -> Option<Coverage> {
        self.coverages.running()
    }

    fn happen(&mut self, script: ScriptHash, txid: Txid, effect: &Effect<'_>) {
        self.leave_block(script, txid);
        let coins = self.scripts.entry(script).or_default();
        coins.take(txid, effect);
        if let Place::Block(height) = effect.place {
            if self.tip.get().is_some_and(|tip| is_settled(height, tip)) {
                self.settle(script, txid);
            } else {
                self.recent
                    .entry(height)
                    .or_default()
                    .insert((script, txid));
            }
        }
    }

    /// The block in which a transaction is, if it is in one, does not settle it any more.
    fn leave_block(&mut self, script: ScriptHash, txid: Txid) {
        let place = self
            .scripts
            .get(&script)
            .and_then(|coins| coins.place(&txid));
        if let Some(Place::Block(height)) = place
            && let Some(settling) = self.recent.get_mut(&height)
        {
            settling.remove(&(script, txid));
            if settling.is_empty() {
                self.recent.remove(&height);
            }
        }
    }

    /// Changes what is known of a script; one that has nothing any more is dropped.
    fn change(&mut self, script: ScriptHash, change: impl FnOnce(&mut ScriptCoins)) {
        if let Some(coins) = self.scripts.get_mut(&script) {
            change(coins);
            if coins.is_empty() {
                self.scripts.remove(&script);
            }
        }
    }

    fn settle(&mut self, script: ScriptHash, txid: Txid) {
        self.change(script, |coins| coins.settle(txid));
    }

    fn connect(&mut self, tip: BlockRef) {
        while let Some(entry) = self.recent.first_entry()
            && is_settled(*entry.key(), tip)
        {
            let height = *entry.key();
            for (script, txid) in entry.remove() {
                self.change(script, |coins| {
                    if coins.place(&txid) == Some(Place::Block(height)) {
                        coins.settle(txid);
                    }
                });
            }
        }
    }

    fn apply_chain(&mut self, event: &ChainEvent) {
        match *event {
            ChainEvent::EpochStarted { tip, .. } => self.tip = ChainTip::start(tip),
            ChainEvent::BlockConnected {
                block, previous, ..
            } => {
                self.tip.connect(block, previous);
                self.connect(block);
            }
            ChainEvent::BlockDisconnected { block } => self.tip.disconnect(block),
            ChainEvent::TransactionSeen {
                txid,
                ref touch,
                ref inputs,
                ..
            } => self.happen(
                touch.script_hash,
                txid,
                &Effect {
                    touch,
                    inputs,
                    place: Place::Mempool,
                    origin: Origin::Mempool,
                },
            ),
            ChainEvent::TransactionConfirmed {
                txid,
                ref touch,
                ref inputs,
                block,
                index,
                ..
            } => self.happen(
                touch.script_hash,
                txid,
                &Effect {
                    touch,
                    inputs,
                    place: Place::Block(block.height),
                    origin: Origin::Block {
                        height: block.height,
                        coinbase: index == 0,
                    },
                },
            ),
            ChainEvent::TransactionUnconfirmed {
                txid, script_hash, ..
            } => {
                self.leave_block(script_hash, txid);
                self.change(script_hash, |coins| coins.unconfirm(txid));
            }
            ChainEvent::TransactionReplaced {
                txid, script_hash, ..
            }
            | ChainEvent::TransactionEvicted {
                txid, script_hash, ..
            } => {
                self.leave_block(script_hash, txid);
                self.change(script_hash, |coins| coins.remove(txid));
            }
            ChainEvent::History(ref event) => self.apply_history(event),
            _ => {}
        }
        self.coverages.apply(event);
    }

    fn apply_history(&mut self, event: &HistoryEvent) {
        match event {
            HistoryEvent::CoinFound {
                script_hash,
                outpoint,
                value_sat,
                height,
                coinbase,
            } => {
                let origin = Origin::Block {
                    height: *height,
                    coinbase: *coinbase,
                };
                let coins = self.scripts.entry(*script_hash).or_default();
                coins.add(*outpoint, *value_sat, origin);
            }
            HistoryEvent::CoinGone {
                script_hash,
                outpoint,
            } => self.change(*script_hash, |coins| coins.lose(outpoint)),
            HistoryEvent::TransactionAmended {
                txid,
                touch,
                inputs,
            } => self.change(touch.script_hash, |coins| coins.amend(*txid, touch, inputs)),
            HistoryEvent::BackfillStarted { .. }
            | HistoryEvent::BackfillAdvanced { .. }
            | HistoryEvent::BackfillRaised { .. }
            | HistoryEvent::BackfillCompleted { .. } => {}
        }
    }
}

/// True when a block is too deep below `tip` to be taken back.
const fn is_settled(height: u32, tip: BlockRef) -> bool {
    height.saturating_add(REORG_BLOCKS_MAX as u32) < tip.height
}

/// True when a block at height `spendable_at` may spend the coin.
const fn is_mature(origin: Origin, spendable_at: u32) -> bool {
    match origin {
        Origin::Block {
            height,
            coinbase: true,
        } => height.saturating_add(COINBASE_MATURITY) <= spendable_at,
        Origin::Block { .. } | Origin::Mempool => true,
    }
}

impl Projection for Coins {
    const NAME: &'static str = "coins";
    const VERSION: u32 = 2;

    fn apply(&mut self, envelope: &Envelope) {
        if let Event::Chain(event) = &envelope.event {
            self.apply_chain(event);
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
