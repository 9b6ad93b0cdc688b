//! The verifier against a signer of its own: what is exactly right passes, everything else does not.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use ed25519_dalek::{Signer as _, SigningKey};
use satpost_api_types::signature::{
    CoveredRequest, SignatureParameters, content_digest, signature_base,
};
use satpost_domain::{ClientId, Timestamp};

use super::{Labels, NonceMemory, SignatureError, SignedRequest, Verifier};

const NOW_SECS: u64 = 1_800_000_000;
const BODY: &[u8] = br#"{"addresses":["bcrt1q"]}"#;
const COMMAND_ID: &str = "0123456789abcdef0123456789abcdef";

fn verifier() -> Verifier {
    let nonces = NonceMemory::new(NOW_SECS - 3_600, 1_024);
    Verifier::new(vec!["satpost.example".into(), "other.onion".into()], nonces)
}

fn now() -> Timestamp {
    Timestamp::from_millis(NOW_SECS * 1_000)
}

/// A request in pieces that a test can bend.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Wire {
    method: String,
    authority: String,
    path: String,
    query: String,
    digest: Option<String>,
    idempotency_key: Option<String>,
    input: Option<String>,
    signature: Option<String>,
    body: Vec<u8>,
}

impl Wire {
    fn command() -> Self {
        Self {
            method: "POST".into(),
            authority: "satpost.example".into(),
            path: "/v1/addresses".into(),
            query: "a=1".into(),
            digest: Some(content_digest(BODY)),
            idempotency_key: Some(COMMAND_ID.into()),
            input: None,
            signature: None,
            body: BODY.to_vec(),
        }
    }

    fn query() -> Self {
        Self {
            method: "GET".into(),
            digest: None,
            idempotency_key: None,
            body: Vec::new(),
            ..Self::command()
        }
    }

    fn covered(&self) -> CoveredRequest<'_> {
        CoveredRequest {
            method: &self.method,
            authority: &self.authority,
            path: &self.path,
            query: &self.query,
            content_digest: self.digest.as_deref(),
            idempotency_key: self.idempotency_key.as_deref(),
        }
    }

    /// Signs with the text that `parameters` gives for `@signature-params`.
    fn add_signature(mut self, label: &str, key: &SigningKey, parameters: &str) -> Self {
        let base = signature_base(&self.covered().components(), parameters);
        let signature = STANDARD.encode(key.sign(base.as_bytes()).to_bytes());
        append(&mut self.input, &format!("{label}={parameters}"));
        append(&mut self.signature, &format!("{label}=:{signature}:"));
        self
    }

    fn signed(self) -> Self {
        let parameters = parameters(&key(1)).serialize(&self.covered());
        self.add_signature("sig1", &key(1), &parameters)
    }

    fn verify(&self, labels: Labels) -> Result<super::Verified, SignatureError> {
        verifier().verify(&self.request(), labels, now())
    }

    fn request(&self) -> SignedRequest<'_> {
        SignedRequest {
            covered: self.covered(),
            signature_input: self.input.as_deref().unwrap_or_default(),
            signature: self.signature.as_deref().unwrap_or_default(),
            body: &self.body,
        }
    }
}

fn append(field: &mut Option<String>, member: &str) {
    match field {
        Some(field) => field.push_str(&format!(", {member}")),
        None => *field = Some(member.to_owned()),
    }
}

fn key(seed: u8) -> SigningKey {
    SigningKey::from_bytes(&[seed; 32])
}

fn public(key: &SigningKey) -> [u8; 32] {
    key.verifying_key().to_bytes()
}

fn parameters(key: &SigningKey) -> SignatureParameters {
    SignatureParameters {
        created: NOW_SECS,
        expires: NOW_SECS + 60,
        nonce: "00112233445566778899aabbccddeeff".into(),
        keyid: hex::encode(public(key)),
    }
}

