//! What must hold between values before the server starts.

use std::net::SocketAddr;

use satpost_domain::limits::{
    FINAL_DEPTH_MAX, FINAL_DEPTH_MIN, PUSH_HEARTBEAT_MIN, WATCHED_ADDRESSES_CEILING,
};
use satpost_domain::network::Network;
use satpost_domain::push::{ApnsEnvironment, PushTarget};

use crate::config::{Config, EsploraIndex, MessagesConfigError, PriceConfigError};
use crate::push::http::{BaseUrlError, base_url};

/// Why a configuration cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum ConfigError {
    /// A source does not parse, or names a key that does not exist.
    #[error("the configuration cannot be read: {0}")]
    Unreadable(String),
    /// The network has no such name.
    #[error("network: {0}")]
    Network(#[from] satpost_domain::network::UnknownNetwork),
    /// The log is neither `embedded` nor a connection string.
    #[error("log is neither `embedded` nor a connection string: {0}")]
    Log(#[from] satpost_eventstoredb::adapter::ConnectionStringError),
    /// The API would speak plain HTTP to the world.
    #[error(
        "server.listen is {0}, which is not loopback, and the server speaks plain HTTP; put a TLS proxy in front and set server.behind_tls_proxy = true"
    )]
    PlainHttpBeyondLoopback(SocketAddr),
    /// Operator routes have no authentication.
    #[error("server.operator_listen is {0}; operator routes are served on loopback only")]
    OperatorsBeyondLoopback(SocketAddr),
    /// The protocol of EventStoreDB is served without authentication.
    #[error("eventstoredb.listen is {0}; the log is served to readers on loopback only")]
    EventStoreDbBeyondLoopback(SocketAddr),
    /// A node is configured by half.
    #[error("node.rpc_url is set, so {0} is needed as well")]
    NodeIncomplete(&'static str),
    /// Both topics would share one high-water mark.
    #[error(
        "node.zmq_sequence and node.zmq_rawtx are both {0}; give each topic an address of its own, or messages are lost in every large block"
    )]
    ZmqShared(String),
    /// The settings of messages cannot be used.
    #[error(transparent)]
    Messages(#[from] MessagesConfigError),
    /// The settings of prices cannot be used.
    #[error(transparent)]
    Price(#[from] PriceConfigError),
    /// A final depth that is not safe, or deeper than what is remembered.
    #[error("node.final_depth is {0}, it must be {FINAL_DEPTH_MIN} to {FINAL_DEPTH_MAX}")]
    FinalDepth(u32),
    /// A list could grow larger than a server can fold.
    #[error("watching.addresses_max is {0}; at most {WATCHED_ADDRESSES_CEILING} are possible")]
    TooManyAddresses(usize),
    /// Apple's credentials are configured by half.
    #[error("push.apns.key_file is set, so {0} is needed as well")]
    ApnsIncomplete(&'static str),
    /// An app's name cannot be one.
    #[error("push.apns.topics: {0}")]
    ApnsTopic(#[from] satpost_domain::push::PushTargetError),
    /// Credentials would be sent in the clear.
    #[error("{key}: {error}")]
    PushUrl {
        /// The key of the configuration.
        key: &'static str,
        /// What is wrong with it.
        error: BaseUrlError,
    },
    /// Phones would be woken all the time.
    #[error("push.heartbeat_seconds is {0}; it is 0 (off) or at least {min}", min = PUSH_HEARTBEAT_MIN.as_secs())]
    Heartbeat(u64),
    /// The Esplora API speaks plain HTTP and knows no clients.
    #[error(
        "esplora.listen is {0}, which is not loopback; put a TLS proxy in front and set server.behind_tls_proxy = true"
    )]
    EsploraBeyondLoopback(SocketAddr),
    /// The Esplora API asks the node.
    #[error("the Esplora API is on, so node.rpc_url is needed")]
    EsploraWithoutNode,
    /// The index of every script is made for small networks.
    #[error(
        "esplora.index = \"all\" is for regtest, signet and testnets; on mainnet only watched addresses are indexed"
    )]
    EsploraIndexOnMainnet,
    /// A rate of zero would refuse everything.
    #[error("{0} must be at least 1")]
    Zero(&'static str),
}

