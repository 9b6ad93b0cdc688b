//! Transactions that were announced and whose place in the mempool was not told yet.

use std::collections::{HashMap, VecDeque};

use bitcoin::Transaction;
use bitcoin::consensus::deserialize;
use satpost_domain::ids::Txid;
use satpost_domain::limits::NODE_BODIES_BYTES_MAX;

use crate::bitcoind::convert;

/// What an entry costs beside the bytes of its transaction.
const ENTRY_BYTES: usize = 128;

/// The last announced transactions, bounded in bytes; the oldest make room. Most are never asked
/// for: the node announces each transaction again when a block takes it.
#[derive(Default)]
pub(super) struct Bodies {
    by_txid: HashMap<Txid, Box<Transaction>>,
    /// In the order of their arrival, taken ones included, with their cost.
    arrivals: VecDeque<(Txid, usize)>,
    bytes: usize,
}

impl Bodies {
    /// Keeps an announced transaction; anything else is skipped and fetched when it is needed.
    pub(super) fn put(&mut self, raw: &[u8]) {
        let Ok(transaction) = deserialize::<Transaction>(raw) else {
            return;
        };
        let txid = convert::txid(transaction.compute_txid());
        let bytes = raw.len() + ENTRY_BYTES;
        self.by_txid.insert(txid, Box::new(transaction));
        self.arrivals.push_back((txid, bytes));
        self.bytes += bytes;
        while self.bytes > NODE_BODIES_BYTES_MAX
            && let Some((oldest, bytes)) = self.arrivals.pop_front()
        {
            self.by_txid.remove(&oldest);
            self.bytes -= bytes;
        }
    }

    /// Hands out a transaction.
    pub(super) fn take(&mut self, txid: &Txid) -> Option<Box<Transaction>> {
        self.by_txid.remove(txid)
    }
}

#[cfg(test)]
mod tests {
    use bitcoin::absolute::LockTime;
    use bitcoin::consensus::serialize;
    use bitcoin::transaction::Version;
    use bitcoin::{Amount, ScriptBuf, TxOut};

    use super::*;

    fn transaction(number: u64, script_bytes: usize) -> Transaction {
        Transaction {
            version: Version::TWO,
            lock_time: LockTime::ZERO,
            input: vec![bitcoin::TxIn::default()],
            output: vec![TxOut {
                value: Amount::from_sat(number),
                script_pubkey: ScriptBuf::from_bytes(vec![0; script_bytes]),
            }],
        }
    }

    #[test]
    fn hands_out_a_body_once() {
        let mut bodies = Bodies::default();
        let transaction = transaction(1, 22);
        bodies.put(&serialize(&transaction));
        let txid = convert::txid(transaction.compute_txid());
        assert_eq!(bodies.take(&txid), Some(Box::new(transaction)));
        assert_eq!(bodies.take(&txid), None);
    }

    #[test]
    fn makes_room_by_the_oldest_also_when_they_were_taken() {
        let mut bodies = Bodies::default();
        let size = NODE_BODIES_BYTES_MAX / 4;
        for number in 0..9 {
            let transaction = transaction(number, size);
            bodies.put(&serialize(&transaction));
            if number % 2 == 0 {
                bodies.take(&convert::txid(transaction.compute_txid()));
            }
        }
        assert!(bodies.bytes <= NODE_BODIES_BYTES_MAX);
        assert_eq!(bodies.arrivals.len(), 3);
        assert_eq!(bodies.by_txid.len(), 1);
    }
}
