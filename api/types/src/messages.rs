//! Sending, fetching, acknowledging.
//!
//! `POST /v1/queues/{recipient}/messages` takes the sealed body as `application/octet-stream`,
//! signed with the sender's identity key or not at all; so does `POST /v1/messages:batch` (see
//! [`crate::batch`]). Everything else here is signed with the messaging key of the queue.

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use crate::mailboxes::StrangerPolicy;

/// A message is durable.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct SendMessageResponse {
    /// Its opaque id.
    #[schema(pattern = "^[0-9a-f]{32}$")]
    pub id: String,
    /// When it was taken.
    pub accepted_at: u64,
    /// When it stops waiting.
    pub expires_at: u64,
    /// The server's Ed25519 signature (128 hexadecimal characters) over [`receipt_bytes`].
    #[schema(pattern = "^[0-9a-f]{128}$")]
    pub receipt: String,
}

/// `GET /v1/messages?after=&limit=&max_bytes=&parked=`; with `Prefer: wait=N` it waits for a message.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct FetchMessagesResponse {
    /// Messages and tombstones in order.
    pub messages: Vec<Delivery>,
    /// True when more wait behind the last one; ask again with `after` = `cursor`.
    pub more: bool,
    /// The seq of the last one, or `after` when there is none.
    pub cursor: u64,
    /// The end of what this answer delivers, signed.
    pub head: SignedHead,
}

/// A message, or what is left of one.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Delivery {
    /// Its place in the queue, from 1, without gaps.
    pub seq: u64,
    /// Its opaque id.
    #[schema(pattern = "^[0-9a-f]{32}$")]
    pub id: String,
    /// The hash chain after it.
    #[schema(pattern = "^[0-9a-f]{64}$")]
    pub chain: String,
    /// SHA-256 of its body.
    #[schema(pattern = "^[0-9a-f]{64}$")]
    pub digest: String,
    /// When it was taken.
    pub accepted_at: u64,
    /// When it stops waiting.
    pub expires_at: u64,
    /// True when a stranger has sent it; absent when a contact has.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub knock: bool,
    /// The body, base64; absent when it is gone.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub body: Option<String>,
    /// Why the body is gone: `expired` or `wiped`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub gone: Option<String>,
    /// Why the recipient parked it: `decrypt`, `format` or `other`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub parked: Option<String>,
}

/// The server's word on a queue: with the chain a client proves loss, reordering and rollback.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct SignedHead {
    /// The last message delivered.
    pub seq: u64,
    /// The chain after it.
    #[schema(pattern = "^[0-9a-f]{64}$")]
    pub chain: String,
    /// The server's Ed25519 signature (128 hexadecimal characters) over [`head_bytes`].
    #[schema(pattern = "^[0-9a-f]{128}$")]
    pub signature: String,
}

/// `POST /v1/messages/ack`: exactly one of the three.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(untagged)]
pub enum AcknowledgeMessagesRequest {
    /// Everything up to a message is stored.
    Through(AcknowledgeThrough),
    /// These cannot be used now; set them aside.
    Park(ParkMessages),
    /// These parked ones are done with.
    Parked(AcknowledgeParked),
}

/// Everything up to a message is stored.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct AcknowledgeThrough {
    /// The last stored message.
    pub through: u64,
    /// The chain after it, 64 hexadecimal characters.
    #[schema(pattern = "^[0-9a-f]{64}$")]
    pub chain: String,
}

/// Set messages aside.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct ParkMessages {
    /// Which, and why; at most 64.
    #[schema(max_items = 64)]
    pub park: Vec<ParkedMessage>,
}

/// A message to be set aside.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct ParkedMessage {
    /// Its id.
    #[schema(pattern = "^[0-9a-f]{32}$")]
    pub id: String,
    /// Why: `decrypt`, `format` or `other`.
    #[schema(pattern = "^(decrypt|format|other)$")]
    pub reason: String,
}

/// Let go of parked messages.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct AcknowledgeParked {
    /// Their ids; at most 64.
    #[schema(max_items = 64)]
    pub parked: Vec<String>,
}

/// What an acknowledgement did.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct AcknowledgeMessagesResponse {
    /// How many bodies were forgotten; 0 for a repeat.
    pub deleted: u64,
}

/// `GET /v1/queue`: what a recipient may know about its own queue.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct QueueResponse {
    /// How many messages have a body, parked ones included.
    pub messages: usize,
    /// How many bytes they count.
    pub bytes: usize,
    /// How many are parked.
    pub parked: usize,
    /// When the oldest was taken.
    pub oldest_at: Option<u64>,
    /// How many strangers have sent, parked ones included.
    pub knocks: usize,
    /// What becomes of messages of strangers.
    pub strangers: StrangerPolicy,
    /// How many delivery tokens there are.
    pub delivery_tokens: usize,
    /// Since when messages of contacts find no room; `null` while there is some.
    pub full_since: Option<u64>,
    /// The last acknowledged message.
    pub acknowledged: u64,
    /// How many messages may wait.
    pub messages_max: usize,
    /// How many bytes may wait.
    pub bytes_max: usize,
}

/// What a receipt signs: `"satpost/receipt/1\0" ‖ recipient (32) ‖ digest (32) ‖ accepted_at ‖ expires_at` (8 bytes each, big endian).
#[must_use]
pub fn receipt_bytes(
    recipient: &[u8; 32],
    digest: &[u8; 32],
    accepted_at: u64,
    expires_at: u64,
) -> Vec<u8> {
    let mut bytes = b"satpost/receipt/1\0".to_vec();
    bytes.extend_from_slice(recipient);
    bytes.extend_from_slice(digest);
    bytes.extend_from_slice(&accepted_at.to_be_bytes());
    bytes.extend_from_slice(&expires_at.to_be_bytes());
    bytes
}

/// What a head signs: `"satpost/head/1\0" ‖ queue (32) ‖ seq (8, big endian) ‖ chain (32)`.
#[must_use]
pub fn head_bytes(queue: &[u8; 32], seq: u64, chain: &[u8; 32]) -> Vec<u8> {
    let mut bytes = b"satpost/head/1\0".to_vec();
    bytes.extend_from_slice(queue);
    bytes.extend_from_slice(&seq.to_be_bytes());
    bytes.extend_from_slice(chain);
    bytes
}
