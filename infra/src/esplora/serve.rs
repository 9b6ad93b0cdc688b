//! The Esplora API of `satpostd`: which adapter, where it listens, and what runs behind it.

use std::net::TcpListener;
use std::sync::Arc;
use std::time::Duration;

use anyhow::Context as _;
use satpost_api::Rate;
use satpost_api::esplora::{ChainQuery, EsploraConfig, EsploraState};
use satpost_api::metrics::HttpMetrics;
use satpost_commands::Handler;
use satpost_domain::ids::ScriptHash;
use satpost_projections::ReadModel;
use tokio::sync::{Notify, watch};
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;

use super::index::{Index, keep_in_step};
use super::{AllScripts, EsploraNode, WatchedScriptsChain};
use crate::bitcoind::{CoreRpc, NodeConfig, convert};
use crate::config::{Config, EsploraIndex};

/// How often the index asks the node whether anything has changed.
const LOOK_EVERY: Duration = Duration::from_millis(250);

/// What the Esplora API is made of.
pub(crate) struct Esplora<'a> {
    pub(crate) config: &'a Config,
    pub(crate) node: &'a NodeConfig,
    pub(crate) read_model: &'a Arc<ReadModel>,
    pub(crate) handler: &'a Handler,
    pub(crate) metrics: HttpMetrics,
}

/// Opens the adapter that is configured, and starts what keeps it current.
pub(crate) async fn open(
    parts: Esplora<'_>,
    background: &mut JoinSet<()>,
    stop: &CancellationToken,
) -> anyhow::Result<Arc<EsploraState>> {
    let node = Arc::new(EsploraNode::new(&parts.node.rpc_url, &parts.node.rpc_auth));
    let chain: Arc<dyn ChainQuery> = match parts.config.esplora.index {
        EsploraIndex::All => Arc::new(all_scripts(&parts, node, background, stop).await?),
        EsploraIndex::Watched => Arc::new(WatchedScriptsChain::new(
            node,
            Arc::clone(parts.read_model),
            parts.handler.clone(),
            parts.config.network(),
            Box::new(history_is_complete),
            applied(parts.read_model, background, stop),
        )),
    };
    let config = esplora_config(parts.config);
    Ok(Arc::new(EsploraState::new(config, chain, parts.metrics)))
}

/// Serves it on a port of its own.
pub(crate) fn serve(
    state: Arc<EsploraState>,
    listener: TcpListener,
    background: &mut JoinSet<()>,
    stop: &CancellationToken,
) {
    let stopped = stop.clone().cancelled_owned();
    background.spawn(async move {
        if let Err(error) = satpost_api::esplora::run(state, listener, stopped).await {
            tracing::error!(%error, "the Esplora API is not served on its own port any more");
        }
    });
}

/// What happened before a script was watched is not in the log unless it was looked for.
fn history_is_complete(_read_model: &ReadModel, _script: &ScriptHash) -> bool {
    false
}

async fn all_scripts(
    parts: &Esplora<'_>,
    node: Arc<EsploraNode>,
    background: &mut JoinSet<()>,
    stop: &CancellationToken,
) -> anyhow::Result<AllScripts> {
    let folder = parts.config.data_dir.join("esplora");
    let network = convert::network(parts.config.network());
    let index = tokio::task::spawn_blocking(move || Index::open(&folder, network))
        .await
        .context("the Esplora index was not opened")??;
    let index = Arc::new(index);
    let rpc = Arc::new(CoreRpc::new(
        parts.node.rpc_url.clone(),
        parts.node.rpc_auth.clone(),
    ));
    background.spawn(keep_in_step(
        Arc::clone(&index),
        Arc::clone(&node),
        rpc.clone(),
        Arc::new(Notify::new()),
        LOOK_EVERY,
        stop.clone(),
    ));
    Ok(AllScripts::new(index, node, rpc, network))
}

/// Counts what the read model applies.
fn applied(
    read_model: &ReadModel,
    background: &mut JoinSet<()>,
    stop: &CancellationToken,
) -> watch::Receiver<u64> {
    let (sender, receiver) = watch::channel(0);
    let mut positions = read_model.positions();
    let stop = stop.clone();
    background.spawn(async move {
        let forward = async {
            while positions.changed().await.is_ok() {
                sender.send_modify(|count| *count += 1);
            }
        };
        tokio::select! {
            () = stop.cancelled() => {}
            () = forward => {}
        }
    });
    receiver
}

fn esplora_config(config: &Config) -> EsploraConfig {
    let esplora = &config.esplora;
    let per_peer = config.server.limit_peers.then(|| {
        let refill = Duration::from_secs(1) / esplora.requests_per_second;
        Rate::new(esplora.requests_burst, refill)
    });
    EsploraConfig {
        allow_origin: esplora.allow_origin.clone(),
        unspent_max: esplora.unspent_max,
        mining: esplora.mining,
        per_peer,
        ..EsploraConfig::new(config.network())
    }
}
