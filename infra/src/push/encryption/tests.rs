//! The example of RFC 8291. That a phone can open what was sealed is tested with the push service.

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;

use super::*;

// RFC 8291, appendix A.
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

fn encrypt_for_the_example(plaintext: &[u8]) -> Result<Vec<u8>, EncryptionError> {
    let (p256dh, auth) = (bytes(RECEIVER_PUBLIC), bytes(AUTH));
    let receiver = ReceiverKeys {
        p256dh: &p256dh,
        auth: &auth,
    };
    encrypt(receiver, &fresh(), plaintext)
}

#[test]
fn gives_the_body_of_the_example_in_rfc_8291() {
    let body = encrypt_for_the_example(PLAINTEXT).unwrap();
    assert_eq!(URL_SAFE_NO_PAD.encode(body), BODY);
}

#[test]
fn messages_of_one_length_have_one_size_on_the_wire() {
    for plaintext in [[0; 32], [0xff; 32]] {
        let body = encrypt_for_the_example(&plaintext).unwrap();
        assert_eq!(body.len(), HEADER_BYTES + 32 + 1 + TAG_BYTES);
    }
}

#[test]
fn refuses_a_plaintext_that_does_not_fit_one_record() {
    let longest = vec![7; PLAINTEXT_BYTES_MAX];
    let body = encrypt_for_the_example(&longest).unwrap();
    assert_eq!(body.len(), HEADER_BYTES + RECORD_BYTES as usize);
    let too_long = vec![7; PLAINTEXT_BYTES_MAX + 1];
    assert_eq!(
        encrypt_for_the_example(&too_long),
        Err(EncryptionError::Size(too_long.len()))
    );
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
        encrypt(receiver, &fresh(), b"look"),
        Err(EncryptionError::NotOnCurve)
    );
}
