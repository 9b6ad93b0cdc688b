//! A session that listens to the announcements of the node, with a closed set of wake-ups.

use std::convert::Infallible;
use std::sync::Arc;
use std::time::Duration;

use satpost_domain::chain::GapKind;
use satpost_domain::limits::{
    NODE_AUDIT_WAIT, NODE_CALL_MAX, NODE_HEARTBEAT, NODE_RETRY_MIN, NODE_SEARCH_PAUSE,
};
use satpost_projections::read_model::Progress;
use tokio::sync::watch;
use tokio::time::{Instant, Interval, MissedTickBehavior};

use super::{Comparison, FollowError, SessionError, Source, Watcher, until};
use crate::bitcoind::backfill::LiveJoin;
use crate::bitcoind::feed::{Feed, Notice};
use crate::bitcoind::heartbeat::Doubt;
use crate::bitcoind::rpc::MempoolSnapshot;

/// How long a fresh subscription takes at most to reach the node. What is published before is
/// missing without a trace, until the books or the heartbeat notice.
const SUBSCRIPTION_TRAVEL: Duration = Duration::from_millis(100);

/// How long after a resync announcements may still arrive that are older than it.
const ANNOUNCEMENT_TRAVEL: Duration = Duration::from_secs(2);

/// What the loop wakes up for.
enum Wake {
    /// The node announced something; nothing when the feed has ended.
    Notice(Option<Notice>),
    /// A removal was held long enough.
    HoldIsOver,
    /// A watch list may have changed.
    ReadModelMoved,
    /// Search the mempool for new scripts.
    Search,
    /// Compare with the node.
    Heartbeat,
    /// The back-fill waits to hear how far the matching is.
    BackfillAsks,
}

/// What a session keeps beside the follower.
struct Session {
    feed: Feed,
    heartbeat: Interval,
    read_model: watch::Receiver<Progress>,
    join: Arc<LiveJoin>,
    doubt: Doubt,
    audit: Option<Audit>,
    /// How many notices in the feed may be older than the last resync.
    replayed: usize,
    resynced_at: Instant,
    searched_at: Instant,
    search_at: Option<Instant>,
}

/// A full comparison that waits for the announcements to come as far as the node was.
struct Audit {
    blocks: u32,
    snapshot: MempoolSnapshot,
    since: Instant,
}

impl Session {
    async fn wake(&mut self, held_until: Option<Instant>) -> Wake {
        tokio::select! {
            biased;
            notice = self.feed.next() => Wake::Notice(notice),
            () = until(held_until) => Wake::HoldIsOver,
            () = until(self.search_at) => Wake::Search,
            () = moved(&mut self.read_model) => Wake::ReadModelMoved,
            _ = self.heartbeat.tick() => Wake::Heartbeat,
            () = self.join.asked() => Wake::BackfillAsks,
        }
    }

    /// True while an announcement may be older than what was last read from the node.
    fn is_replaying(&self) -> bool {
        self.replayed > 0 || self.resynced_at.elapsed() < ANNOUNCEMENT_TRAVEL
    }

    /// Plans a search, soon but not at every single address of an import.
    fn plan_search(&mut self) {
        let earliest = self.searched_at + NODE_SEARCH_PAUSE;
        self.search_at.get_or_insert(earliest);
    }
}

impl Watcher {
    pub(super) async fn follow_announcements(&mut self) -> Result<Infallible, SessionError> {
        let mut feed = self.open_feed().await?;
        let replayed = self.resync(Some(&mut feed), Source::Announced).await?;
        let mut heartbeat = tokio::time::interval(NODE_HEARTBEAT);
        heartbeat.set_missed_tick_behavior(MissedTickBehavior::Delay);
        let now = Instant::now();
        let mut session = Session {
            feed,
            heartbeat,
            read_model: self.read_model.positions(),
            join: Arc::clone(&self.join),
            doubt: Doubt::default(),
            audit: None,
            replayed,
            resynced_at: now,
            searched_at: now,
            search_at: None,
        };
        loop {
            self.tell_the_backfill().await?;
            let wake = session.wake(self.follower.held_until()).await;
            let mut gap = self.attend(&mut session, wake).await?;
            self.dispel(&mut session.doubt).await?;
            if gap.is_none() {
                gap = self.settle_audit(&mut session).await?;
            }
            if let Some(kind) = gap {
                tracing::warn!(gap = ?kind, "notifications of the node may be missing; resynchronising");
                self.note_gap(kind).await?;
                // What broke often breaks in a row; one resync makes good all of it.
                tokio::time::sleep(NODE_RETRY_MIN).await;
                self.resync_session(&mut session).await?;
            }
        }
    }

