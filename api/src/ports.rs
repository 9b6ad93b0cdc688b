//! What the API needs from outside beside the commands and the read model. `infra` has the adapters.

use std::sync::Arc;

use async_trait::async_trait;
use satpost_api_types::service::Feature;
use satpost_commands::Handler;
use satpost_commands::ports::{Clock, Payloads};
use satpost_domain::ids::{BlockHash, Txid};
use satpost_projections::ReadModel;

use crate::price_query::PriceQuery;

/// Signs what a client may later hold against the server: receipts and queue heads.
pub trait ReceiptSigner: Send + Sync + 'static {
    /// The Ed25519 public key that verifies them.
    fn public_key(&self) -> [u8; 32];
    /// Signs `message`.
    fn sign(&self, message: &[u8]) -> [u8; 64];
}

/// The name of the feature that needs a Bitcoin node. While it is not available no new address is
/// taken, because nobody would watch it.
pub const FEATURE_WATCHING: &str = "watching";

/// What works now.
pub trait ServiceStatus: Send + Sync + 'static {
    /// `messaging`, `watching` and `push`, and whether each works now. For clients: a reason names
    /// no host and no path.
    fn features(&self) -> Vec<Feature>;
    /// What must hold before the server takes traffic, beside the read model being live.
    fn checks(&self) -> Vec<Feature>;
}

/// Names requests; must not be guessable or countable from outside.
pub trait RequestIds: Send + Sync + 'static {
    /// A fresh request id.
    fn request_id(&self) -> [u8; 16];
}

/// That a transaction is in a block, in a form that needs no trust beyond the block's header.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct BlockProof {
    /// The header of the block, as it is hashed.
    pub header: [u8; 80],
    /// The hashes beside the way from the transaction to the Merkle root, from the bottom, in the
    /// order of display.
    pub merkle: Vec<[u8; 32]>,
    /// The place of the transaction in the block, from 0.
    pub pos: u32,
    /// The transaction, with its witness.
    pub transaction: Vec<u8>,
}

/// Why there is no proof.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum ProofError {
    /// No node answers.
    #[error("no node answers")]
    NodeUnavailable,
    /// The node no longer has the block.
    #[error("the node no longer has the block")]
    BlockPruned,
    /// The block has no such transaction.
    #[error("the block has no such transaction")]
    NotInBlock,
    /// Too many proofs are asked for at once.
    #[error("too many proofs are asked for at once")]
    Busy,
}

/// Makes proofs from the blocks of a node.
#[async_trait]
pub trait BlockProofs: Send + Sync + 'static {
    /// Proves that `txid` is in the block with the hash `block`.
    async fn block_proof(&self, txid: Txid, block: BlockHash) -> Result<BlockProof, ProofError>;
}

/// A server without a node proves nothing.
#[derive(Debug, Clone, Copy, Default)]
pub struct NoBlockProofs;

#[async_trait]
impl BlockProofs for NoBlockProofs {
    async fn block_proof(&self, _txid: Txid, _block: BlockHash) -> Result<BlockProof, ProofError> {
        Err(ProofError::NodeUnavailable)
    }
}

/// Everything the API is wired to.
#[derive(Clone)]
pub struct ApiPorts {
    /// Carries out commands.
    pub handler: Handler,
    /// Answers queries.
    pub read_model: Arc<ReadModel>,
    /// Message bodies.
    pub payloads: Arc<dyn Payloads>,
    /// The server's clock.
    pub clock: Arc<dyn Clock>,
    /// Signs receipts and heads.
    pub receipt_signer: Arc<dyn ReceiptSigner>,
    /// What works now.
    pub service: Arc<dyn ServiceStatus>,
    /// Names requests.
    pub request_ids: Arc<dyn RequestIds>,
    /// Prices.
    pub prices: Arc<dyn PriceQuery>,
    /// Proofs that transactions are in blocks.
    pub proofs: Arc<dyn BlockProofs>,
    /// Where the metrics of the whole process are registered.
    pub registry: prometheus::Registry,
}
