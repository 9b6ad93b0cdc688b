//! Receive addresses, what the server watches, and what it has seen.

use std::collections::BTreeSet;
use std::io::BufRead;

use satpost_api_types::addresses::{
    Birthday, ImportAddressesResponse, WatchAddressesRequest, WatchEntry, WatchedAddress,
};
use satpost_api_types::balance::{
    BalanceResponse, ListUtxosResponse, RescanAddressesRequest, RescanAddressesResponse,
};
use satpost_api_types::transactions::{Block, Transaction};
use satpost_domain::limits::ADDRESSES_PER_REQUEST_MAX;

use super::import_parts::{ImportParts, add_part};
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
        let entries: Vec<_> = addresses.iter().cloned().map(WatchEntry::Address).collect();
        self.watch_entries(&entries).await
    }

    /// Lets the server watch addresses, scripts or hashes of scripts, each with what the wallet wants to
    /// hear of it; returns how many of them it did not watch before.
    ///
    /// # Errors
    /// [`WalletError`].
    pub async fn watch_entries(&mut self, entries: &[WatchEntry]) -> Result<usize, WalletError> {
        self.registered()?;
        let http = self.http()?;
        let mut added = 0;
        for some in entries.chunks(ADDRESSES_PER_REQUEST_MAX) {
            let request = WatchAddressesRequest {
                addresses: some.to_vec(),
                ..WatchAddressesRequest::default()
            };
            let answer = http.watch_addresses(&self.identity, &request).await?;
            added += answer.added;
            let mut draft = self.state.clone();
            draft.watched.extend(some.iter().filter_map(address_in));
            self.commit(draft)?;
        }
        Ok(added)
    }

    /// What the watched addresses have, and whether anything may be missing.
    ///
    /// # Errors
    /// [`WalletError`].
    pub async fn get_balance(&self) -> Result<BalanceResponse, WalletError> {
        self.registered()?;
        Ok(self.http()?.get_balance(&self.identity, None).await?)
    }

    /// A page of the coins of the watched addresses, from the cursor of the page before.
    ///
    /// # Errors
    /// [`WalletError`].
    pub async fn list_utxos(&self, after: Option<&str>) -> Result<ListUtxosResponse, WalletError> {
        self.registered()?;
        Ok(self.http()?.list_utxos(&self.identity, after).await?)
    }

    /// Has the history of watched addresses read from `birthday` on, 1 to 100 at a time. The same
    /// again shows the progress.
    ///
    /// # Errors
    /// [`WalletError`].
    pub async fn rescan_addresses(
        &self,
        addresses: &[String],
        birthday: Birthday,
    ) -> Result<RescanAddressesResponse, WalletError> {
        self.registered()?;
        let request = RescanAddressesRequest {
            addresses: addresses.iter().cloned().map(WatchEntry::Address).collect(),
            birthday,
        };
        let http = self.http()?;
        Ok(http.rescan_addresses(&self.identity, &request).await?)
    }

    /// Lets the server watch addresses no longer.
    ///
    /// # Errors
    /// [`WalletError`].
    pub async fn unwatch_addresses(&mut self, addresses: &[String]) -> Result<(), WalletError> {
        let entries: Vec<_> = addresses.iter().cloned().map(WatchEntry::Address).collect();
        self.unwatch_entries(&entries).await
    }

    /// Lets the server watch addresses, scripts or hashes of scripts no longer.
    ///
    /// # Errors
    /// [`WalletError`].
    pub async fn unwatch_entries(&mut self, entries: &[WatchEntry]) -> Result<(), WalletError> {
        self.registered()?;
        let http = self.http()?;
        for some in entries.chunks(ADDRESSES_PER_REQUEST_MAX) {
            http.unwatch_addresses(&self.identity, some.to_vec())
                .await?;
            let mut draft = self.state.clone();
            for address in some.iter().filter_map(address_in) {
                draft.watched.remove(&address);
            }
            self.commit(draft)?;
        }
        Ok(())
    }

    /// Lets the server watch many addresses: one entry a line, as the server takes them. Sends them in
    /// parts and tells the sum so far after each. What is imported is not remembered by the wallet, only by
    /// the server.
    ///
    /// # Errors
    /// [`WalletError`]; the parts before stay carried out, and the same import may be made again.
    pub async fn import_addresses(
        &mut self,
        lines: impl BufRead,
        mut on_progress: impl FnMut(&ImportAddressesResponse),
    ) -> Result<ImportAddressesResponse, WalletError> {
        self.registered()?;
        let http = self.http()?;
        let mut sum = ImportAddressesResponse::default();
        let mut parts = ImportParts::new(lines);
        while let Some(part) = parts.next_part().map_err(WalletError::Input)? {
            let answer = http.import_addresses(&self.identity, part.bytes).await?;
            add_part(&mut sum, answer, part.lines_before);
            on_progress(&sum);
        }
        Ok(sum)
    }

    /// Every address the server watches for this wallet.
    ///
    /// # Errors
    /// [`WalletError`].
    pub async fn list_addresses(&mut self) -> Result<Vec<WatchedAddress>, WalletError> {
        self.registered()?;
        let http = self.http()?;
        let mut all: Vec<WatchedAddress> = Vec::new();
        let mut cursor = None;
        loop {
            let page = http
                .list_addresses(&self.identity, cursor.as_deref())
                .await?;
            all.extend(page.addresses);
            cursor = page.cursor.filter(|_| page.more);
            if cursor.is_none() {
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
            .filter_map(|watched| watched.address)
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

/// The address in an entry, if it is named by one.
fn address_in(entry: &WatchEntry) -> Option<String> {
    match entry {
        WatchEntry::Address(address) => Some(address.clone()),
        WatchEntry::Detailed(entry) => entry.address.clone(),
    }
}
