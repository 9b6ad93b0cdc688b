//! The node's mempool as it was told: which transactions are in it, what they pay to, and which
//! outputs the tracked ones depend on.

use std::collections::HashMap;

use bitcoin::Transaction;
use satpost_domain::ids::Txid;
use satpost_domain::limits::SCRIPT_BYTES_MAX;

pub use claims::Claims;

mod claims;

/// The transactions in the mempool with the scripts they pay to, so that a script that is watched
/// later finds what waits for it. About 200 bytes for each transaction.
#[derive(Debug, Default)]
pub struct Mempool {
    outputs: HashMap<Txid, Scripts>,
}

impl Mempool {
    /// Enters a transaction; without its body nothing is known of its outputs.
    pub fn insert(&mut self, txid: Txid, body: Option<&Transaction>) {
        let scripts = body.map(Scripts::of).unwrap_or_default();
        self.outputs.insert(txid, scripts);
    }

    /// Takes a transaction out; true when it was in.
    pub fn remove(&mut self, txid: &Txid) -> bool {
        self.outputs.remove(txid).is_some()
    }

    /// True when it is in.
    #[must_use]
    pub fn contains(&self, txid: &Txid) -> bool {
        self.outputs.contains_key(txid)
    }

    /// How many are in.
    #[must_use]
    pub fn len(&self) -> usize {
        self.outputs.len()
    }

    /// True when none is in.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.outputs.is_empty()
    }

    /// Keeps only the transactions for which `keep` is true.
    pub fn retain(&mut self, keep: impl Fn(&Txid) -> bool) {
        self.outputs.retain(|txid, _| keep(txid));
    }

    /// The transactions that pay to a script for which `watched` is true.
    pub fn paying_to(&self, watched: impl Fn(&[u8]) -> bool) -> Vec<Txid> {
        let pays = |scripts: &Scripts| scripts.iter().any(&watched);
        self.outputs
            .iter()
            .filter(|(_, scripts)| pays(scripts))
            .map(|(txid, _)| *txid)
            .collect()
    }
}

/// Output scripts one after another, each behind a byte with its length. Scripts that are too
/// long to be watched are left out.
#[derive(Debug, Default)]
struct Scripts(Box<[u8]>);

impl Scripts {
    fn of(transaction: &Transaction) -> Self {
        let mut bytes = Vec::new();
        for output in &transaction.output {
            let script = output.script_pubkey.as_bytes();
            if let Ok(length) = u8::try_from(script.len())
                && (1..=SCRIPT_BYTES_MAX).contains(&script.len())
            {
                bytes.push(length);
                bytes.extend_from_slice(script);
            }
        }
        Self(bytes.into_boxed_slice())
    }

    fn iter(&self) -> impl Iterator<Item = &[u8]> {
        let mut rest = &self.0[..];
        std::iter::from_fn(move || {
            let (length, tail) = rest.split_first()?;
            let (script, tail) = tail.split_at_checked(usize::from(*length))?;
            rest = tail;
            Some(script)
        })
    }
}

#[cfg(test)]
mod tests {
    use bitcoin::absolute::LockTime;
    use bitcoin::transaction::Version;
    use bitcoin::{Amount, ScriptBuf, TxOut};

    use super::*;

    fn paying(scripts: &[Vec<u8>]) -> Transaction {
        let output = |script: &Vec<u8>| TxOut {
            value: Amount::from_sat(1),
            script_pubkey: ScriptBuf::from_bytes(script.clone()),
        };
        Transaction {
            version: Version::TWO,
            lock_time: LockTime::ZERO,
            input: vec![],
            output: scripts.iter().map(output).collect(),
        }
    }

    #[test]
    fn finds_what_pays_to_a_script() {
        let mut mempool = Mempool::default();
        let long = vec![3; SCRIPT_BYTES_MAX + 1];
        let one = paying(&[vec![1; 22], long.clone(), vec![2; 34]]);
        mempool.insert(Txid::new([1; 32]), Some(&one));
        mempool.insert(Txid::new([2; 32]), Some(&paying(&[vec![1; 22]])));
        mempool.insert(Txid::new([3; 32]), None);
        let found = |script: &[u8]| mempool.paying_to(|given| given == script);
        assert_eq!(found(&[2; 34]), vec![Txid::new([1; 32])]);
        assert_eq!(found(&[1; 22]).len(), 2);
        assert_eq!(found(&long), vec![]);
        assert_eq!(found(&[]), vec![]);
    }
}
