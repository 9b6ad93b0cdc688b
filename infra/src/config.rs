//! Configuration: built-in defaults, then a TOML file, then the environment, then flags; the later one wins.
//!
//! Everything is read once, at start. An unknown key is an error, so that a typing mistake is not a silent default.

mod check;
mod esplora;
mod log_location;
mod messages;
mod price;
mod reference;

use std::net::SocketAddr;
use std::path::{Path, PathBuf};

use figment::Figment;
use figment::providers::{Env, Format, Serialized, Toml};
use satpost_api::ConnectionLimits;
use satpost_domain::limits::FINAL_DEPTH_DEFAULT;
use satpost_domain::network::Network;
use serde::{Deserialize, Serialize};

pub use check::ConfigError;
pub use esplora::{EsploraConfig, EsploraIndex};
pub use log_location::LogLocation;
pub use messages::{MessagesConfig, MessagesConfigError};
pub use price::{FeedConfig, PriceConfig, PriceConfigError};
pub use reference::reference;

/// The prefix of environment variables: `SATPOSTD_NODE__RPC_URL` is the key `node.rpc_url`.
pub const ENV_PREFIX: &str = "SATPOSTD_";

/// The whole configuration.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Config {
    /// Where the log, the payloads, the snapshots and the keys lie.
    pub data_dir: PathBuf,
    /// The Bitcoin network: `mainnet`, `testnet`, `testnet4`, `signet` or `regtest`.
    pub network: String,
    /// The event log: `embedded` in the data folder, or on a cluster.
    pub log: LogLocation,
    /// The listeners.
    pub server: ServerConfig,
    /// The Bitcoin node; without `rpc_url` the server runs without one.
    pub node: NodeConfig,
    /// Watching addresses.
    pub watching: WatchingConfig,
    /// Messages.
    pub messages: MessagesConfig,
    /// Waking phones.
    pub push: PushConfig,
    /// Prices of a bitcoin; none unless feeds are configured.
    pub price: PriceConfig,
    /// The log over the protocol of EventStoreDB.
    pub eventstoredb: EventStoreDbConfig,
    /// The API that other Bitcoin wallets speak.
    pub esplora: EsploraConfig,
    /// What the server says about its own work.
    pub logging: LoggingConfig,
}

/// The listeners.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ServerConfig {
    /// Where the API listens. An address that is not loopback needs `behind_tls_proxy`.
    pub listen: SocketAddr,
    /// Where metrics and operator routes listen; loopback only.
    pub operator_listen: SocketAddr,
    /// Names a request signature may be made for: `host` or `host:port`. When empty, the listen
    /// address and `localhost` with its port.
    pub authorities: Vec<String>,
    /// True when a proxy in front ends TLS: only then may the API listen beyond loopback.
    pub behind_tls_proxy: bool,
    /// Requests a second that one client may send on average.
    pub requests_per_second: u32,
    /// Requests that one client may send at once after a pause.
    pub requests_burst: u32,
    /// Also limit requests and registrations by network address. False where all requests come
    /// from one proxy or Tor process, which would be limited as a whole.
    pub limit_peers: bool,
    /// How many connections clients may have open together.
    pub connections_max: usize,
    /// How many of them may come from one network address; with `limit_peers` only.
    pub connections_per_peer_max: usize,
}

/// The Bitcoin node.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct NodeConfig {
    /// Its RPC, like `http://127.0.0.1:8332`; empty for no node.
    pub rpc_url: String,
    /// Its cookie file.
    pub rpc_cookie: Option<PathBuf>,
    /// Its RPC user, when no cookie file is used.
    pub rpc_user: Option<String>,
    /// A file with the password of that user.
    pub rpc_password_file: Option<PathBuf>,
    /// The address of `zmqpubsequence`; empty to ask the node once a second instead.
    pub zmq_sequence: String,
    /// The address of `zmqpubrawtx`, another one than that of `zmq_sequence`.
    pub zmq_rawtx: String,
    /// How deep a transaction is when it is reported as final.
    pub final_depth: u32,
}

/// Watching addresses.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct WatchingConfig {
    /// How many addresses one client may watch, up to
    /// [`satpost_domain::limits::WATCHED_ADDRESSES_CEILING`].
    pub addresses_max: usize,
}

/// Waking phones.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct PushConfig {
    /// Hosts or addresses that may be pushed to although they are not globally routable, and
    /// without TLS: for tests and for a push service in the same house.
    pub allow: Vec<String>,
    /// How push services reach the operator (RFC 8292, section 2.1): a `mailto:` or `https:` URL.
    pub contact: String,
    /// How often every phone is woken without a cause, in seconds; never when 0.
    pub heartbeat_seconds: u64,
    /// Waking iPhones.
    pub apns: ApnsConfig,
    /// Waking phones with Google's services.
    pub fcm: FcmConfig,
}

/// Credentials at Apple; none without `key_file`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ApnsConfig {
    /// The `.p8` file of the key that signs for the team.
    pub key_file: Option<PathBuf>,
    /// The id of that key.
    pub key_id: String,
    /// The id of the team.
    pub team_id: String,
    /// The bundle ids of the apps that may be woken.
    pub topics: Vec<String>,
    /// Apple's service for apps from the store.
    pub production_url: String,
    /// Apple's service for apps that are being developed.
    pub sandbox_url: String,
}

/// Credentials at Google; none without `credentials_file`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct FcmConfig {
    /// The JSON file of a service account of the Firebase project.
    pub credentials_file: Option<PathBuf>,
    /// Google's service. Where access tokens are given stands in the file.
    pub url: String,
}

