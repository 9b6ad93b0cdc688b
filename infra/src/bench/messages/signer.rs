//! Keys of the generator, and requests signed with them by the profile of
//! [`satpost_api_types::signature`].

use std::time::{SystemTime, UNIX_EPOCH};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use ring::signature::{Ed25519KeyPair, KeyPair as _};
use satpost_api_types::header;
use satpost_api_types::signature::{
    CoveredRequest, LABEL_PROOF, LABEL_SUBJECT, SignatureParameters, content_digest,
};

use crate::bench::BenchError;
use crate::bench::workload::Random;

/// How long a signature is good, in seconds.
const LIFETIME_SECS: u64 = 60;

/// An Ed25519 key.
pub(super) struct Key {
    pair: Ed25519KeyPair,
    /// The public key, 64 hexadecimal characters.
    pub(super) public: String,
}

impl Key {
    pub(super) fn new(random: &mut Random) -> Result<Self, BenchError> {
        let mut seed = [0; 32];
        for part in seed.chunks_exact_mut(8) {
            part.copy_from_slice(&random.next().to_le_bytes());
        }
        let pair = Ed25519KeyPair::from_seed_unchecked(&seed);
        let pair = pair.map_err(BenchError::of("a key"))?;
        let public = hex::encode(pair.public_key().as_ref());
        Ok(Self { pair, public })
    }
}

/// A request before it is signed.
#[derive(Clone, Copy)]
pub(super) struct Request<'a> {
    pub(super) method: &'a str,
    pub(super) path: &'a str,
    pub(super) query: &'a str,
    /// Content type and bytes.
    pub(super) body: Option<(&'a str, &'a [u8])>,
    /// Further headers, which are not covered.
    pub(super) headers: &'a [(&'a str, &'a str)],
}

/// The bytes of `request` on the connection, signed by the subject's key and maybe another one.
pub(super) fn signed(
    request: Request<'_>,
    authority: &str,
    keys: &[&Key],
    random: &mut Random,
) -> Vec<u8> {
    let digest = request.body.map(|(_, bytes)| content_digest(bytes));
    let command = (request.method != "GET").then(|| hex::encode(random.id()));
    let covered = CoveredRequest {
        method: request.method,
        authority,
        path: request.path,
        query: request.query,
        content_digest: digest.as_deref(),
        idempotency_key: command.as_deref(),
    };
    let (inputs, signatures) = signatures(&covered, keys, random);
    let separator = if request.query.is_empty() { "" } else { "?" };
    let mut head = format!(
        "{} {}{separator}{} HTTP/1.1\r\nhost: {authority}\r\nsignature-input: {inputs}\r\nsignature: {signatures}\r\n",
        request.method, request.path, request.query
    );
    let mut add = |name: &str, value: &str| {
        for part in [name, ": ", value, "\r\n"] {
            head.push_str(part);
        }
    };
    if let Some(command) = &command {
        add(header::IDEMPOTENCY_KEY, command);
    }
    for (name, value) in request.headers {
        add(name, value);
    }
    let (content_type, body) = request.body.unwrap_or_default();
    if let Some(digest) = &digest {
        add("content-digest", digest);
        add("content-type", content_type);
        add("content-length", &body.len().to_string());
    }
    head.push_str("\r\n");
    let mut bytes = head.into_bytes();
    bytes.extend_from_slice(body);
    bytes
}

/// The values of `Signature-Input` and `Signature`.
fn signatures(
    request: &CoveredRequest<'_>,
    keys: &[&Key],
    random: &mut Random,
) -> (String, String) {
    let now = SystemTime::now().duration_since(UNIX_EPOCH);
    let created = now.map_or(0, |now| now.as_secs());
    let signed = [LABEL_SUBJECT, LABEL_PROOF].iter().zip(keys);
    let signed = signed.map(|(label, key)| {
        let parameters = SignatureParameters {
            created,
            expires: created + LIFETIME_SECS,
            nonce: hex::encode(random.id()),
            keyid: key.public.clone(),
        };
        let signature = key.pair.sign(parameters.signature_base(request).as_bytes());
        let input = format!("{label}={}", parameters.serialize(request));
        (input, format!("{label}=:{}:", STANDARD.encode(signature)))
    });
    let (inputs, signatures): (Vec<_>, Vec<_>) = signed.unzip();
    (inputs.join(", "), signatures.join(", "))
}
