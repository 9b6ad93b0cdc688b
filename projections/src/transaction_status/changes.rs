//! The steps of many transactions as one sequence, for a reader that wants each of them once.

use std::collections::BinaryHeap;
use std::ops::Bound;

use satpost_domain::Position;
use satpost_domain::ids::{ScriptHash, Txid};

use super::Step;
use super::history::History;

/// One step, and which transaction and script it is of. No two changes have the same position.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Change {
    /// The transaction.
    pub txid: Txid,
    /// The script.
    pub script_hash: ScriptHash,
    /// What the transaction pays to the script, in satoshi, as far as it is known now.
    pub received_sat: u64,
    /// What it takes from the script, in satoshi, as far as it is known now.
    pub spent_sat: u64,
    /// The step.
    pub step: Step,
}

/// Where a step is found; ordered by position.
type Found = (Position, usize, Txid, usize);

/// The first `max` steps after `after` of all `histories`, by position. Looks at every step of the
/// transactions that changed after `after`, and keeps no more than `max` of them meanwhile.
pub(super) fn first_steps<'a>(
    histories: impl Iterator<Item = (&'a ScriptHash, &'a History)>,
    after: Position,
    max: usize,
) -> Vec<Change> {
    let histories: Vec<_> = histories.collect();
    let mut first: BinaryHeap<Found> = BinaryHeap::new();
    for (index, (_, history)) in histories.iter().enumerate() {
        let changed = (Bound::Excluded(after), Bound::Unbounded);
        for txid in history.by_change.range(changed).map(|(_, txid)| txid) {
            let steps = history.records.get(txid).map(|record| &record.steps);
            for (place, step) in steps.into_iter().flatten().enumerate() {
                if step.position > after {
                    take(&mut first, (step.position, index, *txid, place), max);
                }
            }
        }
    }
    first
        .into_sorted_vec()
        .into_iter()
        .filter_map(|(_, index, txid, place)| {
            let (script_hash, history) = histories[index];
            let record = history.records.get(&txid)?;
            Some(Change {
                txid,
                script_hash: *script_hash,
                received_sat: record.received_sat,
                spent_sat: record.spent_sat,
                step: record.steps.get(place)?.clone(),
            })
        })
        .collect()
}

/// Takes `found` when it is among the `max` first so far.
fn take(first: &mut BinaryHeap<Found>, found: Found, max: usize) {
    if first.len() < max {
        first.push(found);
    } else if let Some(mut last) = first.peek_mut()
        && found < *last
    {
        *last = found;
    }
}
