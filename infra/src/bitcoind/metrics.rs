//! The metrics of the watcher. Labels are closed sets.

use prometheus::{
    Histogram, HistogramOpts, IntCounter, IntCounterVec, IntGauge, Opts, Registry, core::Collector,
};
use satpost_domain::chain::GapKind;

/// Upper bounds of the time from an announcement to its durable event, in seconds.
const RECORD_BUCKETS_SECONDS: [f64; 9] = [0.001, 0.002, 0.003, 0.005, 0.01, 0.02, 0.05, 0.25, 2.0];

/// What is counted of the watcher. Cheap to clone; clones count together.
#[derive(Clone)]
pub struct NodeMetrics {
    gaps: IntCounterVec,
    resyncs: IntCounter,
    audits: IntCounterVec,
    polling: IntGauge,
    tip_height: IntGauge,
    final_taken_back: IntCounter,
    record_seconds: Histogram,
}

impl NodeMetrics {
    /// Registers them.
    ///
    /// # Errors
    /// When they are in the registry already.
    pub fn register(registry: &Registry) -> Result<Self, prometheus::Error> {
        Ok(Self {
            gaps: in_registry(
                registry,
                IntCounterVec::new(
                    Opts::new(
                        "satpost_node_gaps_total",
                        "How often something may have been missed of the node, by what noticed it",
                    ),
                    &["kind"],
                )?,
            )?,
            resyncs: counter(
                registry,
                "satpost_node_resyncs_total",
                "How often the log was made to agree with the node from the beginning",
            )?,
            audits: in_registry(
                registry,
                IntCounterVec::new(
                    Opts::new(
                        "satpost_node_audits_total",
                        "Full comparisons with the node, by outcome (passed or failed)",
                    ),
                    &["outcome"],
                )?,
            )?,
            polling: gauge(
                registry,
                "satpost_node_polling",
                "1 while the node is asked once a second because it announces too little",
            )?,
            tip_height: gauge(
                registry,
                "satpost_node_tip_height",
                "The height of the tip in the log",
            )?,
            final_taken_back: counter(
                registry,
                "satpost_node_final_taken_back_total",
                "Transactions that were reported as final and taken back: an alarm",
            )?,
            record_seconds: in_registry(
                registry,
                Histogram::with_opts(
                    HistogramOpts::new(
                        "satpost_node_record_seconds",
                        "Time from taking an announcement of the node to its durable event",
                    )
                    .buckets(RECORD_BUCKETS_SECONDS.to_vec()),
                )?,
            )?,
        })
    }

    /// Counts a gap.
    pub fn gap(&self, kind: GapKind) {
        self.gaps.with_label_values(&[gap_label(kind)]).inc();
    }

    /// How many gaps of one kind were noticed.
    #[must_use]
    pub fn gaps(&self, kind: GapKind) -> u64 {
        self.gaps.with_label_values(&[gap_label(kind)]).get()
    }

    /// Counts a resync.
    pub fn resync(&self) {
        self.resyncs.inc();
    }

    /// Counts an audit.
    pub fn audit(&self, passed: bool) {
        let outcome = if passed { "passed" } else { "failed" };
        self.audits.with_label_values(&[outcome]).inc();
    }

    /// Says whether the node is asked instead of listened to.
    pub fn polling(&self, polling: bool) {
        self.polling.set(i64::from(polling));
    }

    /// Shows the tip.
    pub fn tip(&self, height: u32) {
        self.tip_height.set(i64::from(height));
    }

    /// Counts a final transaction that was taken back.
    pub fn final_taken_back(&self) {
        self.final_taken_back.inc();
    }

    /// Notes how long an announcement took to its durable event.
    pub fn recorded(&self, seconds: f64) {
        self.record_seconds.observe(seconds);
    }
}

fn counter(registry: &Registry, name: &str, help: &str) -> Result<IntCounter, prometheus::Error> {
    in_registry(registry, IntCounter::new(name, help)?)
}

fn gauge(registry: &Registry, name: &str, help: &str) -> Result<IntGauge, prometheus::Error> {
    in_registry(registry, IntGauge::new(name, help)?)
}

fn in_registry<M>(registry: &Registry, metric: M) -> Result<M, prometheus::Error>
where
    M: Collector + Clone + 'static,
{
    registry.register(Box::new(metric.clone()))?;
    Ok(metric)
}

const fn gap_label(kind: GapKind) -> &'static str {
    match kind {
        GapKind::Start => "start",
        GapKind::Counter => "counter",
        GapKind::Disconnected => "disconnected",
        GapKind::NodeRestart => "node_restart",
        GapKind::Heartbeat => "heartbeat",
        GapKind::Books => "books",
        GapKind::Overflow => "overflow",
        GapKind::Audit => "audit",
        GapKind::Polling => "polling",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn counts_each_kind_of_gap_by_itself() {
        let registry = Registry::new();
        let metrics = NodeMetrics::register(&registry).unwrap();
        metrics.gap(GapKind::Books);
        metrics.gap(GapKind::Books);
        metrics.gap(GapKind::Audit);
        let counted = [GapKind::Books, GapKind::Audit, GapKind::Counter];
        assert_eq!(counted.map(|kind| metrics.gaps(kind)), [2, 1, 0]);
        assert!(NodeMetrics::register(&registry).is_err());
    }
}
