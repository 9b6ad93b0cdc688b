//! Signed claims (RFC 7515, compact form): what Apple, Google and push services take for our name.

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use p256::ecdsa::signature::Signer as _;
use p256::ecdsa::{Signature, SigningKey};
use ring::rand::SecureRandom;
use ring::signature::{RSA_PKCS1_SHA256, RsaKeyPair};
use serde_json::Value;

/// Signs with ES256: ECDSA over P-256, deterministic (RFC 6979).
pub(super) fn es256(key: &SigningKey, header: &Value, claims: &Value) -> String {
    let signed = signing_input(header, claims);
    let signature: Signature = key.sign(signed.as_bytes());
    with_signature(signed, &signature.to_bytes())
}

/// Signs with RS256: RSA with PKCS#1 v1.5 padding. `random` blinds the computation.
pub(super) fn rs256(
    key: &RsaKeyPair,
    random: &dyn SecureRandom,
    header: &Value,
    claims: &Value,
) -> String {
    let signed = signing_input(header, claims);
    let mut signature = vec![0; key.public().modulus_len()];
    key.sign(&RSA_PKCS1_SHA256, random, signed.as_bytes(), &mut signature)
        .expect(
            "the signature has the length of the modulus, and the key was checked when it was read",
        );
    with_signature(signed, &signature)
}

fn signing_input(header: &Value, claims: &Value) -> String {
    let header = URL_SAFE_NO_PAD.encode(header.to_string());
    format!("{header}.{}", URL_SAFE_NO_PAD.encode(claims.to_string()))
}

fn with_signature(mut signed: String, signature: &[u8]) -> String {
    signed.push('.');
    signed.push_str(&URL_SAFE_NO_PAD.encode(signature));
    signed
}
