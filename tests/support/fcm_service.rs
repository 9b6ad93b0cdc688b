//! A service that is as strict as Google's: it gives access tokens for claims that are signed by the service account,
//! and takes data messages that carry the last token it gave. A test may make it answer something else.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD};
use ring::signature::{KeyPair as _, RSA_PKCS1_2048_8192_SHA256, RsaKeyPair, UnparsedPublicKey};
use serde_json::{Value, json};

use crate::http2_service::{Http2Service, Reply, Seen};

/// The project of the service account.
pub const PROJECT: &str = "satpost-test";
const ACCOUNT: &str = "push@satpost-test.example";
const KEY_ID: &str = "key-1";
const KEY_PEM: &str = include_str!("../fixtures/push/service-account-key.pem");

/// A running service.
pub struct FcmService {
    service: Http2Service,
    state: Arc<Mutex<State>>,
}

#[derive(Default)]
struct State {
    /// How many access tokens were given.
    tokens: usize,
    expires_in: u64,
    next_send: Vec<Reply>,
    next_token: Vec<Reply>,
}

impl State {
    fn token(&self) -> String {
        format!("access-{}", self.tokens)
    }
}

impl FcmService {
    /// Starts on a free port of loopback.
    pub async fn start() -> Self {
        let state = Arc::new(Mutex::new(State {
            expires_in: 3_600,
            ..State::default()
        }));
        let shared = Arc::clone(&state);
        let service = Http2Service::start(move |seen| {
            let mut state = lock(&shared);
            let answer = if seen.path == "/token" {
                give_token(seen, &mut state)
            } else {
                take_message(seen, &mut state)
            };
            answer.unwrap_or_else(|refusal| refusal)
        });
        Self {
            service: service.await,
            state,
        }
    }

    /// The JSON file of its service account.
    #[must_use]
    pub fn credentials(&self) -> String {
        json!({
            "type": "service_account",
            "project_id": PROJECT,
            "private_key_id": KEY_ID,
            "private_key": KEY_PEM,
            "client_email": ACCOUNT,
            "client_id": "1",
            "token_uri": format!("{}/token", self.service.url()),
        })
        .to_string()
    }

    /// Its base URL.
    #[must_use]
    pub fn url(&self) -> String {
        self.service.url()
    }

    /// Answers the next good message with this.
    pub fn answer_next_with(&self, reply: Reply) {
        lock(&self.state).next_send.push(reply);
    }

    /// Answers the next good request for a token with this.
    pub fn answer_next_token_with(&self, reply: Reply) {
        lock(&self.state).next_token.push(reply);
    }

    /// How long tokens live from now on, in seconds.
    pub fn set_token_lifetime(&self, seconds: u64) {
        lock(&self.state).expires_in = seconds;
    }

    /// Takes back the token that was given last.
    pub fn take_token_back(&self) {
        lock(&self.state).tokens += 1;
    }

    /// How many tokens were given or taken back.
    #[must_use]
    pub fn tokens(&self) -> usize {
        lock(&self.state).tokens
    }

    /// The messages that came, whatever was answered.
    #[must_use]
    pub fn messages(&self) -> Vec<Seen> {
        let seen = self.service.seen();
        seen.into_iter()
            .filter(|seen| seen.path != "/token")
            .collect()
    }
}

fn lock(state: &Mutex<State>) -> MutexGuard<'_, State> {
    state.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Google's way to refuse a message.
#[must_use]
pub fn refusal(status: u16, code: &str) -> Reply {
    let body = json!({ "error": {
        "code": status,
        "status": "SOMETHING",
        "message": "the token is in here",
        "details": [{
            "@type": "type.googleapis.com/google.firebase.fcm.v1.FcmError",
            "errorCode": code,
        }],
    }});
    Reply::new(status, body.to_string())
}

