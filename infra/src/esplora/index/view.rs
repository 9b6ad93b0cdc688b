//! Blocks and mempool at one moment: what readers ask.

use std::sync::{PoisonError, RwLockReadGuard};

use bitcoin::hashes::Hash as _;
use bitcoin::{BlockHash, OutPoint, TxOut, Txid};
use redb::{ReadTransaction, ReadableDatabase as _, ReadableTable as _};
use satpost_api::esplora::ports::{BlockPlace, Spend, Unspent};
use satpost_api_types::esplora::ScriptTotals;
use satpost_domain::ids::ScriptHash;

use super::mempool::Mempool;
use super::tables::{
    BLOCKS, HEIGHTS, HISTORY, SPENDS, TRANSACTIONS, UNSPENT, history_key, outpoint_key,
    outpoint_of, read_history, split, unspent_key,
};
use super::{Index, IndexError};

/// One moment. Held only while it is read: it keeps the writer from committing.
pub(in crate::esplora) struct View<'a> {
    blocks: ReadTransaction,
    pub(in crate::esplora) mempool: RwLockReadGuard<'a, Mempool>,
}

impl Index {
    /// What is so now.
    pub(in crate::esplora) fn view(&self) -> Result<View<'_>, IndexError> {
        let mempool = self.mempool.read().unwrap_or_else(PoisonError::into_inner);
        Ok(View {
            blocks: self.database.begin_read()?,
            mempool,
        })
    }
}

