//! Signs requests by the RFC 9421 profile of [`satpost_api_types::signature`].

use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use satpost_api_types::signature::{
    CoveredRequest, LABEL_PROOF, LABEL_SUBJECT, SignatureParameters,
};
use satpost_domain::Timestamp;

use crate::keys::RequestKey;
use crate::ports::{Entropy, draw};

/// How long a signature is good. Shorter than the server's window, so that a request that hangs
/// cannot be used much later.
pub const SIGNATURE_LIFETIME: Duration = Duration::from_secs(60);

/// Whose signatures a request carries.
#[derive(Clone, Copy)]
pub struct Signers<'k> {
    /// Whose request it is (`sig1`).
    pub subject: &'k dyn RequestKey,
    /// A key whose possession is proven beside (`sig2`).
    pub proof: Option<&'k dyn RequestKey>,
}

impl<'k> Signers<'k> {
    /// One signature.
    #[must_use]
    pub fn one(subject: &'k dyn RequestKey) -> Self {
        Self {
            subject,
            proof: None,
        }
    }

    /// Two signatures over the same request.
    #[must_use]
    pub fn two(subject: &'k dyn RequestKey, proof: &'k dyn RequestKey) -> Self {
        Self {
            subject,
            proof: Some(proof),
        }
    }
}

/// The two headers of a signed request.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SignatureHeaders {
    /// The value of `Signature-Input`.
    pub signature_input: String,
    /// The value of `Signature`.
    pub signature: String,
}

/// Signs `request` as of `now` (the server's clock, as far as it is known), with a fresh nonce for
/// each signature.
#[must_use]
pub fn sign_request(
    request: &CoveredRequest<'_>,
    signers: Signers<'_>,
    now: Timestamp,
    entropy: &dyn Entropy,
) -> SignatureHeaders {
    let labels = [
        (LABEL_SUBJECT, Some(signers.subject)),
        (LABEL_PROOF, signers.proof),
    ];
    let (mut inputs, mut signatures) = (Vec::new(), Vec::new());
    for (label, key) in labels {
        let Some(key) = key else { continue };
        let parameters = SignatureParameters {
            created: now.as_secs(),
            expires: now.plus(SIGNATURE_LIFETIME).as_secs(),
            nonce: hex::encode(draw::<16>(entropy)),
            keyid: hex::encode(key.public_bytes()),
        };
        let signature = key.sign(parameters.signature_base(request).as_bytes());
        inputs.push(format!("{label}={}", parameters.serialize(request)));
        signatures.push(format!("{label}=:{}:", STANDARD.encode(signature)));
    }
    SignatureHeaders {
        signature_input: inputs.join(", "),
        signature: signatures.join(", "),
    }
}

#[cfg(test)]
mod tests {
    use satpost_domain::MessagingKey;

    use super::*;
    use crate::keys::{IdentitySecret, MessagingSecret};
    use crate::seed::Seed;
    use crate::testing::Counting;

    const REQUEST: CoveredRequest<'_> = CoveredRequest {
        method: "POST",
        authority: "wallet.example:8420",
        path: "/v1/clients",
        query: "",
        content_digest: Some("sha-256=:x:"),
        idempotency_key: Some("00112233445566778899aabbccddeeff"),
    };

    fn signature_of(headers: &SignatureHeaders, label: &str) -> [u8; 64] {
        let begin = format!("{label}=:");
        let value = headers
            .signature
            .split(", ")
            .find_map(|part| part.strip_prefix(&begin))
            .unwrap();
        STANDARD
            .decode(value.strip_suffix(':').unwrap())
            .unwrap()
            .try_into()
            .unwrap()
    }

    #[test]
    fn both_signatures_verify_over_the_shared_signature_base() {
        let seed = Seed::from_entropy(&[7; 16]).unwrap();
        let identity = IdentitySecret::derive(&seed);
        let messaging = MessagingSecret::derive(&seed, 0);
        let now = Timestamp::from_millis(1_700_000_000_123);
        let headers = sign_request(
            &REQUEST,
            Signers::two(&identity, &messaging),
            now,
            &Counting::default(),
        );

        let inputs: Vec<_> = headers.signature_input.split(", ").collect();
        assert_eq!(inputs.len(), 2);
        for (label, key, input) in [
            ("sig1", identity.public_bytes(), inputs[0]),
            ("sig2", messaging.public_bytes(), inputs[1]),
        ] {
            let parameters = input.strip_prefix(&format!("{label}=")).unwrap();
            let base = format!(
                "\"@method\": POST\n\"@authority\": wallet.example:8420\n\"@path\": /v1/clients\n\
                 \"@query\": ?\n\"content-digest\": sha-256=:x:\n\
                 \"idempotency-key\": 00112233445566778899aabbccddeeff\n\
                 \"@signature-params\": {parameters}"
            );
            let key = MessagingKey::new(key).unwrap();
            key.verify(base.as_bytes(), &signature_of(&headers, label))
                .unwrap();
            assert!(parameters.contains(";created=1700000000;expires=1700000060;"));
            assert!(parameters.contains(&format!("keyid=\"{key}\"")));
        }
    }

    #[test]
    fn a_nonce_is_never_used_twice() {
        let identity = IdentitySecret::derive(&Seed::from_entropy(&[7; 16]).unwrap());
        let entropy = Counting::default();
        let now = Timestamp::from_millis(0);
        let one = sign_request(&REQUEST, Signers::one(&identity), now, &entropy);
        let two = sign_request(&REQUEST, Signers::one(&identity), now, &entropy);
        assert_ne!(one.signature_input, two.signature_input);
    }
}
