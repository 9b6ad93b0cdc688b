//! When each registration may be tried again, and how long failures make it wait.

use std::collections::HashMap;
use std::time::Duration;

use satpost_commands::ports::Chance;
use satpost_domain::{ClientId, PushTargetId, Timestamp};
use satpost_projections::push_outbox::DueKind;

/// The first and the longest wait after a push service did not take a push.
pub(super) const BACKOFF: (Duration, Duration) = (Duration::from_secs(1), Duration::from_secs(300));
/// How much longer than a push service asks for we may wait, so that not everyone comes back at once.
const LATENESS: f64 = 0.1;

/// The registrations that were tried lately.
pub(super) type Paces = HashMap<(ClientId, PushTargetId), Pace>;

/// What the outbox knows about one registration.
#[derive(Debug, Default, Clone, Copy)]
pub(super) struct Pace {
    pub(super) in_flight: bool,
    /// Since the last push that was taken.
    pub(super) failures: u32,
    /// Refusals in a row.
    pub(super) refusals: u32,
    pub(super) not_before: Timestamp,
    /// The verification code was taken by the push service; it is not sent twice.
    pub(super) code_sent: bool,
}

impl Pace {
    pub(super) fn allows(&self, kind: DueKind, now: Timestamp) -> bool {
        let done = kind == DueKind::Verification && self.code_sent;
        !done && self.is_free(now)
    }

    pub(super) fn is_free(&self, now: Timestamp) -> bool {
        !self.in_flight && self.not_before <= now
    }
}

/// Doubles from one second to five minutes.
pub(super) fn backoff(failures: u32) -> Duration {
    let factor = 1_u32 << failures.saturating_sub(1).min(16);
    (BACKOFF.0 * factor).min(BACKOFF.1)
}

/// How long to wait after that many failures: at least as long as the push service asks for. Half of our own
/// wait is left to chance, so that phones whose pushes failed together do not come back together.
pub(super) fn wait(failures: u32, asked: Option<Duration>, chance: &dyn Chance) -> Duration {
    let fraction = chance.fraction();
    let own = backoff(failures).mul_f64(0.5 + fraction / 2.0);
    let asked = asked.unwrap_or_default().mul_f64(1.0 + LATENESS * fraction);
    own.max(asked)
}

#[cfg(test)]
mod tests {
    use super::*;

    struct Fixed(f64);

    impl Chance for Fixed {
        fn fraction(&self) -> f64 {
            self.0
        }
    }

    #[test]
    fn waits_longer_after_each_failure_up_to_five_minutes() {
        let waits: Vec<_> = [1, 2, 3, 9, 10, 40].map(|n| backoff(n).as_secs()).into();
        assert_eq!(waits, [1, 2, 4, 256, 300, 300]);
    }

    #[test]
    fn leaves_half_of_a_wait_to_chance() {
        assert_eq!(wait(3, None, &Fixed(0.0)), Duration::from_secs(2));
        assert_eq!(wait(3, None, &Fixed(0.5)), Duration::from_secs(3));
    }

    #[test]
    fn never_comes_back_before_it_is_asked_to() {
        let asked = Duration::from_secs(100);
        assert_eq!(wait(1, Some(asked), &Fixed(0.0)), asked);
        assert_eq!(wait(1, Some(asked), &Fixed(0.5)), Duration::from_secs(105));
        assert!(wait(40, Some(asked), &Fixed(0.0)) > asked);
    }
}
