//! Searches the bytes of a block for what concerns watched scripts.
//!
//! Payments are found by the scripts of the outputs, spends by the scripts of the outputs that are
//! spent. Only where the node does not tell those, spends are found through coins that were seen
//! before: such a search misses the spend of a coin that nobody has looked for yet.

use std::collections::{BTreeMap, HashMap};

use satpost_domain::chain::{Coin, OutPoint, Sighting, Touch};
use satpost_domain::ids::{ScriptHash, Txid};

use super::matcher;
use super::rpc::RawBlock;
use super::scanner::{self, Header, MalformedBlock, RawOutPoint, RawTransaction, Visitor};

#[cfg(test)]
mod tests;

/// The ids of all transactions of a block with what they spend, by their place in it.
///
/// # Errors
/// [`MalformedBlock`].
pub fn transactions(block: &RawBlock) -> Result<Vec<BlockTransaction>, MalformedBlock> {
    let mut all = AllTransactions(Vec::new());
    scanner::walk(&block.bytes, None, &mut all)?;
    Ok(all.0)
}

/// A transaction of a block.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct BlockTransaction {
    /// Its id.
    pub txid: Txid,
    /// The outputs that it spends; none for the coinbase.
    pub inputs: Vec<OutPoint>,
}

struct AllTransactions(Vec<BlockTransaction>);

impl Visitor for AllTransactions {
    fn transaction(&mut self, transaction: &RawTransaction<'_>) {
        self.0.push(BlockTransaction {
            txid: transaction.txid(),
            inputs: transaction.inputs(),
        });
    }
}

/// What was found in a block.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Found {
    /// The header of the block.
    pub header: Header,
    /// What in it touches watched scripts, by place in the block.
    pub sightings: Vec<Sighting>,
}

/// Searches `block` for scripts that `script` knows. `coin` knows the coins of watched scripts, and
/// is asked only when the node does not tell what a block spends.
///
/// # Errors
/// [`MalformedBlock`].
pub fn search<S, C>(block: &RawBlock, script: S, coin: C) -> Result<Found, MalformedBlock>
where
    S: Fn(&[u8]) -> Option<ScriptHash>,
    C: Fn(&OutPoint) -> Option<Coin>,
{
    Search::new(block, script, coin).run()
}

/// As [`search`], and also finds the transactions that `is_tracked` knows, though they touch
/// nothing. `transactions` are those of the block, so that no id is computed twice.
///
/// # Errors
/// [`MalformedBlock`].
pub fn search_with_tracked<S, C>(
    block: &RawBlock,
    script: S,
    coin: C,
    transactions: &[BlockTransaction],
    is_tracked: impl Fn(&Txid) -> bool,
) -> Result<Found, MalformedBlock>
where
    S: Fn(&[u8]) -> Option<ScriptHash>,
    C: Fn(&OutPoint) -> Option<Coin>,
{
    let mut search = Search::new(block, script, coin);
    search.tracked = (0..)
        .zip(transactions)
        .filter(|(_, transaction)| is_tracked(&transaction.txid))
        .map(|(index, _)| index)
        .collect();
    search.run()
}

/// The visitor of one block.
struct Search<'b, S, C> {
    block: &'b RawBlock,
    script: S,
    coin: C,
    /// Places of transactions that are found whatever they touch, ascending.
    tracked: Vec<u32>,
    /// Coins that this block made, when spends are found by coins.
    made: HashMap<OutPoint, Coin>,
    sightings: Vec<Sighting>,
    /// Of the present transaction: outputs to watched scripts, and coins of watched scripts.
    outputs: Vec<(u32, Coin)>,
    spends: Vec<Coin>,
}

impl<'b, S, C> Search<'b, S, C>
where
    S: Fn(&[u8]) -> Option<ScriptHash>,
    C: Fn(&OutPoint) -> Option<Coin>,
{
    fn new(block: &'b RawBlock, script: S, coin: C) -> Self {
        Self {
            block,
            script,
            coin,
            tracked: Vec::new(),
            made: HashMap::new(),
            sightings: Vec::new(),
            outputs: Vec::new(),
            spends: Vec::new(),
        }
    }
}

impl<S, C> Search<'_, S, C>
where
    S: Fn(&[u8]) -> Option<ScriptHash>,
    C: Fn(&OutPoint) -> Option<Coin>,
{
    fn run(mut self) -> Result<Found, MalformedBlock> {
        let block = self.block;
        let header = scanner::walk(&block.bytes, block.spent.as_deref(), &mut self)?;
        Ok(Found {
            header,
            sightings: self.sightings,
        })
    }

    fn coin_of(&self, value_sat: u64, script: &[u8]) -> Option<Coin> {
        (self.script)(script).map(|script_hash| Coin {
            script_hash,
            value_sat,
        })
    }
}

impl<S, C> Visitor for Search<'_, S, C>
where
    S: Fn(&[u8]) -> Option<ScriptHash>,
    C: Fn(&OutPoint) -> Option<Coin>,
{
    #[inline]
    fn input(&mut self, outpoint: &RawOutPoint) {
        if self.block.spent.is_none() {
            let outpoint = scanner::outpoint(outpoint);
            let made = self.made.get(&outpoint).copied();
            self.spends.extend(made.or_else(|| (self.coin)(&outpoint)));
        }
    }

    #[inline]
    fn output(&mut self, vout: u32, value_sat: u64, script: &[u8]) {
        if let Some(coin) = self.coin_of(value_sat, script) {
            self.outputs.push((vout, coin));
        }
    }

    #[inline]
    fn spent(&mut self, value_sat: u64, script: &[u8]) {
        if let Some(coin) = self.coin_of(value_sat, script) {
            self.spends.push(coin);
        }
    }

    #[inline]
    fn transaction(&mut self, transaction: &RawTransaction<'_>) {
        let untouched = self.outputs.is_empty() && self.spends.is_empty();
        if untouched && self.tracked.binary_search(&transaction.index()).is_err() {
            return;
        }
        let txid = transaction.txid();
        if self.block.spent.is_none() {
            let made = self.outputs.iter();
            self.made
                .extend(made.map(|(vout, coin)| (OutPoint { txid, vout: *vout }, *coin)));
        }
        self.sightings.push(Sighting {
            txid,
            index: transaction.index(),
            touches: touches(self.outputs.drain(..), self.spends.drain(..)),
            inputs: transaction.inputs(),
        });
    }
}

/// One touch for each script, by ascending script hash.
fn touches(
    outputs: impl Iterator<Item = (u32, Coin)>,
    spends: impl Iterator<Item = Coin>,
) -> Vec<Touch> {
    let mut touches = BTreeMap::new();
    for (vout, coin) in outputs {
        let touch = matcher::touch(&mut touches, coin.script_hash);
        touch.received_sat = touch.received_sat.saturating_add(coin.value_sat);
        touch.outputs.push((vout, coin.value_sat));
    }
    for coin in spends {
        let touch = matcher::touch(&mut touches, coin.script_hash);
        touch.spent_sat = touch.spent_sat.saturating_add(coin.value_sat);
    }
    touches.into_values().collect()
}
