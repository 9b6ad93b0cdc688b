//! Delivery tokens: what a contact shows to a mailbox to be let in. The server knows hashes only.

use std::fmt;

use satpost_domain::ids::TokenHash;
use satpost_domain::mailbox::token_hash;
use serde::{Deserialize, Serialize};
use zeroize::ZeroizeOnDrop;

use crate::ports::{Entropy, draw};

/// A delivery token: 32 random bytes, never all zero, which stands for none. Whoever has it can
/// write, so it is never printed.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize, ZeroizeOnDrop)]
pub struct TokenSecret([u8; 32]);

impl TokenSecret {
    /// Mints a token.
    #[must_use]
    pub fn mint(entropy: &dyn Entropy) -> Self {
        Self(draw(entropy))
    }

    /// The token in a field of 32 bytes; nothing when they are zero.
    #[must_use]
    pub fn from_field(bytes: [u8; 32]) -> Option<Self> {
        (bytes != [0; 32]).then_some(Self(bytes))
    }

    /// The field of 32 bytes that holds `token`.
    #[must_use]
    pub fn to_field(token: Option<&Self>) -> [u8; 32] {
        token.map_or([0; 32], |token| token.0)
    }

    /// What the server may know of it.
    #[must_use]
    pub fn hash(&self) -> TokenHash {
        token_hash(&self.0)
    }

    /// As it is shown to the server: 64 hexadecimal characters.
    pub(crate) fn to_hex(&self) -> String {
        hex::encode(self.0)
    }
}

impl fmt::Debug for TokenSecret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("TokenSecret(..)")
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::Counting;

    #[test]
    fn a_field_of_zeros_is_no_token() {
        let token = TokenSecret::mint(&Counting::default());
        let field = TokenSecret::to_field(Some(&token));
        assert_eq!(TokenSecret::from_field(field), Some(token));
        assert_eq!(TokenSecret::to_field(None), [0; 32]);
        assert_eq!(TokenSecret::from_field([0; 32]), None);
    }

    #[test]
    fn never_prints_itself() {
        let token = TokenSecret::mint(&Counting::default());
        assert_eq!(format!("{token:?}"), "TokenSecret(..)");
    }
}
