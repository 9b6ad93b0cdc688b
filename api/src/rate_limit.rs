//! Who asks how often. Peers and keys are in memory only, never in a log or a metric.

use std::hash::Hash;
use std::net::{IpAddr, Ipv6Addr};
use std::time::Duration;

use governor::clock::Clock;
use governor::middleware::NoOpMiddleware;
use governor::state::keyed::DashMapStateStore;
use governor::{Quota, RateLimiter};
use satpost_domain::ids::TokenHash;
use satpost_domain::limits::RATE_LIMITED_MAX;
use tokio::time::Instant;

use crate::config::{Rate, RateLimits};
use crate::problem::{ApiError, LimitName};

/// How often the limiters forget who has not asked for long enough to have a full bucket again.
pub(crate) const FORGET_EVERY: Duration = Duration::from_secs(30);

/// Time since the start, monotonic.
#[derive(Debug, Clone)]
pub(crate) struct Uptime(Instant);

impl Uptime {
    /// Begins now.
    pub(crate) fn start() -> Self {
        Self(Instant::now())
    }
}

impl Clock for Uptime {
    type Instant = Duration;

    fn now(&self) -> Duration {
        self.0.elapsed()
    }
}

type Buckets<K> = RateLimiter<K, DashMapStateStore<K>, Uptime, NoOpMiddleware<Duration>>;

/// One bucket for each key, or no limit.
pub(crate) struct Limiter<K: Hash + Eq + Clone> {
    name: LimitName,
    buckets: Option<Buckets<K>>,
    clock: Uptime,
}

impl<K: Hash + Eq + Clone> Limiter<K> {
    pub(crate) fn new(name: LimitName, rate: Option<Rate>, clock: Uptime) -> Self {
        let quota = rate.map(|rate| {
            Quota::with_period(rate.refill)
                .expect("a rate refills in more than no time")
                .allow_burst(rate.burst)
        });
        let buckets = quota.map(|quota| RateLimiter::dashmap_with_clock(quota, clock.clone()));
        Self {
            name,
            buckets,
            clock,
        }
    }

    pub(crate) fn check(&self, key: &K) -> Result<(), ApiError> {
        let Some(buckets) = &self.buckets else {
            return Ok(());
        };
        if buckets.len() >= RATE_LIMITED_MAX {
            return Err(ApiError::overloaded("the rate limiter remembers too many"));
        }
        buckets.check_key(key).map_err(|until| {
            let wait = until.wait_time_from(self.clock.now());
            ApiError::rate_limited(self.name, wait)
        })
    }

    pub(crate) fn forget_idle(&self) {
        if let Some(buckets) = &self.buckets {
            buckets.retain_recent();
            buckets.shrink_to_fit();
        }
    }
}

/// All limiters of the API.
pub(crate) struct RateLimiters {
    peers: Limiter<IpAddr>,
    registrations: Limiter<IpAddr>,
    keys: Limiter<[u8; 32]>,
    tokens: Limiter<TokenHash>,
    strangers: Limiter<IpAddr>,
}

impl RateLimiters {
    pub(crate) fn new(limits: &RateLimits) -> Self {
        let clock = Uptime::start();
        Self {
            peers: Limiter::new(LimitName::RequestsPerPeer, limits.per_peer, clock.clone()),
            registrations: Limiter::new(
                LimitName::RegistrationsPerPeer,
                limits.registrations_per_peer,
                clock.clone(),
            ),
            keys: Limiter::new(LimitName::RequestsPerKey, limits.per_key, clock.clone()),
            tokens: Limiter::new(LimitName::RequestsPerToken, limits.per_key, clock.clone()),
            strangers: Limiter::new(
                LimitName::StrangersPerPeer,
                limits.strangers_per_peer,
                clock,
            ),
        }
    }

    /// Counts a request of `peer`.
    pub(crate) fn check_peer(&self, peer: IpAddr) -> Result<(), ApiError> {
        self.peers.check(&network_of(peer))
    }

    /// Counts a registration from `peer`.
    pub(crate) fn check_registration(&self, peer: IpAddr) -> Result<(), ApiError> {
        self.registrations.check(&network_of(peer))
    }

    /// Counts a request that `key` has signed.
    pub(crate) fn check_key(&self, key: &[u8; 32]) -> Result<(), ApiError> {
        self.keys.check(key)
    }

