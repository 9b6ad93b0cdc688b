//! Who may write to a mailbox. Everything here is signed by its messaging key.

use reqwest::Method;
use satpost_api_types::mailboxes::{
    AddDeliveryTokensRequest, DeliveryTokenUse, NewDeliveryToken, RevokeAllTokens,
    RevokeDeliveryTokensRequest, RevokeSomeTokens, SetStrangerPolicyRequest, StrangerPolicy,
};
use satpost_domain::ids::TokenHash;

use super::{CallError, HttpClient};
use crate::keys::MessagingSecret;
use crate::request_signer::Signers;

impl HttpClient {
    /// Changes what becomes of messages of strangers.
    ///
    /// # Errors
    /// [`CallError`].
    pub async fn set_stranger_policy(
        &self,
        messaging: &MessagingSecret,
        strangers: StrangerPolicy,
    ) -> Result<(), CallError> {
        let call = self
            .command(Method::PUT, "/v1/policy", Signers::one(messaging))
            .json(&SetStrangerPolicyRequest { strangers });
        self.carry_out(&call).await.map(drop)
    }

    /// Lets those write who show one of 1 to 256 tokens. A token that is known already stays as it is,
    /// so a repeat is harmless.
    ///
    /// # Errors
    /// [`CallError`].
    pub async fn add_delivery_tokens(
        &self,
        messaging: &MessagingSecret,
        hashes: &[TokenHash],
        uses: DeliveryTokenUse,
    ) -> Result<(), CallError> {
        let token = |hash: &TokenHash| NewDeliveryToken {
            hash: hash.to_string(),
            uses,
        };
        let tokens = hashes.iter().map(token).collect();
        let call = self
            .command(Method::POST, "/v1/delivery-tokens", Signers::one(messaging))
            .json(&AddDeliveryTokensRequest { tokens });
        self.carry_out(&call).await.map(drop)
    }

    /// Takes no more messages with these 1 to 256 tokens; ones that are not known are passed over.
    ///
    /// # Errors
    /// [`CallError`].
    pub async fn revoke_delivery_tokens(
        &self,
        messaging: &MessagingSecret,
        hashes: &[TokenHash],
    ) -> Result<(), CallError> {
        let hashes = hashes.iter().map(ToString::to_string).collect();
        let request = RevokeDeliveryTokensRequest::Some(RevokeSomeTokens { hashes });
        self.revoke(messaging, &request).await
    }

    /// Takes no more messages with any token.
    ///
    /// # Errors
    /// [`CallError`].
    pub async fn revoke_all_delivery_tokens(
        &self,
        messaging: &MessagingSecret,
    ) -> Result<(), CallError> {
        let request = RevokeDeliveryTokensRequest::All(RevokeAllTokens { all: true });
        self.revoke(messaging, &request).await
    }

    async fn revoke(
        &self,
        messaging: &MessagingSecret,
        request: &RevokeDeliveryTokensRequest,
    ) -> Result<(), CallError> {
        let signers = Signers::one(messaging);
        let call = self
            .command(Method::DELETE, "/v1/delivery-tokens", signers)
            .json(request);
        self.carry_out(&call).await.map(drop)
    }
}
