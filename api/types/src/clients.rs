//! Registration, key rotation, retirement.

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

/// `POST /v1/clients`: signed with the identity key (`sig1`) and the messaging key (`sig2`).
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct RegisterClientRequest {
    /// The identity key that signs as `sig1`, 64 hexadecimal characters. It stands in the body so
    /// that the messaging key signs it too: a proof of possession fits no other client.
    #[schema(pattern = "^[0-9a-f]{64}$")]
    pub client_id: String,
    /// The Ed25519 messaging key, 64 hexadecimal characters. Must differ from the identity key.
    #[schema(pattern = "^[0-9a-f]{64}$")]
    pub messaging_key: String,
}

/// The registered client.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct RegisterClientResponse {
    /// The client's id: its identity key.
    #[schema(pattern = "^[0-9a-f]{64}$")]
    pub client_id: String,
    /// The key its messages are addressed to.
    #[schema(pattern = "^[0-9a-f]{64}$")]
    pub messaging_key: String,
    /// When it was registered.
    pub registered_at: u64,
}

/// `PUT /v1/clients/self/messaging-key`: signed with the identity key (`sig1`) and the new messaging key (`sig2`).
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct RotateMessagingKeyRequest {
    /// The identity key that signs as `sig1`, as in [`RegisterClientRequest`].
    #[schema(pattern = "^[0-9a-f]{64}$")]
    pub client_id: String,
    /// The new Ed25519 messaging key, 64 hexadecimal characters.
    #[schema(pattern = "^[0-9a-f]{64}$")]
    pub messaging_key: String,
}

/// `GET /v1/clients/self`, signed with the identity key.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct ClientResponse {
    /// The client's id: its identity key.
    #[schema(pattern = "^[0-9a-f]{64}$")]
    pub client_id: String,
    /// The key its messages are addressed to.
    #[schema(pattern = "^[0-9a-f]{64}$")]
    pub messaging_key: String,
    /// When it was registered.
    pub registered_at: u64,
    /// How far its push target has come: `none`, `pending` or `active`.
    pub push: crate::push::PushStatus,
}
