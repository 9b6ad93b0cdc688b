//! Who may write to a mailbox: those it gave a token, and strangers as its owner allows.

use crate::hash::tagged;
use crate::ids::TokenHash;

/// What becomes of messages whose sender shows no token.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum StrangerPolicy {
    /// They are refused.
    Refuse,
    /// A few small ones wait as knocks, when work was done for each of them.
    #[default]
    Knock,
    /// They are taken like any other, when work was done for them or a registered client signed them.
    Open,
}

/// How often a delivery token can be shown.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum TokenUse {
    /// Until it is revoked: for a contact.
    Lasting,
    /// Once, and for a knock only: for a card that passes through hands. It stands in place of work,
    /// whatever the policy.
    Once,
}

/// A delivery token as its mailbox knows it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct DeliveryToken {
    /// Its hash; only its holder and the mailbox's owner know the token.
    pub hash: TokenHash,
    /// How often it can be shown.
    pub uses: TokenUse,
}

/// What the sender of a message has shown of itself. Nothing of it is stored.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Introduction {
    /// The hash of the delivery token it gave.
    pub token: Option<TokenHash>,
    /// True when it has done the work for this message.
    pub has_worked: bool,
    /// True when a registered client has signed the request.
    pub is_registered: bool,
}

/// The hash of a delivery token: `tagged("satpost/delivery-token/1", token)`.
///
/// A token is 32 random bytes, so its hash says nothing about it and needs no salt.
#[must_use]
pub fn token_hash(token: &[u8; 32]) -> TokenHash {
    TokenHash::new(tagged("satpost/delivery-token/1", &[token]))
}
