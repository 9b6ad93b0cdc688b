//! The full comparison of what is remembered with what the node says.

use std::collections::HashSet;

use satpost_domain::chain::{BlockRef, Chain};
use satpost_domain::ids::Txid;

use super::{FollowError, Follower};
use crate::bitcoind::rpc::MempoolSnapshot;

/// What a comparison has shown.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Comparison {
    /// All of so many things are equal.
    Equal(u32),
    /// Something differs.
    Different,
    /// The node was ahead: what it said is compared when the announcements have come as far.
    NotYet,
    /// The announcements are past what the node said; it must be asked again.
    TooLate,
}

impl Follower {
    /// Compares every remembered block with the node's best chain.
    ///
    /// # Errors
    /// [`FollowError`].
    pub async fn compare_blocks(&self) -> Result<Comparison, FollowError> {
        let blocks: Vec<BlockRef> = self.chain().await?.recent_blocks().collect();
        let tip = blocks.first().map(|tip| tip.hash);
        if Some(self.rpc.best_block().await?) != tip {
            return Ok(Comparison::NotYet);
        }
        for block in &blocks {
            if self.rpc.block_hash(block.height).await? != Some(block.hash) {
                // A block that came or went during the comparison says nothing.
                let moved = Some(self.rpc.best_block().await?) != tip;
                return Ok(if moved {
                    Comparison::NotYet
                } else {
                    Comparison::Different
                });
            }
        }
        let compared = u32::try_from(blocks.len()).unwrap_or(u32::MAX);
        Ok(Comparison::Equal(compared))
    }

    /// Compares the announced mempool and the log with a snapshot, at the moment when exactly the
    /// changes before the snapshot have been announced.
    ///
    /// # Errors
    /// [`FollowError`].
    pub async fn compare_mempool(
        &self,
        snapshot: &MempoolSnapshot,
    ) -> Result<Comparison, FollowError> {
        if self.books.next() < snapshot.sequence || self.books.awaits_block() {
            return Ok(Comparison::NotYet);
        }
        if self.books.next() > snapshot.sequence || self.has_new_scripts() {
            return Ok(Comparison::TooLate);
        }
        let present: HashSet<Txid> = snapshot.txids.iter().copied().collect();
        let as_announced = present.len() == self.mempool.len()
            && present.iter().all(|txid| self.mempool.contains(txid));
        let chain = self.chain().await?;
        if as_announced && self.log_agrees_with(&chain, &present) {
            let compared = u32::try_from(present.len()).unwrap_or(u32::MAX);
            Ok(Comparison::Equal(compared))
        } else {
            Ok(Comparison::Different)
        }
    }

    /// What the log has in the mempool is there, and what is there for watched scripts is in the log.
    fn log_agrees_with(&self, chain: &Chain, present: &HashSet<Txid>) -> bool {
        let is_held = |txid: &Txid| self.held.iter().any(|(held, _)| held == txid);
        let recorded_is_there = chain
            .mempool()
            .all(|(txid, _)| present.contains(txid) || is_held(txid));
        let watched = self.read_model.watched_scripts();
        let paying = self
            .mempool
            .paying_to(|script| watched.lookup(script).is_some());
        recorded_is_there && paying.iter().all(|txid| chain.is_in_mempool(txid))
    }

    /// Lets go of what was kept to name the cause of changes that can no longer happen.
    ///
    /// # Errors
    /// [`FollowError`].
    pub async fn forget_what_is_settled(&mut self) -> Result<(), FollowError> {
        let chain = self.chain().await?;
        self.claims
            .retain(|tracked| chain.tracked(tracked).is_some());
        Ok(())
    }
}
