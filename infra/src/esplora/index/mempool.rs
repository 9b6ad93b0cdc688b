//! The mempool of the index: each transaction with what it spends, by txid, script and outpoint.

use std::collections::{BTreeMap, HashMap, HashSet, VecDeque};
use std::sync::Arc;

use bitcoin::{OutPoint, Transaction, TxOut, Txid};
use satpost_api::esplora::ports::MempoolTransaction;
use satpost_api_types::esplora::ScriptTotals;
use satpost_domain::ids::ScriptHash;
use satpost_domain::limits::ESPLORA_RECENT_MAX;

use super::connect::{add, script_hash};

/// A transaction of the mempool.
#[derive(Debug, Clone)]
pub(in crate::esplora) struct Entry {
    pub(in crate::esplora) transaction: Arc<Transaction>,
    pub(in crate::esplora) prevouts: Arc<[TxOut]>,
    /// Counts arrivals.
    arrival: u64,
    figures: MempoolTransaction,
}

/// The mempool.
#[derive(Debug, Default)]
pub(in crate::esplora) struct Mempool {
    entries: HashMap<Txid, Entry>,
    by_arrival: BTreeMap<u64, Txid>,
    by_script: HashMap<ScriptHash, BTreeMap<u64, Txid>>,
    spends: HashMap<OutPoint, (Txid, u32)>,
    recent: VecDeque<MempoolTransaction>,
    arrivals: u64,
}

/// What a transaction does with each script it touches.
fn touches(transaction: &Transaction, prevouts: &[TxOut]) -> HashMap<ScriptHash, ScriptTotals> {
    let mut touched: HashMap<ScriptHash, ScriptTotals> = HashMap::new();
    for prevout in prevouts {
        let totals = touched
            .entry(script_hash(&prevout.script_pubkey))
            .or_default();
        totals.spent_txo_count += 1;
        totals.spent_txo_sum += prevout.value.to_sat();
    }
    for output in &transaction.output {
        if output.script_pubkey.is_op_return() {
            continue;
        }
        let totals = touched
            .entry(script_hash(&output.script_pubkey))
            .or_default();
        totals.funded_txo_count += 1;
        totals.funded_txo_sum += output.value.to_sat();
    }
    for totals in touched.values_mut() {
        totals.tx_count = 1;
    }
    touched
}

impl Mempool {
    /// A transaction arrives.
    pub(super) fn insert(&mut self, transaction: Transaction, prevouts: Vec<TxOut>) {
        let txid = transaction.compute_txid();
        if self.entries.contains_key(&txid) {
            return;
        }
        let paid: u64 = transaction
            .output
            .iter()
            .map(|out| out.value.to_sat())
            .sum();
        let spent: u64 = prevouts.iter().map(|out| out.value.to_sat()).sum();
        let figures = MempoolTransaction {
            txid,
            fee_sat: spent.saturating_sub(paid),
            vsize: u64::try_from(transaction.vsize()).unwrap_or(u64::MAX),
            value_sat: paid,
        };
        self.arrivals += 1;
        let arrival = self.arrivals;
        for script in touches(&transaction, &prevouts).into_keys() {
            self.by_script
                .entry(script)
                .or_default()
                .insert(arrival, txid);
        }
        for (vin, input) in (0..).zip(&transaction.input) {
            self.spends.insert(input.previous_output, (txid, vin));
        }
        self.by_arrival.insert(arrival, txid);
        self.recent.push_front(figures);
        self.recent.truncate(ESPLORA_RECENT_MAX);
        let entry = Entry {
            transaction: Arc::new(transaction),
            prevouts: prevouts.into(),
            arrival,
            figures,
        };
        self.entries.insert(txid, entry);
    }

    /// A transaction leaves.
    pub(super) fn remove(&mut self, txid: &Txid) {
        let Some(entry) = self.entries.remove(txid) else {
            return;
        };
        self.by_arrival.remove(&entry.arrival);
        for script in touches(&entry.transaction, &entry.prevouts).into_keys() {
            if let Some(of_script) = self.by_script.get_mut(&script) {
                of_script.remove(&entry.arrival);
                if of_script.is_empty() {
                    self.by_script.remove(&script);
                }
            }
        }
        for input in &entry.transaction.input {
            // A replacement may have claimed the same output already.
            if self.spends.get(&input.previous_output).map(|(by, _)| by) == Some(txid) {
                self.spends.remove(&input.previous_output);
            }
        }
    }

    /// Everything that is not in `present` leaves.
    pub(super) fn retain(&mut self, present: &HashSet<Txid>) -> bool {
        let gone: Vec<Txid> = self
            .entries
            .keys()
            .filter(|&txid| !present.contains(txid))
            .copied()
            .collect();
        for txid in &gone {
            self.remove(txid);
        }
        !gone.is_empty()
    }

    pub(in crate::esplora) fn get(&self, txid: &Txid) -> Option<&Entry> {
        self.entries.get(txid)
    }

    /// The output that a transaction of the mempool creates.
    pub(super) fn output(&self, outpoint: &OutPoint) -> Option<&TxOut> {
        let entry = self.entries.get(&outpoint.txid)?;
        let vout = usize::try_from(outpoint.vout).ok()?;
        entry.transaction.output.get(vout)
    }

    pub(in crate::esplora) fn spend(&self, outpoint: &OutPoint) -> Option<(Txid, u32)> {
        self.spends.get(outpoint).copied()
    }

    /// The transactions of a script, newest first.
    pub(in crate::esplora) fn of_script(
        &self,
        script: &ScriptHash,
    ) -> impl Iterator<Item = (Txid, &Entry)> {
        self.by_script
            .get(script)
            .into_iter()
            .flat_map(|of_script| of_script.values().rev())
            .filter_map(|txid| Some((*txid, self.entries.get(txid)?)))
    }

    pub(in crate::esplora) fn totals(&self, script: &ScriptHash) -> ScriptTotals {
        let mut all = ScriptTotals::default();
        for (_, entry) in self.of_script(script) {
            if let Some(totals) = touches(&entry.transaction, &entry.prevouts).get(script) {
                add(&mut all, totals);
            }
        }
        all
    }

    /// All of it, oldest first.
    pub(in crate::esplora) fn figures(&self) -> Vec<MempoolTransaction> {
        self.by_arrival
            .values()
            .filter_map(|txid| Some(self.entries.get(txid)?.figures))
            .collect()
    }

    pub(in crate::esplora) fn recent(&self) -> Vec<MempoolTransaction> {
        self.recent.iter().copied().collect()
    }
}