impl View<'_> {
    /// The newest block; nothing before the first one is in.
    pub(in crate::esplora) fn tip(&self) -> Result<Option<BlockPlace>, IndexError> {
        let blocks = self.blocks.open_table(BLOCKS)?;
        let last = blocks.last()?;
        last.map(|(height, block)| block_place(height.value(), block.value()))
            .transpose()
    }

    pub(in crate::esplora) fn block_at(
        &self,
        height: u32,
    ) -> Result<Option<BlockPlace>, IndexError> {
        let blocks = self.blocks.open_table(BLOCKS)?;
        let found = blocks.get(height)?;
        found
            .map(|block| block_place(height, block.value()))
            .transpose()
    }

    pub(in crate::esplora) fn place_of_block(
        &self,
        hash: &BlockHash,
    ) -> Result<Option<BlockPlace>, IndexError> {
        let heights = self.blocks.open_table(HEIGHTS)?;
        match heights.get(hash.as_byte_array().as_slice())? {
            Some(height) => self.block_at(height.value()),
            None => Ok(None),
        }
    }

    /// The block and the place in it of a transaction of the best chain.
    pub(in crate::esplora) fn place_of(
        &self,
        txid: &Txid,
    ) -> Result<Option<(BlockPlace, u32)>, IndexError> {
        let transactions = self.blocks.open_table(TRANSACTIONS)?;
        let Some(found) = transactions.get(txid.as_byte_array().as_slice())? else {
            return Ok(None);
        };
        let (height, index) = found.value();
        let block = self.block_at(height)?.ok_or_else(|| {
            IndexError::Contradiction(format!("there is no block at height {height}"))
        })?;
        Ok(Some((block, index)))
    }

    /// What spends an output, in a block or in the mempool.
    pub(in crate::esplora) fn spend(
        &self,
        outpoint: &OutPoint,
    ) -> Result<Option<Spend>, IndexError> {
        let spends = self.blocks.open_table(SPENDS)?;
        if let Some(found) = spends.get(outpoint_key(outpoint).as_slice())? {
            let (txid, rest) = split::<32>(found.value())?;
            let (vin, rest) = split::<4>(rest)?;
            let (height, _) = split::<4>(rest)?;
            return Ok(Some(Spend {
                txid: Txid::from_byte_array(txid),
                vin: u32::from_be_bytes(vin),
                place: self.block_at(u32::from_be_bytes(height))?,
            }));
        }
        Ok(self.mempool.spend(outpoint).map(|(txid, vin)| Spend {
            txid,
            vin,
            place: None,
        }))
    }

    /// What transactions in blocks did with a script: the totals stand beside the last of them.
    pub(in crate::esplora) fn totals(
        &self,
        script: &ScriptHash,
    ) -> Result<ScriptTotals, IndexError> {
        let history = self.blocks.open_table(HISTORY)?;
        let (from, to) = (
            history_key(script, 0, 0),
            history_key(script, u32::MAX, u32::MAX),
        );
        let last = history.range(from.as_slice()..=to.as_slice())?.next_back();
        match last {
            Some(entry) => Ok(read_history(entry?.1.value())?.1),
            None => Ok(ScriptTotals::default()),
        }
    }

    /// Up to `max` transactions of a script in blocks, newest first, below the place `before`.
    pub(in crate::esplora) fn history(
        &self,
        script: &ScriptHash,
        before: Option<(u32, u32)>,
        max: usize,
    ) -> Result<Vec<(Txid, BlockPlace)>, IndexError> {
        let history = self.blocks.open_table(HISTORY)?;
        let from = history_key(script, 0, 0);
        let (height, index) = before.unwrap_or((u32::MAX, u32::MAX));
        let to = history_key(script, height, index);
        let mut found = Vec::new();
        for entry in history
            .range(from.as_slice()..to.as_slice())?
            .rev()
            .take(max)
        {
            let (key, value) = entry?;
            let (_, rest) = split::<32>(key.value())?;
            let (height, _) = split::<4>(rest)?;
            let height = u32::from_be_bytes(height);
            let block = self.block_at(height)?.ok_or_else(|| {
                IndexError::Contradiction(format!("there is no block at height {height}"))
            })?;
            found.push((read_history(value.value())?.0, block));
        }
        Ok(found)
    }

    /// The unspent outputs of a script that the mempool does not spend either, with those that it
    /// creates; at most one more than `max`.
    pub(in crate::esplora) fn unspent(
        &self,
        script: &ScriptHash,
        max: usize,
    ) -> Result<Vec<Unspent>, IndexError> {
        let table = self.blocks.open_table(UNSPENT)?;
        let mut key = [0xff; 72];
        key[..32].copy_from_slice(script.as_bytes());
        let from = unspent_key(script, 0, &OutPoint::new(Txid::all_zeros(), 0));
        let mut found = self.unspent_in_mempool(script);
        for entry in table.range(from.as_slice()..=key.as_slice())? {
            let (key, value) = entry?;
            let (_, rest) = split::<32>(key.value())?;
            let (height, outpoint) = split::<4>(rest)?;
            let outpoint = outpoint_of(outpoint)?;
            if self.mempool.spend(&outpoint).is_some() {
                continue;
            }
            found.push(Unspent {
                outpoint,
                value_sat: value.value(),
                place: self.block_at(u32::from_be_bytes(height))?,
            });
            if found.len() > max {
                break;
            }
        }
        Ok(found)
    }

    fn unspent_in_mempool(&self, script: &ScriptHash) -> Vec<Unspent> {
        let mut found = Vec::new();
        for (txid, entry) in self.mempool.of_script(script) {
            for (vout, output) in (0..).zip(&entry.transaction.output) {
                let outpoint = OutPoint::new(txid, vout);
                if pays(output, script) && self.mempool.spend(&outpoint).is_none() {
                    found.push(Unspent {
                        outpoint,
                        value_sat: output.value.to_sat(),
                        place: None,
                    });
                }
            }
        }
        found
    }
}

/// True when the output pays to the script with this hash.
pub(in crate::esplora) fn pays(output: &TxOut, script: &ScriptHash) -> bool {
    super::connect::script_hash(&output.script_pubkey) == *script
}

fn block_place(height: u32, block: &[u8]) -> Result<BlockPlace, IndexError> {
    let (hash, rest) = split::<32>(block)?;
    let (time, _) = split::<4>(rest)?;
    Ok(BlockPlace {
        height,
        hash: BlockHash::from_byte_array(hash),
        time: u32::from_be_bytes(time),
    })
}