/// The log over the protocol of EventStoreDB, for browsers and readers in other languages.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct EventStoreDbConfig {
    /// Where it is served, loopback only; nowhere when empty.
    pub listen: Option<SocketAddr>,
    /// Whether clients may append, for tests: commands are not asked whether that makes sense.
    pub append: bool,
}

/// What the server says about its own work.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct LoggingConfig {
    /// `text` or `json`.
    pub format: LogFormat,
    /// A filter like `info` or `info,satpost_infra=debug`.
    pub filter: String,
}

/// The form of log lines.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum LogFormat {
    /// For people.
    Text,
    /// One JSON object a line.
    Json,
}

impl Default for Config {
    fn default() -> Self {
        Self {
            data_dir: PathBuf::from("data/satpost"),
            network: Network::Regtest.name().to_owned(),
            log: LogLocation::embedded(),
            server: ServerConfig {
                listen: SocketAddr::from(([127, 0, 0, 1], 8420)),
                operator_listen: SocketAddr::from(([127, 0, 0, 1], 8421)),
                authorities: Vec::new(),
                behind_tls_proxy: false,
                requests_per_second: 50,
                requests_burst: 200,
                limit_peers: true,
                connections_max: ConnectionLimits::default().total_max,
                connections_per_peer_max: 1_024,
            },
            node: NodeConfig {
                rpc_url: String::new(),
                rpc_cookie: None,
                rpc_user: None,
                rpc_password_file: None,
                zmq_sequence: String::new(),
                zmq_rawtx: String::new(),
                final_depth: FINAL_DEPTH_DEFAULT,
            },
            watching: WatchingConfig {
                addresses_max: satpost_domain::limits::WATCHED_ADDRESSES_MAX,
            },
            messages: MessagesConfig::default(),
            push: PushConfig {
                allow: Vec::new(),
                contact: "mailto:operator@localhost".to_owned(),
                heartbeat_seconds: 0,
                apns: ApnsConfig {
                    key_file: None,
                    key_id: String::new(),
                    team_id: String::new(),
                    topics: Vec::new(),
                    production_url: "https://api.push.apple.com".to_owned(),
                    sandbox_url: "https://api.sandbox.push.apple.com".to_owned(),
                },
                fcm: FcmConfig {
                    credentials_file: None,
                    url: "https://fcm.googleapis.com".to_owned(),
                },
            },
            price: PriceConfig::default(),
            eventstoredb: EventStoreDbConfig {
                listen: None,
                append: false,
            },
            esplora: EsploraConfig::default(),
            logging: LoggingConfig {
                format: LogFormat::Text,
                filter: "info,actix_server=warn".to_owned(),
            },
        }
    }
}

impl Config {
    /// Reads the configuration: defaults, `file` if given, the environment, then `flags`.
    ///
    /// # Errors
    /// [`ConfigError`] when a source does not parse, names an unknown key, or the values do not fit together.
    pub fn load(
        file: Option<&Path>,
        flags: &[(&str, figment::value::Value)],
    ) -> Result<Self, ConfigError> {
        let mut figment = Figment::from(Serialized::defaults(Self::default()));
        if let Some(path) = file {
            figment = figment.merge(Toml::file_exact(path));
        }
        figment = figment.merge(Env::prefixed(ENV_PREFIX).split("__").ignore(&["config"]));
        for (key, value) in flags {
            figment = figment.merge(Serialized::default(key, value));
        }
        let config: Self = figment
            .extract()
            .map_err(|error| ConfigError::unreadable(&error))?;
        config.check()?;
        Ok(config)
    }

    /// The network; [`Self::load`] has checked its name.
    #[must_use]
    pub fn network(&self) -> Network {
        self.network.parse().unwrap_or(Network::Regtest)
    }

    /// True when a node is configured.
    #[must_use]
    pub fn has_node(&self) -> bool {
        !self.node.rpc_url.is_empty()
    }

    /// The names a request signature may be made for.
    #[must_use]
    pub fn authorities(&self) -> Vec<String> {
        if !self.server.authorities.is_empty() {
            return self.server.authorities.clone();
        }
        let listen = self.server.listen;
        vec![listen.to_string(), format!("localhost:{}", listen.port())]
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    #[expect(
        clippy::result_large_err,
        reason = "the signature of figment's test jail"
    )]
    fn a_later_source_wins() {
        figment::Jail::expect_with(|jail| {
            jail.create_file(
                "satpost.toml",
                "network = \"signet\"\n[server]\nrequests_burst = 7\n",
            )?;
            jail.set_env("SATPOSTD_SERVER__REQUESTS_BURST", "8");
            let flags = [("network", "testnet4".into())];
            let config = Config::load(Some(Path::new("satpost.toml")), &flags).unwrap();
            assert_eq!(config.network(), Network::Testnet4);
            assert_eq!(config.server.requests_burst, 8);
            Ok(())
        });
    }

    #[test]
    #[expect(
        clippy::result_large_err,
        reason = "the signature of figment's test jail"
    )]
    fn refuses_an_unknown_key() {
        figment::Jail::expect_with(|jail| {
            jail.create_file("satpost.toml", "[server]\nlisten_on = \"127.0.0.1:1\"\n")?;
            let error = Config::load(Some(Path::new("satpost.toml")), &[]).unwrap_err();
            assert!(error.to_string().contains("listen_on"), "{error}");
            Ok(())
        });
    }

    #[test]
    fn names_the_loopback_address_when_no_authority_is_configured() {
        assert_eq!(
            Config::default().authorities(),
            ["127.0.0.1:8420", "localhost:8420"]
        );
    }
}
