//! Proofs that a transaction is in a block, computed from the block's txids.

use bitcoin::Txid;
use bitcoin::hashes::{Hash as _, sha256d};

/// The hashes beside the path from the transaction at `position` to the root, from the bottom. A
/// level with an odd number repeats its last hash.
pub(super) fn branch(txids: &[Txid], position: usize) -> Vec<Txid> {
    let mut level: Vec<sha256d::Hash> = txids.iter().map(|txid| txid.to_raw_hash()).collect();
    let mut position = position;
    let mut branch = Vec::new();
    while level.len() > 1 {
        if level.len() % 2 == 1 {
            let last = level[level.len() - 1];
            level.push(last);
        }
        branch.push(Txid::from_raw_hash(level[position ^ 1]));
        level = level
            .chunks(2)
            .map(|pair| {
                let mut bytes = [0; 64];
                bytes[..32].copy_from_slice(pair[0].as_byte_array());
                bytes[32..].copy_from_slice(pair[1].as_byte_array());
                sha256d::Hash::hash(&bytes)
            })
            .collect();
        position /= 2;
    }
    branch
}

#[cfg(test)]
mod tests {
    use bitcoin::merkle_tree::calculate_root;

    use super::*;

    fn root_from(txid: Txid, branch: &[Txid], position: usize) -> Txid {
        let mut hash = txid;
        for (level, sibling) in branch.iter().enumerate() {
            let (left, right) = if position >> level & 1 == 0 {
                (hash, *sibling)
            } else {
                (*sibling, hash)
            };
            let bytes = [left.to_byte_array(), right.to_byte_array()].concat();
            hash = Txid::hash(&bytes);
        }
        hash
    }

    #[test]
    fn leads_from_every_transaction_to_the_root() {
        for count in 1..=33_u8 {
            let txids: Vec<Txid> = (0..count).map(|n| Txid::hash(&[n])).collect();
            let root = calculate_root(txids.iter().copied()).unwrap();
            for (position, txid) in txids.iter().enumerate() {
                let branch = branch(&txids, position);
                assert_eq!(
                    root_from(*txid, &branch, position),
                    root,
                    "{position} of {count}"
                );
            }
        }
    }
}
