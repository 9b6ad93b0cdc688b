//! The loop: one session with the node after another, and inside a session a closed set of
//! wake-ups.

use std::sync::Arc;
use std::time::Duration;

use satpost_commands::Handler;
use satpost_domain::chain::{BlockRef, GapKind};
use satpost_domain::ids::BlockHash;
use satpost_domain::limits::{NODE_CALL_MAX, NODE_HEARTBEAT, NODE_RETRY_MAX, NODE_RETRY_MIN};
use satpost_projections::ReadModel;
use tokio::sync::watch;
use tokio::time::{Instant, MissedTickBehavior};
use tokio_util::sync::CancellationToken;

use super::backfill::LiveJoin;
use super::check::{self, Unfit};
use super::feed::{Feed, Notice};
use super::follower::{FollowError, Follower};
use super::rpc::{NodeInfo, NodeRpc};
use super::{NodeConfig, NodeStatus};

/// How long a fresh subscription takes at most to reach the node. What is published before is
/// missing without a trace, until the books or the heartbeat notice.
const SUBSCRIPTION_TRAVEL: Duration = Duration::from_millis(100);

/// How far the start of the node may seem to move, in seconds: uptime has no fractions.
const START_TIME_SLACK_SECS: u64 = 3;

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
    status: watch::Sender<NodeStatus>,
    join: Arc<LiveJoin>,
    shutdown: CancellationToken,
) {
    let follower = Follower::new(
        Arc::clone(&rpc),
        handler.clone(),
        config.network,
        config.final_depth,
        read_model,
    );
    let mut watcher = Watcher {
        config,
        rpc,
        handler,
        follower,
        status,
        join,
        node_started_secs: None,
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
    status: watch::Sender<NodeStatus>,
    /// The tie to the back-fill.
    join: Arc<LiveJoin>,
    /// When the node was started, in Unix seconds, by its uptime.
    node_started_secs: Option<u64>,
    /// Why the next resync is needed.
    gap: GapKind,
}

/// What the loop wakes up for.
enum Wake {
    /// The node announced something; nothing when the feed has ended.
    Notice(Option<Notice>),
    /// A removal was held long enough.
    HoldIsOver,
    /// Compare with the node.
    Heartbeat,
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
        if was_live {
            self.gap = GapKind::Disconnected;
            if let Err(error) = self.follower.note_gap(self.gap).await {
                tracing::warn!(%error, "the gap is noted when the log can be written again");
            }
        }
    }

    /// Follows the node until something fails.
    async fn session(&mut self) -> Result<std::convert::Infallible, SessionError> {
        let info = check::check(self.rpc.as_ref(), self.config.network).await?;
        self.note_restart(&info);
        tracing::info!(
            node.subversion = info.subversion,
            node.blocks = info.blocks,
            "the node answers"
        );
        self.begin(&info).await?;
        let mut feed = self.open_feed().await?;
        let mut replayed = self.resync(&mut feed).await?;
        let mut heartbeat = tokio::time::interval(NODE_HEARTBEAT);
        heartbeat.set_missed_tick_behavior(MissedTickBehavior::Delay);
        let mut doubt = Doubt::default();
        loop {
            self.tell_the_backfill().await?;
            let wake = tokio::select! {
                biased;
                notice = feed.next() => Wake::Notice(notice),
                () = until(self.follower.held_until()) => Wake::HoldIsOver,
                _ = heartbeat.tick() => Wake::Heartbeat,
                () = self.join.asked() => continue,
            };
            let gap = match wake {
                Wake::Notice(Some(notice)) => {
                    let gap = self.follower.apply(notice, replayed > 0).await?;
                    replayed = replayed.saturating_sub(1);
                    self.show_tip().await?;
                    gap
                }
                Wake::Notice(None) => return Err(self.feed_error("the reader has stopped")),
                Wake::HoldIsOver => {
                    self.follower.end_holds().await?;
                    None
                }
                Wake::Heartbeat => self.compare(&feed, &mut doubt).await?,
            };
            doubt.dispel(&self.follower).await?;
            if let Some(kind) = gap {
                tracing::warn!(gap = ?kind, "notifications of the node may be missing; resynchronising");
                self.gap = kind;
                self.follower.note_gap(kind).await?;
                // What broke often breaks in a row; one resync makes good all of it.
                tokio::time::sleep(NODE_RETRY_MIN).await;
                replayed = self.resync(&mut feed).await?;
                doubt = Doubt::default();
            }
        }
    }

    /// Nothing is being matched now: what comes next is matched with all that readers see now.
    async fn tell_the_backfill(&mut self) -> Result<(), FollowError> {
        let position = self.follower.read_model.position();
        let spenders = self.join.spenders();
        self.follower.look_again(&spenders).await?;
        self.join.matches_since(position, spenders.len());
        Ok(())
    }

    /// A restarted node may have lost its mempool, and counts its notifications from 0.
    fn note_restart(&mut self, info: &NodeInfo) {
        let started = self
            .handler
            .now()
            .as_secs()
            .saturating_sub(info.uptime_secs);
        let before = self.node_started_secs.replace(started);
        if before.is_some_and(|before| before.abs_diff(started) > START_TIME_SLACK_SECS) {
            self.gap = GapKind::NodeRestart;
        }
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

    async fn open_feed(&self) -> Result<Feed, SessionError> {
        let rawtx = self.config.zmq_rawtx.as_deref();
        let sequence = self.config.zmq_sequence.clone().unwrap_or_default();
        let mut feed =
            Feed::open(&sequence, rawtx).map_err(|error| self.feed_error(&error.to_string()))?;
        let opened = async {
            while let Some(notice) = feed.next().await {
                if notice == Notice::Opened {
                    return true;
                }
            }
            false
        };
        match tokio::time::timeout(NODE_CALL_MAX, opened).await {
            Ok(true) => {
                tokio::time::sleep(SUBSCRIPTION_TRAVEL).await;
                Ok(feed)
            }
            Ok(false) => Err(self.feed_error("the reader has stopped")),
            Err(_) => Err(self.feed_error("nothing answers there")),
        }
    }

    fn feed_error(&self, reason: &str) -> SessionError {
        SessionError::Feed {
            endpoint: self.config.zmq_sequence.clone().unwrap_or_default(),
            reason: reason.to_owned(),
        }
    }

    async fn resync(&mut self, feed: &mut Feed) -> Result<usize, SessionError> {
        self.follower.note_gap(self.gap).await?;
        let replayed = self.follower.resync(feed, &self.status).await?;
        self.follower.note_restored().await?;
        let tip = self.follower.tip().await?;
        self.status.send_replace(NodeStatus::Live { tip });
        tracing::info!(
            block.height = tip.height,
            mempool.transactions = self.follower.mempool_size(),
            "the log agrees with the node"
        );
        Ok(replayed)
    }

    async fn show_tip(&self) -> Result<(), FollowError> {
        let live = NodeStatus::Live {
            tip: self.follower.tip().await?,
        };
        self.status.send_if_modified(|status| {
            let changed = *status != live;
            *status = live;
            changed
        });
        Ok(())
    }

    /// The heartbeat: a loss at the end of what was announced shows only by asking.
    async fn compare(
        &mut self,
        feed: &Feed,
        doubt: &mut Doubt,
    ) -> Result<Option<GapKind>, SessionError> {
        if doubt.stands() {
            return Ok(Some(GapKind::Heartbeat));
        }
        let best = self.rpc.best_block().await.map_err(FollowError::from)?;
        let size = self.rpc.mempool_size().await.map_err(FollowError::from)?;
        *doubt = Doubt {
            tip: Some(best),
            mempool_size: Some(size),
        };
        doubt.dispel(&self.follower).await?;
        if !doubt.stands() && feed.waiting() == 0 {
            self.follower.evict_what_did_not_return().await?;
        }
        self.follower.search_for_new_scripts().await?;
        Ok(None)
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

/// What the node said at the last heartbeat and the follower has not said since. An announcement
/// on its way dispels it; what stands at the next heartbeat was never announced.
#[derive(Debug, Default)]
struct Doubt {
    tip: Option<BlockHash>,
    mempool_size: Option<usize>,
}

impl Doubt {
    const fn stands(&self) -> bool {
        self.tip.is_some() || self.mempool_size.is_some()
    }

    async fn dispel(&mut self, follower: &Follower) -> Result<(), FollowError> {
        if let Some(tip) = self.tip
            && follower.chain().await?.remembers(&tip)
        {
            self.tip = None;
        }
        if self.mempool_size == Some(follower.mempool_size()) {
            self.mempool_size = None;
        }
        Ok(())
    }
}
