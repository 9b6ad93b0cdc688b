//! Who pushes (RFC 8292): checks the token that comes with a push.

use std::time::{SystemTime, UNIX_EPOCH};

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use p256::ecdsa::signature::Verifier;
use p256::ecdsa::{Signature, VerifyingKey};
use serde::Deserialize;

/// The longest that a token may be good for, in seconds.
const LIFETIME_MAX: u64 = 24 * 3600;

/// Why a token is not accepted.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub(super) enum TokenError {
    /// It is no `vapid t=…, k=…` with a JWT and a key in it.
    #[error("the token cannot be read")]
    Form,
    /// It is not signed with ES256.
    #[error("the token is not signed with ES256")]
    Algorithm,
    /// The signature is not that of the key.
    #[error("the signature of the token does not verify")]
    Signature,
    /// It was made for another push service.
    #[error("the token is for another push service")]
    Audience,
    /// It has ended, or it ends too late.
    #[error("the token has ended or is good for more than 24 hours")]
    Expiry,
    /// It names no contact.
    #[error("the token names no contact")]
    Subject,
}

#[derive(Deserialize)]
struct Header {
    alg: String,
}

#[derive(Deserialize)]
struct Claims {
    aud: String,
    exp: u64,
    sub: String,
}

/// Checks an `Authorization` header for the push service at `origin`, and gives the key in base64url.
pub(super) fn verify(authorization: &str, origin: &str) -> Result<String, TokenError> {
    let parameters = authorization
        .strip_prefix("vapid ")
        .ok_or(TokenError::Form)?;
    let parameter = |name: &str| {
        parameters
            .split(',')
            .find_map(|pair| pair.trim().strip_prefix(name))
            .ok_or(TokenError::Form)
    };
    let (token, key) = (parameter("t=")?, parameter("k=")?);
    let (signed, signature) = token.rsplit_once('.').ok_or(TokenError::Form)?;
    let (header, claims) = signed.split_once('.').ok_or(TokenError::Form)?;

    let header: Header = json(header)?;
    if header.alg != "ES256" {
        return Err(TokenError::Algorithm);
    }
    let signature = Signature::from_slice(&bytes(signature)?).map_err(|_| TokenError::Form)?;
    VerifyingKey::from_sec1_bytes(&bytes(key)?)
        .map_err(|_| TokenError::Form)?
        .verify(signed.as_bytes(), &signature)
        .map_err(|_| TokenError::Signature)?;

    let claims: Claims = json(claims)?;
    if claims.aud != origin {
        return Err(TokenError::Audience);
    }
    let now = now();
    if claims.exp <= now || claims.exp > now + LIFETIME_MAX {
        return Err(TokenError::Expiry);
    }
    if !claims.sub.starts_with("mailto:") && !claims.sub.starts_with("https:") {
        return Err(TokenError::Subject);
    }
    Ok(key.to_owned())
}

fn bytes(text: &str) -> Result<Vec<u8>, TokenError> {
    URL_SAFE_NO_PAD.decode(text).map_err(|_| TokenError::Form)
}

fn json<T: serde::de::DeserializeOwned>(text: &str) -> Result<T, TokenError> {
    serde_json::from_slice(&bytes(text)?).map_err(|_| TokenError::Form)
}

#[expect(
    clippy::disallowed_methods,
    reason = "a push service has a clock of its own"
)]
fn now() -> u64 {
    SystemTime::now()
        .duration_since(UNIX_EPOCH)
        .expect("the clock is past 1970")
        .as_secs()
}
