//! The flags of `electrs`, of both its families (romanz/electrs and Blockstream/electrs).

use std::fs;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::path::PathBuf;

use anyhow::Context as _;
use satpost_domain::limits::ESPLORA_UNSPENT_DEFAULT_MAX;
use satpost_domain::network::Network;
use secrecy::SecretString;

use crate::bitcoind::NodeAuth;
use crate::config::{LogFormat, LoggingConfig};

/// Serves the Esplora API and a little of the Electrum protocol where a test harness expects electrs.
#[derive(Debug, clap::Parser)]
#[command(name = "satpost-electrs", version)]
pub(super) struct Arguments {
    /// More log lines; may be given several times.
    #[arg(short = 'v', action = clap::ArgAction::Count)]
    verbosity: u8,
    /// The folder of the index; created if missing.
    #[arg(long, value_name = "DIR", default_value = "db")]
    db_dir: PathBuf,
    /// The node's data folder, where its cookie is looked for.
    #[arg(long, value_name = "DIR")]
    daemon_dir: Option<PathBuf>,
    /// user:password of the node's RPC.
    #[arg(long, alias = "auth", value_name = "USER:PASSWORD")]
    cookie: Option<String>,
    /// The node's cookie file.
    #[arg(long, value_name = "FILE")]
    cookie_file: Option<PathBuf>,
    /// The Bitcoin network: mainnet, testnet, testnet4, signet or regtest.
    #[arg(long, value_name = "NAME", default_value = "mainnet")]
    network: String,
    /// The node's RPC.
    #[arg(long, value_name = "ADDRESS:PORT")]
    daemon_rpc_addr: Option<SocketAddr>,
    /// Where the Electrum protocol is served; an unspecified address is loopback.
    #[arg(long, value_name = "ADDRESS:PORT")]
    electrum_rpc_addr: Option<SocketAddr>,
    /// Where the Esplora API is served; an unspecified address is loopback.
    #[arg(long, value_name = "ADDRESS:PORT")]
    http_addr: Option<SocketAddr>,
    /// Where metrics are served; an unspecified address is loopback.
    #[arg(long, value_name = "ADDRESS:PORT")]
    monitoring_addr: Option<SocketAddr>,
    /// Access-Control-Allow-Origin of the Esplora API.
    #[arg(long, value_name = "ORIGIN")]
    pub(super) cors: Option<String>,
    /// How many unspent outputs of one script are told.
    #[arg(long, value_name = "NUMBER", default_value_t = ESPLORA_UNSPENT_DEFAULT_MAX)]
    pub(super) utxos_limit: usize,
    /// Lets /block-template be asked.
    #[arg(long)]
    pub(super) enable_mining_rest: bool,
    /// What is logged, like info or info,satpost_infra=debug.
    #[arg(long, value_name = "FILTER")]
    log_filters: Option<String>,
    #[command(flatten)]
    without_effect: WithoutEffect,
}

/// Taken because harnesses give them; they change nothing here.
#[derive(Debug, clap::Args)]
struct WithoutEffect {
    #[arg(long, hide = true)]
    timestamp: bool,
    #[arg(long, hide = true)]
    jsonrpc_import: bool,
    #[arg(long, hide = true)]
    index_unspendables: bool,
    #[arg(long, hide = true)]
    address_search: bool,
    #[arg(long, hide = true)]
    lightmode: bool,
    #[arg(long, hide = true)]
    skip_block_download_wait: bool,
    #[arg(long, hide = true)]
    auto_reindex: bool,
    #[arg(long, hide = true)]
    blocks_dir: Option<String>,
    #[arg(long, hide = true)]
    conf: Option<String>,
    #[arg(long, hide = true)]
    conf_dir: Option<String>,
    #[arg(long, hide = true)]
    daemon_p2p_addr: Option<String>,
    #[arg(long, hide = true)]
    daemon_parallelism: Option<String>,
    #[arg(long, hide = true)]
    electrum_banner: Option<String>,
    #[arg(long, hide = true)]
    server_banner: Option<String>,
    #[arg(long, hide = true)]
    electrum_rpc_logging: Option<String>,
    #[arg(long, hide = true)]
    electrum_txs_limit: Option<String>,
    #[arg(long, hide = true)]
    http_socket_file: Option<String>,
    #[arg(long, hide = true)]
    index_batch_size: Option<String>,
    #[arg(long, hide = true)]
    index_lookup_limit: Option<String>,
    #[arg(long, hide = true)]
    precache_scripts: Option<String>,
    #[arg(long, hide = true)]
    tx_cache_size: Option<String>,
    #[arg(long, hide = true)]
    wait_duration_secs: Option<String>,
    #[arg(long, hide = true)]
    zmq_addr: Option<String>,
}

impl Arguments {
    pub(super) fn network(&self) -> anyhow::Result<Network> {
        let name = match self.network.as_str() {
            "bitcoin" => "mainnet",
            other => other,
        };
        Ok(name.parse()?)
    }

