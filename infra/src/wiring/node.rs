//! The watcher of the node, the doctor beside it, the back-fill behind it, and proofs for clients.

use std::sync::Arc;

use satpost_api::ports::{BlockProofs, NoBlockProofs};
use satpost_domain::limits::NODE_AUDIT;
use tokio::sync::watch;
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;

use super::{Server, read_secret};
use crate::bitcoind::backfill::{BackfillMetrics, Backfiller, LiveJoin};
use crate::bitcoind::doctor::{self, DoctorMetrics};
use crate::bitcoind::rpc::NodeRpc;
use crate::bitcoind::{self, CoreRpc, NodeAuth, NodeConfig, NodeMetrics, NodeProofs, NodeStatus};
use crate::config::Config;
use crate::status::Node;

impl Server {
    pub(super) fn start_watcher(
        &self,
        background: &mut JoinSet<()>,
        stop: &CancellationToken,
    ) -> anyhow::Result<Node> {
        if !self.config.has_node() {
            tracing::warn!(
                "no Bitcoin node is configured: addresses cannot be watched; messages and pushes work. Set node.rpc_url to change that"
            );
            return Ok(Node::None);
        }
        let config = node_config(&self.config)?;
        let rpc = Arc::new(CoreRpc::new(
            config.rpc_url.clone(),
            config.rpc_auth.clone(),
        ));
        let (sender, receiver) = watch::channel(NodeStatus::Connecting);
        self.start_doctor(Arc::clone(&rpc) as _, receiver.clone(), background, stop)?;
        let join = Arc::new(LiveJoin::default());
        let backfiller = Backfiller {
            rpc: Arc::new(CoreRpc::for_history(
                config.rpc_url.clone(),
                config.rpc_auth.clone(),
            )),
            handler: self.handler.clone(),
            network: config.network,
            read_model: Arc::clone(&self.read_model),
            join: Arc::clone(&join),
            metrics: BackfillMetrics::register(&self.registry)?,
        };
        background.spawn(backfiller.run(stop.clone()));
        background.spawn(bitcoind::run(
            config,
            rpc,
            self.handler.clone(),
            Arc::clone(&self.read_model),
            (sender, NodeMetrics::register(&self.registry)?),
            join,
            stop.clone(),
        ));
        Ok(Node::Followed(receiver))
    }

    /// Proofs have a connection of their own, so that the watcher never waits for them.
    pub(super) fn proofs(&self) -> anyhow::Result<Arc<dyn BlockProofs>> {
        if !self.config.has_node() {
            return Ok(Arc::new(NoBlockProofs));
        }
        let config = node_config(&self.config)?;
        let rpc = CoreRpc::new(config.rpc_url, config.rpc_auth);
        Ok(Arc::new(NodeProofs::new(Arc::new(rpc))))
    }

    fn start_doctor(
        &self,
        rpc: Arc<dyn NodeRpc>,
        status: watch::Receiver<NodeStatus>,
        background: &mut JoinSet<()>,
        stop: &CancellationToken,
    ) -> anyhow::Result<()> {
        let metrics = DoctorMetrics::register(&self.registry)?;
        background.spawn(doctor::keep(
            rpc,
            self.config.network(),
            self.config.data_dir.clone(),
            status,
            metrics,
            stop.clone(),
        ));
        Ok(())
    }
}

/// How the node of a configuration is reached.
pub(crate) fn node_config(config: &Config) -> anyhow::Result<NodeConfig> {
    let node = &config.node;
    let rpc_auth = match (&node.rpc_cookie, &node.rpc_user, &node.rpc_password_file) {
        (Some(cookie), ..) => NodeAuth::Cookie(cookie.clone()),
        (None, Some(user), Some(file)) => NodeAuth::Password {
            user: user.clone(),
            password: read_secret(file)?,
        },
        _ => anyhow::bail!(
            "node.rpc_cookie, or node.rpc_user and node.rpc_password_file, are needed"
        ),
    };
    Ok(NodeConfig {
        network: config.network(),
        rpc_url: node.rpc_url.clone(),
        rpc_auth,
        zmq_sequence: Some(node.zmq_sequence.clone()).filter(|address| !address.is_empty()),
        zmq_rawtx: Some(node.zmq_rawtx.clone()).filter(|address| !address.is_empty()),
        final_depth: node.final_depth,
        audit_every: NODE_AUDIT,
    })
}
