//! `satpostd serve`: the server. Flags override the environment, the file and the defaults.

use std::net::SocketAddr;
use std::path::PathBuf;
use std::process::ExitCode;

use figment::value::Value;

use super::{EXIT_CONFIG, EXIT_LOG_FATAL, tell_error};
use crate::config::{Config, ConfigError, LogLocation};
use crate::wiring::{self, ServeError};
use crate::{open_files, telemetry};

/// The flags of the server; what is not given comes from the environment, the file or the defaults.
#[derive(Debug, Default, clap::Args)]
pub(super) struct ServeArguments {
    /// A TOML file.
    #[arg(long, env = "SATPOSTD_CONFIG", value_name = "FILE")]
    config: Option<PathBuf>,
    /// The data folder; created if missing.
    #[arg(long, value_name = "DIR")]
    data_dir: Option<PathBuf>,
    /// The Bitcoin network: mainnet, testnet, testnet4, signet or regtest.
    #[arg(long, value_name = "NAME")]
    network: Option<String>,
    /// embedded, or the connection string of an EventStoreDB cluster; give one with a password in SATPOSTD_LOG.
    #[arg(long, value_name = "LOG")]
    log: Option<LogLocation>,
    /// Where the API listens.
    #[arg(long, value_name = "ADDRESS:PORT")]
    listen: Option<SocketAddr>,
    /// Where metrics and operator routes listen.
    #[arg(long, value_name = "ADDRESS:PORT")]
    operator_listen: Option<SocketAddr>,
    /// A name request signatures may be made for; may be given several times.
    #[arg(long, value_name = "HOST[:PORT]")]
    authority: Vec<String>,
    /// The node's RPC.
    #[arg(long, value_name = "URL")]
    node_rpc_url: Option<String>,
    /// The node's cookie file.
    #[arg(long, value_name = "FILE")]
    node_rpc_cookie: Option<PathBuf>,
    /// The node's zmqpubsequence address.
    #[arg(long, value_name = "ADDRESS")]
    node_zmq_sequence: Option<String>,
    /// The node's zmqpubrawtx address.
    #[arg(long, value_name = "ADDRESS")]
    node_zmq_rawtx: Option<String>,
    /// A host or address that may be pushed to although it is not globally routable; may be given several times.
    #[arg(long, value_name = "HOST")]
    push_allow: Vec<String>,
    /// Where the log is served over the protocol of EventStoreDB.
    #[arg(long, value_name = "ADDRESS:PORT")]
    eventstoredb_listen: Option<SocketAddr>,
    /// Where the Esplora API is served on a port of its own.
    #[arg(long, value_name = "ADDRESS:PORT")]
    esplora_listen: Option<SocketAddr>,
    /// Which scripts the Esplora API knows: watched or all.
    #[arg(long, value_name = "WHICH")]
    esplora_index: Option<String>,
    /// text or json.
    #[arg(long, value_name = "FORMAT")]
    log_format: Option<String>,
    /// What is logged, like info or info,satpost_infra=debug.
    #[arg(long, value_name = "FILTER")]
    log_filter: Option<String>,
}

impl ServeArguments {
    /// The whole configuration.
    pub(super) fn load(&self) -> Result<Config, ConfigError> {
        Config::load(self.config.as_deref(), &self.overrides())
    }

    /// The flags that were given, by configuration key.
    fn overrides(&self) -> Vec<(&'static str, Value)> {
        let path = |path: &PathBuf| Value::from(path.to_string_lossy().into_owned());
        let single = [
            ("data_dir", self.data_dir.as_ref().map(path)),
            ("network", self.network.clone().map(Value::from)),
            (
                "log",
                self.log.as_ref().map(|log| Value::from(log.reveal())),
            ),
            (
                "server.listen",
                self.listen.map(|address| Value::from(address.to_string())),
            ),
            (
                "server.operator_listen",
                self.operator_listen
                    .map(|address| Value::from(address.to_string())),
            ),
            ("node.rpc_url", self.node_rpc_url.clone().map(Value::from)),
            ("node.rpc_cookie", self.node_rpc_cookie.as_ref().map(path)),
            (
                "node.zmq_sequence",
                self.node_zmq_sequence.clone().map(Value::from),
            ),
            (
                "node.zmq_rawtx",
                self.node_zmq_rawtx.clone().map(Value::from),
            ),
            (
                "eventstoredb.listen",
                self.eventstoredb_listen
                    .map(|address| Value::from(address.to_string())),
            ),
            (
                "esplora.listen",
                self.esplora_listen
                    .map(|address| Value::from(address.to_string())),
            ),
            ("esplora.index", self.esplora_index.clone().map(Value::from)),
            ("logging.format", self.log_format.clone().map(Value::from)),
            ("logging.filter", self.log_filter.clone().map(Value::from)),
        ];
        let lists = [
            ("server.authorities", &self.authority),
            ("push.allow", &self.push_allow),
        ];
        let given_lists = lists
            .into_iter()
            .filter(|(_, values)| !values.is_empty())
            .map(|(key, values)| (key, Value::from(values.clone())));
        single
            .into_iter()
            .filter_map(|(key, value)| value.map(|value| (key, value)))
            .chain(given_lists)
            .collect()
    }
}

pub(super) fn run(arguments: &ServeArguments) -> anyhow::Result<ExitCode> {
    let config = match arguments.load() {
        Ok(config) => config,
        Err(error) => {
            tell_error(&error.into());
            return Ok(ExitCode::from(EXIT_CONFIG));
        }
    };
    telemetry::init(&config.logging)?;
    open_files::raise_limit();
    // actix-web builds workers of its own; this runtime carries the rest.
    let outcome = actix_web::rt::System::with_tokio_rt(|| {
        tokio::runtime::Builder::new_multi_thread()
            .enable_all()
            .build()
            .expect("the operating system gives threads")
    })
    .block_on(wiring::serve(config));
    match outcome {
        Ok(()) => Ok(ExitCode::SUCCESS),
        Err(error) => {
            let code = match &error {
                ServeError::LogStopped { .. } => EXIT_LOG_FATAL,
                ServeError::Unusable(_) => EXIT_CONFIG,
            };
            tell_error(&error.into());
            Ok(ExitCode::from(code))
        }
    }
}
