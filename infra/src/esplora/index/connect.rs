//! A block into the tables, and out of them again.

use std::collections::BTreeMap;

use bitcoin::hashes::Hash as _;
use bitcoin::{Block, OutPoint, ScriptBuf, Transaction, Txid};
use redb::ReadableTable as _;
use satpost_api_types::esplora::ScriptTotals;
use satpost_domain::hash::sha256;
use satpost_domain::ids::ScriptHash;
use satpost_domain::limits::REORG_BLOCKS_MAX;
use serde::{Deserialize, Serialize};

use super::IndexError;
use super::tables::{
    Coin, Tables, history_key, history_value, outpoint_key, outpoint_of, read_history, unspent_key,
};

/// What takes a block out again.
#[derive(Debug, Default, Serialize, Deserialize)]
struct Undo {
    /// Outpoints and the coins they held.
    spent: Vec<(Vec<u8>, Vec<u8>)>,
    /// Outpoints.
    created: Vec<Vec<u8>>,
    /// Txids.
    transactions: Vec<[u8; 32]>,
    /// Keys of the history.
    history: Vec<Vec<u8>>,
}

/// The hash by which a script is known.
pub(super) fn script_hash(script: &bitcoin::Script) -> ScriptHash {
    ScriptHash::new(*sha256(script.as_bytes()).as_bytes())
}

/// What one transaction did with a script, added up.
pub(super) fn add(totals: &mut ScriptTotals, more: &ScriptTotals) {
    totals.tx_count += more.tx_count;
    totals.funded_txo_count += more.funded_txo_count;
    totals.funded_txo_sum += more.funded_txo_sum;
    totals.spent_txo_count += more.spent_txo_count;
    totals.spent_txo_sum += more.spent_txo_sum;
}

/// Puts the block at `height` on top of the one below.
pub(super) fn connect(
    tables: &mut Tables<'_>,
    block: &Block,
    height: u32,
) -> Result<(), IndexError> {
    let hash = block.block_hash().to_byte_array();
    let mut undo = Undo::default();
    for (index, transaction) in (0..).zip(&block.txdata) {
        connect_transaction(tables, &mut undo, transaction, (height, index))?;
    }
    let mut value = hash.to_vec();
    value.extend(block.header.time.to_be_bytes());
    tables.blocks.insert(height, value.as_slice())?;
    tables.heights.insert(hash.as_slice(), height)?;
    let undo =
        postcard::to_allocvec(&undo).map_err(|error| IndexError::Storage(error.to_string()))?;
    tables.undo.insert(height, undo.as_slice())?;
    let kept = u32::try_from(REORG_BLOCKS_MAX).unwrap_or(u32::MAX);
    if let Some(deep) = height.checked_sub(kept) {
        tables.undo.remove(deep)?;
    }
    Ok(())
}

fn connect_transaction(
    tables: &mut Tables<'_>,
    undo: &mut Undo,
    transaction: &Transaction,
    (height, index): (u32, u32),
) -> Result<(), IndexError> {
    let txid = transaction.compute_txid();
    let mut touched: BTreeMap<ScriptHash, ScriptTotals> = BTreeMap::new();
    if !transaction.is_coinbase() {
        for (vin, input) in (0_u32..).zip(&transaction.input) {
            let coin = spend(tables, undo, input.previous_output, (txid, vin, height))?;
            let totals = touched.entry(script_hash(&coin.script)).or_default();
            totals.spent_txo_count += 1;
            totals.spent_txo_sum += coin.value_sat;
        }
    }
    for (vout, output) in (0..).zip(&transaction.output) {
        // Nobody can spend it, so nobody waits for it.
        if output.script_pubkey.is_op_return() {
            continue;
        }
        let value_sat = output.value.to_sat();
        let totals = touched
            .entry(script_hash(&output.script_pubkey))
            .or_default();
        totals.funded_txo_count += 1;
        totals.funded_txo_sum += value_sat;
        // The coinbase of the genesis block is no coin: the chain does not let anybody spend it.
        if height > 0 {
            let coin = Coin {
                height,
                value_sat,
                script: output.script_pubkey.clone(),
            };
            create(tables, undo, OutPoint::new(txid, vout), &coin)?;
        }
    }
    let id = txid.to_byte_array();
    tables.transactions.insert(id.as_slice(), (height, index))?;
    undo.transactions.push(id);
    for (script, mut totals) in touched {
        totals.tx_count = 1;
        add(&mut totals, &last_totals(tables, &script)?);
        let key = history_key(&script, height, index);
        let value = history_value(&txid, &totals);
        tables.history.insert(key.as_slice(), value.as_slice())?;
        undo.history.push(key.to_vec());
    }
    Ok(())
}

