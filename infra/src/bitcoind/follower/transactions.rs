//! What enters and leaves the mempool.

use bitcoin::Transaction;
use satpost_domain::chain::{ChainCommand, RemovalCause, TransactionState};
use satpost_domain::ids::Txid;
use tokio::time::Instant;

use super::{FollowError, Follower};
use crate::bitcoind::convert;
use crate::bitcoind::matcher::{self, Candidate};

impl Follower {
    /// A transaction entered the mempool.
    pub(super) async fn enter(
        &mut self,
        txid: Txid,
        body: Option<Box<Transaction>>,
    ) -> Result<(), FollowError> {
        // It was removed and comes back at once: two changes, not none.
        self.let_go(|held| *held == txid).await?;
        let body = match body {
            Some(body) => Some(*body),
            None => self.rpc.transactions(&[txid]).await?.pop().flatten(),
        };
        self.mempool.insert(txid, body.as_ref());
        // A transaction that has left again already is announced as removed next.
        let Some(body) = body else {
            return Ok(());
        };
        self.replace(txid, &body).await?;
        self.see(&[body]).await
    }

    /// A transaction left the mempool, not through a block. What took its place, if anything
    /// did, is announced after it.
    pub(super) async fn leave(&mut self, txid: Txid) -> Result<(), FollowError> {
        self.mempool.remove(&txid);
        if self.chain().await?.is_in_mempool(&txid) {
            self.held.push((txid, Instant::now()));
        }
        Ok(())
    }

    /// Records which of `transactions`, all in the mempool, touch watched scripts.
    pub(in crate::bitcoind) async fn see(
        &mut self,
        transactions: &[Transaction],
    ) -> Result<(), FollowError> {
        let candidates: Vec<Candidate<'_>> = transactions
            .iter()
            .map(|body| Candidate {
                txid: convert::txid(body.compute_txid()),
                index: 0,
                body,
            })
            .collect();
        let chain = self.chain().await?;
        let sightings = matcher::sightings(&self.read_model.watched_scripts(), &chain, &candidates);
        drop(chain);
        if sightings.is_empty() {
            return Ok(());
        }
        let txids: Vec<Txid> = sightings.iter().map(|sighting| sighting.txid).collect();
        let at = self.now();
        self.record(&ChainCommand::SeeTransactions { sightings, at })
            .await?;
        for txid in txids {
            self.claim_for_ancestors(txid).await?;
        }
        Ok(())
    }

    /// Notes what the unconfirmed ancestors of a tracked transaction spend, so that a conflict
    /// with one of them names what took the place.
    pub(in crate::bitcoind) async fn claim_for_ancestors(
        &mut self,
        txid: Txid,
    ) -> Result<(), FollowError> {
        let chain = self.chain().await?;
        let has_parent = chain.tracked(&txid).is_some_and(|tracked| {
            tracked.state == TransactionState::Mempool
                && tracked
                    .inputs
                    .iter()
                    .any(|input| self.mempool.contains(&input.txid))
        });
        drop(chain);
        if !has_parent {
            return Ok(());
        }
        let ancestors = self.rpc.mempool_ancestors(txid).await?;
        let bodies = self.rpc.transactions(&ancestors).await?;
        for (ancestor, body) in ancestors.into_iter().zip(bodies) {
            if let Some(body) = body {
                self.claims.add(txid, ancestor, &convert::inputs(&body));
            }
        }
        self.claims.complete(txid);
        Ok(())
    }

    /// True when a watch list has changed since the mempool was last searched.
    #[must_use]
    pub fn has_new_scripts(&self) -> bool {
        self.scripts_searched != Some(self.read_model.watch_list_changes())
    }

    /// Looks again at transactions of which more is known now: they spend coins that a back-fill has
    /// found.
    ///
    /// # Errors
    /// [`FollowError`].
    pub async fn look_again(&mut self, txids: &[Txid]) -> Result<(), FollowError> {
        let waiting = txids.iter().copied();
        let waiting: Vec<Txid> = waiting.filter(|txid| self.mempool.contains(txid)).collect();
        if waiting.is_empty() {
            return Ok(());
        }
        let bodies = self.rpc.transactions(&waiting).await?;
        let bodies: Vec<Transaction> = bodies.into_iter().flatten().collect();
        self.see(&bodies).await
    }

    /// Searches the mempool for scripts that are watched since the last search.
    ///
    /// # Errors
    /// [`FollowError`].
    pub async fn search_for_new_scripts(&mut self) -> Result<(), FollowError> {
        if !self.has_new_scripts() {
            return Ok(());
        }
        // What is watched while it is searched is searched for again.
        self.scripts_searched = Some(self.read_model.watch_list_changes());
        let found = {
            let watched = self.read_model.watched_scripts();
            self.mempool
                .paying_to(|script| watched.lookup(script).is_some())
        };
        let bodies = self.rpc.transactions(&found).await?;
        let bodies: Vec<Transaction> = bodies.into_iter().flatten().collect();
        self.see(&bodies).await
    }

    /// Reports as evicted what the log has in the mempool and the node has not. Only right at a
    /// moment when both mempools are known to be equal: after a block is taken back, its
    /// transactions are announced one by one as they return, and those that do not are not.
    ///
    /// # Errors
    /// [`FollowError`].
    pub async fn evict_what_did_not_return(&mut self) -> Result<(), FollowError> {
        let chain = self.chain().await?;
        let missing: Vec<_> = chain
            .mempool()
            .map(|(txid, _)| *txid)
            .filter(|txid| !self.mempool.contains(txid))
            .filter(|txid| self.held.iter().all(|(held, _)| held != txid))
            .map(|txid| (txid, RemovalCause::Evicted))
            .collect();
        drop(chain);
        self.remove(missing).await
    }
}
