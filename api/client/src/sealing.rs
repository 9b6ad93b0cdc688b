//! Seals messages so that only their recipient can open them and only the recipient learns who
//! wrote them.
//!
//! `body = enc (32) ‖ ciphertext`: HPKE base mode (RFC 9180) with DHKEM(X25519, HKDF-SHA256),
//! HKDF-SHA256 and ChaCha20-Poly1305, `info = "satpost/sealed-message/1"`, the recipient's Ed25519 key
//! as associated data. The X25519 keys are the Ed25519 messaging keys under the birational map of
//! RFC 7748, section 4.1. The plaintext is an [`Envelope`], its signature and zeros up to a bucket.

use ed25519_dalek::VerifyingKey;
use hpke::aead::ChaCha20Poly1305;
use hpke::kdf::HkdfSha256;
use hpke::kem::{Kem, X25519HkdfSha256};
use hpke::{Deserializable as _, OpModeR, OpModeS, Serializable as _};
use satpost_domain::MessagingKey;
use zeroize::Zeroizing;

use crate::envelope::{
    CONTENT_BYTES_MAX, Content, Envelope, EnvelopeError, SEAL_BYTES, SIGNATURE_BYTES,
};
use crate::keys::{MessagingSecret, RequestKey as _};
use crate::padding::{bucket_for, is_bucket};
use crate::ports::{Entropy, EntropyRng};

const INFO: &[u8] = b"satpost/sealed-message/1";
/// The encapsulated key.
const ENC_BYTES: usize = 32;

/// A message cannot be sealed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum SealError {
    /// The content does not fit the largest body.
    #[error("a message holds at most {CONTENT_BYTES_MAX} bytes, got {actual}")]
    TooLong {
        /// How many bytes were given.
        actual: usize,
    },
    /// The envelope names another sender than the key that is to sign it.
    #[error("the envelope's sender is not the signing key")]
    NotTheSender,
    /// The recipient's key cannot be used for encryption.
    #[error("the recipient's key cannot be encrypted to")]
    RecipientKey,
}

/// A body cannot be opened.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum OpenError {
    /// No body has this size.
    #[error("a sealed message has 512, 2048, 8192 or 16384 bytes, got {actual}")]
    Size {
        /// The size given.
        actual: usize,
    },
    /// Sealed for another key, or changed on its way.
    #[error("the message is not sealed for this key, or was changed")]
    NotForMe,
    /// It opens, but is no envelope of this version.
    #[error(transparent)]
    Envelope(#[from] EnvelopeError),
    /// The sender it names did not sign it for this recipient.
    #[error("the sender's signature does not verify")]
    BadSignature,
}

/// Seals `envelope` for `recipient`, signed by `sender`.
///
/// # Errors
/// [`SealError`].
pub fn seal(
    envelope: &Envelope,
    sender: &MessagingSecret,
    recipient: &MessagingKey,
    entropy: &dyn Entropy,
) -> Result<Vec<u8>, SealError> {
    check_length(&envelope.content)?;
    if envelope.sender != sender.public() {
        return Err(SealError::NotTheSender);
    }
    let recipient_key = x25519_public(recipient).ok_or(SealError::RecipientKey)?;
    let (enc, mut context) =
        hpke::setup_sender_with_rng::<ChaCha20Poly1305, HkdfSha256, X25519HkdfSha256>(
            &OpModeS::Base,
            &recipient_key,
            INFO,
            &mut EntropyRng(entropy),
        )
        .map_err(|_| SealError::RecipientKey)?;
    let enc = enc.to_bytes();

    let mut plaintext = Zeroizing::new(envelope.encode());
    plaintext.extend_from_slice(&sender.sign(&envelope.signed_bytes(&enc, recipient)));
    let bucket = bucket_for(SEAL_BYTES + plaintext.len())
        .expect("content up to CONTENT_BYTES_MAX fits the largest bucket");
    plaintext.resize(bucket - SEAL_BYTES, 0);

    let ciphertext = context
        .seal(&plaintext, recipient.as_bytes())
        .map_err(|_| SealError::RecipientKey)?;
    let body = [enc.as_slice(), &ciphertext].concat();
    debug_assert!(is_bucket(body.len()), "a body has a bucket's size");
    Ok(body)
}

/// Opens a body with the key it was sent to and checks its sender's signature.
///
/// Whether it is the next message of its sender is for [`crate::link`] to say.
///
/// # Errors
/// [`OpenError`].
pub fn open(body: &[u8], recipient: &MessagingSecret) -> Result<Envelope, OpenError> {
    if !is_bucket(body.len()) {
        return Err(OpenError::Size { actual: body.len() });
    }
    let (enc, ciphertext) = body.split_at(ENC_BYTES);
    let secret = <X25519HkdfSha256 as Kem>::PrivateKey::from_bytes(&*recipient.x25519_secret())
        .map_err(|_| OpenError::NotForMe)?;
    let encapsulated =
        <X25519HkdfSha256 as Kem>::EncappedKey::from_bytes(enc).map_err(|_| OpenError::NotForMe)?;
    let mut context = hpke::setup_receiver::<ChaCha20Poly1305, HkdfSha256, X25519HkdfSha256>(
        &OpModeR::Base,
        &secret,
        &encapsulated,
        INFO,
    )
    .map_err(|_| OpenError::NotForMe)?;
    let public = recipient.public();
    let plaintext = context
        .open(ciphertext, public.as_bytes())
        .map(Zeroizing::new)
        .map_err(|_| OpenError::NotForMe)?;

    let (envelope, signature): (Envelope, [u8; SIGNATURE_BYTES]) = Envelope::decode(&plaintext)?;
    envelope
        .sender
        .verify(&envelope.signed_bytes(enc, &public), &signature)
        .map_err(|_| OpenError::BadSignature)?;
    Ok(envelope)
}

/// Checks that `content` fits one message, before anything is stored for it.
///
/// # Errors
/// [`SealError::TooLong`].
pub fn check_length(content: &Content) -> Result<(), SealError> {
    let actual = content.text().len();
    if actual > CONTENT_BYTES_MAX {
        return Err(SealError::TooLong { actual });
    }
    Ok(())
}

fn x25519_public(key: &MessagingKey) -> Option<<X25519HkdfSha256 as Kem>::PublicKey> {
    let montgomery = VerifyingKey::from_bytes(key.as_bytes())
        .ok()?
        .to_montgomery();
    <X25519HkdfSha256 as Kem>::PublicKey::from_bytes(&montgomery.to_bytes()).ok()
}

#[cfg(test)]
mod tests;
