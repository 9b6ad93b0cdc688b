//! The example of RFC 8291, and a receiver of our own to open what was sealed.

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;

use super::*;

// RFC 8291, appendix A.
const RECEIVER_PRIVATE: &str = "q1dXpw3UpT5VOmu_cf_v6ih07Aems3njxI-JWgLcM94";
const RECEIVER_PUBLIC: &str =
    "BCVxsr7N_eNgVRqvHtD0zTZsEc6-VV-JvLexhqUzORcxaOzi6-AYWXvTBHm4bjyPjs7Vd8pZGH6SRpkNtoIAiw4";
const SENDER_PRIVATE: &str = "yfWPiYE-n46HLnH0KqZOF1fJJU3MYrct3AELtAQ-oRw";
const AUTH: &str = "BTBZMqHH6r4Tts7J_aSIgg";
const SALT: &str = "DGv6ra1nlYgDCS1FRnbzlw";
const PLAINTEXT: &[u8] = b"When I grow up, I want to be a watermelon";
const BODY: &str = "DGv6ra1nlYgDCS1FRnbzlwAAEABBBP4z9KsN6nGRTbVYI_c7VJSPQTBtkgcy27ml\
    mlMoZIIgDll6e3vCYLocInmYWAmS6TlzAC8wEqKK6PBru3jl7A_yl95bQpu6cVPT\
    pK4Mqgkf1CXztLVBSt2Ks3oZwbuwXPXLWyouBWLVWGNWQexSgSxsj_Qulcy4a-fN";

fn bytes<const N: usize>(text: &str) -> [u8; N] {
    URL_SAFE_NO_PAD.decode(text).unwrap().try_into().unwrap()
}

fn fresh() -> Fresh {
    Fresh {
        key: SecretKey::from_slice(&bytes::<32>(SENDER_PRIVATE)).unwrap(),
        salt: bytes(SALT),
    }
}

fn encrypt_for_the_example(
    plaintext: &[u8],
    content_bytes: usize,
) -> Result<Vec<u8>, EncryptionError> {
    let (p256dh, auth) = (bytes(RECEIVER_PUBLIC), bytes(AUTH));
    let receiver = ReceiverKeys {
        p256dh: &p256dh,
        auth: &auth,
    };
    encrypt(receiver, &fresh(), plaintext, content_bytes)
}

/// What a phone does: reads the header, derives the keys from its own side, opens, cuts the padding.
fn decrypt(body: &[u8]) -> Vec<u8> {
    let (header, content) = body.split_at(HEADER_BYTES);
    let sender = PublicKey::from_sec1_bytes(&header[21..]).unwrap();
    let own = SecretKey::from_slice(&bytes::<32>(RECEIVER_PRIVATE)).unwrap();
    let (p256dh, auth) = (bytes(RECEIVER_PUBLIC), bytes(AUTH));
    let receiver = ReceiverKeys {
        p256dh: &p256dh,
        auth: &auth,
    };
    let shared = own.diffie_hellman(&sender);
    let input = input_key_material(
        shared.raw_secret_bytes().as_slice(),
        receiver,
        &header[21..],
    );
    let keys = Salt::new(HKDF_SHA256, &header[..16]).extract(&input);
    let key: [u8; 16] = expand(&keys, &[b"Content-Encoding: aes128gcm\0"]);
    let nonce: [u8; 12] = expand(&keys, &[b"Content-Encoding: nonce\0"]);
    let mut content = content.to_vec();
    let opened = LessSafeKey::new(UnboundKey::new(&AES_128_GCM, &key).unwrap())
        .open_in_place(
            Nonce::assume_unique_for_key(nonce),
            Aad::empty(),
            &mut content,
        )
        .unwrap();
    let end = opened.iter().rposition(|byte| *byte != 0).unwrap();
    assert_eq!(opened[end], 2, "the delimiter of a last record");
    opened[..end].to_vec()
}

#[test]
fn gives_the_body_of_the_example_in_rfc_8291() {
    let body = encrypt_for_the_example(PLAINTEXT, PLAINTEXT.len() + 1).unwrap();
    assert_eq!(URL_SAFE_NO_PAD.encode(body), BODY);
}

#[test]
fn the_receiver_opens_a_padded_message() {
    let body = encrypt_for_the_example(b"look", 64).unwrap();
    assert_eq!(decrypt(&body), b"look");
}

#[test]
fn messages_of_different_lengths_have_one_size_on_the_wire() {
    let sizes: Vec<usize> = [&b""[..], b"a", &[7; 63]]
        .into_iter()
        .map(|plaintext| encrypt_for_the_example(plaintext, 64).unwrap().len())
        .collect();
    assert_eq!(sizes, [HEADER_BYTES + 64 + TAG_BYTES; 3]);
}

#[test]
fn refuses_a_plaintext_that_leaves_no_room_for_the_delimiter() {
    assert_eq!(
        encrypt_for_the_example(&[7; 64], 64),
        Err(EncryptionError::Size {
            plaintext: 64,
            content: 64
        })
    );
}

#[test]
fn refuses_a_content_that_does_not_fit_one_record() {
    assert!(encrypt_for_the_example(b"", 4096 - TAG_BYTES).is_ok());
    assert!(encrypt_for_the_example(b"", 4096 - TAG_BYTES + 1).is_err());
}

#[test]
fn refuses_a_key_that_is_no_point_of_the_curve() {
    let mut p256dh = bytes(RECEIVER_PUBLIC);
    p256dh[64] ^= 1;
    let receiver = ReceiverKeys {
        p256dh: &p256dh,
        auth: &bytes(AUTH),
    };
    assert_eq!(
        encrypt(receiver, &fresh(), b"look", 64),
        Err(EncryptionError::NotOnCurve)
    );
}
