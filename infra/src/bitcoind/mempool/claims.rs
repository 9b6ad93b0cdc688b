//! Which outputs must stay unspent by others for a tracked mempool transaction to confirm: those
//! it spends itself, and those its unconfirmed ancestors spend.

use std::collections::{BTreeMap, HashMap, HashSet};

use satpost_domain::chain::{OutPoint, ReplacedVia};
use satpost_domain::ids::Txid;

/// A tracked transaction depends on `spender` being the one that spends an output.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Claim {
    tracked: Txid,
    spender: Txid,
}

impl Claim {
    fn via(self) -> ReplacedVia {
        if self.tracked == self.spender {
            ReplacedVia::Direct
        } else {
            ReplacedVia::Ancestor
        }
    }
}

/// The claims of all tracked mempool transactions, by output.
#[derive(Debug, Default)]
pub struct Claims {
    by_output: HashMap<OutPoint, Vec<Claim>>,
    by_tracked: HashMap<Txid, Vec<OutPoint>>,
    /// The tracked transactions whose ancestors the node was asked for.
    asked: HashSet<Txid>,
}

impl Claims {
    /// `tracked` depends on `spender`, itself or an ancestor, which spends `inputs`.
    pub fn add(&mut self, tracked: Txid, spender: Txid, inputs: &[OutPoint]) {
        let claim = Claim { tracked, spender };
        for input in inputs {
            let claims = self.by_output.entry(*input).or_default();
            if !claims.contains(&claim) {
                claims.push(claim);
                self.by_tracked.entry(tracked).or_default().push(*input);
            }
        }
    }

    /// The claims for all ancestors of `tracked` are entered.
    pub fn complete(&mut self, tracked: Txid) {
        self.asked.insert(tracked);
    }

    /// True when [`Self::complete`] was said of it.
    #[must_use]
    pub fn are_complete(&self, tracked: &Txid) -> bool {
        self.asked.contains(tracked)
    }

    /// Forgets the transactions for which `keep` is false.
    pub fn retain(&mut self, keep: impl Fn(&Txid) -> bool) {
        let dropped = self.by_tracked.keys().filter(|tracked| !keep(tracked));
        for tracked in dropped.copied().collect::<Vec<_>>() {
            self.remove(&tracked);
        }
    }

    /// `tracked` cannot be replaced any more.
    pub fn remove(&mut self, tracked: &Txid) {
        self.asked.remove(tracked);
        for input in self.by_tracked.remove(tracked).unwrap_or_default() {
            if let Some(claims) = self.by_output.get_mut(&input) {
                claims.retain(|claim| claim.tracked != *tracked);
                if claims.is_empty() {
                    self.by_output.remove(&input);
                }
            }
        }
    }

    /// The tracked transactions that cannot confirm when the transaction `txid` with `inputs`
    /// does, by txid.
    #[must_use]
    pub fn broken_by(&self, txid: Txid, inputs: &[OutPoint]) -> BTreeMap<Txid, ReplacedVia> {
        let mut broken = BTreeMap::new();
        let claims = inputs.iter().filter_map(|input| self.by_output.get(input));
        for claim in claims.flatten().filter(|claim| claim.spender != txid) {
            let via = broken.entry(claim.tracked).or_insert(claim.via());
            if claim.via() == ReplacedVia::Direct {
                *via = ReplacedVia::Direct;
            }
        }
        broken
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn txid(name: u8) -> Txid {
        Txid::new([name; 32])
    }

    fn coin(name: u8) -> OutPoint {
        OutPoint {
            txid: txid(name),
            vout: 0,
        }
    }

    /// A tracked child 2 of an unconfirmed parent 1, which spends coin 90; the child spends the
    /// parent's output and coin 91.
    fn family() -> Claims {
        let mut claims = Claims::default();
        claims.add(txid(2), txid(2), &[coin(1), coin(91)]);
        claims.add(txid(2), txid(1), &[coin(90)]);
        claims
    }

    #[test]
    fn a_conflict_with_the_transaction_itself_is_direct() {
        let broken = family().broken_by(txid(3), &[coin(90), coin(91)]);
        assert_eq!(broken, BTreeMap::from([(txid(2), ReplacedVia::Direct)]));
    }

    #[test]
    fn a_conflict_with_its_parent_is_through_the_ancestor() {
        let broken = family().broken_by(txid(3), &[coin(90)]);
        assert_eq!(broken, BTreeMap::from([(txid(2), ReplacedVia::Ancestor)]));
    }

    #[test]
    fn neither_the_transaction_nor_its_parent_conflicts_with_itself() {
        assert!(family().broken_by(txid(1), &[coin(90)]).is_empty());
        assert!(family().broken_by(txid(2), &[coin(1), coin(91)]).is_empty());
    }

    #[test]
    fn forgets_what_is_not_to_be_kept() {
        let mut claims = family();
        assert!(!claims.are_complete(&txid(2)));
        claims.complete(txid(2));
        claims.retain(|tracked| *tracked == txid(2));
        assert!(claims.are_complete(&txid(2)));
        claims.retain(|tracked| *tracked != txid(2));
        assert!(!claims.are_complete(&txid(2)));
        assert!(claims.broken_by(txid(3), &[coin(1), coin(90)]).is_empty());
    }

    #[test]
    fn forgets_a_transaction_that_has_left() {
        let mut claims = family();
        claims.remove(&txid(2));
        assert!(claims.broken_by(txid(3), &[coin(90), coin(91)]).is_empty());
        assert!(claims.by_output.is_empty() && claims.by_tracked.is_empty());
    }
}
