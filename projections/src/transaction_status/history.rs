//! What happened to one script: its transactions, and in which order they last changed.

use std::cmp::Reverse;
use std::collections::{BTreeMap, BinaryHeap};
use std::ops::Bound;

use satpost_domain::Position;
use satpost_domain::chain::Touch;
use satpost_domain::ids::{ScriptHash, Txid};
use satpost_domain::limits::TRANSACTION_STEPS_MAX;

use super::{Status, Step, TransactionRecord};

/// The transactions of one script.
#[derive(Debug, Default)]
pub(super) struct History {
    pub(super) records: BTreeMap<Txid, Record>,
    /// The position of each transaction's last change; an event concerns one transaction, so no
    /// two share it.
    pub(super) by_change: BTreeMap<Position, Txid>,
}

/// A transaction, without the ids it is filed under.
#[derive(Debug, Clone)]
pub(super) struct Record {
    pub(super) received_sat: u64,
    pub(super) spent_sat: u64,
    pub(super) is_coinbase: bool,
    /// At least one.
    pub(super) steps: Vec<Step>,
}

impl History {
    pub(super) fn sight(&mut self, txid: Txid, touch: &Touch, is_coinbase: bool, step: Step) {
        let record = self.records.entry(txid).or_insert_with(|| Record {
            received_sat: 0,
            spent_sat: 0,
            is_coinbase,
            steps: Vec::with_capacity(2),
        });
        record.received_sat = touch.received_sat;
        record.spent_sat = touch.spent_sat;
        record.is_coinbase |= is_coinbase;
        let (from, to) = record.push(step);
        self.moved(txid, from, to);
    }

    pub(super) fn move_on(&mut self, txid: Txid, step: Step) {
        if let Some(record) = self.records.get_mut(&txid) {
            let (from, to) = record.push(step);
            self.moved(txid, from, to);
        }
    }

    /// The last step now stands at `position`, so that those who have read it read it again.
    pub(super) fn amend(&mut self, txid: Txid, touch: &Touch, position: Position) {
        if let Some(record) = self.records.get_mut(&txid)
            && let Some(last) = record.steps.last_mut()
        {
            record.received_sat = touch.received_sat;
            record.spent_sat = touch.spent_sat;
            let from = std::mem::replace(&mut last.position, position);
            self.moved(txid, Some(from), position);
        }
    }

    /// Where a transaction is and what it takes.
    pub(super) fn recorded(&self, txid: &Txid) -> Option<(Status, u64)> {
        let record = self.records.get(txid)?;
        Some((record.steps.last()?.state, record.spent_sat))
    }

    fn moved(&mut self, txid: Txid, from: Option<Position>, to: Position) {
        if let Some(from) = from {
            self.by_change.remove(&from);
        }
        self.by_change.insert(to, txid);
    }

    fn next_change(&self, after: Position) -> Option<(Position, Txid)> {
        self.by_change
            .range((Bound::Excluded(after), Bound::Unbounded))
            .next()
            .map(|(position, txid)| (*position, *txid))
    }
}

impl Record {
    /// The record with the ids it is filed under.
    pub(super) fn whole(&self, txid: Txid, script_hash: ScriptHash) -> TransactionRecord {
        TransactionRecord {
            txid,
            script_hash,
            received_sat: self.received_sat,
            spent_sat: self.spent_sat,
            is_coinbase: self.is_coinbase,
            steps: self.steps.clone(),
        }
    }

    /// Takes a step and says where the record last changed before, and where it changed now.
    fn push(&mut self, step: Step) -> (Option<Position>, Position) {
        let from = self.steps.last().map(|last| last.position);
        let to = step.position;
        if self.steps.len() == TRANSACTION_STEPS_MAX {
            // The first step says when the transaction was first seen; that is kept, and so is
            // the last that says where it is.
            let place = self.steps.iter().rposition(|step| step.state.is_place());
            self.steps.remove(if place == Some(1) { 2 } else { 1 });
        }
        self.steps.push(step);
        (from, to)
    }
}

/// Up to `max` records of all `histories` that changed after `after`, by position. Looks at each
/// history once and then only at what it answers.
pub(super) fn merge_changes<'a>(
    histories: impl Iterator<Item = (&'a ScriptHash, &'a History)>,
    after: Position,
    max: usize,
) -> Vec<TransactionRecord> {
    let histories: Vec<_> = histories.collect();
    let mut next: BinaryHeap<_> = histories
        .iter()
        .enumerate()
        .filter_map(|(index, (_, history))| {
            let (position, txid) = history.next_change(after)?;
            Some(Reverse((position, txid, index)))
        })
        .collect();
    let mut changed = Vec::new();
    let mut last = after;
    while changed.len() < max
        && let Some(Reverse((position, txid, index))) = next.pop()
    {
        let (script_hash, history) = histories[index];
        // The same script may be asked for twice; its changes are answered once.
        if position > last
            && let Some(record) = history.records.get(&txid)
        {
            changed.push(record.whole(txid, *script_hash));
            last = position;
        }
        if let Some((position, txid)) = history.next_change(position) {
            next.push(Reverse((position, txid, index)));
        }
    }
    changed
}
