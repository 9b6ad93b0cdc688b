//! Where a phone can be woken, and the code that proves that it is its own.

use std::fmt;

use crate::limits::PUSH_ENDPOINT_BYTES_MAX;

/// A push target as a phone registers it. Only Web Push for now; the other providers join here.
#[derive(Clone, PartialEq, Eq)]
pub enum PushTarget {
    /// Web Push (RFC 8030), also UnifiedPush.
    WebPush {
        /// The URL that the push service gave to the phone.
        endpoint: String,
        /// The phone's P-256 public key, uncompressed (RFC 8291, section 3.1).
        p256dh: [u8; 65],
        /// The phone's authentication secret (RFC 8291, section 3.2).
        auth: [u8; 16],
    },
}

/// Why a push target was refused before anything was sent to it.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum PushTargetError {
    /// The endpoint is empty or too long.
    #[error("a push endpoint has 1 to {PUSH_ENDPOINT_BYTES_MAX} bytes, got {actual}")]
    EndpointSize {
        /// How many bytes were given.
        actual: usize,
    },
    /// The key is no uncompressed point.
    #[error("p256dh is an uncompressed P-256 point: 65 bytes that begin with 04")]
    KeyForm,
}

impl PushTarget {
    /// Checks the form of a Web Push target. Whether the endpoint may be connected to is decided
    /// where the connection is made.
    ///
    /// # Errors
    /// [`PushTargetError`].
    pub fn web_push(
        endpoint: String,
        p256dh: [u8; 65],
        auth: [u8; 16],
    ) -> Result<Self, PushTargetError> {
        if endpoint.is_empty() || endpoint.len() > PUSH_ENDPOINT_BYTES_MAX {
            return Err(PushTargetError::EndpointSize {
                actual: endpoint.len(),
            });
        }
        if p256dh[0] != 4 {
            return Err(PushTargetError::KeyForm);
        }
        Ok(Self::WebPush {
            endpoint,
            p256dh,
            auth,
        })
    }
}

/// Shows the kind only: an endpoint identifies a phone.
impl fmt::Debug for PushTarget {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::WebPush { .. } => f.write_str("PushTarget::WebPush(..)"),
        }
    }
}

/// The secret that is sent through a push target and must come back before it is used.
#[derive(Clone, PartialEq, Eq)]
pub struct VerificationCode([u8; 16]);

impl VerificationCode {
    /// Takes 16 random bytes.
    #[must_use]
    pub const fn new(bytes: [u8; 16]) -> Self {
        Self(bytes)
    }

    /// The bytes, to be sent or sealed.
    #[must_use]
    pub const fn as_bytes(&self) -> &[u8; 16] {
        &self.0
    }

    /// What the log keeps of it: comparing digests tells an observer nothing about the code.
    #[must_use]
    pub fn digest(&self) -> crate::ids::Digest {
        crate::ids::Digest::new(crate::hash::tagged("satpost/push-code/1", &[&self.0]))
    }
}

/// Never shows the code.
impl fmt::Debug for VerificationCode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("VerificationCode(..)")
    }
}

/// What is sealed beside [`crate::client::ClientEvent::PushTargetSet`].
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PushRegistration {
    /// Where to wake.
    pub target: PushTarget,
    /// What must come back.
    pub code: VerificationCode,
}
