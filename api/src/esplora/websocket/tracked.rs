//! One tracked address: which of its transactions were told, and where they were then.

use std::collections::BTreeMap;

use bitcoin::{BlockHash, Txid};
use satpost_api_types::esplora::Transaction;
use satpost_domain::ids::ScriptHash;
use satpost_domain::limits::ESPLORA_TRANSACTIONS_PER_PAGE_MAX;
use satpost_domain::network::Network;
use serde_json::{Map, Value, json};

use crate::address::bitcoin_network;
use crate::esplora::ports::{ChainQuery, FoundTransaction, QueryError};
use crate::esplora::shapes;

/// What a client has to be told.
#[derive(Debug, Default)]
pub(super) struct Difference {
    mempool: Vec<Transaction>,
    confirmed: Vec<Transaction>,
    removed: Vec<Transaction>,
}

impl Difference {
    pub(super) fn is_empty(&self) -> bool {
        self.mempool.is_empty() && self.confirmed.is_empty() && self.removed.is_empty()
    }

    /// As the members for one address.
    pub(super) fn into_members(self, members: &mut Map<String, Value>) {
        for (name, transactions) in [
            ("address-transactions", self.mempool),
            ("block-transactions", self.confirmed),
            ("address-removed-transactions", self.removed),
        ] {
            if !transactions.is_empty() {
                members.insert(name.to_owned(), json!(transactions));
            }
        }
    }

    /// As the value of one address among many.
    pub(super) fn into_object(self) -> Value {
        json!({ "mempool": self.mempool, "confirmed": self.confirmed, "removed": self.removed })
    }
}

pub(super) struct Tracked {
    /// The address as the client wrote it.
    pub(super) label: String,
    script: ScriptHash,
    known: BTreeMap<Txid, FoundTransaction>,
}

impl Tracked {
    pub(super) const fn new(label: String, script: ScriptHash) -> Self {
        Self {
            label,
            script,
            known: BTreeMap::new(),
        }
    }

    /// What has changed since the last time; all of it counts as told then.
    pub(super) async fn difference(
        &mut self,
        chain: &dyn ChainQuery,
        network: Network,
    ) -> Result<Difference, QueryError> {
        const MAX: usize = ESPLORA_TRANSACTIONS_PER_PAGE_MAX;
        let unconfirmed = chain.unconfirmed_of(self.script, MAX).await?;
        let confirmed = chain.confirmed_of(self.script, None, MAX).await?;
        let mut now = BTreeMap::new();
        for found in unconfirmed.into_iter().chain(confirmed) {
            now.insert(found.txid, found);
        }
        let shape = |found: &FoundTransaction| shapes::transaction(found, bitcoin_network(network));
        let mut difference = Difference::default();
        for found in now.values() {
            let before = self.known.get(&found.txid).map(block);
            match block(found) {
                here if before == Some(here) => {}
                Some(_) => difference.confirmed.push(shape(found)),
                // New, or back from a block that was taken back.
                None => difference.mempool.push(shape(found)),
            }
        }
        let absent: Vec<(Txid, FoundTransaction)> = self
            .known
            .iter()
            .filter(|&(txid, _)| !now.contains_key(txid))
            .map(|(txid, before)| (*txid, before.clone()))
            .collect();
        for (txid, before) in absent {
            // Beyond the page, or gone.
            match chain.place_of(txid).await {
                Ok(Some(_)) => {
                    if before.place.is_none() && now.len() < 2 * MAX {
                        now.insert(txid, before);
                    }
                }
                Ok(None) | Err(QueryError::TransactionNotWatched) => {
                    difference.removed.push(shape(&before));
                }
                Err(error) => return Err(error),
            }
        }
        self.known = now;
        Ok(difference)
    }
}

fn block(found: &FoundTransaction) -> Option<BlockHash> {
    found.place.map(|place| place.hash)
}
