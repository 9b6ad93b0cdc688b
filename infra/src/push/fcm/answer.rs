//! What Google's answers mean ("ErrorCode" in the reference of FCM v1).

use std::time::Duration;

use satpost_commands::ports::PushOutcome;
use serde::Deserialize;

/// How long to wait when the quota is used up and Google does not say.
const QUOTA_WAIT: Duration = Duration::from_secs(60);

/// What to do about an answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Answer {
    /// It is an outcome.
    Final(PushOutcome),
    /// The access token is not taken; one more try with a fresh one.
    TokenRefused,
}

#[derive(Default, Deserialize)]
#[serde(default)]
struct Refusal {
    error: Status,
}

#[derive(Default, Deserialize)]
#[serde(default)]
struct Status {
    details: Vec<Detail>,
}

/// One detail. Only those of FCM itself have an error code.
#[derive(Default, Deserialize)]
#[serde(default)]
struct Detail {
    #[serde(rename = "@type")]
    kind: String,
    #[serde(rename = "errorCode")]
    error_code: String,
}

const FCM_ERROR: &str = "type.googleapis.com/google.firebase.fcm.v1.FcmError";

/// The meaning of `status` with this body and `Retry-After`.
pub(super) fn meaning(status: u16, after: Option<Duration>, body: &[u8]) -> Answer {
    let refusal: Refusal = serde_json::from_slice(body).unwrap_or_default();
    let codes = refusal.error.details.iter();
    let code = codes
        .filter(|detail| detail.kind == FCM_ERROR)
        .map(|detail| detail.error_code.as_str())
        .next()
        .unwrap_or_default();
    Answer::Final(match (status, code) {
        (200, _) => PushOutcome::Accepted,
        (404, "UNREGISTERED") => PushOutcome::Invalid(None),
        // With the code of FCM it is about the token; without one it is about the request.
        (400, "INVALID_ARGUMENT") | (403, "SENDER_ID_MISMATCH") => PushOutcome::Refused,
        (401, "THIRD_PARTY_AUTH_ERROR") => misconfigured(status, code),
        (401, _) => return Answer::TokenRefused,
        (429, _) => PushOutcome::Unavailable(Some(after.unwrap_or(QUOTA_WAIT))),
        (408 | 500..=599, _) => PushOutcome::Unavailable(after),
        _ => misconfigured(status, code),
    })
}

fn misconfigured(status: u16, code: &str) -> PushOutcome {
    let code = match code {
        known @ ("THIRD_PARTY_AUTH_ERROR" | "INVALID_ARGUMENT" | "UNREGISTERED") => known,
        _ => "unknown",
    };
    tracing::error!(
        push.status = status,
        push.reason = code,
        "Google refuses our pushes"
    );
    PushOutcome::Misconfigured
}

#[cfg(test)]
mod tests {
    use super::*;

    fn fcm(code: &str) -> String {
        format!(
            r#"{{"error":{{"code":0,"status":"X","details":[{{"@type":"type.googleapis.com/google.rpc.BadRequest"}},{{"@type":"{FCM_ERROR}","errorCode":"{code}"}}]}}}}"#
        )
    }

    #[test]
    fn every_status_has_its_meaning() {
        let after = Some(Duration::from_secs(7));
        for (status, code, expected) in [
            (200, "", PushOutcome::Accepted),
            (404, "UNREGISTERED", PushOutcome::Invalid(None)),
            (404, "", PushOutcome::Misconfigured),
            (400, "INVALID_ARGUMENT", PushOutcome::Refused),
            (400, "", PushOutcome::Misconfigured),
            (401, "THIRD_PARTY_AUTH_ERROR", PushOutcome::Misconfigured),
            (403, "SENDER_ID_MISMATCH", PushOutcome::Refused),
            (403, "", PushOutcome::Misconfigured),
            (429, "QUOTA_EXCEEDED", PushOutcome::Unavailable(after)),
            (500, "INTERNAL", PushOutcome::Unavailable(after)),
            (503, "UNAVAILABLE", PushOutcome::Unavailable(after)),
            (302, "", PushOutcome::Misconfigured),
        ] {
            let found = meaning(status, after, fcm(code).as_bytes());
            assert_eq!(found, Answer::Final(expected), "{status} {code}");
        }
        assert_eq!(meaning(401, None, b""), Answer::TokenRefused);
    }

    #[test]
    fn a_quota_without_a_word_about_time_waits_a_minute() {
        let outcome = PushOutcome::Unavailable(Some(QUOTA_WAIT));
        assert_eq!(meaning(429, None, b"no json"), Answer::Final(outcome));
    }

    #[test]
    fn a_code_in_a_detail_of_somebody_else_means_nothing() {
        let body = r#"{"error":{"details":[{"@type":"other","errorCode":"UNREGISTERED"}]}}"#;
        let found = meaning(404, None, body.as_bytes());
        assert_eq!(found, Answer::Final(PushOutcome::Misconfigured));
    }
}
