//! The RFC 9421 profile of Satpost requests: what is covered, and how it is written.
//!
//! `Signature-Input: sig1=(components);created=…;expires=…;nonce="…";keyid="…";alg="ed25519";tag="satpost/1"`
//! with the components `"@method" "@authority" "@path" "@query"`, then `"content-digest"` when there is a body, then
//! `"idempotency-key"` on a command, in this order and once each. Each of the six parameters stands
//! there exactly once; their order is the signer's, because generic RFC 9421 signers differ in it and
//! the text is signed as it is written (RFC 9421, 2.3). A second key signs the same
//! components under the label `sig2` with its own `keyid` and `nonce`.

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

impl CoveredRequest<'_> {
    /// The covered components with their values, in the order in which they are signed.
    #[must_use]
    pub fn components(&self) -> Vec<(&'static str, String)> {
        let mut components = vec![
            ("@method", self.method.to_owned()),
            ("@authority", self.authority.to_owned()),
            ("@path", self.path.to_owned()),
            ("@query", format!("?{}", self.query)),
        ];
        if let Some(digest) = self.content_digest {
            components.push(("content-digest", digest.to_owned()));
        }
        if let Some(key) = self.idempotency_key {
            components.push(("idempotency-key", key.to_owned()));
        }
        components
    }

    /// The list of covered components as it stands in `Signature-Input`, parentheses included.
    #[must_use]
    pub fn component_list(&self) -> String {
        let names: Vec<String> = self
            .components()
            .iter()
            .map(|(name, _)| format!("\"{name}\""))
            .collect();
        format!("({})", names.join(" "))
    }
}

impl SignatureParameters {
    /// The value after the label in `Signature-Input`, which is also the value of
    /// `@signature-params` in the signature base (RFC 9421, 2.3).
    #[must_use]
    pub fn serialize(&self, request: &CoveredRequest<'_>) -> String {
        format!(
            r#"{};created={};expires={};nonce="{}";keyid="{}";alg="{ALGORITHM}";tag="{TAG}""#,
            request.component_list(),
            self.created,
            self.expires,
            self.nonce,
            self.keyid
        )
    }

    /// The bytes that are signed (RFC 9421, 2.5).
    #[must_use]
    pub fn signature_base(&self, request: &CoveredRequest<'_>) -> String {
        signature_base(&request.components(), &self.serialize(request))
    }
}

/// The signature base of RFC 9421, 2.5: one line for each component, then the parameters as they
/// stand in `Signature-Input`. Values are taken as they are; none may hold a line break.
#[must_use]
pub fn signature_base(components: &[(&str, String)], parameters: &str) -> String {
    let mut base = String::new();
    for (name, value) in components {
        base.push_str(&format!("\"{name}\": {value}\n"));
    }
    base.push_str(&format!("\"@signature-params\": {parameters}"));
    base
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

#[cfg(test)]
mod tests {
    use super::*;

    /// The signature base of RFC 9421, B.2.6, as it is printed there.
    const B_2_6_BASE: &str = "\"date\": Tue, 20 Apr 2021 02:07:55 GMT
\"@method\": POST
\"@path\": /foo
\"@authority\": example.com
\"content-type\": application/json
\"content-length\": 18
\"@signature-params\": (\"date\" \"@method\" \"@path\" \"@authority\" \"content-type\" \"content-length\");created=1618884473;keyid=\"test-key-ed25519\"";

    #[test]
    fn builds_the_signature_base_of_rfc_9421_b_2_6() {
        let components = [
            ("date", "Tue, 20 Apr 2021 02:07:55 GMT".to_owned()),
            ("@method", "POST".to_owned()),
            ("@path", "/foo".to_owned()),
            ("@authority", "example.com".to_owned()),
            ("content-type", "application/json".to_owned()),
            ("content-length", "18".to_owned()),
        ];
        let parameters = r#"("date" "@method" "@path" "@authority" "content-type" "content-length");created=1618884473;keyid="test-key-ed25519""#;
        assert_eq!(signature_base(&components, parameters), B_2_6_BASE);
    }

    #[test]
    fn covers_the_digest_and_the_idempotency_key_only_when_there_are_any() {
        let query = CoveredRequest {
            method: "GET",
            authority: "example.com",
            path: "/v1/queue",
            query: "",
            content_digest: None,
            idempotency_key: None,
        };
        assert_eq!(
            query.component_list(),
            r#"("@method" "@authority" "@path" "@query")"#
        );
        let command = CoveredRequest {
            content_digest: Some("sha-256=:AA==:"),
            idempotency_key: Some("00"),
            ..query
        };
        assert_eq!(
            command.component_list(),
            r#"("@method" "@authority" "@path" "@query" "content-digest" "idempotency-key")"#
        );
    }

    #[test]
    fn hashes_an_empty_body_like_rfc_9530() {
        assert_eq!(
            content_digest(b""),
            "sha-256=:47DEQpj8HBSa+/TImW+5JCeuQeRkm5NMpJWZG3hSuFU=:"
        );
    }
}
