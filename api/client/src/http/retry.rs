//! Which failures are worth another attempt, and after how long.

use std::time::Duration;

use satpost_api_types::problem::ProblemCode;

use super::error::CallError;

/// How often one call is tried.
pub const ATTEMPTS_MAX: u32 = 4;
/// The longest `Retry-After` that a call waits for by itself; longer ones are the caller's matter.
pub const RETRY_AFTER_MAX: Duration = Duration::from_secs(30);
const BACKOFF_FIRST: Duration = Duration::from_millis(200);
const BACKOFF_MAX: Duration = Duration::from_secs(5);

/// How long to wait before attempt `attempts` + 1 after `error`; nothing when it would not help.
/// `dice` is a random number: half of the wait is fixed and half of it random, so that clients
/// that failed together do not come back together.
pub(super) fn delay(error: &CallError, attempts: u32, dice: u32) -> Option<Duration> {
    if attempts >= ATTEMPTS_MAX || !is_worth_repeating(error) {
        return None;
    }
    let asked = match error {
        CallError::Refused(refusal) => refusal.retry_after,
        CallError::Unreachable { .. } | CallError::UnexpectedAnswer { .. } => None,
    };
    let full = BACKOFF_FIRST
        .saturating_mul(2_u32.saturating_pow(attempts.saturating_sub(1)))
        .min(BACKOFF_MAX);
    let jittered = full / 2 + (full / 2).mul_f64(f64::from(dice) / f64::from(u32::MAX));
    match asked {
        Some(asked) if asked > RETRY_AFTER_MAX => None,
        Some(asked) => Some(asked + jittered / 2),
        None => Some(jittered),
    }
}

/// A full mailbox or disk stays full, and a price stays away, for longer than a call can wait: that is
/// temporary but not repeated.
fn is_worth_repeating(error: &CallError) -> bool {
    match error.code() {
        Some(
            ProblemCode::QueueFull
            | ProblemCode::StorageFull
            | ProblemCode::PriceUnavailable
            | ProblemCode::ClockSkew,
        ) => false,
        Some(_) | None => error.is_temporary(),
    }
}

#[cfg(test)]
mod tests {
    use super::super::error::Refusal;
    use super::*;

    fn refused(code: ProblemCode, retry_after: Option<u64>) -> CallError {
        CallError::Refused(Box::new(Refusal {
            code,
            detail: None,
            request_id: "r".to_owned(),
            server_time: None,
            limit: None,
            retry_after: retry_after.map(Duration::from_secs),
        }))
    }

    #[test]
    fn waits_longer_every_time_and_then_gives_up() {
        let error = refused(ProblemCode::Unavailable, None);
        let waits: Vec<_> = (1..=ATTEMPTS_MAX)
            .map(|attempts| delay(&error, attempts, u32::MAX))
            .collect();
        assert_eq!(
            waits,
            [
                Some(Duration::from_millis(200)),
                Some(Duration::from_millis(400)),
                Some(Duration::from_millis(800)),
                None
            ]
        );
        assert_eq!(delay(&error, 1, 0), Some(Duration::from_millis(100)));
    }

    #[test]
    fn waits_at_least_as_long_as_the_server_asks_unless_that_is_too_long() {
        let wait = delay(&refused(ProblemCode::RateLimited, Some(3)), 1, 0).unwrap();
        assert!(wait >= Duration::from_secs(3), "{wait:?}");
        assert_eq!(
            delay(&refused(ProblemCode::RateLimited, Some(31)), 1, 0),
            None
        );
    }

    #[test]
    fn a_refusal_for_good_is_not_repeated() {
        for code in ProblemCode::ALL {
            let repeated = delay(&refused(*code, None), 1, 0).is_some();
            let comes_back = matches!(code.status(), 408 | 429 | 500 | 503)
                && !matches!(code, ProblemCode::PriceUnavailable);
            let expected = comes_back
                || matches!(code, ProblemCode::Conflict | ProblemCode::SignatureReplayed);
            assert_eq!(repeated, expected, "{}", code.as_str());
        }
    }
}
