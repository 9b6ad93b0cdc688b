//! Where a phone is woken.

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

/// `PUT /v1/push`: signed with the identity key.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(tag = "kind", rename_all = "snake_case", deny_unknown_fields)]
pub enum SetPushTargetRequest {
    /// Web Push (RFC 8030), also UnifiedPush.
    WebPush {
        /// The push resource URL.
        endpoint: String,
        /// The phone's P-256 public key: 65 bytes uncompressed, base64url without padding.
        p256dh: String,
        /// The phone's authentication secret: 16 bytes, base64url without padding.
        auth: String,
    },
    /// The Apple Push Notification service.
    Apns {
        /// The device token in hexadecimal.
        token: String,
        /// The bundle id of the app.
        topic: String,
        /// Which of Apple's services knows the token.
        environment: ApnsEnvironment,
    },
    /// Firebase Cloud Messaging.
    Fcm {
        /// The registration token.
        token: String,
    },
}

/// The two services of Apple.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum ApnsEnvironment {
    /// For apps from the App Store and TestFlight.
    Production,
    /// For apps that a developer has put on a phone.
    Sandbox,
}

/// Who carries pushes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum PushKind {
    /// A Web Push service of the phone's choice; UnifiedPush too.
    WebPush,
    /// Apple.
    Apns,
    /// Google.
    Fcm,
}

/// A code is on its way through the target.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct SetPushTargetResponse {
    /// When the code stops being good.
    pub code_expires_at: u64,
}

/// `POST /v1/push/verify`.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct VerifyPushTargetRequest {
    /// The code that came through the push target, 32 hexadecimal characters.
    #[schema(pattern = "^[0-9a-f]{32}$")]
    pub code: String,
}

/// How far a push target has come.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum PushStatus {
    /// There is none, or it is dead.
    None,
    /// It waits for its code.
    Pending,
    /// It is in use.
    Active,
}

/// The name of the field in a push through Apple or Google whose value is the content: the same bytes
/// that Web Push encrypts, in base64url without padding. For Apple it stands beside `aps`, for Google in
/// `data`.
pub const PUSH_FIELD: &str = "satpost";
/// The size of every push in bytes before encryption, whatever it says.
pub const PUSH_PLAINTEXT_BYTES: usize = 32;
/// First byte of a push that only wakes; the other bytes are zero.
pub const PUSH_KIND_WAKE: u8 = 1;
/// First byte of a push that carries a verification code in the 16 bytes after it; the rest is zero.
pub const PUSH_KIND_VERIFICATION: u8 = 2;
