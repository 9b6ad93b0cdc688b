//! What Apple's answers mean ("Handling notification responses from APNs" in Apple's documentation).

use std::time::Duration;

use satpost_commands::ports::PushOutcome;
use satpost_domain::Timestamp;
use serde::Deserialize;

/// What to do about an answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Answer {
    /// It is an outcome.
    Final(PushOutcome),
    /// The token is too old; one more try with a fresh one.
    TokenExpired,
}

/// The body of a refusal.
#[derive(Default, Deserialize)]
#[serde(default)]
struct Refusal {
    reason: String,
    /// With 410: since when the device token is of no use, in milliseconds.
    timestamp: Option<u64>,
}

/// The meaning of `status` with this body and `Retry-After`.
pub(super) fn meaning(status: u16, after: Option<Duration>, body: &[u8]) -> Answer {
    let refusal: Refusal = serde_json::from_slice(body).unwrap_or_default();
    let reason = refusal.reason.as_str();
    Answer::Final(match (status, reason) {
        (200, _) => PushOutcome::Accepted,
        (403, "ExpiredProviderToken") => return Answer::TokenExpired,
        (410, _) => PushOutcome::Invalid(refusal.timestamp.map(Timestamp::from_millis)),
        (400, "BadDeviceToken" | "DeviceTokenNotForTopic") => PushOutcome::Invalid(None),
        (400, "IdleTimeout") | (408, _) => PushOutcome::Retry(after),
        (429, "TooManyProviderTokenUpdates") | (500..=599, _) => PushOutcome::Unavailable(after),
        (429, _) => PushOutcome::Retry(after),
        // Credentials, topics, and what would be a defect of ours: no phone is to blame.
        _ => {
            let known = KNOWN.contains(&reason);
            let reason = if known { reason } else { "unknown" };
            tracing::error!(
                push.status = status,
                push.reason = reason,
                "Apple refuses our pushes"
            );
            PushOutcome::Misconfigured
        }
    })
}

/// The reasons that may stand in the log: nothing else that a stranger sends does.
const KNOWN: [&str; 18] = [
    "BadCertificate",
    "BadCertificateEnvironment",
    "BadCollapseId",
    "BadEnvironmentKeyInToken",
    "BadExpirationDate",
    "BadMessageId",
    "BadPath",
    "BadPriority",
    "BadTopic",
    "Forbidden",
    "InvalidProviderToken",
    "InvalidPushType",
    "MethodNotAllowed",
    "MissingProviderToken",
    "MissingTopic",
    "PayloadTooLarge",
    "TopicDisallowed",
    "UnrelatedKeyIdInToken",
];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_status_has_its_meaning() {
        let after = Some(Duration::from_secs(7));
        let since = Some(Timestamp::from_millis(1_700_000_000_000));
        for (status, body, expected) in [
            (200, "", PushOutcome::Accepted),
            (
                400,
                r#"{"reason":"BadDeviceToken"}"#,
                PushOutcome::Invalid(None),
            ),
            (
                400,
                r#"{"reason":"DeviceTokenNotForTopic"}"#,
                PushOutcome::Invalid(None),
            ),
            (
                400,
                r#"{"reason":"TopicDisallowed"}"#,
                PushOutcome::Misconfigured,
            ),
            (400, r#"{"reason":"BadTopic"}"#, PushOutcome::Misconfigured),
            (
                400,
                r#"{"reason":"PayloadEmpty"}"#,
                PushOutcome::Misconfigured,
            ),
            (
                400,
                r#"{"reason":"IdleTimeout"}"#,
                PushOutcome::Retry(after),
            ),
            (400, "", PushOutcome::Misconfigured),
            (
                403,
                r#"{"reason":"InvalidProviderToken"}"#,
                PushOutcome::Misconfigured,
            ),
            (
                403,
                r#"{"reason":"MissingProviderToken"}"#,
                PushOutcome::Misconfigured,
            ),
            (403, r#"{"reason":"Forbidden"}"#, PushOutcome::Misconfigured),
            (404, r#"{"reason":"BadPath"}"#, PushOutcome::Misconfigured),
            (
                405,
                r#"{"reason":"MethodNotAllowed"}"#,
                PushOutcome::Misconfigured,
            ),
            (
                410,
                r#"{"reason":"Unregistered","timestamp":1700000000000}"#,
                PushOutcome::Invalid(since),
            ),
            (
                410,
                r#"{"reason":"ExpiredToken","timestamp":1700000000000}"#,
                PushOutcome::Invalid(since),
            ),
            (410, "no json", PushOutcome::Invalid(None)),
            (
                413,
                r#"{"reason":"PayloadTooLarge"}"#,
                PushOutcome::Misconfigured,
            ),
            (
                429,
                r#"{"reason":"TooManyRequests"}"#,
                PushOutcome::Retry(after),
            ),
            (
                429,
                r#"{"reason":"TooManyProviderTokenUpdates"}"#,
                PushOutcome::Unavailable(after),
            ),
            (
                500,
                r#"{"reason":"InternalServerError"}"#,
                PushOutcome::Unavailable(after),
            ),
            (
                503,
                r#"{"reason":"ServiceUnavailable"}"#,
                PushOutcome::Unavailable(after),
            ),
            (
                503,
                r#"{"reason":"Shutdown"}"#,
                PushOutcome::Unavailable(after),
            ),
            (307, "", PushOutcome::Misconfigured),
        ] {
            let found = meaning(status, after, body.as_bytes());
            assert_eq!(found, Answer::Final(expected), "{status} {body}");
        }
        let expired = br#"{"reason":"ExpiredProviderToken"}"#;
        assert_eq!(meaning(403, None, expired), Answer::TokenExpired);
    }
}
