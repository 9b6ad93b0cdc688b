//! The RFC 9421 profile of Satpost requests: one form, no freedom.
//!
//! `Signature-Input: sig1=(components);created=…;expires=…;nonce="…";keyid="…";alg="ed25519";tag="satpost/1"`
//! with the components `"@method" "@authority" "@path" "@query"`, then `"content-digest"` when there is a body, then
//! `"idempotency-key"` on a command, in this order and once each. A second key signs the same
//! components under the label `sig2` with its own `keyid`.

/// The label of the first signature: the subject of the request.
pub const LABEL_SUBJECT: &str = "sig1";
/// The label of the second signature: a key whose possession is proven.
pub const LABEL_PROOF: &str = "sig2";
/// The only algorithm.
pub const ALGORITHM: &str = "ed25519";
/// Binds a signature to this protocol and version.
pub const TAG: &str = "satpost/1";

/// What a signature covers. `query` is without `?`; the signed `@query` begins with it, also when empty (RFC 9421, 2.2.7).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct CoveredRequest<'a> {
    /// The method, upper case.
    pub method: &'a str,
    /// The host and, unless it is the scheme's default, the port; lower case.
    pub authority: &'a str,
    /// The path, as sent.
    pub path: &'a str,
    /// The query, as sent, without the question mark.
    pub query: &'a str,
    /// The value of `Content-Digest`, when there is a body.
    pub content_digest: Option<&'a str>,
    /// The value of `Idempotency-Key`, on a command.
    pub idempotency_key: Option<&'a str>,
}

/// The parameters of one signature.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SignatureParameters {
    /// Unix seconds.
    pub created: u64,
    /// Unix seconds.
    pub expires: u64,
    /// 16 random bytes, hexadecimal.
    pub nonce: String,
    /// The public key, 64 hexadecimal characters.
    pub keyid: String,
}

impl SignatureParameters {
    /// The value after the label in `Signature-Input`, which is also the value of
    /// `@signature-params` in the signature base (RFC 9421, 2.3).
    #[must_use]
    pub fn serialize(&self, request: &CoveredRequest<'_>) -> String {
        let mut components = String::from(r#""@method" "@authority" "@path" "@query""#);
        if request.content_digest.is_some() {
            components.push_str(r#" "content-digest""#);
        }
        if request.idempotency_key.is_some() {
            components.push_str(r#" "idempotency-key""#);
        }
        format!(
            r#"({components});created={};expires={};nonce="{}";keyid="{}";alg="{ALGORITHM}";tag="{TAG}""#,
            self.created, self.expires, self.nonce, self.keyid
        )
    }

    /// The bytes that are signed (RFC 9421, 2.5).
    #[must_use]
    pub fn signature_base(&self, request: &CoveredRequest<'_>) -> String {
        let mut base = format!(
            "\"@method\": {}\n\"@authority\": {}\n\"@path\": {}\n\"@query\": ?{}\n",
            request.method, request.authority, request.path, request.query
        );
        if let Some(digest) = request.content_digest {
            base.push_str(&format!("\"content-digest\": {digest}\n"));
        }
        if let Some(key) = request.idempotency_key {
            base.push_str(&format!("\"idempotency-key\": {key}\n"));
        }
        base.push_str(&format!(
            "\"@signature-params\": {}",
            self.serialize(request)
        ));
        base
    }
}

/// The value of `Content-Digest` for a body: `sha-256=:<base64>:` (RFC 9530).
#[must_use]
pub fn content_digest(body: &[u8]) -> String {
    use base64::Engine as _;
    use sha2::Digest as _;
    let digest = sha2::Sha256::digest(body);
    format!(
        "sha-256=:{}:",
        base64::engine::general_purpose::STANDARD.encode(digest)
    )
}
