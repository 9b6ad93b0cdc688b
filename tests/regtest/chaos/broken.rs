//! A node that falls silent.

use std::sync::atomic::{AtomicBool, Ordering};

use async_trait::async_trait;
use bitcoin::{Block, Transaction};
use satpost_domain::ids::{BlockHash, Txid};
use satpost_infra::bitcoind::CoreRpc;
use satpost_infra::bitcoind::rpc::{MempoolSnapshot, NodeInfo, NodeRpc, Publication, RpcError};

/// A node that gives no answer while it is told so.
pub(super) struct SilentNode {
    node: CoreRpc,
    silent: AtomicBool,
}

impl SilentNode {
    pub(super) fn new(node: CoreRpc) -> Self {
        Self {
            node,
            silent: AtomicBool::new(false),
        }
    }

    pub(super) fn fall_silent(&self, silent: bool) {
        self.silent.store(silent, Ordering::Relaxed);
    }

    fn answers(&self) -> Result<&CoreRpc, RpcError> {
        if self.silent.load(Ordering::Relaxed) {
            return Err(RpcError::Unreachable {
                url: "the node".to_owned(),
                reason: "it is silent".to_owned(),
            });
        }
        Ok(&self.node)
    }
}

#[async_trait]
impl NodeRpc for SilentNode {
    async fn info(&self) -> Result<NodeInfo, RpcError> {
        self.answers()?.info().await
    }

    async fn publications(&self) -> Result<Vec<Publication>, RpcError> {
        self.answers()?.publications().await
    }

    async fn best_block(&self) -> Result<BlockHash, RpcError> {
        self.answers()?.best_block().await
    }

    async fn block_hash(&self, height: u32) -> Result<Option<BlockHash>, RpcError> {
        self.answers()?.block_hash(height).await
    }

    async fn is_in_best_chain(&self, hash: BlockHash) -> Result<bool, RpcError> {
        self.answers()?.is_in_best_chain(hash).await
    }

    async fn block(&self, hash: BlockHash) -> Result<Block, RpcError> {
        self.answers()?.block(hash).await
    }

    async fn mempool(&self) -> Result<MempoolSnapshot, RpcError> {
        self.answers()?.mempool().await
    }

    async fn mempool_size(&self) -> Result<usize, RpcError> {
        self.answers()?.mempool_size().await
    }

    async fn transactions(&self, txids: &[Txid]) -> Result<Vec<Option<Transaction>>, RpcError> {
        self.answers()?.transactions(txids).await
    }

    async fn mempool_ancestors(&self, txid: Txid) -> Result<Vec<Txid>, RpcError> {
        self.answers()?.mempool_ancestors(txid).await
    }
}
