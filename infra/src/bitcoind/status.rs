//! What the watcher tells the rest of the server about the node.

use satpost_domain::chain::BlockRef;
use satpost_domain::network::Network;

/// Where the watcher stands. Health and service information read the last value.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum NodeStatus {
    /// No node has answered yet.
    Connecting,
    /// The log is behind the node, or the node behind its network.
    Syncing {
        /// How far the one behind has come.
        height: u32,
        /// How far it must go.
        target: u32,
    },
    /// The log agrees with the node.
    Live {
        /// The tip of both.
        tip: BlockRef,
        /// How changes reach it.
        source: Source,
    },
    /// The node cannot be followed; it is tried again by itself.
    Down {
        /// What is wrong, for the operator.
        reason: String,
    },
    /// The node is on another network than the server; nothing of it is recorded.
    WrongNetwork {
        /// The network of the server.
        configured: Network,
        /// The network of the node, in the node's words.
        found: String,
    },
}

/// How changes of the node reach the log.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Source {
    /// The node announces each of them, provably without a gap.
    Announced,
    /// The node is asked once a second: what comes and goes in between is not seen.
    Polled,
}

impl NodeStatus {
    /// True when transactions are reported as they happen.
    #[must_use]
    pub const fn is_live(&self) -> bool {
        matches!(self, Self::Live { .. })
    }
}
