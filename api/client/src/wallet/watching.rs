//! Receive addresses, what the server watches, and what it has seen.

use std::collections::BTreeSet;

use satpost_api_types::addresses::WatchedAddress;
use satpost_api_types::transactions::{Block, Transaction};
use satpost_domain::limits::ADDRESSES_PER_REQUEST_MAX;

use super::{Wallet, WalletError};
use crate::receive_address::receive_address;

/// How many unused addresses in a row end the search of a restored wallet (BIP-44's gap limit).
const GAP_LIMIT: u32 = 20;

/// What changed since a cursor.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TransactionList {
    /// One entry for each watched address a transaction touches, by the position of its last change.
    pub transactions: Vec<Transaction>,
    /// Where the next look goes on.
    pub cursor: Option<String>,
    /// The tip of the chain the server follows.
    pub tip: Option<Block>,
    /// False while the server may have missed something.
    pub complete: bool,
}

impl Wallet {
    /// The next receive address; it is not given out again.
    ///
    /// # Errors
    /// [`WalletError`].
    pub fn new_address(&mut self) -> Result<String, WalletError> {
        let index = self.state.next_address;
        let address = receive_address(&self.seed, self.network()?, index)?.to_string();
        let mut draft = self.state.clone();
        draft.next_address = index + 1;
        self.commit(draft)?;
        Ok(address)
    }

    /// Lets the server watch addresses; returns how many of them it did not watch before.
    ///
    /// # Errors
    /// [`WalletError`].
    pub async fn watch_addresses(&mut self, addresses: &[String]) -> Result<usize, WalletError> {
        self.registered()?;
        let http = self.http()?;
        let mut added = 0;
        for some in addresses.chunks(ADDRESSES_PER_REQUEST_MAX) {
            let answer = http.watch_addresses(&self.identity, some.to_vec()).await?;
            added += answer.added;
            let mut draft = self.state.clone();
            draft.watched.extend(some.iter().cloned());
            self.commit(draft)?;
        }
        Ok(added)
    }

    /// Lets the server watch addresses no longer.
    ///
    /// # Errors
    /// [`WalletError`].
    pub async fn unwatch_addresses(&mut self, addresses: &[String]) -> Result<(), WalletError> {
        self.registered()?;
        let http = self.http()?;
        for some in addresses.chunks(ADDRESSES_PER_REQUEST_MAX) {
            http.unwatch_addresses(&self.identity, some.to_vec())
                .await?;
            let mut draft = self.state.clone();
            draft.watched.retain(|address| !some.contains(address));
            self.commit(draft)?;
        }
        Ok(())
    }

    /// Every address the server watches for this wallet.
    ///
    /// # Errors
    /// [`WalletError`].
    pub async fn list_addresses(&mut self) -> Result<Vec<WatchedAddress>, WalletError> {
        self.registered()?;
        let http = self.http()?;
        let mut all: Vec<WatchedAddress> = Vec::new();
        loop {
            let after = all.last().map(|watched| watched.address.clone());
            let page = http
                .list_addresses(&self.identity, after.as_deref())
                .await?;
            let more = page.more && !page.addresses.is_empty();
            all.extend(page.addresses);
            if !more {
                return Ok(all);
            }
        }
    }

    /// Every transaction that changed after `cursor`, or all of them.
    ///
    /// # Errors
    /// [`WalletError`].
    pub async fn list_transactions(
        &mut self,
        cursor: Option<String>,
    ) -> Result<TransactionList, WalletError> {
        self.registered()?;
        let http = self.http()?;
        let mut list = TransactionList {
            transactions: Vec::new(),
            cursor,
            tip: None,
            complete: true,
        };
        loop {
            let page = http
                .list_transactions(&self.identity, list.cursor.as_deref())
                .await?;
            let more = page.more && !page.transactions.is_empty();
            list.transactions.extend(page.transactions);
            list.cursor = Some(page.cursor);
            list.tip = page.tip;
            list.complete = page.complete;
            if !more {
                return Ok(list);
            }
        }
    }

    /// Remembers how far the transactions were looked at.
    ///
    /// # Errors
    /// [`WalletError::Store`].
    pub fn remember_transactions(&mut self, cursor: Option<String>) -> Result<(), WalletError> {
        let mut draft = self.state.clone();
        draft.transactions_cursor = cursor;
        self.commit(draft)
    }

    /// Finds out which receive addresses were given out before the wallet was restored: those that
    /// the server still watches, and none behind a gap of [`GAP_LIMIT`].
    pub(super) async fn recover_addresses(&mut self) -> Result<(), WalletError> {
        let watched: BTreeSet<String> = self
            .list_addresses()
            .await?
            .into_iter()
            .map(|watched| watched.address)
            .collect();
        let network = self.network()?;
        let mut draft = self.state.clone();
        let mut index = 0;
        while index < draft.next_address.saturating_add(GAP_LIMIT) {
            let address = receive_address(&self.seed, network, index)?.to_string();
            index += 1;
            if watched.contains(&address) {
                draft.next_address = draft.next_address.max(index);
            }
        }
        draft.watched = watched;
        self.commit(draft)
    }
}
