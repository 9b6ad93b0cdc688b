//! Where a phone can be woken, and the code that proves that it is its own.

use std::fmt;

use crate::limits::{
    APNS_TOKEN_BYTES_MAX, APNS_TOPIC_BYTES_MAX, FCM_TOKEN_BYTES_MAX, PUSH_ENDPOINT_BYTES_MAX,
};

/// A push target as a phone registers it.
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
    /// The Apple Push Notification service.
    Apns {
        /// The device token that iOS gave to the app. Its length is Apple's business and may change.
        token: Vec<u8>,
        /// The app's bundle id.
        topic: String,
        /// Which of Apple's two services knows the token.
        environment: ApnsEnvironment,
    },
    /// Firebase Cloud Messaging.
    Fcm {
        /// The registration token that Firebase gave to the app.
        token: String,
    },
}

/// The two services of Apple: a token of one means nothing to the other.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum ApnsEnvironment {
    /// For apps from the App Store and TestFlight.
    Production,
    /// For apps that a developer has put on a phone.
    Sandbox,
}

/// Who carries a push.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum PushKind {
    /// A push service of the phone's choice.
    WebPush,
    /// Apple.
    Apns,
    /// Google.
    Fcm,
}

impl PushKind {
    /// Every kind.
    pub const ALL: [Self; 3] = [Self::WebPush, Self::Apns, Self::Fcm];

    /// Its name in the API, in metrics and in the configuration.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::WebPush => "web_push",
            Self::Apns => "apns",
            Self::Fcm => "fcm",
        }
    }
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
    /// The device token is empty or too long.
    #[error("an APNs device token has 1 to {APNS_TOKEN_BYTES_MAX} bytes, got {actual}")]
    ApnsTokenSize {
        /// How many bytes were given.
        actual: usize,
    },
    /// The topic is no bundle id.
    #[error(
        "an APNs topic is a bundle id: 1 to {APNS_TOPIC_BYTES_MAX} letters, digits, hyphens and full stops"
    )]
    ApnsTopicForm,
    /// The registration token has a character that none has, or too many.
    #[error(
        "an FCM registration token has 1 to {FCM_TOKEN_BYTES_MAX} letters, digits, colons, hyphens and underscores"
    )]
    FcmTokenForm,
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

    /// Checks the form of a target at Apple. The topic goes into a header, so nothing but a bundle
    /// id passes.
    ///
    /// # Errors
    /// [`PushTargetError`].
    pub fn apns(
        token: Vec<u8>,
        topic: String,
        environment: ApnsEnvironment,
    ) -> Result<Self, PushTargetError> {
        if token.is_empty() || token.len() > APNS_TOKEN_BYTES_MAX {
            return Err(PushTargetError::ApnsTokenSize {
                actual: token.len(),
            });
        }
        let of_bundle_id = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'.');
        if topic.is_empty()
            || topic.len() > APNS_TOPIC_BYTES_MAX
            || !topic.bytes().all(of_bundle_id)
        {
            return Err(PushTargetError::ApnsTopicForm);
        }
        Ok(Self::Apns {
            token,
            topic,
            environment,
        })
    }

    /// Checks the form of a target at Firebase.
    ///
    /// # Errors
    /// [`PushTargetError`].
    pub fn fcm(token: String) -> Result<Self, PushTargetError> {
        let of_token =
            |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b':' | b'-' | b'_');
        if token.is_empty() || token.len() > FCM_TOKEN_BYTES_MAX || !token.bytes().all(of_token) {
            return Err(PushTargetError::FcmTokenForm);
        }
        Ok(Self::Fcm { token })
    }

    /// Who carries a push to it.
    #[must_use]
    pub const fn kind(&self) -> PushKind {
        match self {
            Self::WebPush { .. } => PushKind::WebPush,
            Self::Apns { .. } => PushKind::Apns,
            Self::Fcm { .. } => PushKind::Fcm,
        }
    }
}

/// Shows the kind only: an endpoint or a token identifies a phone.
impl fmt::Debug for PushTarget {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::WebPush { .. } => f.write_str("PushTarget::WebPush(..)"),
            Self::Apns { .. } => f.write_str("PushTarget::Apns(..)"),
            Self::Fcm { .. } => f.write_str("PushTarget::Fcm(..)"),
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

#[cfg(test)]
mod tests {
    use super::*;

    const PRODUCTION: ApnsEnvironment = ApnsEnvironment::Production;

    #[test]
    fn takes_device_tokens_of_any_length_within_the_bound() {
        for bytes in [1, 32, APNS_TOKEN_BYTES_MAX] {
            let target = PushTarget::apns(
                vec![7; bytes],
                "com.example.Wallet-2".to_owned(),
                PRODUCTION,
            );
            assert_eq!(target.unwrap().kind(), PushKind::Apns);
        }
        for actual in [0, APNS_TOKEN_BYTES_MAX + 1] {
            assert_eq!(
                PushTarget::apns(vec![7; actual], "com.example".to_owned(), PRODUCTION),
                Err(PushTargetError::ApnsTokenSize { actual })
            );
        }
    }

    #[test]
    fn refuses_a_topic_that_could_mean_something_else_in_a_header() {
        let long = "a".repeat(APNS_TOPIC_BYTES_MAX + 1);
        for topic in [
            "",
            "com.example\r\nx: y",
            "com example",
            "com/example",
            "é",
            &long,
        ] {
            assert_eq!(
                PushTarget::apns(vec![7; 32], topic.to_owned(), PRODUCTION),
                Err(PushTargetError::ApnsTopicForm),
                "{topic:?}"
            );
        }
    }

    #[test]
    fn takes_registration_tokens_and_nothing_that_could_leave_its_json_string() {
        let target = PushTarget::fcm("cX9_-k:APA91bH".to_owned()).unwrap();
        assert_eq!(target.kind(), PushKind::Fcm);
        let long = "a".repeat(FCM_TOKEN_BYTES_MAX + 1);
        for token in ["", "a\"b", "a b", "a/b", "é", &long] {
            assert_eq!(
                PushTarget::fcm(token.to_owned()),
                Err(PushTargetError::FcmTokenForm),
                "{token:?}"
            );
        }
    }

    #[test]
    fn shows_nothing_that_names_a_phone() {
        let targets = [
            PushTarget::web_push("https://secret.example/secret".to_owned(), [4; 65], [0; 16]),
            PushTarget::apns(b"secret".to_vec(), "secret.example".to_owned(), PRODUCTION),
            PushTarget::fcm("secret".to_owned()),
        ];
        for target in targets {
            let shown = format!("{:?}", target.unwrap());
            assert!(
                !shown.contains("secret") && !shown.contains("115"),
                "{shown}"
            );
        }
    }
}
