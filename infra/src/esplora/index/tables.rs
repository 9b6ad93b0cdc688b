//! The tables of the index. Numbers in keys are big-endian, so that keys stand in the order of
//! what they mean; hashes are in the order of their bytes, not of their text.

use bitcoin::hashes::Hash as _;
use bitcoin::{OutPoint, ScriptBuf, Txid};
use redb::{Table, TableDefinition, WriteTransaction};
use satpost_api_types::esplora::ScriptTotals;
use satpost_domain::ids::ScriptHash;

use super::IndexError;

/// The form of the file; another one is built again.
pub(super) const FORM: &str = "satpost-esplora-index-1";

pub(super) const META: TableDefinition<'_, &str, &str> = TableDefinition::new("meta");
/// Height → hash, time.
pub(super) const BLOCKS: TableDefinition<'_, u32, &[u8]> = TableDefinition::new("blocks");
/// Hash → height.
pub(super) const HEIGHTS: TableDefinition<'_, &[u8], u32> = TableDefinition::new("heights");
/// Txid → height, place in the block.
pub(super) const TRANSACTIONS: TableDefinition<'_, &[u8], (u32, u32)> =
    TableDefinition::new("transactions");
/// Script hash, height, place in the block → txid, and the totals of the script with that transaction.
pub(super) const HISTORY: TableDefinition<'_, &[u8], &[u8]> = TableDefinition::new("history");
/// Script hash, height, outpoint → satoshi.
pub(super) const UNSPENT: TableDefinition<'_, &[u8], u64> = TableDefinition::new("unspent");
/// Outpoint → a [`Coin`], while nothing in a block spends it.
pub(super) const COINS: TableDefinition<'_, &[u8], &[u8]> = TableDefinition::new("coins");
/// Outpoint → txid, input, height of what spends it.
pub(super) const SPENDS: TableDefinition<'_, &[u8], &[u8]> = TableDefinition::new("spends");
/// Height → what takes the block out again, for the newest blocks.
pub(super) const UNDO: TableDefinition<'_, u32, &[u8]> = TableDefinition::new("undo");

/// All tables of a write.
pub(super) struct Tables<'a> {
    pub(super) blocks: Table<'a, u32, &'static [u8]>,
    pub(super) heights: Table<'a, &'static [u8], u32>,
    pub(super) transactions: Table<'a, &'static [u8], (u32, u32)>,
    pub(super) history: Table<'a, &'static [u8], &'static [u8]>,
    pub(super) unspent: Table<'a, &'static [u8], u64>,
    pub(super) coins: Table<'a, &'static [u8], &'static [u8]>,
    pub(super) spends: Table<'a, &'static [u8], &'static [u8]>,
    pub(super) undo: Table<'a, u32, &'static [u8]>,
}

impl<'a> Tables<'a> {
    pub(super) fn open(transaction: &'a WriteTransaction) -> Result<Self, IndexError> {
        Ok(Self {
            blocks: transaction.open_table(BLOCKS)?,
            heights: transaction.open_table(HEIGHTS)?,
            transactions: transaction.open_table(TRANSACTIONS)?,
            history: transaction.open_table(HISTORY)?,
            unspent: transaction.open_table(UNSPENT)?,
            coins: transaction.open_table(COINS)?,
            spends: transaction.open_table(SPENDS)?,
            undo: transaction.open_table(UNDO)?,
        })
    }
}

/// An output that nothing in a block spends.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Coin {
    pub(super) height: u32,
    pub(super) value_sat: u64,
    pub(super) script: ScriptBuf,
}

impl Coin {
    pub(super) fn to_bytes(&self) -> Vec<u8> {
        let mut bytes = Vec::with_capacity(12 + self.script.len());
        bytes.extend(self.height.to_be_bytes());
        bytes.extend(self.value_sat.to_be_bytes());
        bytes.extend(self.script.as_bytes());
        bytes
    }

    pub(super) fn from_bytes(bytes: &[u8]) -> Result<Self, IndexError> {
        let (height, rest) = split::<4>(bytes)?;
        let (value, script) = split::<8>(rest)?;
        Ok(Self {
            height: u32::from_be_bytes(height),
            value_sat: u64::from_be_bytes(value),
            script: ScriptBuf::from_bytes(script.to_vec()),
        })
    }
}

/// The first `N` bytes and the rest.
pub(super) fn split<const N: usize>(bytes: &[u8]) -> Result<([u8; N], &[u8]), IndexError> {
    bytes
        .split_first_chunk::<N>()
        .map(|(first, rest)| (*first, rest))
        .ok_or_else(|| IndexError::Contradiction("an entry is too short".to_owned()))
}

pub(super) fn outpoint_key(outpoint: &OutPoint) -> [u8; 36] {
    let mut key = [0; 36];
    key[..32].copy_from_slice(outpoint.txid.as_byte_array());
    key[32..].copy_from_slice(&outpoint.vout.to_be_bytes());
    key
}

pub(super) fn outpoint_of(key: &[u8]) -> Result<OutPoint, IndexError> {
    let (txid, rest) = split::<32>(key)?;
    let (vout, _) = split::<4>(rest)?;
    let txid = Txid::from_byte_array(txid);
    Ok(OutPoint::new(txid, u32::from_be_bytes(vout)))
}

pub(super) fn unspent_key(script: &ScriptHash, height: u32, outpoint: &OutPoint) -> [u8; 72] {
    let mut key = [0; 72];
    key[..32].copy_from_slice(script.as_bytes());
    key[32..36].copy_from_slice(&height.to_be_bytes());
    key[36..].copy_from_slice(&outpoint_key(outpoint));
    key
}

pub(super) fn history_key(script: &ScriptHash, height: u32, index: u32) -> [u8; 40] {
    let mut key = [0; 40];
    key[..32].copy_from_slice(script.as_bytes());
    key[32..36].copy_from_slice(&height.to_be_bytes());
    key[36..].copy_from_slice(&index.to_be_bytes());
    key
}

/// A transaction of a script, and the totals of the script up to it.
pub(super) fn history_value(txid: &Txid, totals: &ScriptTotals) -> Vec<u8> {
    let mut bytes = txid.to_byte_array().to_vec();
    for number in [
        totals.tx_count,
        totals.funded_txo_count,
        totals.funded_txo_sum,
        totals.spent_txo_count,
        totals.spent_txo_sum,
    ] {
        bytes.extend(number.to_be_bytes());
    }
    bytes
}

pub(super) fn read_history(bytes: &[u8]) -> Result<(Txid, ScriptTotals), IndexError> {
    let (txid, mut rest) = split::<32>(bytes)?;
    let mut number = || -> Result<u64, IndexError> {
        let (number, more) = split::<8>(rest)?;
        rest = more;
        Ok(u64::from_be_bytes(number))
    };
    let totals = ScriptTotals {
        tx_count: number()?,
        funded_txo_count: number()?,
        funded_txo_sum: number()?,
        spent_txo_count: number()?,
        spent_txo_sum: number()?,
    };
    Ok((Txid::from_byte_array(txid), totals))
}