fn give_token(seen: &Seen, state: &mut State) -> Result<Reply, Reply> {
    let bad = |why: &str| Reply::new(400, json!({ "error": why }).to_string());
    if seen.header("content-type") != Some("application/x-www-form-urlencoded") {
        return Err(bad("invalid_request"));
    }
    let form: Vec<(String, String)> = url::form_urlencoded::parse(&seen.body)
        .into_owned()
        .collect();
    let [(grant, grant_type), (name, assertion)] = form.as_slice() else {
        return Err(bad("invalid_request"));
    };
    let is_grant = grant == "grant_type"
        && grant_type == "urn:ietf:params:oauth:grant-type:jwt-bearer"
        && name == "assertion";
    if !is_grant || !verify(assertion) {
        return Err(bad("invalid_grant"));
    }
    if !state.next_token.is_empty() {
        return Err(state.next_token.remove(0));
    }
    state.tokens += 1;
    let answer = json!({
        "access_token": state.token(),
        "expires_in": state.expires_in,
        "token_type": "Bearer",
    });
    Ok(Reply::new(200, answer.to_string()))
}

fn take_message(seen: &Seen, state: &mut State) -> Result<Reply, Reply> {
    let plain = |status| Reply::new(status, "{}");
    if seen.method != "POST" || seen.path != format!("/v1/projects/{PROJECT}/messages:send") {
        return Err(plain(404));
    }
    let bearer = format!("Bearer {}", state.token());
    if seen.header("authorization") != Some(bearer.as_str()) {
        return Err(plain(401));
    }
    let body: Value = serde_json::from_slice(&seen.body).map_err(|_| plain(400))?;
    let message = &body["message"];
    let data = message["data"].as_object().ok_or_else(|| plain(400))?;
    let android = &message["android"];
    // A message with a notification would be shown by the phone without asking the app.
    let good = message["token"].is_string()
        && message["notification"].is_null()
        && data.values().all(Value::is_string)
        && matches!(android["priority"].as_str(), Some("high" | "normal"))
        && android["ttl"]
            .as_str()
            .is_some_and(|ttl| ttl.ends_with('s'))
        && android["collapse_key"].is_string();
    if !good {
        return Err(plain(400));
    }
    if !state.next_send.is_empty() {
        return Err(state.next_send.remove(0));
    }
    let name = format!("projects/{PROJECT}/messages/1");
    Ok(Reply::new(200, json!({ "name": name }).to_string()))
}

/// True when the claims are signed by the account's key and say what Google wants to read.
fn verify(assertion: &str) -> bool {
    verified(assertion).is_some_and(|(header, claims)| {
        let lifetime = claims["exp"].as_u64().zip(claims["iat"].as_u64());
        header["alg"] == "RS256"
            && header["kid"] == KEY_ID
            && claims["iss"] == ACCOUNT
            && claims["scope"] == "https://www.googleapis.com/auth/firebase.messaging"
            && claims["aud"]
                .as_str()
                .is_some_and(|aud| aud.ends_with("/token"))
            && lifetime.is_some_and(|(exp, iat)| exp > iat && exp - iat <= 3_600)
    })
}

fn verified(assertion: &str) -> Option<(Value, Value)> {
    let (signed, signature) = assertion.rsplit_once('.')?;
    let (header, claims) = signed.split_once('.')?;
    let pem = KEY_PEM.lines().filter(|line| !line.starts_with("-----"));
    let der = STANDARD.decode(pem.collect::<String>()).ok()?;
    let key = RsaKeyPair::from_pkcs8(&der).ok()?;
    let public = UnparsedPublicKey::new(&RSA_PKCS1_2048_8192_SHA256, key.public_key().as_ref());
    let signature = URL_SAFE_NO_PAD.decode(signature).ok()?;
    public.verify(signed.as_bytes(), &signature).ok()?;
    let json = |part| serde_json::from_slice(&URL_SAFE_NO_PAD.decode(part).ok()?).ok();
    Some((json(header)?, json(claims)?))
}
