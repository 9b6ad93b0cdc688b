//! The tokens that let contacts write: the server knows their hashes before anybody has them.
//!
//! Adding and revoking a hash again changes nothing, so neither needs an idempotency key that is kept:
//! what the wallet has written down and the server may not know is told again.

use satpost_api_types::mailboxes::DeliveryTokenUse;
use satpost_domain::ids::TokenHash;
use satpost_domain::limits::DELIVERY_TOKENS_PER_REQUEST_MAX;

use super::{Wallet, WalletError};
use crate::store::State;

impl Wallet {
    /// Tells the server every token of contacts that it may not know.
    pub(super) async fn register_tokens(&mut self) -> Result<(), WalletError> {
        let unknown: Vec<TokenHash> = self
            .state
            .contacts
            .iter()
            .filter_map(|contact| contact.our_token.as_ref())
            .filter(|token| !token.registered)
            .map(|token| token.secret.hash())
            .collect();
        let messaging = self.messaging(self.state.generation);
        let http = self.http()?;
        for hashes in unknown.chunks(DELIVERY_TOKENS_PER_REQUEST_MAX) {
            http.add_delivery_tokens(&messaging, hashes, DeliveryTokenUse::Lasting)
                .await?;
            let mut draft = self.state.clone();
            let tokens = draft
                .contacts
                .iter_mut()
                .filter_map(|c| c.our_token.as_mut());
            for token in tokens {
                token.registered |= hashes.contains(&token.secret.hash());
            }
            self.commit(draft)?;
        }
        Ok(())
    }

    /// Tells the server every token that is good no more.
    pub(super) async fn revoke_tokens(&mut self) -> Result<(), WalletError> {
        if self.state.to_revoke.is_empty() {
            return Ok(());
        }
        self.registered()?;
        let messaging = self.messaging(self.state.generation);
        let http = self.http()?;
        let hashes = self.state.to_revoke.clone();
        for hashes in hashes.chunks(DELIVERY_TOKENS_PER_REQUEST_MAX) {
            http.revoke_delivery_tokens(&messaging, hashes).await?;
            let mut draft = self.state.clone();
            draft.to_revoke.retain(|hash| !hashes.contains(hash));
            self.commit(draft)?;
        }
        Ok(())
    }
}

/// Lets every token be told to the server again: after a rotation, for one that was added to the old
/// mailbox after the new one took over; after a restore, for whatever the server may have lost.
pub(super) fn register_again(draft: &mut State) {
    let tokens = draft
        .contacts
        .iter_mut()
        .filter_map(|c| c.our_token.as_mut());
    for token in tokens {
        token.registered = false;
    }
}