    /// The node's RPC, and how to log in to it.
    pub(super) fn node(&self) -> anyhow::Result<(String, NodeAuth)> {
        let network = self.network()?;
        let (port, folder) = match network {
            Network::Mainnet => (8332, ""),
            Network::Testnet => (18332, "testnet3"),
            Network::Testnet4 => (48332, "testnet4"),
            Network::Signet => (38332, "signet"),
            Network::Regtest => (18443, "regtest"),
        };
        let address = self
            .daemon_rpc_addr
            .unwrap_or_else(|| SocketAddr::from((Ipv4Addr::LOCALHOST, port)));
        let auth = match (&self.cookie, &self.cookie_file, &self.daemon_dir) {
            (Some(cookie), ..) => {
                let (user, password) = cookie
                    .trim_end()
                    .split_once(':')
                    .context("--cookie is user:password")?;
                NodeAuth::Password {
                    user: user.to_owned(),
                    password: SecretString::from(password.to_owned()),
                }
            }
            (None, Some(file), _) => NodeAuth::Cookie(file.clone()),
            (None, None, Some(of_node)) => {
                let in_folder = of_node.join(folder).join(".cookie");
                let cookie = if in_folder.exists() {
                    in_folder
                } else {
                    of_node.join(".cookie")
                };
                NodeAuth::Cookie(cookie)
            }
            (None, None, None) => {
                anyhow::bail!("--cookie, --cookie-file or --daemon-dir is needed")
            }
        };
        Ok((format!("http://{address}"), auth))
    }

    pub(super) fn index_folder(&self) -> anyhow::Result<PathBuf> {
        let folder = self.db_dir.join(self.network()?.name());
        fs::create_dir_all(&folder)
            .with_context(|| format!("{} cannot be made", folder.display()))?;
        Ok(folder)
    }

    pub(super) fn electrum_addr(&self) -> SocketAddr {
        let default = SocketAddr::from((Ipv4Addr::LOCALHOST, 50001));
        on_loopback(self.electrum_rpc_addr.unwrap_or(default))
    }

    pub(super) fn http_addr(&self) -> Option<SocketAddr> {
        self.http_addr.map(on_loopback)
    }

    pub(super) fn monitoring_addr(&self) -> Option<SocketAddr> {
        self.monitoring_addr.map(on_loopback)
    }

    pub(super) fn logging(&self) -> LoggingConfig {
        let level = match self.verbosity {
            0 | 1 => "warn",
            2 | 3 => "info",
            _ => "debug",
        };
        LoggingConfig {
            format: LogFormat::Text,
            filter: self
                .log_filters
                .clone()
                .unwrap_or_else(|| format!("{level},actix_server=warn")),
        }
    }

    pub(super) fn warn_of_what_has_no_effect(&self) {
        tracing::debug!(flags = ?self.without_effect, "these flags of electrs have no effect here");
    }
}

/// Harnesses say 0.0.0.0 and mean themselves; nobody else is let in.
fn on_loopback(address: SocketAddr) -> SocketAddr {
    match address.ip() {
        IpAddr::V4(ip) if ip.is_unspecified() => {
            SocketAddr::from((Ipv4Addr::LOCALHOST, address.port()))
        }
        _ => address,
    }
}

#[cfg(test)]
mod tests {
    use clap::Parser as _;

    use super::*;

    /// The command lines of the `electrsd` crate, for either family.
    #[test]
    fn takes_the_flags_that_harnesses_give() {
        let blockstream = "electrs -vvv --db-dir /tmp/x --network regtest --cookie u:p --daemon-rpc-addr 127.0.0.1:1 --jsonrpc-import --electrum-rpc-addr 0.0.0.0:2 --monitoring-addr 0.0.0.0:3 --http-addr 0.0.0.0:4";
        let arguments = Arguments::try_parse_from(blockstream.split(' ')).unwrap();
        assert_eq!(arguments.network().unwrap(), Network::Regtest);
        let (url, auth) = arguments.node().unwrap();
        assert_eq!(url, "http://127.0.0.1:1");
        assert!(matches!(auth, NodeAuth::Password { user, .. } if user == "u"));
        assert_eq!(arguments.http_addr().unwrap().to_string(), "127.0.0.1:4");
        assert_eq!(arguments.electrum_addr().to_string(), "127.0.0.1:2");

        let romanz = "electrs --db-dir /tmp/x --network regtest --cookie-file /c --daemon-rpc-addr 127.0.0.1:1 --daemon-p2p-addr 127.0.0.1:5 --electrum-rpc-addr 0.0.0.0:2 --monitoring-addr 0.0.0.0:3 --skip-block-download-wait";
        let arguments = Arguments::try_parse_from(romanz.split(' ')).unwrap();
        let (_, auth) = arguments.node().unwrap();
        assert!(matches!(auth, NodeAuth::Cookie(file) if file.as_os_str() == "/c"));
        assert_eq!(arguments.http_addr(), None);
    }

    #[test]
    fn wants_to_know_how_to_log_in() {
        let arguments = Arguments::try_parse_from(["electrs", "--network", "regtest"]).unwrap();
        assert!(arguments.node().is_err());
    }
}
