//! A service that is as strict as Apple's: it checks the token, the headers and the size of every push, and answers
//! a bad one with Apple's reason. A test may make it answer something else.

use std::sync::{Arc, Mutex, PoisonError};

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use p256::SecretKey;
use p256::ecdsa::signature::Verifier as _;
use p256::ecdsa::{Signature, VerifyingKey};
use p256::pkcs8::{EncodePrivateKey as _, LineEnding};
use serde_json::Value;

use crate::http2_service::{Http2Service, Reply, Seen};

/// The key's id, the team's id, and the app's topic.
pub const KEY_ID: &str = "ABCDE12345";
/// The team.
pub const TEAM_ID: &str = "TEAM567890";
/// The app.
pub const TOPIC: &str = "com.example.wallet";
/// The largest push (Apple's documentation, "Creating the remote notification payload").
const PAYLOAD_BYTES_MAX: usize = 4_096;

/// A running service.
pub struct ApnsService {
    service: Http2Service,
    next: Arc<Mutex<Vec<Reply>>>,
}

fn key() -> SecretKey {
    SecretKey::from_slice(&[0x41; 32]).expect("a small number is a key of P-256")
}

/// The key as Apple gives it: a `.p8` file.
#[must_use]
pub fn key_pem() -> String {
    let pem = key().to_pkcs8_pem(LineEnding::LF);
    pem.expect("a key can be written").to_string()
}

impl ApnsService {
    /// Starts on a free port of loopback.
    pub async fn start() -> Self {
        let next: Arc<Mutex<Vec<Reply>>> = Arc::default();
        let scripted = Arc::clone(&next);
        let service = Http2Service::start(move |seen| {
            let checked = check(seen);
            let mut scripted = scripted.lock().unwrap_or_else(PoisonError::into_inner);
            match checked {
                // What the test wants is answered to good pushes only.
                Ok(()) if !scripted.is_empty() => scripted.remove(0),
                Ok(()) => Reply::new(200, "").with_header("apns-id", "1"),
                Err((status, reason)) => refusal(status, reason),
            }
        });
        Self {
            service: service.await,
            next,
        }
    }

    /// Answers the next good push with this.
    pub fn answer_next_with(&self, reply: Reply) {
        let mut next = self.next.lock().unwrap_or_else(PoisonError::into_inner);
        next.push(reply);
    }

    /// Its base URL.
    #[must_use]
    pub fn url(&self) -> String {
        self.service.url()
    }

    /// Every request so far.
    #[must_use]
    pub fn seen(&self) -> Vec<Seen> {
        self.service.seen()
    }
}

/// Apple's way to refuse.
#[must_use]
pub fn refusal(status: u16, reason: &str) -> Reply {
    Reply::new(status, format!(r#"{{"reason":"{reason}"}}"#))
}

fn check(seen: &Seen) -> Result<(), (u16, &'static str)> {
    if seen.method != "POST" {
        return Err((405, "MethodNotAllowed"));
    }
    let device = seen
        .path
        .strip_prefix("/3/device/")
        .ok_or((404, "BadPath"))?;
    if device.len() != 64 || hex::decode(device).is_err() {
        return Err((400, "BadDeviceToken"));
    }
    check_token(seen.header("authorization"))?;
    let header = |name, missing| seen.header(name).ok_or((400, missing));
    if header("apns-topic", "MissingTopic")? != TOPIC {
        return Err((400, "TopicDisallowed"));
    }
    let push_type = header("apns-push-type", "InvalidPushType")?;
    let priority = header("apns-priority", "BadPriority")?;
    if !matches!(
        (push_type, priority),
        ("alert", "10" | "5" | "1") | ("background", "5" | "1")
    ) {
        return Err((400, "BadPriority"));
    }
    if header("apns-expiration", "BadExpirationDate")?
        .parse::<u64>()
        .is_err()
    {
        return Err((400, "BadExpirationDate"));
    }
    if header("apns-collapse-id", "BadCollapseId")?.len() > 64 {
        return Err((400, "BadCollapseId"));
    }
    if seen.body.len() > PAYLOAD_BYTES_MAX {
        return Err((413, "PayloadTooLarge"));
    }
    let payload: Value = serde_json::from_slice(&seen.body).map_err(|_| (400, "PayloadEmpty"))?;
    if !payload["aps"].is_object() {
        return Err((400, "PayloadEmpty"));
    }
    Ok(())
}

fn check_token(authorization: Option<&str>) -> Result<(), (u16, &'static str)> {
    let token = authorization
        .and_then(|value| value.strip_prefix("bearer "))
        .ok_or((403, "MissingProviderToken"))?;
    let verified = verify(token).ok_or((403, "InvalidProviderToken"))?;
    let good = verified.0["alg"] == "ES256"
        && verified.0["kid"] == KEY_ID
        && verified.1["iss"] == TEAM_ID
        && verified.1["iat"].is_u64();
    if good {
        Ok(())
    } else {
        Err((403, "InvalidProviderToken"))
    }
}

/// The header and the claims, if the signature is that of the key.
fn verify(token: &str) -> Option<(Value, Value)> {
    let (signed, signature) = token.rsplit_once('.')?;
    let (header, claims) = signed.split_once('.')?;
    let signature = Signature::from_slice(&URL_SAFE_NO_PAD.decode(signature).ok()?).ok()?;
    let key = VerifyingKey::from(&key().public_key());
    key.verify(signed.as_bytes(), &signature).ok()?;
    let json = |part| serde_json::from_slice(&URL_SAFE_NO_PAD.decode(part).ok()?).ok();
    Some((json(header)?, json(claims)?))
}
