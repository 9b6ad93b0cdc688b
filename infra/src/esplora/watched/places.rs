//! In which blocks transactions were when they were last told, so that a wallet that has read a
//! list may ask for what is on it.

use std::collections::{HashMap, VecDeque};
use std::sync::{Mutex, PoisonError};

use bitcoin::{BlockHash, Txid};

/// How many are remembered; the oldest make room.
const PLACES_MAX: usize = 100_000;

/// What was told.
#[derive(Debug, Default)]
pub(super) struct Places(Mutex<Remembered>);

#[derive(Debug, Default)]
struct Remembered {
    blocks: HashMap<Txid, BlockHash>,
    oldest_first: VecDeque<Txid>,
}

impl Places {
    /// The block, which may be stale by now.
    pub(super) fn get(&self, txid: &Txid) -> Option<BlockHash> {
        let remembered = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        remembered.blocks.get(txid).copied()
    }

    pub(super) fn remember(&self, txid: Txid, block: BlockHash) {
        let mut remembered = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if remembered.blocks.insert(txid, block).is_none() {
            remembered.oldest_first.push_back(txid);
        }
        if remembered.oldest_first.len() > PLACES_MAX
            && let Some(oldest) = remembered.oldest_first.pop_front()
        {
            remembered.blocks.remove(&oldest);
        }
    }
}

#[cfg(test)]
mod tests {
    use bitcoin::hashes::Hash as _;

    use super::*;

    #[test]
    fn forgets_the_oldest_and_takes_the_newest_block() {
        let places = Places::default();
        let txid = |n: usize| Txid::hash(&n.to_be_bytes());
        let block = |n: u8| BlockHash::hash(&[n]);
        for n in 0..=PLACES_MAX {
            places.remember(txid(n), block(1));
        }
        assert_eq!(places.get(&txid(0)), None);
        places.remember(txid(1), block(2));
        assert_eq!(places.get(&txid(1)), Some(block(2)));
        assert_eq!(places.0.lock().unwrap().blocks.len(), PLACES_MAX);
    }
}
