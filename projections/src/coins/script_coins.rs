//! The coins of one script and what spends them.

use std::collections::BTreeMap;
use std::ops::Bound;

use satpost_domain::chain::{OutPoint, Touch};
use satpost_domain::ids::Txid;
use serde::{Deserialize, Serialize};

/// What made a coin.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum Origin {
    /// A mempool transaction.
    Mempool,
    /// A transaction in a block.
    Block {
        /// The height of the block.
        height: u32,
        /// True for a coinbase.
        coinbase: bool,
    },
}

/// Where a transaction is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub(super) enum Place {
    Mempool,
    /// In the block at this height.
    Block(u32),
}

/// What a transaction does to the script.
pub(super) struct Effect<'a> {
    pub(super) touch: &'a Touch,
    pub(super) inputs: &'a [OutPoint],
    pub(super) place: Place,
    pub(super) origin: Origin,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Coin {
    pub(super) value_sat: u64,
    pub(super) origin: Origin,
}

/// A transaction that may still move.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Recent {
    pub(super) place: Place,
    /// What it spends of the script, as far as that is known.
    pub(super) spends: Vec<OutPoint>,
}

#[derive(Debug, Default)]
pub(super) struct ScriptCoins {
    pub(super) coins: BTreeMap<OutPoint, Coin>,
    /// What spends a coin, or an outpoint that may prove to be one: which transaction claimed it
    /// last.
    pub(super) spenders: BTreeMap<OutPoint, Txid>,
    /// The transactions in the mempool and in the last blocks; all others stay where they are.
    pub(super) recent: BTreeMap<Txid, Recent>,
}

impl ScriptCoins {
    pub(super) fn is_empty(&self) -> bool {
        self.coins.is_empty() && self.spenders.is_empty() && self.recent.is_empty()
    }

    /// A transaction is somewhere, wherever it was before.
    pub(super) fn take(&mut self, txid: Txid, effect: &Effect<'_>) {
        self.release(txid);
        let spends = self.claims(effect.touch, effect.inputs);
        for outpoint in &spends {
            self.spenders.insert(*outpoint, txid);
        }
        let place = effect.place;
        self.recent.insert(txid, Recent { place, spends });
        for &(vout, value_sat) in &effect.touch.outputs {
            self.add(OutPoint { txid, vout }, value_sat, effect.origin);
        }
    }

    /// More is known of what a transaction spends.
    pub(super) fn amend(&mut self, txid: Txid, touch: &Touch, inputs: &[OutPoint]) {
        let spends = self.claims(touch, inputs);
        match self.recent.get_mut(&txid) {
            Some(recent) => {
                for outpoint in &spends {
                    self.spenders.insert(*outpoint, txid);
                }
                recent.spends = spends;
            }
            // It is too deep to move: what it spends is gone for good.
            None => {
                for outpoint in spends {
                    if self.coins.remove(&outpoint).is_some() {
                        self.spenders.remove(&outpoint);
                    } else {
                        self.spenders.insert(outpoint, txid);
                    }
                }
            }
        }
    }

    /// Which inputs take something from the script: those that spend its coins, and while these do
    /// not make up what is taken, all, because the missing coins may be found later.
    fn claims(&self, touch: &Touch, inputs: &[OutPoint]) -> Vec<OutPoint> {
        let known = inputs
            .iter()
            .filter_map(|input| Some((*input, self.coins.get(input)?.value_sat)));
        let (known, values): (Vec<_>, Vec<_>) = known.unzip();
        let sum: u64 = values.into_iter().fold(0, u64::saturating_add);
        if sum >= touch.spent_sat {
            known
        } else {
            inputs.to_vec()
        }
    }

    /// A coin exists. One whose spender can no longer move never counts.
    pub(super) fn add(&mut self, outpoint: OutPoint, value_sat: u64, origin: Origin) {
        if let Some(spender) = self.spenders.get(&outpoint)
            && !self.recent.contains_key(spender)
        {
            self.spenders.remove(&outpoint);
            return;
        }
        self.coins.insert(outpoint, Coin { value_sat, origin });
    }

    /// A coin is spent for good, and nobody knows by what.
    pub(super) fn lose(&mut self, outpoint: &OutPoint) {
        self.coins.remove(outpoint);
        self.spenders.remove(outpoint);
    }

    pub(super) fn place(&self, txid: &Txid) -> Option<Place> {
        Some(self.recent.get(txid)?.place)
    }

    /// A block was taken back: the transaction waits again.
    pub(super) fn unconfirm(&mut self, txid: Txid) {
        let Some(recent) = self.recent.get_mut(&txid) else {
            return;
        };
        recent.place = Place::Mempool;
        for (_, coin) in self.coins.range_mut(outputs_of(txid)) {
            coin.origin = Origin::Mempool;
        }
    }

    /// A transaction is in no mempool and no block any more.
    pub(super) fn remove(&mut self, txid: Txid) {
        if self.recent.contains_key(&txid) {
            self.release(txid);
            let made: Vec<_> = self.coins.range(outputs_of(txid)).collect();
            let made: Vec<_> = made.into_iter().map(|(outpoint, _)| *outpoint).collect();
            for outpoint in made {
                self.coins.remove(&outpoint);
            }
        }
    }

    /// A transaction can no longer move: what it spends is gone for good.
    pub(super) fn settle(&mut self, txid: Txid) {
        let Some(recent) = self.recent.remove(&txid) else {
            return;
        };
        for outpoint in recent.spends {
            if self.spenders.get(&outpoint) == Some(&txid) && self.coins.remove(&outpoint).is_some()
            {
                self.spenders.remove(&outpoint);
            }
        }
    }

    /// Forgets what a transaction spends, unless another one claims it now.
    fn release(&mut self, txid: Txid) {
        let Some(recent) = self.recent.remove(&txid) else {
            return;
        };
        for outpoint in recent.spends {
            if self.spenders.get(&outpoint) == Some(&txid) {
                self.spenders.remove(&outpoint);
            }
        }
    }

    /// The coins after `after` that no block has spent, with the mempool transaction that spends
    /// them.
    pub(super) fn unspent(
        &self,
        after: Option<OutPoint>,
    ) -> impl Iterator<Item = (OutPoint, Coin, Option<Txid>)> + '_ {
        let from = after.map_or(Bound::Unbounded, Bound::Excluded);
        self.coins
            .range((from, Bound::Unbounded))
            .filter_map(|(outpoint, coin)| {
                let spender = self.spenders.get(outpoint).copied();
                let place = spender.map(|spender| self.place(&spender));
                match place {
                    None => Some((*outpoint, *coin, None)),
                    Some(Some(Place::Mempool)) => Some((*outpoint, *coin, spender)),
                    Some(Some(Place::Block(_)) | None) => None,
                }
            })
    }

    pub(super) fn oldest_height(&self) -> Option<u32> {
        let heights = self.coins.values().filter_map(|coin| match coin.origin {
            Origin::Block { height, .. } => Some(height),
            Origin::Mempool => None,
        });
        heights.min()
    }
}

const fn outputs_of(txid: Txid) -> std::ops::RangeInclusive<OutPoint> {
    OutPoint { txid, vout: 0 }..=OutPoint {
        txid,
        vout: u32::MAX,
    }
}
