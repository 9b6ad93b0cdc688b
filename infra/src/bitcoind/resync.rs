//! The one way to begin, and to begin again after anything may have been missed: read the headers
//! to the fork and forward to the tip, compare the mempool, and go on with what was announced
//! after it.

use std::collections::{HashMap, HashSet};
use std::sync::Arc;

use bitcoin::Transaction;
use satpost_domain::chain::{Chain, OutPoint, RemovalCause, TransactionState};
use satpost_domain::ids::Txid;
use satpost_domain::limits::NODE_BODIES_PER_CALL_MAX;
use tokio::sync::watch;

use super::block_stream::{Wanted, fetch_blocks};
use super::books::Books;
use super::feed::Feed;
use super::follower::{FollowError, Follower};
use super::rpc::MempoolSnapshot;
use super::status::NodeStatus;
use super::{convert, matcher};

impl Follower {
    /// Makes the log agree with the node. The feed, if there is one, must be open: nothing may be
    /// missed after the snapshot. Answers how many waiting notices may be older than what was read here.
    ///
    /// # Errors
    /// [`FollowError`]; what was recorded until then stands, and the next resync goes on from it.
    pub async fn resync(
        &mut self,
        mut feed: Option<&mut Feed>,
        status: &watch::Sender<NodeStatus>,
    ) -> Result<usize, FollowError> {
        self.held.clear();
        let chain = self.chain_in_the_log().await?;
        self.claim_for_all(&chain);
        drop(chain);
        loop {
            self.follow_headers(status).await?;
            // Everything announced so far is older than the snapshot.
            if let Some(feed) = feed.as_mut() {
                feed.discard();
            }
            let snapshot = self.rpc.mempool().await?;
            if self.rpc.best_block().await? != self.tip().await?.hash {
                // A block came between the two; the snapshot may be without its transactions.
                continue;
            }
            let waiting = feed.map_or(0, |feed| feed.waiting());
            self.adopt(snapshot).await?;
            return Ok(waiting);
        }
    }

    /// Notes what every tracked transaction depends on, as far as the log knows it: its own inputs
    /// and those of tracked ancestors. An evicted one is among them: what took its place may be
    /// found only now.
    fn claim_for_all(&mut self, chain: &Chain) {
        for (txid, tracked) in chain.all_tracked() {
            match tracked.state {
                TransactionState::Mempool => {}
                TransactionState::Gone { replaced, .. } if !replaced => {}
                _ => continue,
            }
            let mut family = vec![(*txid, tracked)];
            let mut seen = HashSet::from([*txid]);
            while let Some((member, tracked)) = family.pop() {
                self.claims.add(*txid, member, &tracked.inputs);
                let parents = tracked.inputs.iter().map(|input| input.txid);
                for parent in parents.filter(|parent| chain.is_in_mempool(parent)) {
                    if seen.insert(parent)
                        && let Some(tracked) = chain.tracked(&parent)
                    {
                        family.push((parent, tracked));
                    }
                }
            }
        }
    }

    /// Walks back to the fork and forward to the node's tip, one append for each block.
    ///
    /// # Errors
    /// [`FollowError`]; what was recorded until then stands.
    pub(crate) async fn follow_headers(
        &mut self,
        status: &watch::Sender<NodeStatus>,
    ) -> Result<(), FollowError> {
        let target = self.rpc.info().await?.blocks;
        loop {
            while !self.rpc.is_in_best_chain(self.tip().await?.hash).await? {
                self.disconnect_tip().await?;
            }
            let tip = self.tip().await?;
            let wanted = Wanted::Heights(tip.height.saturating_add(1)..=u32::MAX);
            let mut blocks = fetch_blocks(Arc::clone(&self.rpc), wanted);
            while let Some(fetched) = blocks.next().await {
                let (at, block) = fetched?;
                if block.header()?.previous != self.tip().await?.hash {
                    break;
                }
                // A single block is an ordinary moment of a node that is asked once a second.
                if target > at.height {
                    status.send_replace(NodeStatus::Syncing {
                        height: at.height,
                        target,
                    });
                }
                // The books are opened again with the snapshot, so nothing is owed here.
                let _explained = self.connect(&block).await?;
            }
            if self.rpc.best_block().await? == self.tip().await?.hash {
                return Ok(());
            }
        }
    }

