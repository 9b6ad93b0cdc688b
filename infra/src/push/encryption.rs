//! Message encryption for Web Push (RFC 8291): one record of `aes128gcm` (RFC 8188) that only the
//! phone can open. Randomness comes in as an argument, so the RFC's example is a test.

use p256::{PublicKey, SecretKey};
use ring::aead::{AES_128_GCM, Aad, LessSafeKey, Nonce, UnboundKey};
use ring::hkdf::{HKDF_SHA256, KeyType, Prk, Salt};

/// The record size in the header. One record holds the whole content, so any size above it will do;
/// this is the largest that every push service takes (RFC 8291, section 4).
const RECORD_BYTES: u32 = 4096;
/// What GCM adds to the content.
const TAG_BYTES: usize = 16;
/// What one record can hold beside the delimiter and the tag.
const PLAINTEXT_BYTES_MAX: usize = RECORD_BYTES as usize - 1 - TAG_BYTES;
/// The delimiter behind the plaintext of the last record (RFC 8188, section 2).
const LAST_RECORD: u8 = 2;
/// Salt, record size, length of the key, and the sender's key (RFC 8188, section 2.1).
const HEADER_BYTES: usize = 16 + 4 + 1 + PUBLIC_KEY_BYTES;
/// An uncompressed P-256 point.
const PUBLIC_KEY_BYTES: usize = 65;

/// What a phone gave for encryption when it subscribed.
#[derive(Clone, Copy)]
pub struct ReceiverKeys<'a> {
    /// Its P-256 public key, uncompressed.
    pub p256dh: &'a [u8; PUBLIC_KEY_BYTES],
    /// Its authentication secret.
    pub auth: &'a [u8; 16],
}

/// What must be fresh for every message.
pub struct Fresh {
    /// The sender's key pair for this message.
    pub key: SecretKey,
    /// The salt.
    pub salt: [u8; 16],
}

/// Why a message could not be encrypted.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum EncryptionError {
    /// The phone's key is no point of the curve.
    #[error("p256dh is not a point of P-256")]
    NotOnCurve,
    /// The plaintext does not fit one record.
    #[error("{0} bytes do not fit one record, {PLAINTEXT_BYTES_MAX} bytes do")]
    Size(usize),
}

/// Encrypts `plaintext` and puts the header in front: the body of the request to the push service.
/// Nothing is padded, so plaintexts of one size give bodies of one size.
///
/// # Errors
/// [`EncryptionError`].
pub fn encrypt(
    receiver: ReceiverKeys<'_>,
    fresh: &Fresh,
    plaintext: &[u8],
) -> Result<Vec<u8>, EncryptionError> {
    if plaintext.len() > PLAINTEXT_BYTES_MAX {
        return Err(EncryptionError::Size(plaintext.len()));
    }
    let receiver_key =
        PublicKey::from_sec1_bytes(receiver.p256dh).map_err(|_| EncryptionError::NotOnCurve)?;
    let sender_key = fresh.key.public_key().to_sec1_bytes();

    let shared = fresh.key.diffie_hellman(&receiver_key);
    let input = input_key_material(shared.raw_secret_bytes().as_slice(), receiver, &sender_key);
    let keys = Salt::new(HKDF_SHA256, &fresh.salt).extract(&input);
    let key: [u8; 16] = expand(&keys, &[b"Content-Encoding: aes128gcm\0"]);
    let nonce: [u8; 12] = expand(&keys, &[b"Content-Encoding: nonce\0"]);

    let mut content = plaintext.to_vec();
    content.push(LAST_RECORD);
    seal(&key, nonce, &mut content);

    let mut body = Vec::with_capacity(HEADER_BYTES + content.len());
    body.extend_from_slice(&fresh.salt);
    body.extend_from_slice(&RECORD_BYTES.to_be_bytes());
    body.push(65);
    body.extend_from_slice(&sender_key);
    body.extend_from_slice(&content);
    Ok(body)
}

/// Binds the shared secret to the authentication secret and to both keys (RFC 8291, section 3.4).
fn input_key_material(shared: &[u8], receiver: ReceiverKeys<'_>, sender_key: &[u8]) -> [u8; 32] {
    let prk = Salt::new(HKDF_SHA256, receiver.auth).extract(shared);
    expand(&prk, &[b"WebPush: info\0", receiver.p256dh, sender_key])
}

fn seal(key: &[u8; 16], nonce: [u8; 12], content: &mut Vec<u8>) {
    let key = UnboundKey::new(&AES_128_GCM, key).expect("an AES-128 key has 16 bytes");
    LessSafeKey::new(key)
        .seal_in_place_append_tag(Nonce::assume_unique_for_key(nonce), Aad::empty(), content)
        .expect("a push is far below the size that GCM can seal");
}

/// Tells HKDF how many bytes to give.
struct Length(usize);

impl KeyType for Length {
    fn len(&self) -> usize {
        self.0
    }
}

fn expand<const N: usize>(prk: &Prk, info: &[&[u8]]) -> [u8; N] {
    let mut out = [0; N];
    prk.expand(info, Length(N))
        .and_then(|okm| okm.fill(&mut out))
        .expect("HKDF gives up to 255 times 32 bytes");
    out
}

#[cfg(test)]
mod tests;
