//! What the API needs from outside beside the commands and the read model. `infra` has the adapters.

use std::sync::Arc;

use satpost_api_types::service::Feature;
use satpost_commands::Handler;
use satpost_commands::ports::{Clock, Payloads};
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
    /// Where the metrics of the whole process are registered.
    pub registry: prometheus::Registry,
}
