//! Push services in trouble are left alone for a while: hundreds of phones of one service would
//! otherwise each find out for themselves that it is down.

use std::collections::HashMap;
use std::time::Duration;

use satpost_domain::Timestamp;
use satpost_domain::limits::{PUSH_BREAKER_FAILURES, PUSH_BREAKERS_MAX};
use satpost_domain::push::{ApnsEnvironment, PushKind, PushTarget};
use url::Url;

/// How long the other pushes wait for the one that finds out whether the trouble is over.
const PROBE_WAIT: Duration = Duration::from_secs(1);

/// Who a target depends on.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(super) enum Provider {
    /// The push service at this origin.
    WebPush(String),
    /// One of Apple's services.
    Apns(ApnsEnvironment),
    /// Google.
    Fcm,
}

impl Provider {
    pub(super) fn of(target: &PushTarget) -> Self {
        match target {
            PushTarget::WebPush { endpoint, .. } => Self::WebPush(
                Url::parse(endpoint)
                    .map_or_else(|_| String::new(), |url| url.origin().ascii_serialization()),
            ),
            PushTarget::Apns { environment, .. } => Self::Apns(*environment),
            PushTarget::Fcm { .. } => Self::Fcm,
        }
    }

    pub(super) const fn kind(&self) -> PushKind {
        match self {
            Self::WebPush(_) => PushKind::WebPush,
            Self::Apns(_) => PushKind::Apns,
            Self::Fcm => PushKind::Fcm,
        }
    }
}

/// The push services in trouble; one that works takes no memory.
#[derive(Debug, Default)]
pub(super) struct Breakers {
    troubled: HashMap<Provider, Trouble>,
}

#[derive(Debug, Default)]
struct Trouble {
    /// Failures since the last success.
    failures: u32,
    /// Nothing is sent before.
    closed_until: Timestamp,
    /// One push is on its way to find out whether the trouble is over.
    probing: bool,
}

impl Breakers {
    /// Lets a push pass, or says when to ask again. After a pause one may pass, and the others wait for
    /// what becomes of it.
    pub(super) fn admit(&mut self, provider: &Provider, now: Timestamp) -> Result<(), Timestamp> {
        let Some(trouble) = self.troubled.get_mut(provider) else {
            return Ok(());
        };
        if trouble.failures < PUSH_BREAKER_FAILURES {
            return Ok(());
        }
        if now < trouble.closed_until {
            return Err(trouble.closed_until);
        }
        if trouble.probing {
            return Err(now.plus(PROBE_WAIT));
        }
        trouble.probing = true;
        Ok(())
    }

    /// The service answered as one that works.
    pub(super) fn works(&mut self, provider: &Provider) {
        self.troubled.remove(provider);
    }

    /// The service failed, and shall be left alone for `pause` once it has failed often enough.
    pub(super) fn fails(&mut self, provider: &Provider, now: Timestamp, pause: Duration) {
        self.trouble(provider, now, pause, 1);
    }

    /// The service takes none of our pushes: there is no need to find out more often.
    pub(super) fn refuses_us(&mut self, provider: &Provider, now: Timestamp, pause: Duration) {
        self.trouble(provider, now, pause, PUSH_BREAKER_FAILURES);
    }

    /// How many services of a kind are left alone now.
    pub(super) fn closed(&self, kind: PushKind) -> usize {
        let closed = |(provider, trouble): &(&Provider, &Trouble)| {
            provider.kind() == kind && trouble.failures >= PUSH_BREAKER_FAILURES
        };
        self.troubled.iter().filter(closed).count()
    }

    /// How often a service failed since it worked.
    pub(super) fn failures(&self, provider: &Provider) -> u32 {
        self.troubled
            .get(provider)
            .map_or(0, |trouble| trouble.failures)
    }

    fn trouble(&mut self, provider: &Provider, now: Timestamp, pause: Duration, failures: u32) {
        if self.troubled.len() >= PUSH_BREAKERS_MAX && !self.troubled.contains_key(provider) {
            // Phones choose their push services. Whoever is forgotten here fails again.
            self.troubled
                .retain(|_, trouble| trouble.closed_until > now);
            if self.troubled.len() >= PUSH_BREAKERS_MAX {
                return;
            }
        }
        let trouble = self.troubled.entry(provider.clone()).or_default();
        trouble.failures = trouble.failures.saturating_add(failures);
        trouble.closed_until = trouble.closed_until.max(now.plus(pause));
        trouble.probing = false;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOW: Timestamp = Timestamp::from_millis(1_000_000);
    const PAUSE: Duration = Duration::from_secs(10);

    fn closed() -> Breakers {
        let mut breakers = Breakers::default();
        for _ in 0..PUSH_BREAKER_FAILURES {
            assert!(breakers.admit(&Provider::Fcm, NOW).is_ok());
            breakers.fails(&Provider::Fcm, NOW, PAUSE);
        }
        breakers
    }

    #[test]
    fn leaves_a_service_alone_after_some_failures_in_a_row() {
        let mut breakers = closed();
        assert!(breakers.admit(&Provider::Fcm, NOW).is_err());
        assert_eq!(breakers.closed(PushKind::Fcm), 1);
        let apns = Provider::Apns(ApnsEnvironment::Production);
        assert!(
            breakers.admit(&apns, NOW).is_ok(),
            "others are not in trouble"
        );
    }

    #[test]
    fn one_push_finds_out_whether_the_trouble_is_over() {
        let mut breakers = closed();
        let later = NOW.plus(PAUSE);
        assert!(breakers.admit(&Provider::Fcm, later).is_ok());
        assert!(
            breakers.admit(&Provider::Fcm, later).is_err(),
            "the second waits"
        );
        breakers.fails(&Provider::Fcm, later, PAUSE);
        assert!(breakers.admit(&Provider::Fcm, later).is_err());
        let later = later.plus(PAUSE);
        assert!(breakers.admit(&Provider::Fcm, later).is_ok());
        breakers.works(&Provider::Fcm);
        assert!(breakers.admit(&Provider::Fcm, later).is_ok());
        assert!(breakers.admit(&Provider::Fcm, later).is_ok());
        assert_eq!(breakers.closed(PushKind::Fcm), 0);
    }

    #[test]
    fn a_service_that_takes_none_of_our_pushes_is_left_alone_at_once() {
        let mut breakers = Breakers::default();
        breakers.refuses_us(&Provider::Fcm, NOW, PAUSE);
        assert!(breakers.admit(&Provider::Fcm, NOW).is_err());
    }

    #[test]
    fn a_success_between_failures_counts() {
        let mut breakers = Breakers::default();
        for _ in 0..3 * PUSH_BREAKER_FAILURES {
            breakers.fails(&Provider::Fcm, NOW, PAUSE);
            breakers.works(&Provider::Fcm);
        }
        assert!(breakers.admit(&Provider::Fcm, NOW).is_ok());
    }

    #[test]
    fn remembers_so_many_services_and_no_more() {
        let mut breakers = Breakers::default();
        for number in 0..2 * PUSH_BREAKERS_MAX {
            let provider = Provider::WebPush(format!("https://{number}.example"));
            breakers.refuses_us(&provider, NOW, PAUSE);
        }
        assert_eq!(breakers.closed(PushKind::WebPush), PUSH_BREAKERS_MAX);
        let late = Provider::WebPush("https://late.example".to_owned());
        breakers.refuses_us(&late, NOW.plus(PAUSE), PAUSE);
        assert_eq!(breakers.closed(PushKind::WebPush), 1);
    }
}