    /// Answers with a gap when something is missing.
    async fn attend(
        &mut self,
        session: &mut Session,
        wake: Wake,
    ) -> Result<Option<GapKind>, SessionError> {
        match wake {
            Wake::Notice(Some(notice)) => {
                let began = Instant::now();
                if matches!(notice, Notice::Disconnected(_)) {
                    // What of its transactions does not return is known only later.
                    session.audit = None;
                }
                let gap = self.follower.apply(notice, session.is_replaying()).await?;
                self.metrics.recorded(began.elapsed().as_secs_f64());
                session.replayed = session.replayed.saturating_sub(1);
                self.show_tip(Source::Announced).await?;
                return Ok(gap);
            }
            Wake::Notice(None) => return Err(self.feed_error("the reader has stopped")),
            Wake::HoldIsOver => self.follower.end_holds().await?,
            Wake::ReadModelMoved => {
                if self.follower.has_new_scripts() {
                    session.plan_search();
                }
            }
            Wake::Search => {
                session.search_at = None;
                self.follower.search_for_new_scripts().await?;
                session.searched_at = Instant::now();
            }
            Wake::Heartbeat => return self.compare(session).await,
            // It is told at the head of the loop.
            Wake::BackfillAsks => {}
        }
        Ok(None)
    }

    async fn resync_session(&mut self, session: &mut Session) -> Result<(), SessionError> {
        // It may be another process at the same address.
        let info = self.rpc.info().await.map_err(FollowError::from)?;
        self.note_epoch(&info);
        let feed = Some(&mut session.feed);
        session.replayed = self.resync(feed, Source::Announced).await?;
        session.resynced_at = Instant::now();
        session.doubt = Doubt::default();
        session.audit = None;
        Ok(())
    }

    /// The heartbeat.
    async fn compare(&mut self, session: &mut Session) -> Result<Option<GapKind>, SessionError> {
        if session.doubt.stands() {
            return Ok(Some(GapKind::Heartbeat));
        }
        let best = self.rpc.best_block().await.map_err(FollowError::from)?;
        let size = self.rpc.mempool_size().await.map_err(FollowError::from)?;
        session.doubt = Doubt::raise(best, size);
        self.dispel(&mut session.doubt).await?;
        if session.doubt.stands() || session.feed.waiting() > 0 {
            return Ok(None);
        }
        self.follower.evict_what_did_not_return().await?;
        if self.follower.has_new_scripts() {
            session.plan_search();
        }
        if session.audit.is_none() && Instant::now() >= self.audit_at {
            return self.begin_audit(session).await;
        }
        Ok(None)
    }

    async fn dispel(&self, doubt: &mut Doubt) -> Result<(), FollowError> {
        if doubt.stands() {
            let chain = self.follower.chain().await?;
            doubt.dispel(|tip| chain.remembers(tip), self.follower.mempool_size());
        }
        Ok(())
    }

    async fn begin_audit(
        &mut self,
        session: &mut Session,
    ) -> Result<Option<GapKind>, SessionError> {
        match self.follower.compare_blocks().await? {
            Comparison::Equal(blocks) => {
                session.audit = Some(Audit {
                    blocks,
                    snapshot: self.rpc.mempool().await.map_err(FollowError::from)?,
                    since: Instant::now(),
                });
                Ok(None)
            }
            Comparison::Different => Ok(Some(self.audit_failed())),
            Comparison::NotYet | Comparison::TooLate => Ok(None),
        }
    }

    /// Compares the mempool when the announcements have come as far as the node was.
    async fn settle_audit(
        &mut self,
        session: &mut Session,
    ) -> Result<Option<GapKind>, SessionError> {
        let Some(audit) = &session.audit else {
            return Ok(None);
        };
        let mempool = self.follower.compare_mempool(&audit.snapshot).await?;
        if mempool == Comparison::NotYet {
            let never_came = audit.since.elapsed() > NODE_AUDIT_WAIT;
            return Ok(never_came.then(|| self.audit_failed()));
        }
        let blocks = audit.blocks;
        session.audit = None;
        self.audited(blocks, mempool).await
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

    pub(super) fn feed_error(&self, reason: &str) -> SessionError {
        SessionError::Feed {
            endpoint: self.config.zmq_sequence.clone().unwrap_or_default(),
            reason: reason.to_owned(),
        }
    }
}

/// Waits until the read model has taken an event; for ever when it has ended.
async fn moved(read_model: &mut watch::Receiver<Progress>) {
    if read_model.changed().await.is_err() {
        std::future::pending::<()>().await;
    }
}
