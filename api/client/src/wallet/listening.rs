//! The live feed of transactions over as many connections as it takes, the wait for messages beside it,
//! and proofs.

use std::sync::Arc;
use std::time::Duration;

use bitcoin::block::Header;
use satpost_api_types::transactions::{TransactionChange, TransactionProof};
use satpost_domain::Position;
use satpost_domain::limits::{EVENT_RETRY, FETCH_WAIT_MAX};

use super::{Wallet, WalletError};
use crate::http::{FetchMessages, HttpClient, Listening};
use crate::keys::MessagingSecret;
use crate::merkle_proof::verify_merkle_proof;
use crate::ports::{Entropy, draw};

/// The longest wait before another connection is tried.
const RECONNECT_MAX: Duration = Duration::from_secs(60);

/// What happens to the wallet's transactions, each step once, however often the connection is lost.
pub struct ChangeFeed {
    http: Arc<HttpClient>,
    /// The last step that was told.
    cursor: Option<String>,
    stream: Option<Listening>,
    /// How many connections in a row gave nothing.
    idle_connections: u32,
}

/// Rings when a message waits in the current mailbox. It takes nothing: fetching is the wallet's.
pub struct MessageBell {
    http: Arc<HttpClient>,
    secret: MessagingSecret,
    /// The last message that the wallet has.
    after: u64,
    entropy: Arc<dyn Entropy>,
    /// How many calls in a row failed.
    failures: u32,
}

/// A transaction that is proven to be in a block.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ProvenTransaction {
    /// The header of the block: whether it is of the best chain is for others to say.
    pub header: Header,
    /// The proof, to be kept or shown.
    pub proof: TransactionProof,
}

impl Wallet {
    /// Begins to listen to what happened after `cursor` and happens from now on; to everything when
    /// there is no cursor. Nothing is sent yet.
    ///
    /// # Errors
    /// [`WalletError`].
    pub fn listen(&self, cursor: Option<String>) -> Result<ChangeFeed, WalletError> {
        self.registered()?;
        Ok(ChangeFeed {
            http: self.http()?,
            cursor,
            stream: None,
            idle_connections: 0,
        })
    }

    /// Waits for the next step of a transaction, connecting again as often as it takes. Dropping the
    /// future loses nothing.
    ///
    /// # Errors
    /// [`WalletError`] when the server refuses for good, or sends what no server sends.
    pub async fn next_change(
        &self,
        feed: &mut ChangeFeed,
    ) -> Result<TransactionChange, WalletError> {
        loop {
            if feed.stream.is_none() && !self.connect(feed).await? {
                continue;
            }
            let Some(stream) = &mut feed.stream else {
                continue;
            };
            match stream.next().await {
                Ok(Some(change)) => {
                    feed.idle_connections = 0;
                    if feed.is_news(&change) {
                        feed.cursor = Some(change.step.position.clone());
                        return Ok(change);
                    }
                }
                Ok(None) => feed.stream = None,
                Err(error) => {
                    feed.stream = None;
                    return Err(error.into());
                }
            }
        }
    }

    /// Opens another connection after a wait that grows; false when that did not help for now.
    async fn connect(&self, feed: &mut ChangeFeed) -> Result<bool, WalletError> {
        if feed.idle_connections > 0 {
            let dice = u32::from_be_bytes(draw(self.options.http.entropy.as_ref()));
            tokio::time::sleep(reconnect_wait(feed.idle_connections, dice)).await;
        }
        feed.idle_connections = feed.idle_connections.saturating_add(1);
        let opened = feed.http.listen(&self.identity, feed.cursor.as_deref());
        match opened.await {
            Ok(stream) => {
                feed.stream = Some(stream);
                Ok(true)
            }
            Err(error) if error.is_temporary() => Ok(false),
            Err(error) => Err(error.into()),
        }
    }

    /// A bell for what comes after the messages that this wallet has. Nothing is sent yet.
    ///
    /// # Errors
    /// [`WalletError`].
    pub fn message_bell(&self) -> Result<MessageBell, WalletError> {
        self.registered()?;
        let generation = self.state.generation;
        Ok(MessageBell {
            http: self.http()?,
            secret: self.messaging(generation),
            after: self.stored(generation).map_or(0, |head| head.seq),
            entropy: Arc::clone(&self.options.http.entropy),
            failures: 0,
        })
    }

    /// Asks for the proof that a confirmed transaction is in its block, and checks it.
    ///
    /// # Errors
    /// [`WalletError::Proof`] when it proves nothing.
    pub async fn verify_transaction(&self, txid: &str) -> Result<ProvenTransaction, WalletError> {
        self.registered()?;
        let unreadable = |_| WalletError::NoTransactionId {
            text: txid.to_owned(),
        };
        let id: bitcoin::Txid = txid.parse().map_err(unreadable)?;
        let named = id
            .to_string()
            .parse()
            .expect("a transaction id is 64 hexadecimal characters");
        let proof = self
            .http()?
            .get_transaction_proof(&self.identity, &named)
            .await?;
        let header = verify_merkle_proof(&id, &proof)?;
        Ok(ProvenTransaction { header, proof })
    }
}

impl MessageBell {
    /// Waits until a message waits, over as many connections as it takes. Dropping the future loses
    /// nothing.
    ///
    /// # Errors
    /// [`WalletError`] when the server refuses for good.
    pub async fn ring(&mut self) -> Result<(), WalletError> {
        loop {
            if self.failures > 0 {
                let dice = u32::from_be_bytes(draw(self.entropy.as_ref()));
                tokio::time::sleep(reconnect_wait(self.failures, dice)).await;
            }
            let fetch = FetchMessages {
                after: self.after,
                limit: Some(1),
                wait: FETCH_WAIT_MAX,
                parked: false,
            };
            match self.http.fetch_messages(&self.secret, fetch).await {
                Ok(Some(answer)) if !answer.messages.is_empty() => return Ok(()),
                Ok(None) => self.failures = 0,
                // A server with too many waiting clients answers at once.
                Ok(Some(_)) => self.failures = self.failures.saturating_add(1),
                Err(error) if error.is_temporary() => {
                    self.failures = self.failures.saturating_add(1);
                }
                Err(error) => return Err(error.into()),
            }
        }
    }
}

impl ChangeFeed {
    /// False for what was told before: a server that goes back is not followed.
    fn is_news(&self, change: &TransactionChange) -> bool {
        let position = |text: &str| text.parse::<Position>().ok();
        let last = self.cursor.as_deref().and_then(position);
        position(&change.step.position) > last
    }
}

/// How long to wait before connection `idle` + 1: half of it fixed and half random, so that clients
/// that lost the same server do not come back together.
pub(super) fn reconnect_wait(idle: u32, dice: u32) -> Duration {
    let full = EVENT_RETRY
        .saturating_mul(2_u32.saturating_pow(idle - 1))
        .min(RECONNECT_MAX);
    full / 2 + (full / 2).mul_f64(f64::from(dice) / f64::from(u32::MAX))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn waits_longer_after_every_connection_that_gave_nothing() {
        assert_eq!(reconnect_wait(1, 0), EVENT_RETRY / 2);
        assert_eq!(reconnect_wait(1, u32::MAX), EVENT_RETRY);
        assert_eq!(reconnect_wait(3, u32::MAX), EVENT_RETRY * 4);
        assert_eq!(reconnect_wait(u32::MAX, u32::MAX), RECONNECT_MAX);
    }
}
