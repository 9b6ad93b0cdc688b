//! Who may write to a mailbox: its policy for strangers, and the delivery tokens of its contacts.
//!
//! Everything here is signed with the messaging key of the mailbox. The server learns hashes of tokens
//! only, so whoever reads its disk cannot write to anybody.

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

/// What becomes of messages whose sender shows no delivery token.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "lowercase")]
pub enum StrangerPolicy {
    /// They are refused.
    Refuse,
    /// A few small ones wait as knocks, when work was done for each of them.
    Knock,
    /// They are taken like any other, when work was done for them or a registered client signed them.
    Open,
}

/// How often a delivery token can be shown.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "lowercase")]
pub enum DeliveryTokenUse {
    /// Until it is revoked: for a contact.
    Lasting,
    /// Once, and for a knock only: for a card that passes through hands. It stands in place of work.
    Once,
}

/// `PUT /v1/policy`; answered with 204.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct SetStrangerPolicyRequest {
    /// What becomes of messages of strangers from now on.
    pub strangers: StrangerPolicy,
}

/// `POST /v1/delivery-tokens`; answered with 204. A token that is there already stays as it is.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct AddDeliveryTokensRequest {
    /// 1 to 256.
    #[schema(min_items = 1, max_items = 256)]
    pub tokens: Vec<NewDeliveryToken>,
}

/// A delivery token that the mailbox is to know.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct NewDeliveryToken {
    /// `tagged("satpost/delivery-token/1", token)` of 32 random bytes.
    #[schema(pattern = "^[0-9a-f]{64}$")]
    pub hash: String,
    /// How often it can be shown.
    pub uses: DeliveryTokenUse,
}

/// `DELETE /v1/delivery-tokens`: exactly one of the two; answered with 204.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(untagged)]
pub enum RevokeDeliveryTokensRequest {
    /// Only these. Hashes that the mailbox does not have are passed over.
    Some(RevokeSomeTokens),
    /// Every token there is.
    All(RevokeAllTokens),
}

/// Take no more messages with these.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct RevokeSomeTokens {
    /// 1 to 256 hashes.
    #[schema(min_items = 1, max_items = 256)]
    pub hashes: Vec<String>,
}

/// Take no more messages with any token.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct RevokeAllTokens {
    /// `true`; anything else is malformed.
    pub all: bool,
}
