//! Sending, fetching, acknowledging.
//!
//! `POST /v1/queues/{recipient}/messages` takes the sealed body as `application/octet-stream`,
//! signed with the sender's identity key or not at all; so does `POST /v1/messages:batch` (see
//! [`crate::batch`]). Everything else here is signed with the messaging key of the queue.

use std::collections::BTreeSet;

use serde::{Deserialize, Serialize};
use sha2::Digest as _;
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
    /// Since when messages of contacts find no room; absent while there is some.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub full_since: Option<u64>,
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
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct AcknowledgeMessagesResponse {
    /// How many bodies were forgotten by this command; a repeat with its idempotency key says the
    /// same, another acknowledgement of the same messages says 0.
    pub deleted: u64,
    /// When they were let go; there with the receipt.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub at: Option<u64>,
    /// The server's Ed25519 signature (128 hexadecimal characters) over [`deletion_receipt_bytes`].
    /// Absent for `park`, and for an acknowledgement behind the last one: the server does not keep
    /// the chain there, so it cannot sign it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(pattern = "^[0-9a-f]{128}$")]
    pub receipt: Option<String>,
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

// Receipts of deletion.

/// `DELETE /v1/queue`: no message has a body any more.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct WipeQueueResponse {
    /// How many bodies were forgotten.
    pub deleted: u64,
    /// When they were let go.
    pub at: u64,
    /// The server's Ed25519 signature (128 hexadecimal characters) over [`deletion_receipt_bytes`].
    #[schema(pattern = "^[0-9a-f]{128}$")]
    pub receipt: String,
}

/// Which messages a receipt says are let go.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum DeletionScope {
    /// Every message of the line up to one, parked ones excepted.
    Through {
        /// The last of them.
        through: u64,
        /// The chain after it.
        chain: [u8; 32],
    },
    /// These parked messages, by id.
    Parked(BTreeSet<[u8; 16]>),
    /// Every message of the queue.
    Everything,
}

impl DeletionScope {
    /// What `request` lets go; nothing when it parks, or names what is no chain or no id.
    #[must_use]
    pub fn of(request: &AcknowledgeMessagesRequest) -> Option<Self> {
        match request {
            AcknowledgeMessagesRequest::Through(body) => Some(Self::Through {
                through: body.through,
                chain: hex_bytes(&body.chain)?,
            }),
            AcknowledgeMessagesRequest::Parked(body) => {
                let ids = body.parked.iter().map(|id| hex_bytes(id));
                ids.collect::<Option<_>>().map(Self::Parked)
            }
            AcknowledgeMessagesRequest::Park(_) => None,
        }
    }
}

/// What a receipt of deletion signs:
/// `"satpost/deletion-receipt/1\0" ‖ queue (32) ‖ scope ‖ deleted (8) ‖ at (8)`, where the scope is
/// `1 ‖ through (8) ‖ chain (32)`, or `2 ‖ SHA-256 of the ids (16 each), ascending and each once`, or
/// `3`. Numbers are big endian.
#[must_use]
pub fn deletion_receipt_bytes(
    queue: &[u8; 32],
    scope: &DeletionScope,
    deleted: u64,
    at: u64,
) -> Vec<u8> {
    let mut bytes = b"satpost/deletion-receipt/1\0".to_vec();
    bytes.extend_from_slice(queue);
    match scope {
        DeletionScope::Through { through, chain } => {
            bytes.push(1);
            bytes.extend_from_slice(&through.to_be_bytes());
            bytes.extend_from_slice(chain);
        }
        DeletionScope::Parked(ids) => {
            let ids: Vec<u8> = ids.iter().flatten().copied().collect();
            bytes.push(2);
            bytes.extend_from_slice(&sha2::Sha256::digest(&ids));
        }
        DeletionScope::Everything => bytes.push(3),
    }
    bytes.extend_from_slice(&deleted.to_be_bytes());
    bytes.extend_from_slice(&at.to_be_bytes());
    bytes
}

/// The bytes of a text of two lower-case hexadecimal characters each.
fn hex_bytes<const N: usize>(text: &str) -> Option<[u8; N]> {
    let nibble = |character: u8| match character {
        b'0'..=b'9' => Some(character - b'0'),
        b'a'..=b'f' => Some(character - b'a' + 10),
        _ => None,
    };
    if text.len() != 2 * N {
        return None;
    }
    let mut bytes = [0; N];
    for (byte, pair) in bytes.iter_mut().zip(text.as_bytes().chunks_exact(2)) {
        *byte = (nibble(pair[0])? << 4) | nibble(pair[1])?;
    }
    Some(bytes)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn scope_of(json: &str) -> Option<DeletionScope> {
        DeletionScope::of(&serde_json::from_str(json).unwrap())
    }

    #[test]
    fn a_request_says_what_its_receipt_is_about() {
        let chain = "ab".repeat(32);
        let through = scope_of(&format!(r#"{{"through":7,"chain":"{chain}"}}"#));
        let chain = [0xab; 32];
        assert_eq!(through, Some(DeletionScope::Through { through: 7, chain }));
        let (first, second) = ("01".repeat(16), "ff".repeat(16));
        let parked = format!(r#"{{"parked":["{second}","{first}","{second}"]}}"#);
        let ids = BTreeSet::from([[1; 16], [0xff; 16]]);
        assert_eq!(scope_of(&parked), Some(DeletionScope::Parked(ids)));
        assert_eq!(scope_of(r#"{"park":[]}"#), None);
        assert_eq!(scope_of(r#"{"parked":["0g"]}"#), None);
        assert_eq!(scope_of(r#"{"through":1,"chain":"AB"}"#), None);
    }

    #[test]
    fn no_two_receipts_of_deletion_sign_the_same() {
        let through = |through, chain: u8| DeletionScope::Through {
            through,
            chain: [chain; 32],
        };
        let parked = |ids: &[u8]| DeletionScope::Parked(ids.iter().map(|id| [*id; 16]).collect());
        let scopes = [
            through(1, 1),
            through(1, 2),
            through(2, 1),
            parked(&[]),
            parked(&[1]),
            parked(&[1, 2]),
            DeletionScope::Everything,
        ];
        let mut signed = BTreeSet::new();
        for scope in &scopes {
            for (queue, deleted, at) in [(1, 1, 1), (2, 1, 1), (1, 2, 1), (1, 1, 2)] {
                signed.insert(deletion_receipt_bytes(&[queue; 32], scope, deleted, at));
            }
        }
        assert_eq!(signed.len(), 4 * scopes.len());
        let bytes = deletion_receipt_bytes(&[9; 32], &DeletionScope::Everything, 0x0102, 0x03);
        let mut expected = b"satpost/deletion-receipt/1\0".to_vec();
        expected.extend([9; 32]);
        expected.push(3);
        expected.extend([0, 0, 0, 0, 0, 0, 1, 2, 0, 0, 0, 0, 0, 0, 0, 3]);
        assert_eq!(bytes, expected);
    }
}
