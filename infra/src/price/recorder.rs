//! Writes what the pollers saw, as much as waits in one transaction, and forgets what is old.

use std::sync::Arc;
use std::time::Duration;

use satpost_commands::ports::Clock;
use tokio::sync::mpsc;
use tokio::task::spawn_blocking;
use tokio::time::Instant;

use super::history::{PriceHistory, Record, cutoff};
use super::metrics::PriceMetrics;

/// How many records go into one transaction at most.
const RECORDS_PER_WRITE_MAX: usize = 256;
/// How often old entries are removed.
const FORGET_EVERY: Duration = Duration::from_secs(3_600);

/// What the recorder is wired to.
pub(super) struct Recorder {
    pub(super) history: Arc<PriceHistory>,
    pub(super) clock: Arc<dyn Clock>,
    pub(super) keep: Duration,
    pub(super) metrics: PriceMetrics,
}

impl Recorder {
    /// Records until every poller has ended.
    pub(super) async fn run(self, mut records: mpsc::Receiver<Record>) {
        let mut waiting = Vec::new();
        let mut forgotten_at: Option<Instant> = None;
        let mut failing = false;
        while records.recv_many(&mut waiting, RECORDS_PER_WRITE_MAX).await > 0 {
            let forget = forgotten_at.is_none_or(|at| at.elapsed() >= FORGET_EVERY);
            if forget {
                forgotten_at = Some(Instant::now());
            }
            let count = waiting.len();
            let written = self.write(std::mem::take(&mut waiting), forget).await;
            match &written {
                Ok(()) if failing => tracing::info!("the history of prices is written again"),
                Ok(()) => {}
                Err(reason) => {
                    self.metrics.not_recorded(count);
                    if !failing {
                        tracing::error!(%reason, "the history of prices cannot be written; prices are answered all the same");
                    }
                }
            }
            failing = written.is_err();
        }
    }

    async fn write(&self, records: Vec<Record>, forget: bool) -> Result<(), String> {
        let history = Arc::clone(&self.history);
        let cutoff = forget.then(|| cutoff(self.clock.now(), self.keep));
        let written = spawn_blocking(move || {
            history.record(&records)?;
            cutoff.map_or(Ok(0), |cutoff| history.forget(cutoff))
        });
        match written.await {
            Ok(Ok(0)) => Ok(()),
            Ok(Ok(entries)) => {
                tracing::debug!(price.entries = entries, "old prices were forgotten");
                Ok(())
            }
            Ok(Err(error)) => Err(error.to_string()),
            Err(error) => Err(error.to_string()),
        }
    }
}
