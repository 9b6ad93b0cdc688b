//! Proofs that transactions are in blocks, made from the node's blocks.
//!
//! Many clients want proofs from the same new block, so the last few blocks are kept, and the node is
//! asked for one block at a time.

use std::collections::VecDeque;
use std::sync::Arc;

use async_trait::async_trait;
use bitcoin::Block;
use bitcoin::consensus::encode::serialize;
use bitcoin::hashes::{Hash as _, HashEngine as _, sha256d};
use satpost_api::ports::{BlockProof, BlockProofs, ProofError};
use satpost_domain::ids::{BlockHash, Txid};
use satpost_domain::limits::{PROOF_BLOCKS_CACHED_MAX, PROOFS_AT_ONCE_MAX};
use tokio::sync::{Mutex, Semaphore};

use super::convert;
use super::rpc::{NodeRpc, RpcError};

/// RPC error codes, see `src/rpc/protocol.h` of Bitcoin Core: a block that was pruned, and one that
/// is not known.
const MISC_ERROR: i32 = -1;
const NOT_FOUND: i32 = -5;

/// Makes proofs from the blocks of a node.
pub struct NodeProofs {
    rpc: Arc<dyn NodeRpc>,
    room: Semaphore,
    /// The newest last.
    blocks: Mutex<VecDeque<(BlockHash, Arc<KnownBlock>)>>,
}

struct KnownBlock {
    block: Block,
    txids: Vec<sha256d::Hash>,
}

impl NodeProofs {
    /// Asks `rpc`, which should have no other work: its calls come one after another.
    #[must_use]
    pub fn new(rpc: Arc<dyn NodeRpc>) -> Self {
        Self {
            rpc,
            room: Semaphore::new(PROOFS_AT_ONCE_MAX),
            blocks: Mutex::default(),
        }
    }

    /// A block that is kept, or else the node's. Held for the time of the call, so that those who
    /// wait for the same block ask for it once.
    async fn block(&self, hash: BlockHash) -> Result<Arc<KnownBlock>, ProofError> {
        let mut blocks = self.blocks.lock().await;
        if let Some((_, known)) = blocks.iter().find(|(kept, _)| *kept == hash) {
            return Ok(Arc::clone(known));
        }
        let block = self
            .rpc
            .block(hash)
            .await
            .map_err(|error| explain(&error))?;
        let txids = block
            .txdata
            .iter()
            .map(|transaction| transaction.compute_txid().to_raw_hash())
            .collect();
        let known = Arc::new(KnownBlock { block, txids });
        if blocks.len() == PROOF_BLOCKS_CACHED_MAX {
            blocks.pop_front();
        }
        blocks.push_back((hash, Arc::clone(&known)));
        Ok(known)
    }
}

fn explain(error: &RpcError) -> ProofError {
    match error {
        RpcError::Refused {
            code: MISC_ERROR | NOT_FOUND,
            ..
        } => ProofError::BlockPruned,
        _ => {
            tracing::debug!(error = %error, "the node gives no block for a proof");
            ProofError::NodeUnavailable
        }
    }
}

#[async_trait]
impl BlockProofs for NodeProofs {
    async fn block_proof(&self, txid: Txid, block: BlockHash) -> Result<BlockProof, ProofError> {
        let _room = self.room.try_acquire().map_err(|_| ProofError::Busy)?;
        let known = self.block(block).await?;
        let is_named = |hash: &sha256d::Hash| convert::txid((*hash).into()) == txid;
        let pos = known.txids.iter().position(is_named);
        let pos = pos.ok_or(ProofError::NotInBlock)?;
        let mut header = [0; 80];
        header.copy_from_slice(&serialize(&known.block.header));
        Ok(BlockProof {
            header,
            merkle: merkle_path(known.txids.clone(), pos)
                .into_iter()
                .map(displayed)
                .collect(),
            pos: u32::try_from(pos).expect("a block has fewer than 2^32 transactions"),
            transaction: serialize(&known.block.txdata[pos]),
        })
    }
}

fn displayed(hash: sha256d::Hash) -> [u8; 32] {
    let mut bytes = hash.to_byte_array();
    bytes.reverse();
    bytes
}

/// The hashes beside the way from the leaf at `pos` up to the root, from the bottom. A last hash
/// without a neighbour stands beside itself, as in every Bitcoin block.
fn merkle_path(mut level: Vec<sha256d::Hash>, mut pos: usize) -> Vec<sha256d::Hash> {
    let mut path = Vec::new();
    while level.len() > 1 {
        path.push(*level.get(pos ^ 1).unwrap_or(&level[pos]));
        level = level
            .chunks(2)
            .map(|pair| parent(pair[0], *pair.last().expect("a chunk is not empty")))
            .collect();
        pos /= 2;
    }
    path
}

fn parent(left: sha256d::Hash, right: sha256d::Hash) -> sha256d::Hash {
    let mut engine = sha256d::Hash::engine();
    engine.input(left.as_byte_array());
    engine.input(right.as_byte_array());
    sha256d::Hash::from_engine(engine)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn leaves(count: u8) -> Vec<sha256d::Hash> {
        (0..count)
            .map(|byte| sha256d::Hash::hash(&[byte]))
            .collect()
    }

    #[test]
    fn every_path_leads_to_the_root_the_bitcoin_crate_computes() {
        for count in 1..=40 {
            let leaves = leaves(count);
            let root = bitcoin::merkle_tree::calculate_root(leaves.iter().copied()).unwrap();
            for (pos, leaf) in leaves.iter().enumerate() {
                let (mut hash, mut place) = (*leaf, pos);
                for beside in merkle_path(leaves.clone(), pos) {
                    hash = match place % 2 {
                        0 => parent(hash, beside),
                        _ => parent(beside, hash),
                    };
                    place /= 2;
                }
                assert_eq!((hash, place), (root, 0), "leaf {pos} of {count}");
            }
        }
    }

    #[test]
    fn a_block_that_the_node_has_dropped_is_no_outage() {
        let refused = |code| RpcError::Refused {
            method: "getblock",
            code,
            message: "Block not available (pruned data)".to_owned(),
        };
        assert_eq!(explain(&refused(-1)), ProofError::BlockPruned);
        assert_eq!(explain(&refused(-5)), ProofError::BlockPruned);
        assert_eq!(explain(&refused(-8)), ProofError::NodeUnavailable);
        let starting = RpcError::WarmingUp {
            message: "Loading".to_owned(),
        };
        assert_eq!(explain(&starting), ProofError::NodeUnavailable);
    }
}
