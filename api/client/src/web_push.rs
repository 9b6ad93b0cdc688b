//! The phone's side of Web Push: its keys, and opening what comes through (RFC 8291, one record of
//! the `aes128gcm` coding of RFC 8188).

use std::fmt;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use p256::{PublicKey, SecretKey};
use ring::aead::{AES_128_GCM, Aad, LessSafeKey, Nonce, UnboundKey};
use ring::hkdf::{HKDF_SHA256, KeyType, Prk, Salt};
use satpost_api_types::push::{PUSH_KIND_VERIFICATION, PUSH_KIND_WAKE, PUSH_PLAINTEXT_BYTES};
use serde::{Deserialize, Serialize};
use zeroize::{Zeroize, ZeroizeOnDrop, Zeroizing};

use crate::ports::{Entropy, draw};

/// An uncompressed P-256 point.
const POINT_BYTES: usize = 65;
/// Salt, record size, length of the key id, and the key id: the sender's key.
const HEADER_BYTES: usize = 16 + 4 + 1 + POINT_BYTES;
/// The delimiter that ends the last record (RFC 8188, section 2).
const LAST_RECORD: u8 = 2;
/// What GCM adds.
const TAG_BYTES: usize = 16;

/// What a phone subscribes with: its P-256 key and its authentication secret.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize, Zeroize, ZeroizeOnDrop)]
pub struct PushKeys {
    secret: [u8; 32],
    auth: [u8; 16],
}

/// What a push says.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Push {
    /// Something changed: fetch.
    Wake,
    /// Send this code back to the server.
    Verification {
        /// The code.
        code: [u8; 16],
    },
}

/// A push cannot be used.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum PushError {
    /// The header of the coding is not the one of a push, or the push is cut.
    #[error("the push does not have the form of RFC 8291")]
    Form,
    /// Encrypted for other keys, or changed.
    #[error("the push cannot be decrypted with this subscription's keys")]
    Decrypt,
    /// It decrypts to something this version does not know.
    #[error("the push has {bytes} bytes and begins with {kind:?}, which is not known")]
    Unknown {
        /// Its length.
        bytes: usize,
        /// Its first byte.
        kind: Option<u8>,
    },
}

impl PushKeys {
    /// Draws new keys.
    #[must_use]
    pub fn generate(entropy: &dyn Entropy) -> Self {
        loop {
            // Fails for one draw in 2^32: zero, or not below the order of the curve.
            let secret = draw(entropy);
            if SecretKey::from_slice(&secret).is_ok() {
                let auth = draw(entropy);
                return Self { secret, auth };
            }
        }
    }

    /// The public key, uncompressed, for the server (`p256dh`).
    #[must_use]
    pub fn p256dh(&self) -> [u8; POINT_BYTES] {
        self.secret_key()
            .public_key()
            .to_sec1_bytes()
            .as_ref()
            .try_into()
            .expect("an uncompressed P-256 point has 65 bytes")
    }

    /// The authentication secret for the server (`auth`).
    #[must_use]
    pub const fn auth(&self) -> &[u8; 16] {
        &self.auth
    }

    /// Decrypts the body of a push (RFC 8291, section 3.4).
    ///
    /// # Errors
    /// [`PushError::Form`] or [`PushError::Decrypt`].
    pub fn decrypt(&self, body: &[u8]) -> Result<Vec<u8>, PushError> {
        let (header, ciphertext) = body.split_at_checked(HEADER_BYTES).ok_or(PushError::Form)?;
        let (salt, header) = header.split_at(16);
        let (record_size, header) = header.split_at(4);
        let (key_length, sender) = header.split_at(1);
        let record_size = u32::from_be_bytes(record_size.try_into().map_err(|_| PushError::Form)?);
        let fits_one_record = u32::try_from(ciphertext.len()).is_ok_and(|len| len <= record_size);
        if usize::from(key_length[0]) != POINT_BYTES
            || ciphertext.len() <= TAG_BYTES
            || !fits_one_record
        {
            return Err(PushError::Form);
        }
        let sender_key = PublicKey::from_sec1_bytes(sender).map_err(|_| PushError::Form)?;

        let shared = self.secret_key().diffie_hellman(&sender_key);
        let input: Zeroizing<[u8; 32]> = expand(
            &Salt::new(HKDF_SHA256, &self.auth).extract(shared.raw_secret_bytes().as_slice()),
            &[b"WebPush: info\0", &self.p256dh(), sender],
        );
        let keys = Salt::new(HKDF_SHA256, salt).extract(input.as_slice());
        let key: Zeroizing<[u8; 16]> = expand(&keys, &[b"Content-Encoding: aes128gcm\0"]);
        let nonce: Zeroizing<[u8; 12]> = expand(&keys, &[b"Content-Encoding: nonce\0"]);
        let mut record = ciphertext.to_vec();
        let key = UnboundKey::new(&AES_128_GCM, key.as_slice()).map_err(|_| PushError::Decrypt)?;
        let content = LessSafeKey::new(key)
            .open_in_place(
                Nonce::assume_unique_for_key(*nonce),
                Aad::empty(),
                &mut record,
            )
            .map_err(|_| PushError::Decrypt)?;

        let end = content.iter().rposition(|&byte| byte != 0);
        match end {
            Some(end) if content[end] == LAST_RECORD => Ok(content[..end].to_vec()),
            Some(_) | None => Err(PushError::Form),
        }
    }

    /// Decrypts and reads a push of Satpost.
    ///
    /// # Errors
    /// [`PushError`].
    pub fn open(&self, body: &[u8]) -> Result<Push, PushError> {
        parse(&self.decrypt(body)?)
    }

    fn secret_key(&self) -> SecretKey {
        SecretKey::from_slice(&self.secret).expect("checked when it was drawn")
    }
}

