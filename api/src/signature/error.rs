//! Why a signed request is refused, and what the client is told about it.

use satpost_api_types::problem::ProblemCode;
use satpost_domain::KeyError;

use crate::problem::ApiError;

/// A refusal.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub(crate) enum SignatureError {
    /// There is no signature.
    #[error("sign the request with Signature-Input and Signature")]
    Missing,
    /// The headers do not follow the profile.
    #[error("{0}")]
    Malformed(&'static str),
    /// A key is not canonical or has small order.
    #[error(transparent)]
    InvalidKey(KeyError),
    /// Outside the window, or before the server started.
    #[error("the signature's time does not fit the server's clock")]
    ClockSkew {
        /// The server's clock.
        server_time_ms: u64,
    },
    /// The host is none of the server's names.
    #[error("the signature is for another server")]
    WrongAuthority,
    /// A signature does not verify.
    #[error("a signature does not verify under its key")]
    Invalid,
    /// The body is not the one that was signed.
    #[error("Content-Digest does not fit the body")]
    WrongDigest,
    /// The nonce was used before.
    #[error("the nonce was used before; draw another one and sign again")]
    Replayed,
    /// No nonce can be remembered, so no request can be told from its repeat.
    #[error("the nonce memory is full")]
    MemoryFull,
}

impl From<SignatureError> for ApiError {
    fn from(error: SignatureError) -> Self {
        let code = match &error {
            SignatureError::Missing => ProblemCode::SignatureMissing,
            SignatureError::Malformed(_) => ProblemCode::SignatureMalformed,
            SignatureError::InvalidKey(key) => return key.clone().into(),
            SignatureError::ClockSkew { server_time_ms } => {
                return Self::clock_skew(*server_time_ms);
            }
            SignatureError::WrongAuthority => ProblemCode::WrongAuthority,
            SignatureError::Invalid | SignatureError::WrongDigest => ProblemCode::SignatureInvalid,
            SignatureError::Replayed => ProblemCode::SignatureReplayed,
            SignatureError::MemoryFull => return Self::overloaded("the nonce memory is full"),
        };
        Self::new(code).with_detail(error)
    }
}