#[test]
fn accepts_a_signed_command_and_query() {
    for wire in [Wire::command(), Wire::query()] {
        let keys = wire.signed().verify(Labels::Subject).unwrap().keys();
        assert_eq!(keys.subject, public(&key(1)));
        assert_eq!(keys.proof, None);
    }
}

#[test]
fn verifies_the_signature_of_rfc_9421_b_2_6() {
    // Public key, components and signature as printed in RFC 9421, B.1.4 and B.2.6.
    let key: ClientId = hex::encode(
        STANDARD
            .decode("JrQLj5P/89iXES9+vFgrIy29clF9CC/oPPsw3c5D0bs=")
            .unwrap(),
    )
    .parse()
    .unwrap();
    let components = [
        ("date", "Tue, 20 Apr 2021 02:07:55 GMT".to_owned()),
        ("@method", "POST".to_owned()),
        ("@path", "/foo".to_owned()),
        ("@authority", "example.com".to_owned()),
        ("content-type", "application/json".to_owned()),
        ("content-length", "18".to_owned()),
    ];
    let parameters = r#"("date" "@method" "@path" "@authority" "content-type" "content-length");created=1618884473;keyid="test-key-ed25519""#;
    let signature: [u8; 64] = STANDARD
        .decode("wqcAqbmYJ2ji2glfAMaRy4gruYYnx2nEFN2HN6jrnDnQCK1u02Gb04v9EDgwUPiu4A0w6vuQv5lIp5WPpBKRCw==")
        .unwrap()
        .try_into()
        .unwrap();
    let base = signature_base(&components, parameters);
    key.verify(base.as_bytes(), &signature).unwrap();
    assert!(
        key.verify(format!("{base} ").as_bytes(), &signature)
            .is_err()
    );
}

#[test]
fn takes_the_parameters_in_any_order_of_the_signer() {
    let signer = key(1);
    let parameters = format!(
        r#"{};created={NOW_SECS};keyid="{}";alg="ed25519";expires={};nonce="{}";tag="satpost/1""#,
        Wire::command().covered().component_list(),
        hex::encode(public(&signer)),
        NOW_SECS + 60,
        "ff".repeat(16),
    );
    Wire::command()
        .add_signature("sig1", &signer, &parameters)
        .verify(Labels::Subject)
        .unwrap();
}

#[test]
fn refuses_a_request_with_any_bit_flipped() {
    let wire = Wire::command().signed();
    wire.verify(Labels::Subject).unwrap();
    let mut tried = 0;
    for (field, value) in fields(&wire) {
        for index in 0..value.len() {
            for bit in 0..7 {
                let mut bytes = value.clone();
                bytes[index] ^= 1 << bit;
                let Some(bent) = with_field(&wire, field, bytes) else {
                    continue;
                };
                assert!(
                    bent.verify(Labels::Subject).is_err(),
                    "field {field}, byte {index}, bit {bit}: {bent:?}"
                );
                tried += 1;
            }
        }
    }
    // Seven bits of every byte: the eighth makes text that is none.
    let bytes: usize = fields(&wire).iter().map(|(_, value)| value.len()).sum();
    assert_eq!(tried, 7 * bytes, "not every change was tried");
}

fn fields(wire: &Wire) -> Vec<(&'static str, Vec<u8>)> {
    let text = |field: &Option<String>| field.clone().unwrap().into_bytes();
    vec![
        ("method", wire.method.clone().into_bytes()),
        ("authority", wire.authority.clone().into_bytes()),
        ("path", wire.path.clone().into_bytes()),
        ("query", wire.query.clone().into_bytes()),
        ("digest", text(&wire.digest)),
        ("idempotency_key", text(&wire.idempotency_key)),
        ("input", text(&wire.input)),
        ("signature", text(&wire.signature)),
        ("body", wire.body.clone()),
    ]
}

