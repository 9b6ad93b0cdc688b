//! Public keys: Ed25519 points that are canonical and not of small order.
//!
//! Libraries disagree on keys outside that set (some signatures verify under any message), so they
//! are refused where they enter and one strict verifier is used everywhere.

use std::fmt;
use std::str::FromStr;

use curve25519_dalek::edwards::CompressedEdwardsY;
use ed25519_dalek::{Signature, VerifyingKey};
use serde::{Deserialize, Deserializer, Serialize, Serializer};

use crate::ids::parse_hex;

/// Why a public key was refused.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum KeyError {
    /// Not 64 hexadecimal characters.
    #[error("a public key is 64 hexadecimal characters, got {actual} characters")]
    Malformed {
        /// How many characters were given.
        actual: usize,
    },
    /// The bytes are no canonical encoding of a curve point (RFC 8032, section 5.1.3).
    #[error("the public key is not the canonical encoding of an Ed25519 point")]
    NotCanonical,
    /// The point has small order: signatures under it prove nothing.
    #[error("the public key has small order, so its signatures prove nothing")]
    SmallOrder,
}

/// A signature did not verify.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("the signature does not verify under the key")]
pub struct BadSignature;

fn checked(bytes: [u8; 32]) -> Result<[u8; 32], KeyError> {
    let point = CompressedEdwardsY(bytes)
        .decompress()
        .ok_or(KeyError::NotCanonical)?;
    if point.is_small_order() {
        return Err(KeyError::SmallOrder);
    }
    // Decompression accepts some encodings with y ≥ p; the canonical one re-encodes to itself.
    if point.compress().to_bytes() != bytes {
        return Err(KeyError::NotCanonical);
    }
    Ok(bytes)
}

fn verify_strict(key: &[u8; 32], message: &[u8], signature: &[u8; 64]) -> Result<(), BadSignature> {
    VerifyingKey::from_bytes(key)
        .and_then(|key| key.verify_strict(message, &Signature::from_bytes(signature)))
        .map_err(|_| BadSignature)
}

macro_rules! public_key {
    ($(#[$doc:meta])* $name:ident) => {
        $(#[$doc])*
        #[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub struct $name([u8; 32]);

        impl $name {
            /// Checks and takes the 32 bytes of a public key.
            ///
            /// # Errors
            /// [`KeyError`] when they are not canonical or the point has small order.
            pub fn new(bytes: [u8; 32]) -> Result<Self, KeyError> {
                checked(bytes).map(Self)
            }

            /// Takes bytes that passed [`Self::new`] before they were stored by us.
            #[must_use]
            pub const fn from_stored(bytes: [u8; 32]) -> Self {
                Self(bytes)
            }

            /// The 32 bytes of the compressed point.
            #[must_use]
            pub const fn as_bytes(&self) -> &[u8; 32] {
                &self.0
            }

            /// Verifies a signature strictly (no small-order components, canonical scalar).
            ///
            /// # Errors
            /// [`BadSignature`].
            pub fn verify(&self, message: &[u8], signature: &[u8; 64]) -> Result<(), BadSignature> {
                verify_strict(&self.0, message, signature)
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(&hex::encode(self.0))
            }
        }

        impl fmt::Debug for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                write!(f, concat!(stringify!($name), "({})"), self)
            }
        }

        impl FromStr for $name {
            type Err = KeyError;

            fn from_str(text: &str) -> Result<Self, Self::Err> {
                let bytes = parse_hex(text)
                    .map_err(|error| KeyError::Malformed { actual: error.actual })?;
                Self::new(bytes)
            }
        }

        impl Serialize for $name {
            fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
                if serializer.is_human_readable() {
                    serializer.collect_str(self)
                } else {
                    self.0.serialize(serializer)
                }
            }
        }

        impl<'de> Deserialize<'de> for $name {
            /// Text comes from outside and is checked; the binary form is only ever read back
            /// from our own files, where checking a million points would cost seconds.
            fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
                if deserializer.is_human_readable() {
                    let text = std::borrow::Cow::<str>::deserialize(deserializer)?;
                    text.parse().map_err(serde::de::Error::custom)
                } else {
                    <[u8; 32]>::deserialize(deserializer).map(Self)
                }
            }
        }
    };
}

public_key!(
    /// A client: its Ed25519 identity key, whose hexadecimal form is the client's unique id.
    ClientId
);
public_key!(
    /// The key messages are addressed to. Different from the identity key, one at a time per client.
    MessagingKey
);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn accepts_a_key_of_rfc_8032() {
        let text = "d75a980182b10ab7d54bfed3c964073a0ee172f3daa62325af021a68f707511a";
        assert_eq!(text.parse::<ClientId>().unwrap().to_string(), text);
    }

    #[test]
    fn refuses_every_small_order_key() {
        for point in curve25519_dalek::constants::EIGHT_TORSION {
            let bytes = point.compress().to_bytes();
            assert_eq!(
                ClientId::new(bytes),
                Err(KeyError::SmallOrder),
                "{bytes:02x?}"
            );
        }
    }

    #[test]
    fn refuses_an_encoding_that_is_not_canonical() {
        // y = p + 3: the same point as y = 3, written with a coordinate outside the field.
        let mut bytes = [0xff; 32];
        bytes[0] = 0xf0;
        bytes[31] = 0x7f;
        assert_eq!(MessagingKey::new(bytes), Err(KeyError::NotCanonical));
    }

    #[test]
    fn says_how_long_a_malformed_key_was() {
        assert_eq!(
            "00".parse::<ClientId>(),
            Err(KeyError::Malformed { actual: 2 })
        );
    }
}
