//! What the operator decides about the API.

use std::num::NonZeroU32;
use std::time::Duration;

use satpost_api_types::push::PushKind;
use satpost_domain::limits::{
    EVENT_STREAMS_MAX, KNOCK_WORK_BITS_DEFAULT, LIVE_READERS_MAX, READER_STALL_MAX, REFUSAL_TIME,
    SOCKET_PING, SOCKET_SILENCE_MAX,
};
use satpost_domain::network::Network;

/// The settings of the HTTP API. The bounds that clients may rely on are no settings: they stand in
/// [`satpost_domain::limits`].
#[derive(Debug, Clone)]
pub struct ApiConfig {
    /// The one Bitcoin network of this server.
    pub network: Network,
    /// The names a signature may cover as `@authority`: host, and port unless it is the default of
    /// the scheme; lower case.
    pub authorities: Vec<String>,
    /// The P-256 key of the server's Web Push (RFC 8292), base64url without padding.
    pub vapid_key: String,
    /// For which push services beside Web Push there are credentials.
    pub push: PushCredentials,
    /// How often who may ask.
    pub rate_limits: RateLimits,
    /// Threads that serve requests.
    pub workers: usize,
    /// How many addresses one client may watch, up to
    /// [`satpost_domain::limits::WATCHED_ADDRESSES_CEILING`].
    pub watched_addresses_max: usize,
    /// How many connections may be open.
    pub connections: ConnectionLimits,
    /// Connections one worker keeps open at most, whatever becomes of them.
    pub connections_per_worker_max: usize,
    /// How long an idle connection is kept. Longer than the pause between two long polls.
    pub keep_alive: Duration,
    /// How long requests in flight may go on after the stop signal.
    pub shutdown_timeout: Duration,
    /// How many event streams are open at once.
    pub event_streams_max: usize,
    /// How long a reader may take nothing of what is sent to it.
    pub reader_stall_max: Duration,
    /// Who reads messages live.
    pub live: LiveConfig,
    /// How many leading zero bits the work for a stranger's message has, up to
    /// [`satpost_domain::limits::KNOCK_WORK_BITS_MAX`].
    pub knock_work_bits: u32,
    /// How long after its request was read a refused message is answered. Operators do not change it.
    pub refusal_time: Duration,
}

impl ApiConfig {
    /// The defaults for `network` under the names `authorities`.
    #[must_use]
    pub fn new(network: Network, authorities: Vec<String>) -> Self {
        Self {
            network,
            authorities,
            vapid_key: String::new(),
            push: PushCredentials::default(),
            rate_limits: RateLimits::default(),
            watched_addresses_max: satpost_domain::limits::WATCHED_ADDRESSES_MAX,
            workers: std::thread::available_parallelism().map_or(1, usize::from),
            connections: ConnectionLimits::default(),
            connections_per_worker_max: 25_000,
            keep_alive: Duration::from_secs(75),
            shutdown_timeout: Duration::from_secs(10),
            event_streams_max: EVENT_STREAMS_MAX,
            reader_stall_max: READER_STALL_MAX,
            live: LiveConfig::default(),
            knock_work_bits: KNOCK_WORK_BITS_DEFAULT,
            refusal_time: REFUSAL_TIME,
        }
    }
}

/// The bounds of streams and sockets of messages.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct LiveConfig {
    /// How many mailboxes are read live at once.
    pub readers_max: usize,
    /// How often a socket is pinged.
    pub socket_ping: Duration,
    /// How long a socket may say nothing, not even a pong.
    pub socket_silence_max: Duration,
}

impl Default for LiveConfig {
    fn default() -> Self {
        Self {
            readers_max: LIVE_READERS_MAX,
            socket_ping: SOCKET_PING,
            socket_silence_max: SOCKET_SILENCE_MAX,
        }
    }
}

/// How many connections clients may have open.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ConnectionLimits {
    /// All together.
    pub total_max: usize,
    /// Of one peer: an IPv4 address, or an IPv6 /64. No limit where all come from one proxy or Tor
    /// process.
    pub per_peer_max: Option<usize>,
}

impl Default for ConnectionLimits {
    /// Room for every event stream and as many waiting fetches, and for the phones behind one
    /// carrier's address.
    fn default() -> Self {
        Self {
            total_max: 20_000,
            per_peer_max: Some(1_024),
        }
    }
}

/// For which push services beside Web Push, which needs none, the operator has credentials.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct PushCredentials {
    /// The apps (bundle ids) that can be woken through Apple.
    pub apns_topics: Vec<String>,
    /// Whether there is a Firebase project.
    pub fcm: bool,
}

impl PushCredentials {
    /// The kinds of targets that can be woken.
    #[must_use]
    pub fn kinds(&self) -> Vec<PushKind> {
        let apns = (!self.apns_topics.is_empty()).then_some(PushKind::Apns);
        let fcm = self.fcm.then_some(PushKind::Fcm);
        [Some(PushKind::WebPush), apns, fcm]
            .into_iter()
            .flatten()
            .collect()
    }
}

/// A leaky bucket: `burst` requests at once, then one more every `refill`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Rate {
    /// How many requests fit at once.
    pub burst: NonZeroU32,
    /// How long until there is room for one more; not zero.
    pub refill: Duration,
}

impl Rate {
    /// A bucket of `burst` that refills by one every `refill`.
    ///
    /// # Panics
    /// When either is zero: a bucket that never refills, or refills at once, is a mistake.
    #[must_use]
    pub fn new(burst: u32, refill: Duration) -> Self {
        assert!(!refill.is_zero(), "a bucket refills in more than no time");
        let burst = NonZeroU32::new(burst).expect("a bucket holds at least one request");
        Self { burst, refill }
    }
}

/// How often who may ask; `None` switches a limit off.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct RateLimits {
    /// Requests of one peer: an IPv4 address, or an IPv6 /64. Asked before anything is read. Switch
    /// it off on a listener whose requests all come from one proxy or Tor process.
    pub per_peer: Option<Rate>,
    /// Requests of one key. Asked after the signature: nobody can spend another one's allowance.
    pub per_key: Option<Rate>,
    /// Registrations from one peer.
    pub registrations_per_peer: Option<Rate>,
    /// Messages from one peer that are neither signed nor sent with a delivery token; with a token,
    /// that counts like a key.
    pub strangers_per_peer: Option<Rate>,
}

impl Default for RateLimits {
    /// Generous to phones behind one carrier's address, tight on registrations and strangers.
    fn default() -> Self {
        Self {
            per_peer: Some(Rate::new(200, Duration::from_millis(20))),
            per_key: Some(Rate::new(100, Duration::from_millis(100))),
            registrations_per_peer: Some(Rate::new(30, Duration::from_secs(10))),
            strangers_per_peer: Some(Rate::new(100, Duration::from_secs(1))),
        }
    }
}

impl RateLimits {
    /// No limit at all, for tests and measurements.
    #[must_use]
    pub const fn off() -> Self {
        Self {
            per_peer: None,
            per_key: None,
            registrations_per_peer: None,
            strangers_per_peer: None,
        }
    }
}
