//! What the server says about itself.

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

/// `GET /v1/info`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct InfoResponse {
    /// `satpost`.
    pub name: String,
    /// The version of the server.
    pub version: String,
    /// The Bitcoin network: `mainnet`, `testnet`, `testnet4`, `signet` or `regtest`.
    pub network: String,
    /// The names a request signature may cover as `@authority`.
    pub authorities: Vec<String>,
    /// The Ed25519 key of receipts and heads, 64 hexadecimal characters.
    pub server_key: String,
    /// The P-256 key of the server's Web Push (RFC 8292), base64url.
    pub vapid_key: String,
    /// The server's clock.
    pub now: u64,
    /// What works now.
    pub features: Vec<Feature>,
}

/// A feature and whether it works now.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Feature {
    /// `messaging`, `watching` or `push`.
    pub name: String,
    /// True when it works.
    pub available: bool,
    /// What is missing, when it does not.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub reason: Option<String>,
}

/// `GET /health/ready`; 200 when ready, 503 when not.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct ReadyResponse {
    /// True when every check holds.
    pub ready: bool,
    /// The checks by name.
    pub checks: Vec<Feature>,
}

/// `GET /version`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct VersionResponse {
    /// The version of the server.
    pub version: String,
}
