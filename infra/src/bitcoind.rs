//! The Bitcoin node: what is asked of it, what it announces, and the watcher that turns both into
//! events of the chain.
//!
//! # Layout
//! - [`rpc`]: the port to the node; [`core_rpc`]: the adapter over its JSON-RPC and REST interfaces.
//! - [`scanner`]: walks over the bytes of a block; [`block_search`]: what in it touches a watched
//!   script; [`block_stream`]: many blocks one after another.
//! - [`feed`]: its ZMQ notifications; [`books`]: the proof that none of them is missing.
//! - [`mempool`]: the node's mempool as it was told; [`matcher`]: what in it touches
//!   a watched script.
//! - [`follower`]: applies blocks and mempool changes to the log; [`resync`]: the one way to
//!   begin, and to begin again after anything may have been missed.
//! - [`heartbeat`], [`epoch`]: what else shows that something is missing; [`metrics`] count it.
//! - [`check`]: is this the right node, and does it announce what is needed; [`doctor`]: what of its
//!   set-up should be changed, and how.
//! - [`backfill`]: what happened to scripts before they were watched.
//! - [`proofs`]: that transactions are in blocks, for clients that ask.
//! - [`watcher`]: the loop over all of them; [`status`]: what it tells the rest of the server.
//!
//! # Authority
//! The header chain stands above the mempool snapshot, which stands above the `sequence` topic;
//! `rawtx` gives bodies only. Whatever was announced, the log is made to agree with the higher one.
//!
//! # What is seen
//! A transaction is recorded when it pays to a script that is watched at that moment, or spends a
//! coin that was recorded before. A transaction that waits in the mempool while its script is
//! added to a watch list is found at once; older history is read by the back-fill when a client
//! asks for it.

use std::path::PathBuf;
use std::time::Duration;

use satpost_domain::network::Network;
use secrecy::SecretString;

pub mod backfill;
pub mod block_search;
pub mod block_stream;
pub mod books;
pub mod check;
pub(crate) mod convert;
pub mod core_rpc;
pub mod doctor;
pub mod epoch;
pub mod feed;
pub mod follower;
pub mod heartbeat;
pub mod matcher;
pub mod mempool;
pub mod metrics;
pub mod proofs;
pub mod resync;
pub mod rpc;
pub mod scanner;
pub mod status;
#[cfg(test)]
mod test_blocks;
pub mod watcher;

pub use core_rpc::CoreRpc;
pub use metrics::NodeMetrics;
pub use proofs::NodeProofs;
pub use status::{NodeStatus, Source};
pub use watcher::run;

/// Which node to follow, and how.
#[derive(Debug, Clone)]
pub struct NodeConfig {
    /// The network the node must be on.
    pub network: Network,
    /// Its RPC interface, `http://host:port`.
    pub rpc_url: String,
    /// How to log in to it.
    pub rpc_auth: NodeAuth,
    /// Where it publishes `sequence`: `tcp://host:port` or `ipc:///path`. Without it the node is
    /// asked once a second.
    pub zmq_sequence: Option<String>,
    /// Where it publishes `rawtx`; without it every transaction is asked for by RPC.
    pub zmq_rawtx: Option<String>,
    /// How deep a transaction is when it is reported as final.
    pub final_depth: u32,
    /// How often everything is compared with the node.
    pub audit_every: Duration,
}

/// How to log in to the node.
#[derive(Debug, Clone)]
pub enum NodeAuth {
    /// The cookie file, which the node writes anew at every start.
    Cookie(PathBuf),
    /// A user and password of its configuration.
    Password {
        /// `rpcuser`, or the user of an `rpcauth` line.
        user: String,
        /// The password; never printed.
        password: SecretString,
    },
}
