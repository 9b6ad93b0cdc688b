//! The strict RFC 9421 verifier: exactly the profile of [`satpost_api_types::signature`], nothing else.
//!
//! Order: parse → window → authority → signature → digest → nonce. What is cheap and tells nothing
//! about a key comes first; a nonce is remembered only after its signature has verified, so nobody
//! can spend another one's nonces.

mod error;
mod nonces;
mod parse;
#[cfg(test)]
mod tests;

pub(crate) use error::SignatureError;
pub(crate) use nonces::NonceMemory;

use satpost_api_types::signature::{
    CoveredRequest, LABEL_PROOF, LABEL_SUBJECT, content_digest, signature_base,
};
use satpost_domain::limits::{SIGNATURE_LIFETIME_MAX, SIGNATURE_SKEW_MAX};
use satpost_domain::{ClientId, Timestamp};

use parse::ParsedSignature;

/// How many keys sign a request.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Labels {
    /// The subject alone.
    Subject,
    /// The subject, and a second key that proves possession.
    SubjectAndProof,
}

impl Labels {
    const fn names(self) -> &'static [&'static str] {
        match self {
            Self::Subject => &[LABEL_SUBJECT],
            Self::SubjectAndProof => &[LABEL_SUBJECT, LABEL_PROOF],
        }
    }
}

/// A request as it came over the wire.
#[derive(Debug, Clone, Copy)]
pub(crate) struct SignedRequest<'a> {
    /// What the signatures cover.
    pub covered: CoveredRequest<'a>,
    /// The value of `Signature-Input`.
    pub signature_input: &'a str,
    /// The value of `Signature`.
    pub signature: &'a str,
    /// The body, empty when there is none.
    pub body: &'a [u8],
}

/// The keys whose possession a request has proven. An identity or a messaging key: the route says.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct ProvenKeys {
    /// The key of `sig1`.
    pub subject: [u8; 32],
    /// The key of `sig2`, where the route wants one.
    pub proof: Option<[u8; 32]>,
}

/// Signatures that verified, and whose nonces are not recorded yet. Not to be trusted before
/// [`Verifier::record_nonces`]: it may be a repeat.
#[derive(Debug)]
pub(crate) struct Verified {
    signatures: Vec<ParsedSignature>,
}

impl Verified {
    /// Who asks.
    pub(crate) fn keys(&self) -> ProvenKeys {
        let key = |index: usize| Some(*self.signatures.get(index)?.key.as_bytes());
        ProvenKeys {
            subject: key(0).expect("the parser gives one signature for each label"),
            proof: key(1),
        }
    }
}

/// Verifies requests for one server.
pub(crate) struct Verifier {
    authorities: Vec<String>,
    nonces: NonceMemory,
}

impl Verifier {
    pub(crate) const fn new(authorities: Vec<String>, nonces: NonceMemory) -> Self {
        Self {
            authorities,
            nonces,
        }
    }

    /// Checks everything but the repetition of the request.
    ///
    /// # Errors
    /// [`SignatureError`].
    pub(crate) fn verify(
        &self,
        request: &SignedRequest<'_>,
        labels: Labels,
        now: Timestamp,
    ) -> Result<Verified, SignatureError> {
        let covered = &request.covered;
        let signatures = parse::parse(
            request.signature_input,
            request.signature,
            labels.names(),
            &covered.component_list(),
        )?;
        let digest = parse::digest(covered.content_digest, request.body)?;
        for signature in &signatures {
            self.check_window(signature, now)?;
        }
        if !self
            .authorities
            .iter()
            .any(|name| name == covered.authority)
        {
            return Err(SignatureError::WrongAuthority);
        }
        for signature in &signatures {
            let base = signature_base(&covered.components(), &signature.parameters);
            signature
                .key
                .verify(base.as_bytes(), &signature.signature)
                .map_err(|_| SignatureError::Invalid)?;
        }
        if digest.is_some_and(|digest| digest != content_digest(request.body)) {
            return Err(SignatureError::WrongDigest);
        }
        Ok(Verified { signatures })
    }

    /// Remembers the nonces of a verified request, and gives its keys out.
    ///
    /// # Errors
    /// [`SignatureError::Replayed`] when one was there already, [`SignatureError::MemoryFull`].
    pub(crate) fn record_nonces(
        &self,
        verified: &Verified,
        now: Timestamp,
    ) -> Result<ProvenKeys, SignatureError> {
        for signature in &verified.signatures {
            self.nonces
                .record(signature.key.as_bytes(), &signature.nonce, now.as_secs())?;
        }
        Ok(verified.keys())
    }

    fn check_window(
        &self,
        signature: &ParsedSignature,
        now: Timestamp,
    ) -> Result<(), SignatureError> {
        let now_secs = now.as_secs();
        let skew = SIGNATURE_SKEW_MAX.as_secs();
        let (created, expires) = (signature.created, signature.expires);
        let lives_too_long =
            expires < created || expires.saturating_sub(created) > SIGNATURE_LIFETIME_MAX.as_secs();
        if lives_too_long {
            return Err(SignatureError::Malformed(
                "expires is not between created and 120 seconds later",
            ));
        }
        let in_window = now_secs.abs_diff(created) <= skew && now_secs <= expires;
        if !in_window || created < self.nonces.floor() {
            return Err(SignatureError::ClockSkew {
                server_time_ms: now.as_millis(),
            });
        }
        Ok(())
    }
}

impl ParsedSignature {
    /// Takes a key from the text of `keyid`: 64 lower-case hexadecimal characters.
    fn parse_key(text: &str) -> Result<ClientId, SignatureError> {
        if text.bytes().any(|byte| byte.is_ascii_uppercase()) {
            return Err(SignatureError::Malformed("keyid is lower-case hexadecimal"));
        }
        text.parse().map_err(SignatureError::InvalidKey)
    }
}
