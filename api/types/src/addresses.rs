//! The watch list.

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

/// `POST /v1/addresses` and `DELETE /v1/addresses`: 1 to 100 addresses of the server's network.
///
/// Both carry them in the body (RFC 9110, 9.3.5, lets an origin server say so): URLs end up in the
/// logs of proxies, and addresses must not.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct AddressesRequest {
    /// Bitcoin addresses.
    #[schema(min_items = 1, max_items = 100)]
    pub addresses: Vec<String>,
}

/// What watching did.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct WatchAddressesResponse {
    /// How many of them were not watched before.
    pub added: usize,
}

/// `GET /v1/addresses?after=&limit=`, by ascending script.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct ListAddressesResponse {
    /// The watched addresses.
    pub addresses: Vec<WatchedAddress>,
    /// True when more follow; ask again with `after` = the last address.
    pub more: bool,
}

/// A watched address.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct WatchedAddress {
    /// The address.
    pub address: String,
    /// SHA-256 of its script, not reversed, as Electrum and Esplora use it.
    pub script_hash: String,
    /// Since when it is watched.
    pub watched_at: u64,
}
