//! A signer of HTTP requests of the tests' own, independent of the client SDK, that can also sign
//! what no honest client would.

use std::net::SocketAddr;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use reqwest::{Method, StatusCode};
use ring::signature::{Ed25519KeyPair, KeyPair as _};
use satpost_api_types::mailboxes::{SetStrangerPolicyRequest, StrangerPolicy};
use satpost_api_types::problem::{Problem, ProblemCode};
use satpost_api_types::signature::{CoveredRequest, SignatureParameters, content_digest};
use satpost_commands::ports::Clock as _;
use satpost_infra::system::SystemClock;
use serde::Serialize;
use serde::de::DeserializeOwned;

use crate::http_server::HttpServer;

/// An Ed25519 key that signs requests.
pub struct RequestKey(Ed25519KeyPair);

impl RequestKey {
    /// The key of a seed; different numbers give different keys.
    #[must_use]
    pub fn new(number: u64) -> Self {
        let mut seed = [0x5a; 32];
        seed[..8].copy_from_slice(&number.to_be_bytes());
        let pair = Ed25519KeyPair::from_seed_unchecked(&seed).expect("a seed has 32 bytes");
        Self(pair)
    }

    /// The public key, 64 hexadecimal characters.
    #[must_use]
    pub fn hex(&self) -> String {
        hex::encode(self.0.public_key().as_ref())
    }

    /// The public key.
    #[must_use]
    pub fn bytes(&self) -> [u8; 32] {
        let mut bytes = [0; 32];
        bytes.copy_from_slice(self.0.public_key().as_ref());
        bytes
    }

    fn sign(&self, message: &[u8]) -> String {
        STANDARD.encode(self.0.sign(message).as_ref())
    }
}

/// 16 bytes that were not used before in this process, hexadecimal.
#[must_use]
pub fn fresh() -> String {
    static NEXT: AtomicU64 = AtomicU64::new(1);
    format!("{:032x}", NEXT.fetch_add(1, Ordering::Relaxed))
}

