//! What the feeds tell the operator. The labels are the feeds of the configuration and the closed
//! set of failures.

use prometheus::{IntCounter, IntCounterVec, IntGaugeVec, Opts, Registry};
use satpost_domain::price::{Candle, ExchangeId, FeedFailure};

/// The metrics of prices.
#[derive(Debug, Clone)]
pub struct PriceMetrics {
    answers: IntCounterVec,
    failures_in_a_row: IntGaugeVec,
    unrecorded: IntCounter,
}

impl PriceMetrics {
    /// Makes them; they count before anybody can read them.
    ///
    /// # Errors
    /// Never: the names are well-formed.
    pub fn new() -> Result<Self, prometheus::Error> {
        let answers = Opts::new(
            "satpost_price_answers_total",
            "Answers of exchanges, by feed and outcome (ok, or why there is no candle)",
        );
        let failures = Opts::new(
            "satpost_price_failures_in_a_row",
            "How often a feed has failed since it last gave a candle",
        );
        let unrecorded = IntCounter::new(
            "satpost_price_unrecorded_total",
            "Observations that could not be written to the history of prices",
        )?;
        Ok(Self {
            answers: IntCounterVec::new(answers, &["feed", "outcome"])?,
            failures_in_a_row: IntGaugeVec::new(failures, &["feed"])?,
            unrecorded,
        })
    }

    /// Lets them be read.
    ///
    /// # Errors
    /// When they are in the registry already.
    pub fn register(&self, registry: &Registry) -> Result<(), prometheus::Error> {
        registry.register(Box::new(self.answers.clone()))?;
        registry.register(Box::new(self.failures_in_a_row.clone()))?;
        registry.register(Box::new(self.unrecorded.clone()))
    }

    pub(super) fn answered(&self, feed: &ExchangeId, outcome: &Result<Candle, FeedFailure>) {
        let outcome = outcome.map_or_else(FeedFailure::name, |_| "ok");
        let labels = [feed.as_str(), outcome];
        self.answers.with_label_values(&labels).inc();
    }

    pub(super) fn failing(&self, feed: &ExchangeId, times: u32) {
        let gauge = self.failures_in_a_row.with_label_values(&[feed.as_str()]);
        gauge.set(times.into());
    }

    pub(super) fn not_recorded(&self, observations: usize) {
        self.unrecorded.inc_by(observations as u64);
    }
}
