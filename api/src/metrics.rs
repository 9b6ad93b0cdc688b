//! Every metric of the HTTP API. Labels are closed sets: operations, codes, never an id or an address.

use prometheus::{
    HistogramOpts, HistogramVec, IntCounterVec, IntGauge, Opts, Registry, TextEncoder,
};

/// Upper bounds of the request durations, in seconds. The last ones are for fetches that wait.
const DURATION_BUCKETS_SECONDS: [f64; 12] = [
    0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 1.0, 5.0, 15.0, 35.0,
];

/// The metrics of requests.
#[derive(Clone)]
pub struct HttpMetrics {
    requests: IntCounterVec,
    duration: HistogramVec,
    in_flight: IntGauge,
    waiting: IntGauge,
}

impl HttpMetrics {
    /// Registers them.
    ///
    /// # Errors
    /// When they are in the registry already.
    pub fn register(registry: &Registry) -> Result<Self, prometheus::Error> {
        let requests = IntCounterVec::new(
            Opts::new(
                "satpost_http_requests_total",
                "Requests answered, by operation, status and problem code (ok when there is none)",
            ),
            &["operation", "status", "code"],
        )?;
        let duration = HistogramVec::new(
            HistogramOpts::new(
                "satpost_http_request_duration_seconds",
                "Time from the request head to the answer, by operation",
            )
            .buckets(DURATION_BUCKETS_SECONDS.to_vec()),
            &["operation"],
        )?;
        let in_flight = IntGauge::new(
            "satpost_http_requests_in_flight",
            "Requests that are being answered",
        )?;
        let waiting = IntGauge::new(
            "satpost_http_fetches_waiting",
            "Fetches that wait for a message",
        )?;
        registry.register(Box::new(requests.clone()))?;
        registry.register(Box::new(duration.clone()))?;
        registry.register(Box::new(in_flight.clone()))?;
        registry.register(Box::new(waiting.clone()))?;
        Ok(Self {
            requests,
            duration,
            in_flight,
            waiting,
        })
    }

    /// Counts an answer.
    pub(crate) fn answered(&self, operation: &str, status: &str, code: &str, seconds: f64) {
        self.requests
            .with_label_values(&[operation, status, code])
            .inc();
        self.duration
            .with_label_values(&[operation])
            .observe(seconds);
    }

    /// Counts a request until the guard is dropped.
    pub(crate) fn in_flight(&self) -> GaugeGuard {
        GaugeGuard::raise(&self.in_flight)
    }

    /// Counts a waiting fetch until the guard is dropped.
    pub(crate) fn waiting(&self) -> GaugeGuard {
        GaugeGuard::raise(&self.waiting)
    }
}

/// Keeps a gauge raised by one, also when the client goes away in between.
pub(crate) struct GaugeGuard(IntGauge);

impl GaugeGuard {
    fn raise(gauge: &IntGauge) -> Self {
        gauge.inc();
        Self(gauge.clone())
    }
}

impl Drop for GaugeGuard {
    fn drop(&mut self) {
        self.0.dec();
    }
}

/// All metrics of the registry in the Prometheus text format.
///
/// # Errors
/// When a metric cannot be written.
pub fn encode(registry: &Registry) -> Result<String, prometheus::Error> {
    TextEncoder::new().encode_to_string(&registry.gather())
}