fn with_field(wire: &Wire, field: &str, bytes: Vec<u8>) -> Option<Wire> {
    let mut bent = wire.clone();
    if field == "body" {
        bent.body = bytes;
        return Some(bent);
    }
    let text = String::from_utf8(bytes).ok()?;
    match field {
        "method" => bent.method = text,
        "authority" => bent.authority = text,
        "path" => bent.path = text,
        "query" => bent.query = text,
        "digest" => bent.digest = Some(text),
        "idempotency_key" => bent.idempotency_key = Some(text),
        "input" => bent.input = Some(text),
        "signature" => bent.signature = Some(text),
        other => panic!("unknown field {other}"),
    }
    Some(bent)
}

#[test]
fn refuses_headers_that_do_not_follow_the_profile() {
    let wire = Wire::command().signed();
    let input = wire.input.clone().unwrap();
    let signature = wire.signature.clone().unwrap();
    let bend = |from: &str, to: &str| {
        assert!(input.contains(from), "{from} is not in {input}");
        (input.replacen(from, to, 1), signature.clone())
    };
    let cases = [
        bend("sig1=", "sig2="),
        bend("sig1=", "sig1 ="),
        bend("\"@method\" \"@authority\"", "\"@authority\" \"@method\""),
        bend(" \"@query\"", ""),
        bend(" \"content-digest\"", ""),
        bend(" \"idempotency-key\"", ""),
        bend("\"@query\"", "\"@query\" \"@query\""),
        bend("\"@query\"", "\"@query\" \"date\""),
        bend("\"@path\"", "\"@path\";req"),
        bend(";tag=\"satpost/1\"", ""),
        bend("satpost/1", "satpost/2"),
        bend("alg=\"ed25519\"", "alg=\"rsa-v1_5-sha256\""),
        bend(";created=", ";created=0"),
        bend(";created=", ";created=+"),
        bend(";created=", ";created=1800000000;created="),
        bend(";nonce=\"00", ";nonce=\""),
        bend(";nonce=\"00", ";nonce=\"\\0"),
        bend(";alg", "; alg"),
        bend(";alg", ";x=1;alg"),
        bend(";alg", ";alg;alg"),
        (format!("{input}, {input}"), signature.clone()),
        (format!("{input}, sig2=()"), signature.clone()),
        (input.clone(), format!("{signature}, {signature}")),
        (input.clone(), signature.replace("=:", "=")),
        (input.clone(), signature.replace("==:", ":")),
        (String::new(), String::new()),
    ];
    for (input, signature) in cases {
        let bent = Wire {
            input: Some(input.clone()),
            signature: Some(signature),
            ..wire.clone()
        };
        let error = bent.verify(Labels::Subject).unwrap_err();
        assert!(
            matches!(error, SignatureError::Malformed(_)),
            "{input}: {error:?}"
        );
    }
}

#[test]
fn refuses_keys_that_prove_nothing() {
    let small_order = format!("01{}", "00".repeat(31));
    let mut parameters = parameters(&key(1));
    parameters.keyid = small_order;
    let text = parameters.serialize(&Wire::command().covered());
    let error = Wire::command()
        .add_signature("sig1", &key(1), &text)
        .verify(Labels::Subject)
        .unwrap_err();
    assert!(matches!(error, SignatureError::InvalidKey(_)), "{error:?}");
}

#[test]
fn refuses_a_signature_outside_its_window() {
    let cases = [
        (NOW_SECS - 60, NOW_SECS, true),
        (NOW_SECS - 61, NOW_SECS + 10, false),
        (NOW_SECS + 60, NOW_SECS + 180, true),
        (NOW_SECS + 61, NOW_SECS + 100, false),
        (NOW_SECS - 30, NOW_SECS - 1, false),
    ];
    for (created, expires, accepted) in cases {
        let parameters = SignatureParameters {
            created,
            expires,
            ..parameters(&key(1))
        };
        let text = parameters.serialize(&Wire::query().covered());
        let outcome = Wire::query()
            .add_signature("sig1", &key(1), &text)
            .verify(Labels::Subject);
        match outcome {
            Ok(_) => assert!(accepted, "created {created}, expires {expires}"),
            Err(error) => {
                let server_time_ms = NOW_SECS * 1_000;
                assert_eq!(error, SignatureError::ClockSkew { server_time_ms });
                assert!(!accepted, "created {created}, expires {expires}");
            }
        }
    }
}

