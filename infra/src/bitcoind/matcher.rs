//! Which mempool transactions touch a watched script, and how. Blocks are searched as bytes, by
//! `block_search`.

use std::collections::{BTreeMap, HashMap};

use bitcoin::Transaction;
use satpost_domain::chain::{Chain, Coin, OutPoint, Sighting, Touch};
use satpost_domain::ids::{ScriptHash, Txid};
use satpost_projections::watched_scripts::WatchedScripts;

use super::convert;

/// A transaction with its id and its place in the block (0 in the mempool).
#[derive(Debug, Clone, Copy)]
pub struct Candidate<'a> {
    /// Its id, in display order.
    pub txid: Txid,
    /// Its place in the block.
    pub index: u32,
    /// Its body.
    pub body: &'a Transaction,
}

/// What of `candidates` concerns watched scripts, in their order. A transaction is of concern when
/// it pays to a watched script, spends a coin of one, or is tracked already; coins made by one
/// candidate and spent by another are found in any order.
#[must_use]
pub fn sightings(
    watched: &WatchedScripts,
    chain: &Chain,
    candidates: &[Candidate<'_>],
) -> Vec<Sighting> {
    let mut coins = HashMap::new();
    for candidate in candidates {
        for (vout, coin) in coins_of(watched, candidate.body) {
            let txid = candidate.txid;
            coins.insert(OutPoint { txid, vout }, coin);
        }
    }
    let coin = |outpoint: &OutPoint| {
        coins
            .get(outpoint)
            .copied()
            .or_else(|| chain.coin(outpoint))
    };
    candidates
        .iter()
        .filter_map(|candidate| {
            let inputs = convert::inputs(candidate.body);
            let touches = touches(watched, candidate.body, &inputs, coin);
            let of_concern = !touches.is_empty() || chain.tracked(&candidate.txid).is_some();
            of_concern.then_some(Sighting {
                txid: candidate.txid,
                index: candidate.index,
                touches,
                inputs,
            })
        })
        .collect()
}

/// The outputs of `transaction` that pay to watched scripts.
pub fn coins_of<'a>(
    watched: &'a WatchedScripts,
    transaction: &'a Transaction,
) -> impl Iterator<Item = (u32, Coin)> + 'a {
    (0..).zip(&transaction.output).filter_map(|(vout, output)| {
        let script_hash = watched.lookup(output.script_pubkey.as_bytes())?;
        let value_sat = output.value.to_sat();
        Some((
            vout,
            Coin {
                script_hash,
                value_sat,
            },
        ))
    })
}

fn touches(
    watched: &WatchedScripts,
    transaction: &Transaction,
    inputs: &[OutPoint],
    coin: impl Fn(&OutPoint) -> Option<Coin>,
) -> Vec<Touch> {
    let mut touches = BTreeMap::new();
    for (vout, coin) in coins_of(watched, transaction) {
        let touch = touch(&mut touches, coin.script_hash);
        touch.received_sat = touch.received_sat.saturating_add(coin.value_sat);
        touch.outputs.push((vout, coin.value_sat));
    }
    for coin in inputs.iter().filter_map(coin) {
        // The coin may be older than the last who watched its script.
        if watched.is_watched(&coin.script_hash) {
            let touch = touch(&mut touches, coin.script_hash);
            touch.spent_sat = touch.spent_sat.saturating_add(coin.value_sat);
        }
    }
    touches.into_values().collect()
}

/// The touch of a script, an empty one when it is not among `touches` yet.
pub(super) fn touch(
    touches: &mut BTreeMap<ScriptHash, Touch>,
    script_hash: ScriptHash,
) -> &mut Touch {
    touches.entry(script_hash).or_insert_with(|| Touch {
        script_hash,
        received_sat: 0,
        spent_sat: 0,
        outputs: Vec::new(),
    })
}

#[cfg(test)]
mod tests;