/// A request to be signed and sent.
#[derive(Clone)]
pub struct Request<'k> {
    /// The method.
    pub method: Method,
    /// The path, as sent.
    pub path: String,
    /// The query without its question mark.
    pub query: String,
    /// Content type and bytes.
    pub body: Option<(&'static str, Vec<u8>)>,
    /// Sent on commands.
    pub idempotency_key: Option<String>,
    /// `sig1`, `sig2`.
    pub signers: Vec<&'k RequestKey>,
    /// Further headers; one that the signer sets as well takes its place.
    pub headers: Vec<(&'static str, String)>,
    /// What the signatures cover as `@authority`; the server's address when absent.
    pub authority: Option<String>,
    /// Seconds added to the time of the signature.
    pub created_offset_secs: i64,
}

impl<'k> Request<'k> {
    /// A query without parameters, signed by `key`.
    #[must_use]
    pub fn query(path: &str, key: &'k RequestKey) -> Self {
        let (path, query) = path.split_once('?').unwrap_or((path, ""));
        Self {
            method: Method::GET,
            path: path.to_owned(),
            query: query.to_owned(),
            body: None,
            idempotency_key: None,
            signers: vec![key],
            headers: Vec::new(),
            authority: None,
            created_offset_secs: 0,
        }
    }

    /// A command without a body, signed by `key`.
    #[must_use]
    pub fn command(method: Method, path: &str, key: &'k RequestKey) -> Self {
        Self {
            method,
            idempotency_key: Some(fresh()),
            ..Self::query(path, key)
        }
    }

    /// Says what becomes of messages of strangers in the mailbox of `messaging`.
    #[must_use]
    pub fn stranger_policy(messaging: &'k RequestKey, strangers: StrangerPolicy) -> Self {
        Self::command(Method::PUT, "/v1/policy", messaging)
            .json(&SetStrangerPolicyRequest { strangers })
    }

    /// With a JSON body.
    #[must_use]
    pub fn json(self, body: &impl Serialize) -> Self {
        self.body(
            "application/json",
            serde_json::to_vec(body).expect("test bodies are JSON"),
        )
    }

    /// With a body.
    #[must_use]
    pub fn body(mut self, content_type: &'static str, bytes: Vec<u8>) -> Self {
        self.body = Some((content_type, bytes));
        self
    }

    /// With a second signature.
    #[must_use]
    pub fn proven_by(mut self, key: &'k RequestKey) -> Self {
        self.signers.push(key);
        self
    }

    /// Without a signature.
    #[must_use]
    pub fn unsigned(mut self) -> Self {
        self.signers.clear();
        self
    }

    /// With a further header.
    #[must_use]
    #[expect(
        clippy::needless_pass_by_value,
        reason = "numbers and text stand in the call as they are"
    )]
    pub fn header(mut self, name: &'static str, value: impl ToString) -> Self {
        self.headers.push((name, value.to_string()));
        self
    }

    /// With another idempotency key.
    #[must_use]
    pub fn idempotency_key(mut self, key: &str) -> Self {
        self.idempotency_key = Some(key.to_owned());
        self
    }

    /// The request's head, line by line, and what it would be sent with: for tests that write to a
    /// socket themselves, or send the same bytes twice.
    #[must_use]
    pub fn sign(&self, server: &HttpServer) -> Vec<(&'static str, String)> {
        self.sign_for(server.authority(), server.now().as_secs())
    }

    /// Like [`Self::sign`], for the server of this name at this time.
    #[must_use]
    pub fn sign_for(&self, authority: String, now: u64) -> Vec<(&'static str, String)> {
        let digest = self.body.as_ref().map(|(_, bytes)| content_digest(bytes));
        let authority = self.authority.clone().unwrap_or(authority);
        let covered = CoveredRequest {
            method: self.method.as_str(),
            authority: &authority,
            path: &self.path,
            query: &self.query,
            content_digest: digest.as_deref(),
            idempotency_key: self.idempotency_key.as_deref(),
        };
        let created = now.saturating_add_signed(self.created_offset_secs);
        let (mut inputs, mut signatures) = (Vec::new(), Vec::new());
        for (label, key) in ["sig1", "sig2"].into_iter().zip(&self.signers) {
            let parameters = SignatureParameters {
                created,
                expires: created + 60,
                nonce: fresh(),
                keyid: key.hex(),
            };
            let signature = key.sign(parameters.signature_base(&covered).as_bytes());
            inputs.push(format!("{label}={}", parameters.serialize(&covered)));
            signatures.push(format!("{label}=:{signature}:"));
        }
        let mut headers = vec![("host", authority)];
        if !self.signers.is_empty() {
            headers.push(("signature-input", inputs.join(", ")));
            headers.push(("signature", signatures.join(", ")));
        }
        headers.extend(digest.map(|digest| ("content-digest", digest)));
        let key = self.idempotency_key.clone();
        headers.extend(key.map(|key| ("idempotency-key", key)));
        let body = self.body.as_ref();
        headers.extend(body.map(|(content_type, _)| ("content-type", (*content_type).to_owned())));
        headers.retain(|(name, _)| self.headers.iter().all(|(other, _)| other != name));
        headers.extend(self.headers.iter().cloned());
        headers.retain(|(_, value)| !value.is_empty());
        headers
    }

    /// Signs and sends.
    pub async fn send(&self, server: &HttpServer) -> Answer {
        self.send_signed(server, &self.sign(server)).await
    }

    /// Sends with headers that were signed before.
    pub async fn send_signed(
        &self,
        server: &HttpServer,
        headers: &[(&'static str, String)],
    ) -> Answer {
        let request = self.http_request(&server.http, &server.base(), headers);
        let response = request.send().await.expect("the server answers");
        Answer::read(&self.method, &self.path, response).await
    }

    /// Signs and sends to the server at `address`, which may end at any time.
    ///
    /// # Errors
    /// When no whole answer came: then the request may have been carried out or not.
    pub async fn try_send(
        &self,
        http: &reqwest::Client,
        address: SocketAddr,
    ) -> Result<Answer, reqwest::Error> {
        let headers = self.sign_for(address.to_string(), SystemClock.now().as_secs());
        let request = self.http_request(http, &format!("http://{address}"), &headers);
        let response = request.send().await?;
        Answer::try_read(&self.method, &self.path, response).await
    }

    fn http_request(
        &self,
        http: &reqwest::Client,
        base: &str,
        headers: &[(&'static str, String)],
    ) -> reqwest::RequestBuilder {
        let mut url = format!("{base}{}", self.path);
        if !self.query.is_empty() {
            url = format!("{url}?{}", self.query);
        }
        let mut request = http.request(self.method.clone(), url);
        for (name, value) in headers {
            request = request.header(*name, value);
        }
        if let Some((_, bytes)) = &self.body {
            request = request.body(bytes.clone());
        }
        request.timeout(Duration::from_secs(45))
    }
}

/// What came back.
#[derive(Debug)]
pub struct Answer {
    method: Method,
    path: String,
    /// The status.
    pub status: StatusCode,
    /// The headers.
    pub headers: reqwest::header::HeaderMap,
    /// The body.
    pub body: Vec<u8>,
}

impl Answer {
    /// Reads an answer to `method` on `path`.
    pub async fn read(method: &Method, path: &str, response: reqwest::Response) -> Self {
        let read = Self::try_read(method, path, response).await;
        read.expect("the body arrives")
    }

    async fn try_read(
        method: &Method,
        path: &str,
        response: reqwest::Response,
    ) -> Result<Self, reqwest::Error> {
        let (status, headers) = (response.status(), response.headers().clone());
        Ok(Self {
            method: method.clone(),
            path: path.to_owned(),
            status,
            headers,
            body: response.bytes().await?.to_vec(),
        })
    }

    /// A header as text.
    #[must_use]
    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers.get(name)?.to_str().ok()
    }

    /// The body of a success with exactly this status.
    pub fn expect<T: DeserializeOwned>(&self, status: u16) -> T {
        assert_eq!(self.status.as_u16(), status, "{}", self.text());
        serde_json::from_slice(&self.body)
            .unwrap_or_else(|error| panic!("{error}: {}", self.text()))
    }

    /// A success with exactly this status and no body.
    pub fn expect_empty(&self, status: u16) {
        assert_eq!(self.status.as_u16(), status, "{}", self.text());
        assert!(self.body.is_empty(), "{}", self.text());
    }

    /// The problem with this code; checks everything that holds for every problem, and that the
    /// OpenAPI document says so.
    pub fn expect_problem(&self, code: ProblemCode) -> Problem {
        assert_eq!(
            self.header("content-type"),
            Some("application/problem+json")
        );
        let problem: Problem = serde_json::from_slice(&self.body).expect("a problem is JSON");
        assert_eq!(problem.code, code.as_str(), "{}", self.text());
        assert_eq!(self.status.as_u16(), code.status());
        assert_eq!(problem.status, code.status());
        assert_eq!(
            problem.problem_type,
            format!("urn:satpost:problem:{}", code.as_str())
        );
        assert_eq!(
            self.header("x-request-id"),
            Some(problem.request_id.as_str())
        );
        assert!(self.header("date").is_some(), "no Date");
        if !matches!(code, ProblemCode::NotFound | ProblemCode::MethodNotAllowed) {
            self.expect_documented(code);
        }
        problem
    }

    fn expect_documented(&self, code: ProblemCode) {
        let document = serde_json::to_value(satpost_api::openapi::openapi()).expect("JSON");
        let paths = document["paths"].as_object().expect("there are paths");
        let (pattern, item) = paths
            .iter()
            .find(|(pattern, _)| matches_pattern(pattern, &self.path))
            .unwrap_or_else(|| panic!("{} is not documented", self.path));
        let method = self.method.as_str().to_lowercase();
        let status = code.status().to_string();
        let response = &item[&method]["responses"][&status]["description"];
        let codes = response.as_str().unwrap_or_default();
        assert!(
            codes.contains(&format!("`{}`", code.as_str())),
            "{method} {pattern} does not document {}",
            code.as_str()
        );
    }

    /// The body as text, for messages.
    #[must_use]
    pub fn text(&self) -> String {
        String::from_utf8_lossy(&self.body).into_owned()
    }
}

fn matches_pattern(pattern: &str, path: &str) -> bool {
    let (pattern, path): (Vec<_>, Vec<_>) =
        (pattern.split('/').collect(), path.split('/').collect());
    pattern.len() == path.len()
        && pattern
            .iter()
            .zip(&path)
            .all(|(expected, given)| expected.starts_with('{') || expected == given)
}