#[test]
fn refuses_a_signature_that_would_live_too_long() {
    for expires in [NOW_SECS + 121, NOW_SECS - 1] {
        let parameters = SignatureParameters {
            expires,
            ..parameters(&key(1))
        };
        let text = parameters.serialize(&Wire::query().covered());
        let error = Wire::query()
            .add_signature("sig1", &key(1), &text)
            .verify(Labels::Subject)
            .unwrap_err();
        assert!(matches!(error, SignatureError::Malformed(_)), "{error:?}");
    }
}

#[test]
fn refuses_a_signature_created_before_the_server_started() {
    let started_at = NOW_SECS + 1;
    let verifier = Verifier::new(
        vec!["satpost.example".into()],
        NonceMemory::new(started_at, 16),
    );
    let wire = Wire::query().signed();
    let now = Timestamp::from_millis((NOW_SECS + 2) * 1_000);
    let error = verifier
        .verify(&wire.request(), Labels::Subject, now)
        .unwrap_err();
    assert!(
        matches!(error, SignatureError::ClockSkew { .. }),
        "{error:?}"
    );
}

#[test]
fn refuses_a_signature_for_another_server() {
    let wire = Wire {
        authority: "elsewhere.example".into(),
        ..Wire::query()
    };
    let error = wire.signed().verify(Labels::Subject).unwrap_err();
    assert_eq!(error, SignatureError::WrongAuthority);
}

#[test]
fn refuses_a_body_that_is_not_the_signed_one() {
    let mut wire = Wire::command().signed();
    wire.body.push(b' ');
    let error = wire.verify(Labels::Subject).unwrap_err();
    assert_eq!(error, SignatureError::WrongDigest);
}

#[test]
fn takes_a_digest_exactly_when_there_is_a_body() {
    let without_digest = Wire {
        digest: None,
        ..Wire::command()
    };
    let without_body = Wire {
        body: Vec::new(),
        ..Wire::command()
    };
    let other_algorithm = Wire {
        digest: Some("sha-512=:AAAA:".into()),
        ..Wire::command()
    };
    for wire in [without_digest, without_body, other_algorithm] {
        let error = wire.signed().verify(Labels::Subject).unwrap_err();
        assert!(matches!(error, SignatureError::Malformed(_)), "{error:?}");
    }
}

#[test]
fn proves_possession_of_a_second_key() {
    let wire = Wire::command().signed();
    let second = parameters(&key(2)).serialize(&wire.covered());
    let both = wire.clone().add_signature("sig2", &key(2), &second);
    let keys = both.verify(Labels::SubjectAndProof).unwrap().keys();
    assert_eq!(keys.subject, public(&key(1)));
    assert_eq!(keys.proof, Some(public(&key(2))));

    // One too many, one too few, and one by somebody else.
    assert!(both.verify(Labels::Subject).is_err());
    assert!(wire.verify(Labels::SubjectAndProof).is_err());
    let forged = wire.add_signature("sig2", &key(3), &second);
    assert_eq!(
        forged.verify(Labels::SubjectAndProof).unwrap_err(),
        SignatureError::Invalid
    );
}

#[test]
fn accepts_a_request_once() {
    let verifier = verifier();
    let wire = Wire::command().signed();
    let first = verifier
        .verify(&wire.request(), Labels::Subject, now())
        .unwrap();
    verifier.record_nonces(&first, now()).unwrap();
    let second = verifier
        .verify(&wire.request(), Labels::Subject, now())
        .unwrap();
    assert_eq!(
        verifier.record_nonces(&second, now()),
        Err(SignatureError::Replayed)
    );
}
