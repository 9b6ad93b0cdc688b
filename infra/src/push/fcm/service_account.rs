//! The service account of a Firebase project, as Google gives it in a JSON file.

use std::fmt;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use ring::rand::SecureRandom;
use ring::signature::RsaKeyPair;
use satpost_domain::Timestamp;
use serde::Deserialize;
use serde_json::json;
use url::Url;
use zeroize::Zeroizing;

use crate::push::http::base_url;
use crate::push::jwt::rs256;

/// What the server may do with the access token: send messages, nothing else.
const SCOPE: &str = "https://www.googleapis.com/auth/firebase.messaging";
/// How long the claims are good, in seconds; Google allows an hour.
const CLAIMS_LIFETIME_SECONDS: u64 = 3_600;

/// Who the server is to Google.
pub struct ServiceAccount {
    key: RsaKeyPair,
    key_id: String,
    email: String,
    project_id: String,
    token_url: Url,
}

/// Why a service account cannot be used. Says nothing about its key.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ServiceAccountError {
    /// The file is not what Google gives.
    #[error("the file is no JSON of a service account: it lacks {0}")]
    Form(String),
    /// The key is none.
    #[error("the private key of the service account is no RSA key in PKCS#8 PEM")]
    Key,
    /// The token URL is none to send claims to.
    #[error("the token_uri of the service account is no https URL")]
    TokenUrl,
    /// The project has no id.
    #[error("the project_id of the service account is empty")]
    Project,
}

/// The members of the file that are used.
#[derive(Deserialize)]
struct Stored {
    project_id: String,
    private_key_id: String,
    private_key: String,
    client_email: String,
    token_uri: String,
}

impl ServiceAccount {
    /// Reads the JSON.
    ///
    /// # Errors
    /// [`ServiceAccountError`].
    pub fn parse(json: &str) -> Result<Self, ServiceAccountError> {
        let stored: Stored = serde_json::from_str(json)
            // The category only: an error of serde may repeat what it has read.
            .map_err(|error| ServiceAccountError::Form(missing(json, &error)))?;
        let private_key = Zeroizing::new(stored.private_key);
        if stored.project_id.is_empty() {
            return Err(ServiceAccountError::Project);
        }
        let der = pkcs8(&private_key).ok_or(ServiceAccountError::Key)?;
        Ok(Self {
            key: RsaKeyPair::from_pkcs8(&der).map_err(|_| ServiceAccountError::Key)?,
            key_id: stored.private_key_id,
            email: stored.client_email,
            project_id: stored.project_id,
            token_url: base_url(&stored.token_uri).map_err(|_| ServiceAccountError::TokenUrl)?,
        })
    }

    /// The Firebase project.
    #[must_use]
    pub fn project_id(&self) -> &str {
        &self.project_id
    }

    /// Where access tokens are given.
    pub(super) const fn token_url(&self) -> &Url {
        &self.token_url
    }

    /// Claims for an access token (RFC 7523), signed.
    pub(super) fn assertion(&self, random: &dyn SecureRandom, now: Timestamp) -> String {
        let header = json!({ "alg": "RS256", "typ": "JWT", "kid": self.key_id });
        let claims = json!({
            "iss": self.email,
            "scope": SCOPE,
            "aud": self.token_url.as_str(),
            "iat": now.as_secs(),
            "exp": now.as_secs() + CLAIMS_LIFETIME_SECONDS,
        });
        rs256(&self.key, random, &header, &claims)
    }
}

/// Names the first member that is not there as a string.
fn missing(json: &str, error: &serde_json::Error) -> String {
    let value: serde_json::Value = serde_json::from_str(json).unwrap_or_default();
    let members = [
        "project_id",
        "private_key_id",
        "private_key",
        "client_email",
        "token_uri",
    ];
    let lacking = members.iter().find(|name| !value[**name].is_string());
    lacking.map_or_else(
        || format!("an object (line {})", error.line()),
        |name| (*name).to_owned(),
    )
}

/// The bytes between the lines of a PEM file.
fn pkcs8(pem: &str) -> Option<Zeroizing<Vec<u8>>> {
    let text = pem
        .trim()
        .strip_prefix("-----BEGIN PRIVATE KEY-----")?
        .strip_suffix("-----END PRIVATE KEY-----")?;
    let text: Zeroizing<String> =
        Zeroizing::new(text.chars().filter(|c| !c.is_ascii_whitespace()).collect());
    STANDARD.decode(text.as_bytes()).ok().map(Zeroizing::new)
}

/// Shows the project only.
impl fmt::Debug for ServiceAccount {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "ServiceAccount({})", self.project_id)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn error(json: &serde_json::Value) -> ServiceAccountError {
        ServiceAccount::parse(&json.to_string()).unwrap_err()
    }

    #[test]
    fn says_what_is_wrong_with_a_file_and_never_what_is_in_it() {
        let mut account = json!({
            "type": "service_account",
            "project_id": "wallet",
            "private_key_id": "1",
            "private_key": "-----BEGIN PRIVATE KEY-----\nc2VjcmV0\n-----END PRIVATE KEY-----\n",
            "client_email": "push@wallet.example",
            "token_uri": "https://oauth2.example/token",
        });
        assert_eq!(error(&account), ServiceAccountError::Key);
        assert!(!error(&account).to_string().contains("c2VjcmV0"));
        account["client_email"] = json!(7);
        let lacks = ServiceAccountError::Form("client_email".to_owned());
        assert_eq!(error(&account), lacks);
        account["project_id"] = json!("");
        account["client_email"] = json!("push@wallet.example");
        assert_eq!(error(&account), ServiceAccountError::Project);
        assert!(matches!(
            ServiceAccount::parse("no json"),
            Err(ServiceAccountError::Form(_))
        ));
    }
}
