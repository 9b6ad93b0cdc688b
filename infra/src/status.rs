//! What the server says about itself: which features work, what must hold before it takes traffic,
//! and what its projections hold.

use std::sync::Arc;

use satpost_api::ports::{
    FEATURE_WATCHING, OperatorStatus, ReceiptSigner, RequestIds, ServiceStatus,
};
use satpost_api_types::service::{Feature, ProjectionState};
use satpost_domain::hash::sha256;
use satpost_projections::ReadModel;
use tokio::sync::watch;

use crate::bitcoind::NodeStatus;
use crate::server_keys::ServerKeys;
use crate::system::SystemIds;

impl ReceiptSigner for ServerKeys {
    fn public_key(&self) -> [u8; 32] {
        Self::public_key(self)
    }

    fn sign(&self, message: &[u8]) -> [u8; 64] {
        Self::sign(self, message)
    }
}

impl RequestIds for SystemIds {
    fn request_id(&self) -> [u8; 16] {
        self.bytes()
    }
}

/// The node of this server, if it has one.
pub enum Node {
    /// None is configured.
    None,
    /// The watcher follows one.
    Followed(watch::Receiver<NodeStatus>),
}

/// The adapter of the status ports.
pub struct Status {
    node: Node,
    read_model: Arc<ReadModel>,
}

impl Status {
    /// Reports on these.
    #[must_use]
    pub const fn new(node: Node, read_model: Arc<ReadModel>) -> Self {
        Self { node, read_model }
    }

    /// Watching works while a node is down for a while: the resync finds what was missed. It does
    /// not work without a node, or with one of another network.
    fn watching(&self) -> Option<&'static str> {
        match &self.node {
            Node::None => Some("this server has no Bitcoin node"),
            Node::Followed(status) => match *status.borrow() {
                NodeStatus::WrongNetwork { .. } => Some("the Bitcoin node is on another network"),
                NodeStatus::Connecting
                | NodeStatus::Syncing { .. }
                | NodeStatus::Live { .. }
                | NodeStatus::Down { .. } => None,
            },
        }
    }

    /// What is wrong with the node, without a host or a path: the log tells the operator more.
    fn node_trouble(&self) -> Option<String> {
        match &self.node {
            // To run without a node is a choice; the server is ready for what it can do.
            Node::None => None,
            Node::Followed(status) => match &*status.borrow() {
                NodeStatus::Live { .. } => None,
                NodeStatus::Connecting => Some("the Bitcoin node has not answered yet".to_owned()),
                NodeStatus::Syncing { height, target } => {
                    Some(format!("at block {height} of {target}"))
                }
                NodeStatus::Down { .. } => {
                    Some("the Bitcoin node cannot be followed; see the log".to_owned())
                }
                NodeStatus::WrongNetwork { configured, found } => Some(format!(
                    "the Bitcoin node is on {found}, the server on {configured}"
                )),
            },
        }
    }
}

fn feature(name: &str, trouble: Option<String>) -> Feature {
    Feature {
        name: name.to_owned(),
        available: trouble.is_none(),
        reason: trouble,
    }
}

impl ServiceStatus for Status {
    fn features(&self) -> Vec<Feature> {
        vec![
            feature("messaging", None),
            feature(FEATURE_WATCHING, self.watching().map(str::to_owned)),
            feature("push", None),
        ]
    }

    fn checks(&self) -> Vec<Feature> {
        vec![feature("node", self.node_trouble())]
    }
}

impl OperatorStatus for Status {
    fn projections(&self) -> Vec<ProjectionState> {
        let snapshots = self.read_model.snapshots().into_iter();
        let states = snapshots.map(|projection| ProjectionState {
            name: projection.name,
            version: projection.version,
            position: projection.position.to_string(),
            digest: sha256(&projection.bytes).to_string(),
        });
        states.collect()
    }
}
