//! Tokens are checked with the public key, as a push service does it.

use std::time::Duration;

use p256::ecdsa::signature::Verifier;
use p256::ecdsa::{Signature, VerifyingKey};

use super::*;

const NOW: Timestamp = Timestamp::from_millis(1_700_000_000_000);

fn key() -> SecretKey {
    SecretKey::from_slice(&[7; 32]).unwrap()
}

fn vapid() -> Vapid {
    Vapid::new(&key(), "mailto:operator@wallet.example").unwrap()
}

/// Splits `vapid t=…, k=…`, checks the signature, and gives the claims.
fn verified_claims(authorization: &str) -> serde_json::Value {
    let (token, public_key) = authorization
        .strip_prefix("vapid t=")
        .unwrap()
        .split_once(", k=")
        .unwrap();
    let public_key = URL_SAFE_NO_PAD.decode(public_key).unwrap();
    let (signed, signature) = token.rsplit_once('.').unwrap();
    let signature = URL_SAFE_NO_PAD.decode(signature).unwrap();
    VerifyingKey::from_sec1_bytes(&public_key)
        .unwrap()
        .verify(
            signed.as_bytes(),
            &Signature::from_slice(&signature).unwrap(),
        )
        .unwrap();
    let claims = signed.split_once('.').unwrap().1;
    serde_json::from_slice(&URL_SAFE_NO_PAD.decode(claims).unwrap()).unwrap()
}

#[test]
fn a_token_names_the_push_service_the_contact_and_its_end() {
    let claims = verified_claims(&vapid().authorization("https://push.example", NOW));
    assert_eq!(claims["aud"], "https://push.example");
    assert_eq!(claims["sub"], "mailto:operator@wallet.example");
    // RFC 8292 refuses more than 24 hours.
    assert_eq!(claims["exp"], 1_700_000_000 + 12 * 3600);
}

#[test]
fn a_token_is_used_again_for_half_its_lifetime() {
    let vapid = vapid();
    let first = vapid.authorization("https://push.example", NOW);
    let soon = NOW.plus(PUSH_TOKEN_LIFETIME / 2 - Duration::from_secs(1));
    let late = NOW.plus(PUSH_TOKEN_LIFETIME / 2);
    assert_eq!(first, vapid.authorization("https://push.example", soon));
    assert_ne!(first, vapid.authorization("https://push.example", late));
    assert_ne!(first, vapid.authorization("https://other.example", NOW));
}

#[test]
fn a_token_from_before_the_clock_went_back_is_signed_again() {
    let vapid = vapid();
    let ahead = NOW.plus(Duration::from_secs(30 * 24 * 3600));
    vapid.authorization("https://push.example", ahead);
    let claims = verified_claims(&vapid.authorization("https://push.example", NOW));
    assert_eq!(claims["exp"], 1_700_000_000 + 12 * 3600);
}

#[test]
fn keeps_a_bounded_number_of_tokens() {
    let vapid = vapid();
    for host in 0..=PUSH_TOKENS_CACHED_MAX {
        vapid.authorization(&format!("https://push{host}.example"), NOW);
    }
    assert!(vapid.tokens.lock().unwrap().len() <= PUSH_TOKENS_CACHED_MAX);
}

#[test]
fn refuses_a_contact_that_is_no_uri() {
    assert!(matches!(
        Vapid::new(&key(), "operator@wallet.example"),
        Err(ContactError(_))
    ));
}