    /// Takes over the mempool of `snapshot`, which was taken at the tip in the log.
    async fn adopt(&mut self, snapshot: MempoolSnapshot) -> Result<(), FollowError> {
        let present: HashSet<Txid> = snapshot.txids.into_iter().collect();
        self.mempool.retain(|txid| present.contains(txid));
        self.books = Books::open(snapshot.sequence);
        let scripts = self.read_model.watch_list_changes();
        let new: Vec<Txid> = present
            .iter()
            .filter(|txid| !self.mempool.contains(txid))
            .copied()
            .collect();
        let of_concern = self.read_bodies(&new).await?;

        for transaction in &of_concern.conflicting {
            let txid = convert::txid(transaction.compute_txid());
            self.replace(txid, transaction).await?;
        }
        let chain = self.chain().await?;
        let (kept, lost): (Vec<Txid>, Vec<Txid>) = chain
            .mempool()
            .map(|(txid, _)| *txid)
            .partition(|txid| present.contains(txid));
        drop(chain);
        let lost = lost.into_iter().map(|txid| (txid, RemovalCause::Evicted));
        self.remove(lost.collect()).await?;
        self.see(&of_concern.touching).await?;
        for txid in kept {
            if self.claims.are_complete(&txid) {
                continue;
            }
            self.claim_for_ancestors(txid).await?;
        }
        // Later scripts are searched for by the next heartbeat. A known transaction may pay to a
        // script that is watched since it was read, so a later number of scripts stays unsearched.
        if new.len() == self.mempool.len() {
            self.scripts_searched = Some(scripts);
        }
        Ok(())
    }

    /// Reads the bodies of `new` mempool transactions and keeps what is of concern. The node lists
    /// children before parents as it likes, so the coins of watched scripts are followed until no
    /// further spender is found.
    async fn read_bodies(&mut self, new: &[Txid]) -> Result<OfConcern, FollowError> {
        let mut found = OfConcern::default();
        let mut spenders: HashMap<OutPoint, Txid> = HashMap::new();
        for part in new.chunks(NODE_BODIES_PER_CALL_MAX) {
            let bodies = self.rpc.transactions(part).await?;
            let chain = self.chain().await?;
            for (txid, body) in part.iter().zip(bodies) {
                self.mempool.insert(*txid, body.as_ref());
                let Some(body) = body else { continue };
                let inputs = convert::inputs(&body);
                if !self.claims.broken_by(*txid, &inputs).is_empty() {
                    found.conflicting.push(body.clone());
                }
                let watched = self.read_model.watched_scripts();
                let touches = chain.tracked(txid).is_some()
                    || matcher::coins_of(&watched, &body).next().is_some()
                    || inputs.iter().any(|input| chain.coin(input).is_some());
                if touches {
                    found.touching.push(body);
                } else {
                    spenders.extend(inputs.into_iter().map(|input| (input, *txid)));
                }
            }
        }
        self.follow_coins(&mut found, &spenders).await?;
        Ok(found)
    }

    /// Adds the transactions that spend coins of watched scripts made by those found so far. They
    /// pay to no watched script themselves, or they would be found already.
    async fn follow_coins(
        &self,
        found: &mut OfConcern,
        spenders: &HashMap<OutPoint, Txid>,
    ) -> Result<(), FollowError> {
        let txids: HashSet<Txid> = {
            let watched = self.read_model.watched_scripts();
            let coins = found.touching.iter().flat_map(|transaction| {
                let txid = convert::txid(transaction.compute_txid());
                matcher::coins_of(&watched, transaction)
                    .map(move |(vout, _)| OutPoint { txid, vout })
            });
            coins
                .filter_map(|coin| spenders.get(&coin).copied())
                .collect()
        };
        let txids: Vec<Txid> = txids.into_iter().collect();
        let bodies = self.rpc.transactions(&txids).await?;
        found.touching.extend(bodies.into_iter().flatten());
        Ok(())
    }
}

/// What of the mempool concerns the log.
#[derive(Default)]
struct OfConcern {
    /// Pays to a watched script, spends a coin of one, or is tracked already.
    touching: Vec<Transaction>,
    /// Spends what a tracked mempool transaction depends on.
    conflicting: Vec<Transaction>,
}
