//! Several messages in one request.
//!
//! Each is sent by itself: it is durable when the answer names it, the failure of one changes nothing
//! for the others, and a repeat is known by the key of the item. The `Idempotency-Key` of the request
//! is covered by its signature, as on every command, and says nothing about the items. An item and a
//! single send with the same key, recipient, body and time to live are the same command.

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use crate::messages::SendMessageResponse;
use crate::problem::Problem;

/// `POST /v1/messages:batch`, signed with the sender's identity key or not at all.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct SendMessagesRequest {
    /// 1 to 64.
    #[schema(min_items = 1, max_items = 64)]
    pub messages: Vec<BatchMessage>,
}

/// A message of a batch.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct BatchMessage {
    /// The messaging key of the recipient.
    #[schema(pattern = "^[0-9a-f]{64}$")]
    pub recipient: String,
    /// The sealed body, base64, padded to one of the sizes.
    pub body: String,
    /// Seconds it may wait; 14 days when it is absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ttl: Option<u64>,
    /// Names this command: a UUID, or 32 hexadecimal characters.
    pub idempotency_key: String,
    /// The delivery token, as in the header of that name.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(pattern = "^[0-9a-f]{64}$")]
    pub delivery_token: Option<String>,
    /// The work that was done for this message, as in the header of that name.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(pattern = "^[0-9]{1,20}:[0-9a-f]{16}$")]
    pub proof_of_work: Option<String>,
}

/// What became of a batch, in the order of its messages.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct SendMessagesResponse {
    /// One for each message.
    pub results: Vec<SendMessageResult>,
}

/// What became of one message of a batch.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum SendMessageResult {
    /// It is durable.
    Message(SendMessageResponse),
    /// It was not taken.
    Problem(Problem),
}
