//! Who we are to a push service (RFC 8292): a JWT signed with ES256 for each push service, and the
//! key that phones subscribe with.

use std::collections::HashMap;
use std::fmt;
use std::sync::{Mutex, PoisonError};

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use p256::SecretKey;
use p256::ecdsa::SigningKey;

use satpost_domain::Timestamp;
use satpost_domain::limits::{PUSH_TOKEN_LIFETIME, PUSH_TOKENS_CACHED_MAX};

use super::jwt::es256;

/// Signs for us at push services.
pub struct Vapid {
    key: SigningKey,
    public_key: String,
    contact: String,
    tokens: Mutex<HashMap<String, Token>>,
}

/// A signed JWT for one push service.
struct Token {
    jwt: String,
    signed_at: Timestamp,
}

/// The contact is no URI that RFC 8292 allows (section 2.1).
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("the push contact must begin with mailto: or https:, got {0:?}")]
pub struct ContactError(String);

impl Vapid {
    /// Takes a key and the operator's contact, `mailto:` or `https:`, which push services see.
    ///
    /// # Errors
    /// [`ContactError`].
    pub fn new(key: &SecretKey, contact: &str) -> Result<Self, ContactError> {
        if !contact.starts_with("mailto:") && !contact.starts_with("https:") {
            return Err(ContactError(contact.to_owned()));
        }
        Ok(Self {
            public_key: URL_SAFE_NO_PAD.encode(key.public_key().to_sec1_bytes()),
            key: SigningKey::from(key),
            contact: contact.to_owned(),
            tokens: Mutex::default(),
        })
    }

    /// The public key in base64url: the `applicationServerKey` that a phone subscribes with.
    #[must_use]
    pub fn public_key(&self) -> &str {
        &self.public_key
    }

    /// The `Authorization` header for the push service at `origin` (`https://push.example`).
    /// A token is signed once per push service and used for half its lifetime.
    pub fn authorization(&self, origin: &str, now: Timestamp) -> String {
        let mut tokens = self.tokens.lock().unwrap_or_else(PoisonError::into_inner);
        let usable = |token: &&Token| {
            token.signed_at <= now && now.since(token.signed_at) < PUSH_TOKEN_LIFETIME / 2
        };
        let jwt = match tokens.get(origin).filter(usable) {
            Some(token) => token.jwt.clone(),
            None => {
                // Phones choose their push service, so the origins are theirs to multiply.
                if tokens.len() >= PUSH_TOKENS_CACHED_MAX {
                    tokens.clear();
                }
                let jwt = self.sign(origin, now);
                let token = Token {
                    jwt: jwt.clone(),
                    signed_at: now,
                };
                tokens.insert(origin.to_owned(), token);
                jwt
            }
        };
        format!("vapid t={jwt}, k={}", self.public_key)
    }

    fn sign(&self, origin: &str, now: Timestamp) -> String {
        let header = serde_json::json!({ "typ": "JWT", "alg": "ES256" });
        let claims = serde_json::json!({
            "aud": origin,
            "exp": now.plus(PUSH_TOKEN_LIFETIME).as_secs(),
            "sub": self.contact,
        });
        es256(&self.key, &header, &claims)
    }
}

/// Shows the public key only.
impl fmt::Debug for Vapid {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Vapid({})", self.public_key)
    }
}

#[cfg(test)]
mod tests;
