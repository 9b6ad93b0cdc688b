//! The loop: one session with the node after another. A session listens to what the node announces,
//! or asks it once a second when it announces too little.

use std::convert::Infallible;
use std::sync::Arc;

use satpost_commands::Handler;
use satpost_domain::chain::{BlockRef, GapKind};
use satpost_domain::limits::{NODE_RETRY_MAX, NODE_RETRY_MIN};
use satpost_projections::ReadModel;
use tokio::sync::watch;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use super::backfill::LiveJoin;
use super::check::{self, FeedQuality, Unfit};
use super::epoch::Epoch;
use super::feed::Feed;
use super::follower::{Comparison, FollowError, Follower};
use super::metrics::NodeMetrics;
use super::rpc::{NodeInfo, NodeRpc};
use super::{NodeConfig, NodeStatus, Source};

mod announced;
mod polled;

/// Why a session with the node ended.
#[derive(Debug, thiserror::Error)]
enum SessionError {
    #[error(transparent)]
    Unfit(#[from] Unfit),
    #[error(transparent)]
    Follow(#[from] FollowError),
    #[error("the feed at {endpoint} cannot be opened: {reason}")]
    Feed { endpoint: String, reason: String },
}

/// Follows the node until `shutdown`, whatever happens to the node: it may be down, restart, be
/// replaced, or lose notifications. `status` says where the watcher stands.
pub async fn run(
    config: NodeConfig,
    rpc: Arc<dyn NodeRpc>,
    handler: Handler,
    read_model: Arc<ReadModel>,
    (status, metrics): (watch::Sender<NodeStatus>, NodeMetrics),
    join: Arc<LiveJoin>,
    shutdown: CancellationToken,
) {
    let follower = Follower::new(
        Arc::clone(&rpc),
        handler.clone(),
        config.network,
        config.final_depth,
        Arc::clone(&read_model),
        metrics.clone(),
    );
    let mut watcher = Watcher {
        audit_at: Instant::now() + config.audit_every,
        config,
        rpc,
        handler,
        follower,
        read_model,
        status,
        metrics,
        join,
        epoch: Epoch::default(),
        gap: GapKind::Start,
    };
    // Whatever is dropped here half-way is found by the resync of the next start.
    tokio::select! {
        () = shutdown.cancelled() => {}
        () = watcher.run() => {}
    }
}

struct Watcher {
    config: NodeConfig,
    rpc: Arc<dyn NodeRpc>,
    handler: Handler,
    follower: Follower,
    read_model: Arc<ReadModel>,
    status: watch::Sender<NodeStatus>,
    metrics: NodeMetrics,
    /// The tie to the back-fill.
    join: Arc<LiveJoin>,
    epoch: Epoch,
    /// Why the next resync is needed.
    gap: GapKind,
    /// When everything is compared with the node next.
    audit_at: Instant,
}

impl Watcher {
    async fn run(&mut self) {
        let mut wait = NODE_RETRY_MIN;
        loop {
            let error = match self.session().await {
                Err(error) => error,
                Ok(never) => match never {},
            };
            if self.status.borrow().is_live() {
                wait = NODE_RETRY_MIN;
            }
            self.session_ended(&error).await;
            tokio::time::sleep(wait).await;
            wait = (wait * 2).min(NODE_RETRY_MAX);
        }
    }

    /// Says once that the node cannot be followed, here and in the log.
    async fn session_ended(&mut self, error: &SessionError) {
        let next = match error {
            SessionError::Unfit(Unfit::WrongNetwork { configured, found }) => {
                NodeStatus::WrongNetwork {
                    configured: *configured,
                    found: found.clone(),
                }
            }
            SessionError::Unfit(Unfit::Behind { blocks, headers }) => NodeStatus::Syncing {
                height: *blocks,
                target: *headers,
            },
            other => NodeStatus::Down {
                reason: other.to_string(),
            },
        };
        if *self.status.borrow() != next {
            tracing::error!(%error, "the node cannot be followed; it is tried again");
        }
        let was_live = self.status.send_replace(next).is_live();
        if was_live && let Err(error) = self.note_gap(GapKind::Disconnected).await {
            tracing::warn!(%error, "the gap is noted when the log can be written again");
        }
    }

    /// Follows the node until something fails.
    async fn session(&mut self) -> Result<Infallible, SessionError> {
        let (info, source) = self.examine().await?;
        if self.note_epoch(&info) {
            self.gap = GapKind::NodeRestart;
        }
        tracing::info!(
            node.subversion = info.subversion,
            node.blocks = info.blocks,
            "the node answers"
        );
        self.begin(&info).await?;
        self.metrics.polling(source == Source::Polled);
        match source {
            Source::Announced => self.follow_announcements().await,
            Source::Polled => self.poll().await,
        }
    }

    /// Looks whether the node can be followed, and how.
    async fn examine(&self) -> Result<(NodeInfo, Source), SessionError> {
        let (info, quality) = check::check(self.rpc.as_ref(), self.config.network).await?;
        let announced = quality == FeedQuality::Complete && self.config.zmq_sequence.is_some();
        let source = if announced {
            Source::Announced
        } else {
            Source::Polled
        };
        Ok((info, source))
    }

    /// Nothing is being matched now: what comes next is matched with all that readers see now.
    async fn tell_the_backfill(&mut self) -> Result<(), FollowError> {
        let position = self.follower.read_model.position();
        let spenders = self.join.spenders();
        self.follower.look_again(&spenders).await?;
        self.join.matches_since(position, spenders.len());
        Ok(())
    }

    /// A restarted node may have lost its mempool, and counts its notifications from 0. True when
    /// it was restarted since the last look.
    fn note_epoch(&mut self, info: &NodeInfo) -> bool {
        let restarted = self
            .epoch
            .restarted(self.handler.now().as_secs(), info.uptime_secs);
        if restarted {
            self.metrics.gap(GapKind::NodeRestart);
        }
        restarted
    }

    /// Begins to follow the chain at the node's tip when the log does not know it yet.
    async fn begin(&mut self, info: &NodeInfo) -> Result<(), SessionError> {
        if let Some(tip) = self.follower.chain().await?.tip() {
            return still_fetching(info, tip).map_or(Ok(()), |unfit| Err(unfit.into()));
        }
        let height = info.blocks;
        let hash = self.rpc.block_hash(height).await;
        // The tip was taken back just now when there is no such block; the next session begins.
        if let Some(hash) = hash.map_err(FollowError::from)? {
            let genesis = check::genesis(self.config.network);
            let tip = BlockRef { height, hash };
            self.follower.start(genesis, tip).await?;
        }
        Ok(())
    }

    /// Says in the log and in the metrics that something may have been missed.
    async fn note_gap(&mut self, kind: GapKind) -> Result<(), FollowError> {
        self.gap = kind;
        self.metrics.gap(kind);
        self.follower.note_gap(kind).await
    }

    async fn resync(
        &mut self,
        feed: Option<&mut Feed>,
        source: Source,
    ) -> Result<usize, SessionError> {
        self.follower.note_gap(self.gap).await?;
        let replayed = self.follower.resync(feed, &self.status).await?;
        self.follower.note_restored().await?;
        self.metrics.resync();
        self.show_tip(source).await?;
        let tip = self.follower.tip().await?;
        tracing::info!(
            block.height = tip.height,
            mempool.transactions = self.follower.mempool_size(),
            "the log agrees with the node"
        );
        Ok(replayed)
    }

    async fn show_tip(&self, source: Source) -> Result<(), FollowError> {
        let tip = self.follower.tip().await?;
        let live = NodeStatus::Live { tip, source };
        self.metrics.tip(tip.height);
        self.status.send_if_modified(|status| {
            let changed = *status != live;
            *status = live;
            changed
        });
        Ok(())
    }

    /// Ends an audit. Answers with a gap when it found something.
    async fn audited(
        &mut self,
        blocks: u32,
        mempool: Comparison,
    ) -> Result<Option<GapKind>, SessionError> {
        match mempool {
            Comparison::NotYet | Comparison::TooLate => return Ok(None),
            Comparison::Different => return Ok(Some(self.audit_failed())),
            Comparison::Equal(_) => {}
        }
        self.metrics.audit(true);
        self.audit_at = Instant::now() + self.config.audit_every;
        self.follower.note_audit(blocks).await?;
        self.follower.forget_what_is_settled().await?;
        Ok(None)
    }

    fn audit_failed(&mut self) -> GapKind {
        tracing::error!("the comparison of everything with the node has found a difference");
        self.metrics.audit(false);
        self.audit_at = Instant::now() + self.config.audit_every;
        GapKind::Audit
    }
}

/// A node that fetches the chain anew is no witness that the blocks in the log are stale.
fn still_fetching(info: &NodeInfo, tip: BlockRef) -> Option<Unfit> {
    (info.initial_download && info.blocks < tip.height).then_some(Unfit::Behind {
        blocks: info.blocks,
        headers: info.headers.max(tip.height),
    })
}

async fn until(moment: Option<Instant>) {
    match moment {
        Some(moment) => tokio::time::sleep_until(moment).await,
        None => std::future::pending().await,
    }
}
