//! Encrypts one payload under one fresh key. ChaCha20-Poly1305 (RFC 8439) through `ring`: it needs
//! no key schedule, which counts when every key is used once.

use ring::aead::{Aad, CHACHA20_POLY1305, LessSafeKey, NONCE_LEN, Nonce, UnboundKey};
use ring::rand::{SecureRandom as _, SystemRandom};
use satpost_domain::PayloadId;
use zeroize::Zeroizing;

/// How many bytes a key has.
pub(crate) const KEY_BYTES: usize = 32;
/// How many bytes a ciphertext has more than its payload: the authentication tag.
pub(crate) const TAG_BYTES: usize = 16;

/// The key of one payload. Overwritten when dropped.
pub(crate) type PayloadKey = Zeroizing<[u8; KEY_BYTES]>;

/// A payload, ready to be stored.
pub(crate) struct SealedPayload {
    pub(crate) id: PayloadId,
    pub(crate) key: PayloadKey,
    pub(crate) ciphertext: Vec<u8>,
}

/// The operating system gave no random bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("the operating system gives no random bytes")]
pub(crate) struct NoRandomness;

/// The ciphertext or its key was changed, or they do not belong together.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("the payload does not open under its key")]
pub(crate) struct BrokenSeal;

/// Encrypts `payload` under a fresh key and ties it to `id`.
#[allow(
    clippy::disallowed_methods,
    reason = "a key must come from the operating system, in tests as well"
)]
pub(crate) fn seal(id: PayloadId, payload: &[u8]) -> Result<SealedPayload, NoRandomness> {
    let mut key = PayloadKey::default();
    SystemRandom::new()
        .fill(key.as_mut())
        .map_err(|_| NoRandomness)?;
    let mut ciphertext = Vec::with_capacity(payload.len() + TAG_BYTES);
    ciphertext.extend_from_slice(payload);
    cipher(&key)
        .seal_in_place_append_tag(nonce(), Aad::from(id.as_bytes()), &mut ciphertext)
        .expect("a payload is far shorter than the cipher's bound of 256 GiB");
    Ok(SealedPayload {
        id,
        key,
        ciphertext,
    })
}

/// Decrypts what [`seal`] gave, in place.
pub(crate) fn open(
    id: PayloadId,
    key: &PayloadKey,
    mut ciphertext: Vec<u8>,
) -> Result<Vec<u8>, BrokenSeal> {
    let length = cipher(key)
        .open_in_place(nonce(), Aad::from(id.as_bytes()), &mut ciphertext)
        .map_err(|_| BrokenSeal)?
        .len();
    ciphertext.truncate(length);
    Ok(ciphertext)
}

fn cipher(key: &PayloadKey) -> LessSafeKey {
    let key = UnboundKey::new(&CHACHA20_POLY1305, key.as_ref()).expect("the key has 32 bytes");
    LessSafeKey::new(key)
}

/// Zero: a key encrypts one payload only, so its nonces cannot repeat.
fn nonce() -> Nonce {
    Nonce::assume_unique_for_key([0; NONCE_LEN])
}