impl ConfigError {
    pub(super) fn unreadable(error: &figment::Error) -> Self {
        Self::Unreadable(error.to_string())
    }
}

impl Config {
    /// Checks what [`Config::load`] has read.
    pub(super) fn check(&self) -> Result<(), ConfigError> {
        self.network.parse::<Network>()?;
        self.log.cluster()?;
        self.check_listeners()?;
        self.price.plan()?;
        self.messages.check()?;
        self.check_watching()?;
        self.check_push()?;
        self.check_esplora()?;
        self.check_node()
    }

    fn check_watching(&self) -> Result<(), ConfigError> {
        match self.watching.addresses_max {
            0 => Err(ConfigError::Zero("watching.addresses_max")),
            given if given > WATCHED_ADDRESSES_CEILING => Err(ConfigError::TooManyAddresses(given)),
            _ => Ok(()),
        }
    }

    fn check_push(&self) -> Result<(), ConfigError> {
        let push = &self.push;
        let heartbeat = push.heartbeat_seconds;
        if heartbeat != 0 && heartbeat < PUSH_HEARTBEAT_MIN.as_secs() {
            return Err(ConfigError::Heartbeat(heartbeat));
        }
        let urls = [
            ("push.apns.production_url", &push.apns.production_url),
            ("push.apns.sandbox_url", &push.apns.sandbox_url),
            ("push.fcm.url", &push.fcm.url),
        ];
        for (key, url) in urls {
            base_url(url).map_err(|error| ConfigError::PushUrl { key, error })?;
        }
        if push.apns.key_file.is_none() {
            return Ok(());
        }
        if push.apns.key_id.is_empty() {
            return Err(ConfigError::ApnsIncomplete("push.apns.key_id"));
        }
        if push.apns.team_id.is_empty() {
            return Err(ConfigError::ApnsIncomplete("push.apns.team_id"));
        }
        if push.apns.topics.is_empty() {
            return Err(ConfigError::ApnsIncomplete("push.apns.topics"));
        }
        for topic in &push.apns.topics {
            PushTarget::apns(vec![0; 32], topic.clone(), ApnsEnvironment::Production)?;
        }
        Ok(())
    }

    fn check_esplora(&self) -> Result<(), ConfigError> {
        let esplora = &self.esplora;
        if let Some(listen) = esplora.listen
            && !listen.ip().is_loopback()
            && !self.server.behind_tls_proxy
        {
            return Err(ConfigError::EsploraBeyondLoopback(listen));
        }
        for (key, number) in [
            ("esplora.requests_per_second", esplora.requests_per_second),
            ("esplora.requests_burst", esplora.requests_burst),
            ("esplora.unspent_max", u32::from(esplora.unspent_max > 0)),
        ] {
            if number == 0 {
                return Err(ConfigError::Zero(key));
            }
        }
        if !esplora.is_on() {
            return Ok(());
        }
        if !self.has_node() {
            return Err(ConfigError::EsploraWithoutNode);
        }
        if esplora.index == EsploraIndex::All && self.network() == Network::Mainnet {
            return Err(ConfigError::EsploraIndexOnMainnet);
        }
        Ok(())
    }

    fn check_listeners(&self) -> Result<(), ConfigError> {
        let server = &self.server;
        if !server.listen.ip().is_loopback() && !server.behind_tls_proxy {
            return Err(ConfigError::PlainHttpBeyondLoopback(server.listen));
        }
        if !server.operator_listen.ip().is_loopback() {
            return Err(ConfigError::OperatorsBeyondLoopback(server.operator_listen));
        }
        if let Some(listen) = self.eventstoredb.listen
            && !listen.ip().is_loopback()
        {
            return Err(ConfigError::EventStoreDbBeyondLoopback(listen));
        }
        let numbers = [
            (
                "server.requests_per_second",
                server.requests_per_second == 0,
            ),
            ("server.requests_burst", server.requests_burst == 0),
            ("server.connections_max", server.connections_max == 0),
            (
                "server.connections_per_peer_max",
                server.connections_per_peer_max == 0,
            ),
        ];
        let zero = numbers.into_iter().find(|(_, is_zero)| *is_zero);
        zero.map_or(Ok(()), |(key, _)| Err(ConfigError::Zero(key)))
    }

