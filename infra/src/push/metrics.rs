//! What can be counted about pushes. Labels are closed sets: kinds of push services and outcomes.

use std::time::Duration;

use prometheus::{
    HistogramOpts, HistogramVec, IntCounterVec, IntGauge, IntGaugeVec, Opts, Registry,
};
use satpost_commands::ports::PushOutcome;
use satpost_domain::push::PushKind;

/// Upper bounds of the durations, in seconds. A push is given up after ten.
const DURATION_BUCKETS_SECONDS: [f64; 9] = [0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 10.0];

/// The metrics of the push outbox.
#[derive(Clone)]
pub struct PushMetrics {
    outcomes: IntCounterVec,
    duration: HistogramVec,
    owed: IntGauge,
    outstanding: IntGauge,
    left_alone: IntGaugeVec,
}

impl PushMetrics {
    /// Registers them.
    ///
    /// # Errors
    /// When they are in the registry already.
    pub fn register(registry: &Registry) -> Result<Self, prometheus::Error> {
        let metrics = Self {
            outcomes: IntCounterVec::new(
                Opts::new(
                    "satpost_pushes_total",
                    "Pushes that were tried, by kind of push service and outcome",
                ),
                &["provider", "outcome"],
            )?,
            duration: HistogramVec::new(
                HistogramOpts::new(
                    "satpost_push_duration_seconds",
                    "Time until a push service has answered, by kind",
                )
                .buckets(DURATION_BUCKETS_SECONDS.to_vec()),
                &["provider"],
            )?,
            owed: IntGauge::new(
                "satpost_push_owed",
                "Clients that are owed a push, those that were woken and have not fetched included",
            )?,
            outstanding: IntGauge::new(
                "satpost_push_outstanding",
                "Phones that were woken and have not fetched since",
            )?,
            left_alone: IntGaugeVec::new(
                Opts::new(
                    "satpost_push_services_left_alone",
                    "Push services in trouble that are left alone for a while, by kind",
                ),
                &["provider"],
            )?,
        };
        registry.register(Box::new(metrics.outcomes.clone()))?;
        registry.register(Box::new(metrics.duration.clone()))?;
        registry.register(Box::new(metrics.owed.clone()))?;
        registry.register(Box::new(metrics.outstanding.clone()))?;
        registry.register(Box::new(metrics.left_alone.clone()))?;
        // Every kind is there from the start, so that a dashboard shows a zero.
        for kind in PushKind::ALL {
            metrics.left_alone(kind, 0);
        }
        Ok(metrics)
    }

    /// Counts a push.
    pub(crate) fn tried(&self, kind: PushKind, outcome: PushOutcome, took: Duration) {
        let provider = kind.name();
        self.outcomes
            .with_label_values(&[provider, outcome.name()])
            .inc();
        self.duration
            .with_label_values(&[provider])
            .observe(took.as_secs_f64());
    }

    /// Says how much waits.
    pub(crate) fn waiting(&self, owed: usize, outstanding: usize) {
        self.owed.set(gauge(owed));
        self.outstanding.set(gauge(outstanding));
    }

    /// Says how many services of a kind are left alone.
    pub(crate) fn left_alone(&self, kind: PushKind, services: usize) {
        self.left_alone
            .with_label_values(&[kind.name()])
            .set(gauge(services));
    }
}

fn gauge(count: usize) -> i64 {
    i64::try_from(count).unwrap_or(i64::MAX)
}