fn last_totals(tables: &Tables<'_>, script: &ScriptHash) -> Result<ScriptTotals, IndexError> {
    let (from, to) = (
        history_key(script, 0, 0),
        history_key(script, u32::MAX, u32::MAX),
    );
    let last = tables
        .history
        .range(from.as_slice()..=to.as_slice())?
        .next_back();
    match last {
        Some(entry) => Ok(read_history(entry?.1.value())?.1),
        None => Ok(ScriptTotals::default()),
    }
}

fn create(
    tables: &mut Tables<'_>,
    undo: &mut Undo,
    outpoint: OutPoint,
    coin: &Coin,
) -> Result<(), IndexError> {
    put_coin(tables, &outpoint, coin)?;
    undo.created.push(outpoint_key(&outpoint).to_vec());
    Ok(())
}

fn spend(
    tables: &mut Tables<'_>,
    undo: &mut Undo,
    outpoint: OutPoint,
    (txid, vin, height): (Txid, u32, u32),
) -> Result<Coin, IndexError> {
    let coin = take_coin(tables, &outpoint)?;
    let key = outpoint_key(&outpoint);
    let mut value = txid.to_byte_array().to_vec();
    value.extend(vin.to_be_bytes());
    value.extend(height.to_be_bytes());
    tables.spends.insert(key.as_slice(), value.as_slice())?;
    undo.spent.push((key.to_vec(), coin.to_bytes()));
    Ok(coin)
}

fn put_coin(tables: &mut Tables<'_>, outpoint: &OutPoint, coin: &Coin) -> Result<(), IndexError> {
    let script = script_hash(&coin.script);
    let key = unspent_key(&script, coin.height, outpoint);
    tables.unspent.insert(key.as_slice(), coin.value_sat)?;
    let bytes = coin.to_bytes();
    tables
        .coins
        .insert(outpoint_key(outpoint).as_slice(), bytes.as_slice())?;
    Ok(())
}

fn take_coin(tables: &mut Tables<'_>, outpoint: &OutPoint) -> Result<Coin, IndexError> {
    let coin = {
        let found = tables.coins.remove(outpoint_key(outpoint).as_slice())?;
        let found = found.ok_or_else(|| {
            IndexError::Contradiction(format!("the coin {outpoint} is not there"))
        })?;
        Coin::from_bytes(found.value())?
    };
    let key = unspent_key(&script_hash(&coin.script), coin.height, outpoint);
    tables.unspent.remove(key.as_slice())?;
    Ok(coin)
}

/// Takes the block at `height`, the newest one, out again. False when it lies too deep for that.
pub(super) fn disconnect(tables: &mut Tables<'_>, height: u32) -> Result<bool, IndexError> {
    let undo: Undo = match tables.undo.remove(height)? {
        Some(bytes) => postcard::from_bytes(bytes.value())
            .map_err(|error| IndexError::Contradiction(error.to_string()))?,
        None => return Ok(false),
    };
    // First what was spent: a block may have spent what it created.
    for (key, coin) in &undo.spent {
        tables.spends.remove(key.as_slice())?;
        put_coin(tables, &outpoint_of(key)?, &Coin::from_bytes(coin)?)?;
    }
    for key in &undo.created {
        take_coin(tables, &outpoint_of(key)?)?;
    }
    for txid in &undo.transactions {
        tables.transactions.remove(txid.as_slice())?;
    }
    for key in &undo.history {
        tables.history.remove(key.as_slice())?;
    }
    let hash = match tables.blocks.remove(height)? {
        Some(block) => block.value()[..32].to_vec(),
        None => return Ok(false),
    };
    tables.heights.remove(hash.as_slice())?;
    Ok(true)
}

/// The output behind an outpoint that nothing in a block spends.
pub(super) fn coin(
    tables: &Tables<'_>,
    outpoint: &OutPoint,
) -> Result<Option<(u64, ScriptBuf)>, IndexError> {
    let found = tables.coins.get(outpoint_key(outpoint).as_slice())?;
    let coin = found.map(|found| Coin::from_bytes(found.value()));
    Ok(coin.transpose()?.map(|coin| (coin.value_sat, coin.script)))
}
