//! What operators see of the back-fill.

use prometheus::{IntCounter, IntGauge, Registry};

/// Gauges and counters of one back-fill.
#[derive(Debug, Clone)]
pub struct BackfillMetrics {
    scripts: IntGauge,
    next_height: IntGauge,
    target_height: IntGauge,
    blocks: IntCounter,
    passes: IntCounter,
}

impl BackfillMetrics {
    /// Puts them into `registry`.
    ///
    /// # Errors
    /// When they are in it already.
    pub fn register(registry: &Registry) -> Result<Self, prometheus::Error> {
        let gauge = |name: &str, help: &str| -> Result<IntGauge, prometheus::Error> {
            let gauge = IntGauge::new(name, help)?;
            registry.register(Box::new(gauge.clone()))?;
            Ok(gauge)
        };
        let counter = |name: &str, help: &str| -> Result<IntCounter, prometheus::Error> {
            let counter = IntCounter::new(name, help)?;
            registry.register(Box::new(counter.clone()))?;
            Ok(counter)
        };
        Ok(Self {
            scripts: gauge(
                "satpost_backfill_scripts",
                "How many scripts the running back-fill reads history for; 0 when none runs.",
            )?,
            next_height: gauge(
                "satpost_backfill_next_height",
                "The height of the next block that the back-fill records.",
            )?,
            target_height: gauge(
                "satpost_backfill_target_height",
                "The height that the back-fill reads up to.",
            )?,
            blocks: counter(
                "satpost_backfill_blocks_total",
                "Blocks that were fetched and searched for history.",
            )?,
            passes: counter(
                "satpost_backfill_passes_total",
                "Back-fills that were completed.",
            )?,
        })
    }

    pub(super) fn began(&self, scripts: usize, next: u32, target: u32) {
        self.scripts.set(i64::try_from(scripts).unwrap_or(i64::MAX));
        self.advanced(next);
        self.target(target);
    }

    pub(super) fn advanced(&self, next: u32) {
        self.next_height.set(i64::from(next));
    }

    pub(super) fn target(&self, height: u32) {
        self.target_height.set(i64::from(height));
    }

    pub(super) fn read(&self, blocks: usize) {
        self.blocks.inc_by(blocks as u64);
    }

    /// How many blocks were fetched so far.
    #[must_use]
    pub fn blocks(&self) -> u64 {
        self.blocks.get()
    }

    pub(super) fn ended(&self) {
        self.scripts.set(0);
        self.passes.inc();
    }
}
