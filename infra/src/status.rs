//! What the server says about itself: which features work, and what must hold before it takes
//! traffic.

use satpost_api::ports::{FEATURE_WATCHING, ReceiptSigner, RequestIds, ServiceStatus};
use satpost_api_types::service::Feature;
use tokio::sync::watch;

use crate::bitcoind::{NodeStatus, Source};
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

/// What a server in poll mode says.
const POLLED: &str = "the node announces too little and is asked once a second; short-lived changes of the mempool are not seen";

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
}

impl Status {
    /// Reports on this.
    #[must_use]
    pub const fn new(node: Node) -> Self {
        Self { node }
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

    fn is_polled(&self) -> bool {
        let Node::Followed(status) = &self.node else {
            return false;
        };
        matches!(
            *status.borrow(),
            NodeStatus::Live {
                source: Source::Polled,
                ..
            }
        )
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
        let mut node = feature("node", self.node_trouble());
        if self.is_polled() {
            // Ready, but not as it should be.
            node.reason = Some(POLLED.to_owned());
        }
        vec![node]
    }
}