    /// Counts a message that somebody unnamed sends with the delivery token of `hash`.
    pub(crate) fn check_token(&self, hash: &TokenHash) -> Result<(), ApiError> {
        self.tokens.check(hash)
    }

    /// Counts a message that `peer` sends unnamed and without a token.
    pub(crate) fn check_stranger(&self, peer: IpAddr) -> Result<(), ApiError> {
        self.strangers.check(&network_of(peer))
    }

    /// Forgets who has a full bucket again.
    pub(crate) fn forget_idle(&self) {
        self.peers.forget_idle();
        self.registrations.forget_idle();
        self.keys.forget_idle();
        self.tokens.forget_idle();
        self.strangers.forget_idle();
    }
}

/// What counts as one peer: an IPv4 address, or an IPv6 /64, which one subscriber has to itself.
pub(crate) fn network_of(peer: IpAddr) -> IpAddr {
    match peer.to_canonical() {
        IpAddr::V4(address) => IpAddr::V4(address),
        IpAddr::V6(address) => {
            let network = u128::from(address) & !u128::from(u64::MAX);
            IpAddr::V6(Ipv6Addr::from(network))
        }
    }
}

#[cfg(test)]
mod tests {
    use satpost_api_types::problem::ProblemCode;

    use super::*;

    fn limiters() -> RateLimiters {
        RateLimiters::new(&RateLimits {
            per_peer: Some(Rate::new(2, Duration::from_secs(10))),
            per_key: Some(Rate::new(1, Duration::from_secs(10))),
            ..RateLimits::off()
        })
    }

    #[tokio::test(start_paused = true)]
    async fn refuses_after_the_burst_and_says_when_there_is_room() {
        let limiters = limiters();
        let peer = "192.0.2.1".parse().unwrap();
        limiters.check_peer(peer).unwrap();
        limiters.check_peer(peer).unwrap();
        let refusal = limiters.check_peer(peer).unwrap_err();
        assert_eq!(refusal.code, ProblemCode::RateLimited);
        assert_eq!(refusal.limit_name, Some(LimitName::RequestsPerPeer));
        assert_eq!(refusal.retry_after, Some(Duration::from_secs(10)));
        tokio::time::advance(Duration::from_secs(10)).await;
        limiters.check_peer(peer).unwrap();
    }

    #[tokio::test(start_paused = true)]
    async fn counts_every_key_by_itself() {
        let limiters = limiters();
        limiters.check_key(&[1; 32]).unwrap();
        limiters.check_key(&[2; 32]).unwrap();
        assert!(limiters.check_key(&[1; 32]).is_err());
    }

    #[tokio::test(start_paused = true)]
    async fn counts_every_token_by_itself_and_apart_from_keys() {
        let limiters = limiters();
        limiters.check_token(&TokenHash::new([1; 32])).unwrap();
        limiters.check_token(&TokenHash::new([2; 32])).unwrap();
        limiters.check_key(&[1; 32]).unwrap();
        assert!(limiters.check_token(&TokenHash::new([1; 32])).is_err());
    }

    #[tokio::test(start_paused = true)]
    async fn forgets_who_has_a_full_bucket_again() {
        let limiters = limiters();
        limiters.check_key(&[1; 32]).unwrap();
        tokio::time::advance(Duration::from_secs(60)).await;
        limiters.forget_idle();
        assert_eq!(limiters.keys.buckets.as_ref().unwrap().len(), 0);
    }

    #[test]
    fn takes_an_ipv6_subscriber_for_one_peer() {
        let one = network_of("2001:db8::1".parse().unwrap());
        assert_eq!(one, network_of("2001:db8::ffff:1".parse().unwrap()));
        assert_ne!(one, network_of("2001:db8:0:1::1".parse().unwrap()));
        assert_eq!(
            network_of("::ffff:192.0.2.1".parse().unwrap()),
            network_of("192.0.2.1".parse().unwrap())
        );
    }

    #[tokio::test(start_paused = true)]
    async fn lets_everything_through_when_it_is_switched_off() {
        let limiters = RateLimiters::new(&RateLimits::off());
        for _ in 0..1_000 {
            limiters.check_key(&[1; 32]).unwrap();
        }
    }
}
