//! The keys of a wallet, all derived from its seed and none of use for the purpose of another.
//!
//! `key = HKDF-SHA256(salt = "satpost/keys/1", input = seed (64 bytes), info)` (RFC 5869), 32 bytes, with
//! `info` = `identity`, `messaging` ‖ generation (4 bytes, big endian), or `store`. Hardened by
//! construction: no key says anything about another. Bitcoin keys follow BIP-32 instead, see
//! [`crate::receive_address`].

use std::fmt;

use ed25519_dalek::{Signer as _, SigningKey};
use ring::hkdf::{HKDF_SHA256, KeyType, Salt};
use satpost_domain::{ClientId, MessagingKey};
use zeroize::{ZeroizeOnDrop, Zeroizing};

use crate::seed::Seed;

const SALT: &[u8] = b"satpost/keys/1";

/// A key that signs requests.
pub trait RequestKey: Sync {
    /// The public key.
    fn public_bytes(&self) -> [u8; 32];
    /// The Ed25519 signature over `message`.
    fn sign(&self, message: &[u8]) -> [u8; 64];
}

/// The identity key: its public half is the client's id.
#[derive(Clone)]
pub struct IdentitySecret(SigningKey);

impl IdentitySecret {
    /// The identity key of a seed; there is one.
    #[must_use]
    pub fn derive(seed: &Seed) -> Self {
        Self(SigningKey::from_bytes(&expand(seed, &[b"identity"])))
    }

    /// The client's id.
    #[must_use]
    pub fn client_id(&self) -> ClientId {
        ClientId::from_stored(self.public_bytes())
    }
}

/// A messaging key. A wallet begins with generation 0; rotating goes to the next one.
#[derive(Clone)]
pub struct MessagingSecret {
    key: SigningKey,
    generation: u32,
}

impl MessagingSecret {
    /// The messaging key of a seed with this generation.
    #[must_use]
    pub fn derive(seed: &Seed, generation: u32) -> Self {
        let secret = expand(seed, &[b"messaging", &generation.to_be_bytes()]);
        Self {
            key: SigningKey::from_bytes(&secret),
            generation,
        }
    }

    /// How often the key was rotated before this one.
    #[must_use]
    pub const fn generation(&self) -> u32 {
        self.generation
    }

    /// The key that messages are addressed to.
    #[must_use]
    pub fn public(&self) -> MessagingKey {
        MessagingKey::from_stored(self.public_bytes())
    }

    /// The X25519 secret that goes with the public key's Montgomery form: the first half of
    /// SHA-512 of the Ed25519 seed (RFC 8032, section 5.1.5; X25519 clamps it).
    pub(crate) fn x25519_secret(&self) -> Zeroizing<[u8; 32]> {
        Zeroizing::new(self.key.to_scalar_bytes())
    }
}

/// The key of everything the wallet writes to disk.
#[derive(Clone, ZeroizeOnDrop)]
pub struct StoreKey([u8; 32]);

impl StoreKey {
    /// The store key of a seed.
    #[must_use]
    pub fn derive(seed: &Seed) -> Self {
        Self(*expand(seed, &[b"store"]))
    }

    pub(crate) const fn as_bytes(&self) -> &[u8; 32] {
        &self.0
    }
}

macro_rules! request_key {
    ($name:ident, $($key:tt)*) => {
        impl RequestKey for $name {
            fn public_bytes(&self) -> [u8; 32] {
                self.$($key)*.verifying_key().to_bytes()
            }

            fn sign(&self, message: &[u8]) -> [u8; 64] {
                self.$($key)*.sign(message).to_bytes()
            }
        }

        /// Shows the public half only.
        impl fmt::Debug for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                write!(f, concat!(stringify!($name), "({})"), hex::encode(self.public_bytes()))
            }
        }
    };
}

request_key!(IdentitySecret, 0);
request_key!(MessagingSecret, key);

impl fmt::Debug for StoreKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("StoreKey(..)")
    }
}

struct Length32;

impl KeyType for Length32 {
    fn len(&self) -> usize {
        32
    }
}

fn expand(seed: &Seed, info: &[&[u8]]) -> Zeroizing<[u8; 32]> {
    let mut key = Zeroizing::new([0; 32]);
    Salt::new(HKDF_SHA256, SALT)
        .extract(seed.bytes())
        .expand(info, Length32)
        .and_then(|output| output.fill(key.as_mut_slice()))
        .expect("HKDF-SHA256 gives up to 255 times 32 bytes");
    key
}

#[cfg(test)]
mod tests {
    use super::*;

    fn seed() -> Seed {
        Seed::from_entropy(&[0; 16]).unwrap()
    }

    #[test]
    fn every_purpose_and_generation_has_its_own_key() {
        let keys = [
            IdentitySecret::derive(&seed()).public_bytes(),
            MessagingSecret::derive(&seed(), 0).public_bytes(),
            MessagingSecret::derive(&seed(), 1).public_bytes(),
            *StoreKey::derive(&seed()).as_bytes(),
        ];
        for (place, key) in keys.iter().enumerate() {
            assert!(!keys[..place].contains(key), "key {place} is not its own");
        }
    }

    /// A wallet that is restored with a later version must find its keys again.
    #[test]
    fn derivation_never_changes() {
        assert_eq!(
            IdentitySecret::derive(&seed()).client_id().to_string(),
            "a0d5d88fa9435bbbf1012d2679ccce4db0ef41afa01d48b15a3a5f4c7e183351"
        );
        assert_eq!(
            MessagingSecret::derive(&seed(), 1).public().to_string(),
            "40e315c7f085f302087b3b0f03e4a84ff905701e39b13b6a9fe8313e4ccbb688"
        );
        assert_eq!(
            hex::encode(StoreKey::derive(&seed()).as_bytes()),
            "b192137ce02c7e72850c073e11e4f654b9e9a5edbc4a7a217b71d3fb0fee8618"
        );
    }

    #[test]
    fn derived_keys_pass_the_servers_check() {
        for generation in 0..8 {
            let key = MessagingSecret::derive(&seed(), generation).public();
            assert_eq!(MessagingKey::new(*key.as_bytes()), Ok(key));
        }
    }

    #[test]
    fn never_prints_a_secret() {
        let key = MessagingSecret::derive(&seed(), 0);
        assert_eq!(
            format!("{key:?}"),
            format!("MessagingSecret({})", key.public())
        );
        assert_eq!(format!("{:?}", StoreKey::derive(&seed())), "StoreKey(..)");
    }
}
