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

/// `GET /v1/limits`: every bound of the server. Times are in seconds, sizes in bytes.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct LimitsResponse {
    /// The sizes a message body may have, in bytes. A body is padded to one of them by its sender,
    /// so that the server learns a bucket and not a length.
    pub message_size_buckets: Vec<u64>,
    /// The largest message body, in bytes.
    pub message_bytes_max: u64,
    /// How many messages may wait in one mailbox, parked ones included.
    pub mailbox_messages_max: u64,
    /// How many bytes may wait in one mailbox, counted in size buckets.
    pub mailbox_bytes_max: u64,
    /// How long a message waits when its sender does not say.
    pub message_ttl_default_secs: u64,
    /// The longest a message can wait.
    pub message_ttl_max_secs: u64,
    /// The shortest time to live that is not refused.
    pub message_ttl_min_secs: u64,
    /// How many messages one fetch answers at most.
    pub fetch_messages_max: u64,
    /// How many messages one fetch answers when the client does not say.
    pub fetch_messages_default: u64,
    /// How many body bytes one fetch answers at most (at least one message is always answered).
    pub fetch_bytes_max: u64,
    /// How long a fetch may wait for a message (`Prefer: wait`).
    pub fetch_wait_max_secs: u64,
    /// How many messages one command can park, or close once parked.
    pub park_messages_max: u64,
    /// How many addresses one client may watch.
    pub watched_addresses_max: u64,
    /// How many addresses one request may name.
    pub addresses_per_request_max: u64,
    /// The longest script that is watched: a v1+ witness program is 42 bytes at most, a bare
    /// 3-key multisig 105 (consensus allows 10,000).
    pub script_bytes_max: u64,
    /// How many transactions one query answers at most.
    pub transactions_per_page_max: u64,
    /// How many blocks below the tip a reorganisation can reach and still be followed exactly.
    pub reorg_blocks_max: u64,
    /// The longest push endpoint, in bytes.
    pub push_endpoint_bytes_max: u64,
    /// How many wrong codes a push verification bears.
    pub push_code_attempts_max: u64,
    /// How long a push verification code is good.
    pub push_code_ttl_secs: u64,
    /// How many commands of a stream are remembered for a repeat.
    pub commands_remembered_max: u64,
    /// How often a command is decided again after another writer was faster.
    pub conflict_retries_max: u64,
    /// How many folded states the command handler keeps.
    pub states_cached_max: u64,
    /// How far a request's clock may be from the server's.
    pub signature_skew_max_secs: u64,
    /// The longest time between a signature's creation and its expiry.
    pub signature_lifetime_max_secs: u64,
    /// The largest JSON request body, in bytes.
    pub json_body_bytes_max: u64,
    /// How long a request body may take to arrive.
    pub body_deadline_secs: u64,
    /// How long a request body may make no progress before the minimum rate is asked of it.
    pub body_grace_secs: u64,
    /// The slowest a request body may arrive after `body_grace`, in bytes per second on average.
    pub body_bytes_per_sec_min: u64,
    /// The largest request line and headers together, in bytes.
    pub request_head_bytes_max: u64,
    /// How many signature nonces are remembered. A full memory refuses requests, it never forgets.
    pub signature_nonces_max: u64,
    /// How many keys and how many peers the rate limiter remembers at once.
    pub rate_limited_max: u64,
    /// How many fetches may wait for a message at once; one more is answered at once.
    pub fetches_waiting_max: u64,
    /// How long a query waits until the projections have reached `Satpost-Min-Position`.
    pub min_position_wait_max_secs: u64,
}

/// `GET /operator/projections`, on the operator's listener only.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct ProjectionsResponse {
    /// The projections of this server.
    pub projections: Vec<ProjectionState>,
}

/// How far a projection is, and what it holds: two servers at the same position have the same digest.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct ProjectionState {
    /// Its name.
    pub name: String,
    /// The version of its state.
    pub version: u32,
    /// The position of the last event it has applied.
    pub position: String,
    /// SHA-256 of its state, 64 hexadecimal characters.
    pub digest: String,
}