    fn check_node(&self) -> Result<(), ConfigError> {
        if !self.has_node() {
            return Ok(());
        }
        let node = &self.node;
        if node.rpc_cookie.is_none() && node.rpc_user.is_none() {
            return Err(ConfigError::NodeIncomplete(
                "node.rpc_cookie or node.rpc_user",
            ));
        }
        if node.rpc_user.is_some() && node.rpc_password_file.is_none() {
            return Err(ConfigError::NodeIncomplete("node.rpc_password_file"));
        }
        if !(FINAL_DEPTH_MIN..=FINAL_DEPTH_MAX).contains(&node.final_depth) {
            return Err(ConfigError::FinalDepth(node.final_depth));
        }
        // Without announcements the node is asked once a second.
        if node.zmq_sequence.is_empty() && node.zmq_rawtx.is_empty() {
            return Ok(());
        }
        if node.zmq_sequence.is_empty() {
            return Err(ConfigError::NodeIncomplete("node.zmq_sequence"));
        }
        if node.zmq_rawtx.is_empty() {
            return Err(ConfigError::NodeIncomplete("node.zmq_rawtx"));
        }
        if node.zmq_rawtx == node.zmq_sequence {
            return Err(ConfigError::ZmqShared(node.zmq_rawtx.clone()));
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn with(change: impl FnOnce(&mut Config)) -> Result<(), ConfigError> {
        let mut config = Config::default();
        change(&mut config);
        config.check()
    }

    fn with_node(change: impl FnOnce(&mut Config)) -> Result<(), ConfigError> {
        with(|config| {
            config.node.rpc_url = "http://127.0.0.1:8332".to_owned();
            config.node.rpc_cookie = Some("cookie".into());
            config.node.zmq_sequence = "tcp://127.0.0.1:1".to_owned();
            config.node.zmq_rawtx = "tcp://127.0.0.1:2".to_owned();
            change(config);
        })
    }

    #[test]
    fn the_defaults_hold() {
        with(|_| ()).unwrap();
        with_node(|_| ()).unwrap();
    }

    #[test]
    fn refuses_plain_http_beyond_loopback() {
        let listen = SocketAddr::from(([0, 0, 0, 0], 80));
        assert!(matches!(
            with(|config| config.server.listen = listen),
            Err(ConfigError::PlainHttpBeyondLoopback(address)) if address == listen
        ));
        with(|config| {
            config.server.listen = listen;
            config.server.behind_tls_proxy = true;
        })
        .unwrap();
    }

    #[test]
    fn lets_a_list_grow_up_to_the_ceiling() {
        let allow = |max| with(|config| config.watching.addresses_max = max);
        allow(WATCHED_ADDRESSES_CEILING).unwrap();
        allow(1).unwrap();
        assert!(matches!(allow(0), Err(ConfigError::Zero(_))));
        assert!(matches!(
            allow(WATCHED_ADDRESSES_CEILING + 1),
            Err(ConfigError::TooManyAddresses(_))
        ));
    }

    #[test]
    fn takes_some_connections() {
        let max = |all, of_peer| {
            with(|config| {
                config.server.connections_max = all;
                config.server.connections_per_peer_max = of_peer;
            })
        };
        max(1, 1).unwrap();
        for (all, of_peer) in [(0, 1), (1, 0)] {
            assert!(matches!(max(all, of_peer), Err(ConfigError::Zero(_))));
        }
    }

    #[test]
    fn refuses_operator_routes_beyond_loopback() {
        assert!(matches!(
            with(|config| config.server.operator_listen = SocketAddr::from(([10, 0, 0, 1], 80))),
            Err(ConfigError::OperatorsBeyondLoopback(_))
        ));
    }

    #[test]
    fn refuses_to_serve_the_log_beyond_loopback() {
        let listen = SocketAddr::from(([10, 0, 0, 1], 2113));
        assert!(matches!(
            with(|config| config.eventstoredb.listen = Some(listen)),
            Err(ConfigError::EventStoreDbBeyondLoopback(address)) if address == listen
        ));
    }

    #[test]
    fn refuses_an_esplora_that_cannot_be() {
        let listen = SocketAddr::from(([10, 0, 0, 1], 3002));
        assert!(matches!(
            with_node(|config| config.esplora.listen = Some(listen)),
            Err(ConfigError::EsploraBeyondLoopback(_))
        ));
        assert!(matches!(
            with(|config| config.esplora.enabled = true),
            Err(ConfigError::EsploraWithoutNode)
        ));
        assert!(matches!(
            with_node(|config| {
                config.network = Network::Mainnet.name().to_owned();
                config.esplora.enabled = true;
                config.esplora.index = EsploraIndex::All;
            }),
            Err(ConfigError::EsploraIndexOnMainnet)
        ));
        assert!(matches!(
            with(|config| config.esplora.requests_burst = 0),
            Err(ConfigError::Zero("esplora.requests_burst"))
        ));
        with_node(|config| {
            config.esplora.enabled = true;
            config.esplora.index = EsploraIndex::All;
            config.esplora.listen = Some(SocketAddr::from(([127, 0, 0, 1], 3002)));
        })
        .unwrap();
    }

    #[test]
    fn refuses_half_a_node() {
        assert!(matches!(
            with_node(|config| config.node.rpc_cookie = None),
            Err(ConfigError::NodeIncomplete(
                "node.rpc_cookie or node.rpc_user"
            ))
        ));
        assert!(matches!(
            with_node(|config| config.node.zmq_sequence = String::new()),
            Err(ConfigError::NodeIncomplete("node.zmq_sequence"))
        ));
    }

    #[test]
    fn takes_a_node_that_announces_nothing() {
        with_node(|config| {
            config.node.zmq_sequence = String::new();
            config.node.zmq_rawtx = String::new();
        })
        .unwrap();
    }

    #[test]
    fn refuses_a_final_depth_that_is_unsafe_or_not_remembered() {
        for depth in [0, FINAL_DEPTH_MIN - 1, FINAL_DEPTH_MAX + 1] {
            assert!(matches!(
                with_node(|config| config.node.final_depth = depth),
                Err(ConfigError::FinalDepth(got)) if got == depth
            ));
        }
    }

    #[test]
    fn refuses_topics_that_share_an_address() {
        assert!(matches!(
            with_node(|config| config.node.zmq_rawtx = config.node.zmq_sequence.clone()),
            Err(ConfigError::ZmqShared(_))
        ));
    }

    #[test]
    fn refuses_half_the_credentials_of_apple() {
        let with_apns = |change: fn(&mut crate::config::ApnsConfig)| {
            with(|config| {
                config.push.apns.key_file = Some("key.p8".into());
                config.push.apns.key_id = "ABCDE12345".to_owned();
                config.push.apns.team_id = "TEAM567890".to_owned();
                config.push.apns.topics = vec!["com.example.wallet".to_owned()];
                change(&mut config.push.apns);
            })
        };
        with_apns(|_| ()).unwrap();
        assert!(matches!(
            with_apns(|apns| apns.key_id.clear()),
            Err(ConfigError::ApnsIncomplete("push.apns.key_id"))
        ));
        assert!(matches!(
            with_apns(|apns| apns.team_id.clear()),
            Err(ConfigError::ApnsIncomplete("push.apns.team_id"))
        ));
        assert!(matches!(
            with_apns(|apns| apns.topics.clear()),
            Err(ConfigError::ApnsIncomplete("push.apns.topics"))
        ));
        assert!(matches!(
            with_apns(|apns| apns.topics.push("two words".to_owned())),
            Err(ConfigError::ApnsTopic(_))
        ));
    }

    #[test]
    fn refuses_to_send_credentials_in_the_clear() {
        assert!(matches!(
            with(|config| config.push.fcm.url = "http://fcm.googleapis.com".to_owned()),
            Err(ConfigError::PushUrl {
                key: "push.fcm.url",
                ..
            })
        ));
        with(|config| config.push.fcm.url = "http://127.0.0.1:9".to_owned()).unwrap();
    }

    #[test]
    fn refuses_a_heartbeat_that_never_lets_a_phone_sleep() {
        assert!(matches!(
            with(|config| config.push.heartbeat_seconds = 59),
            Err(ConfigError::Heartbeat(59))
        ));
        with(|config| config.push.heartbeat_seconds = 60).unwrap();
    }

    #[test]
    fn refuses_an_unknown_network() {
        assert!(matches!(
            with(|config| config.network = "mainet".to_owned()),
            Err(ConfigError::Network(_))
        ));
    }
}
