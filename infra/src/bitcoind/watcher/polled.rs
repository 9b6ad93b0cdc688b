//! A session that asks the node once a second: the same resync, without announcements after it.

use std::convert::Infallible;

use satpost_domain::chain::GapKind;
use satpost_domain::limits::NODE_HEARTBEAT;
use tokio::time::{Instant, MissedTickBehavior};

use super::{Comparison, SessionError, Source, Watcher};

impl Watcher {
    pub(super) async fn poll(&mut self) -> Result<Infallible, SessionError> {
        tracing::warn!(
            "the node announces too little and is asked once a second: what comes and goes in between is not seen"
        );
        self.note_gap(GapKind::Polling).await?;
        self.resync(None, Source::Polled).await?;
        let mut heartbeat = tokio::time::interval(NODE_HEARTBEAT);
        heartbeat.set_missed_tick_behavior(MissedTickBehavior::Delay);
        loop {
            self.tell_the_backfill().await?;
            heartbeat.tick().await;
            self.follower.resync(None, &self.status).await?;
            self.follower.search_for_new_scripts().await?;
            self.show_tip(Source::Polled).await?;
            if Instant::now() >= self.audit_at {
                self.audit_now().await?;
            }
        }
    }

    /// The mempool is compared whole by every question; only the blocks are left.
    async fn audit_now(&mut self) -> Result<(), SessionError> {
        let gap = match self.follower.compare_blocks().await? {
            Comparison::Equal(blocks) => self.audited(blocks, Comparison::Equal(0)).await?,
            Comparison::Different => Some(self.audit_failed()),
            Comparison::NotYet | Comparison::TooLate => None,
        };
        if let Some(kind) = gap {
            self.note_gap(kind).await?;
            self.resync(None, Source::Polled).await?;
        }
        Ok(())
    }
}
