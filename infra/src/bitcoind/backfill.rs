//! The back-fill: reads the blocks of the past for scripts that were watched only later.
//!
//! # Exactness
//! A script is in the watch list from some moment on, and the blocks that the watcher matched
//! before it could see that are not known one by one. So the back-fill first waits until the
//! watcher has said that all it records from now on was matched with these scripts
//! ([`LiveJoin`]), and reads up to the tip of that moment. Then every coin of the past is in the
//! log; it waits in the same way until the watcher matches with these coins, reads the blocks that
//! came meanwhile once more, and has the watcher look at what spends the coins in the mempool.
//! What is found twice is recorded once.
//!
//! # Layout
//! - [`join`]: what watcher and back-fill tell each other; [`history_rpc`]: what is asked of the node.
//! - `plan`: which scripts wait, and from which height on they are read.
//! - `pass`: reads, records and completes; `recorder`: puts what was found into bounded appends.
//! - `unread`: what was spent in blocks that the node has pruned.
//! - [`status`]: what operators see of it.
//!
//! All waiting scripts share one pass, and those that come meanwhile share the next. Where a pass
//! stands is in the log, so a server that was killed goes on where it was.

use std::sync::Arc;
use std::time::Duration;

use satpost_commands::{CommandError, Handler};
use satpost_domain::StreamId;
use satpost_domain::chain::{Chain, ChainError};
use satpost_domain::limits::{NODE_RETRY_MAX, NODE_RETRY_MIN};
use satpost_domain::network::Network;
use satpost_projections::ReadModel;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use super::rpc::RpcError;
use super::scanner::MalformedBlock;

pub mod history_rpc;
pub mod join;
mod pass;
mod plan;
mod recorder;
pub mod status;
mod unread;

pub use history_rpc::HistoryRpc;
pub use join::LiveJoin;
pub use status::BackfillMetrics;

use pass::Pass;
use plan::Plan;

/// How often the watch list is looked at for scripts that wait, at least.
const LOOK_PAUSE: Duration = Duration::from_millis(250);
/// A look may take this part of the time, however long the list is.
const LOOK_SHARE: u32 = 20;

/// Why a pass cannot go on for now.
#[derive(Debug, thiserror::Error)]
pub enum BackfillError {
    /// The node gave no answer.
    #[error(transparent)]
    Node(#[from] RpcError),
    /// What the node gave is no block.
    #[error(transparent)]
    Malformed(#[from] MalformedBlock),
    /// The log did not take what was found.
    #[error("what was found cannot be recorded: {0}")]
    Record(#[from] CommandError<ChainError>),
    /// The node left a block while it was read.
    #[error("the chain was reorganised at height {height} while it was read")]
    Reorganised {
        /// The height of the block.
        height: u32,
    },
}

/// What the back-fill works with. The node is asked over a connection of its own, so that the
/// watcher does not wait for it.
#[derive(Clone)]
pub struct Backfiller {
    /// The node.
    pub rpc: Arc<dyn HistoryRpc>,
    /// Records what is found.
    pub handler: Handler,
    /// Whose chain it is.
    pub network: Network,
    /// Knows who waits, and what is recorded.
    pub read_model: Arc<ReadModel>,
    /// The tie to the watcher.
    pub join: Arc<LiveJoin>,
    /// What operators see.
    pub metrics: BackfillMetrics,
}

impl Backfiller {
    /// Reads history for whoever waits for it, until `stop`.
    pub async fn run(self, stop: CancellationToken) {
        // A pass that is dropped half-way goes on from its last append.
        tokio::select! {
            () = stop.cancelled() => {}
            () = self.work() => {}
        }
    }

    async fn work(&self) {
        let mut wait = NODE_RETRY_MIN;
        loop {
            // Without a watcher that agrees with the node there is nothing to join.
            self.join.until_live().await;
            let began = Instant::now();
            match self.step().await {
                Ok(true) => wait = NODE_RETRY_MIN,
                Ok(false) => {
                    wait = NODE_RETRY_MIN;
                    let pause = (began.elapsed() * LOOK_SHARE).max(LOOK_PAUSE);
                    tokio::time::sleep(pause).await;
                }
                Err(error) => {
                    tracing::warn!(%error, "a back-fill is interrupted; it is tried again");
                    tokio::time::sleep(wait).await;
                    wait = (wait * 2).min(NODE_RETRY_MAX);
                }
            }
        }
    }

    /// Completes the pass that is open, or begins one for those who wait; false when nobody does.
    async fn step(&self) -> Result<bool, BackfillError> {
        let stream = StreamId::chain(self.network);
        let chain = self.handler.state::<Chain>(&stream).await?;
        let (open, tip) = (chain.backfill().is_some(), chain.tip());
        drop(chain);
        let Some(tip) = tip else {
            return Ok(false);
        };
        if !open {
            let Some(plan) = Plan::make(self, tip.height).await? else {
                return Ok(false);
            };
            plan.start(self).await?;
        }
        Pass::new(self).run().await?;
        Ok(true)
    }
}