/// Shows the public key only.
impl fmt::Debug for PushKeys {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "PushKeys({})", hex::encode(self.p256dh()))
    }
}

/// Reads a push that came through Apple or Google: the text of its field
/// [`PUSH_FIELD`](satpost_api_types::push::PUSH_FIELD).
///
/// # Errors
/// [`PushError`].
pub fn read_push_field(text: &str) -> Result<Push, PushError> {
    let plaintext = URL_SAFE_NO_PAD.decode(text).map_err(|_| PushError::Form)?;
    parse(&plaintext)
}

fn parse(plaintext: &[u8]) -> Result<Push, PushError> {
    let unknown = || PushError::Unknown {
        bytes: plaintext.len(),
        kind: plaintext.first().copied(),
    };
    let plaintext: &[u8; PUSH_PLAINTEXT_BYTES] = plaintext.try_into().map_err(|_| unknown())?;
    let zero = |bytes: &[u8]| bytes.iter().all(|&byte| byte == 0);
    match plaintext {
        [PUSH_KIND_WAKE, rest @ ..] if zero(rest) => Ok(Push::Wake),
        [PUSH_KIND_VERIFICATION, rest @ ..] if zero(&rest[16..]) => {
            let mut code = [0; 16];
            code.copy_from_slice(&rest[..16]);
            Ok(Push::Verification { code })
        }
        _ => Err(unknown()),
    }
}

/// Tells HKDF how many bytes to give.
struct Length(usize);

impl KeyType for Length {
    fn len(&self) -> usize {
        self.0
    }
}

fn expand<const N: usize>(key: &Prk, info: &[&[u8]]) -> Zeroizing<[u8; N]>
where
    [u8; N]: Zeroize,
{
    let mut output = Zeroizing::new([0; N]);
    key.expand(info, Length(N))
        .and_then(|okm| okm.fill(output.as_mut_slice()))
        .expect("HKDF-SHA256 gives up to 255 times 32 bytes");
    output
}

#[cfg(test)]
mod tests {
    use super::*;

    fn unbase64<const N: usize>(text: &str) -> [u8; N] {
        URL_SAFE_NO_PAD.decode(text).unwrap().try_into().unwrap()
    }

    /// RFC 8291, appendix A.
    fn example() -> (PushKeys, Vec<u8>) {
        let keys = PushKeys {
            secret: unbase64("q1dXpw3UpT5VOmu_cf_v6ih07Aems3njxI-JWgLcM94"),
            auth: unbase64("BTBZMqHH6r4Tts7J_aSIgg"),
        };
        let body = URL_SAFE_NO_PAD
            .decode(
                "DGv6ra1nlYgDCS1FRnbzlwAAEABBBP4z9KsN6nGRTbVYI_c7VJSPQTBtkgcy27ml\
                 mlMoZIIgDll6e3vCYLocInmYWAmS6TlzAC8wEqKK6PBru3jl7A_yl95bQpu6cVPT\
                 pK4Mqgkf1CXztLVBSt2Ks3oZwbuwXPXLWyouBWLVWGNWQexSgSxsj_Qulcy4a-fN",
            )
            .unwrap();
        (keys, body)
    }

    #[test]
    fn opens_the_example_of_rfc_8291() {
        let (keys, body) = example();
        assert_eq!(
            keys.p256dh(),
            unbase64(
                "BCVxsr7N_eNgVRqvHtD0zTZsEc6-VV-JvLexhqUzORcxaOzi6-AYWXvTBHm4bjyPjs7Vd8pZGH6SRpkNtoIAiw4"
            )
        );
        assert_eq!(
            keys.decrypt(&body).unwrap(),
            b"When I grow up, I want to be a watermelon"
        );
        assert!(matches!(keys.open(&body), Err(PushError::Unknown { .. })));
    }

    #[test]
    fn refuses_a_push_that_was_changed_or_is_for_another() {
        let (keys, body) = example();
        for place in 0..body.len() {
            let mut changed = body.clone();
            changed[place] ^= 1;
            // The record size is not authenticated; only a size below the record's own is an error.
            let harmless = (16..20).contains(&place);
            assert_eq!(keys.decrypt(&changed).is_ok(), harmless, "byte {place}");
        }
        let others = PushKeys::generate(&crate::testing::Counting::default());
        assert_eq!(others.decrypt(&body), Err(PushError::Decrypt));
        assert_eq!(keys.decrypt(&body[..90]), Err(PushError::Form));
    }

    #[test]
    fn reads_the_field_of_a_push_through_apple_or_google() {
        let wake = "AQAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA";
        assert_eq!(read_push_field(wake), Ok(Push::Wake));
        let code = "AgcHBwcHBwcHBwcHBwcHBwcAAAAAAAAAAAAAAAAAAAA";
        let code = read_push_field(code);
        assert_eq!(code, Ok(Push::Verification { code: [7; 16] }));
        assert_eq!(read_push_field("no base64!"), Err(PushError::Form));
        assert!(read_push_field("AQ").is_err());
    }

    #[test]
    fn reads_the_two_kinds_and_nothing_else() {
        let mut plain = [0; 32];
        plain[0] = PUSH_KIND_WAKE;
        assert_eq!(parse(&plain), Ok(Push::Wake));
        plain[0] = PUSH_KIND_VERIFICATION;
        plain[1..17].copy_from_slice(&[7; 16]);
        assert_eq!(parse(&plain), Ok(Push::Verification { code: [7; 16] }));
        plain[31] = 1;
        assert!(parse(&plain).is_err());
        plain[0] = 3;
        assert!(parse(&plain).is_err());
        assert!(parse(&[PUSH_KIND_WAKE; 31]).is_err());
        assert!(parse(&[]).is_err());
    }
}
