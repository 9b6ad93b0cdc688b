//! Every metric of the HTTP API. Labels are closed sets: operations, codes, never an id or an address.

use prometheus::{
    HistogramOpts, HistogramVec, IntCounter, IntCounterVec, IntGauge, IntGaugeVec, Opts, Registry,
    TextEncoder,
};

use crate::live::Kind;

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
    event_streams: IntGauge,
    events_sent: IntCounter,
    readers_dropped: IntCounter,
    live_readers: IntGaugeVec,
    live_deliveries: IntCounterVec,
    live_superseded: IntCounter,
    connections: IntGauge,
    connections_refused: IntCounterVec,
    admissions: IntCounterVec,
}

/// How a message came in, or that it did not.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Admission {
    /// With a lasting delivery token.
    Contact,
    /// With a token that was good for one knock.
    Once,
    /// As a knock, with work.
    Knock,
    /// Without a token, into a mailbox that is open to strangers.
    Open,
    /// Not at all.
    Refused,
}

impl Admission {
    const fn label(self) -> &'static str {
        match self {
            Self::Contact => "contact",
            Self::Once => "once",
            Self::Knock => "knock",
            Self::Open => "open",
            Self::Refused => "refused",
        }
    }
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
        let event_streams =
            IntGauge::new("satpost_http_event_streams", "Event streams that are open")?;
        let events_sent = IntCounter::new(
            "satpost_http_events_sent_total",
            "Changes of transactions handed to event streams",
        )?;
        let readers_dropped = IntCounter::new(
            "satpost_http_event_readers_dropped_total",
            "Streams and sockets ended because their reader was too slow",
        )?;
        let live_readers = IntGaugeVec::new(
            Opts::new(
                "satpost_http_live_readers",
                "Streams and sockets of messages that are open, by kind",
            ),
            &["kind"],
        )?;
        let live_deliveries = IntCounterVec::new(
            Opts::new(
                "satpost_http_live_deliveries_total",
                "Messages and tombstones handed to streams and sockets, by kind",
            ),
            &["kind"],
        )?;
        let live_superseded = IntCounter::new(
            "satpost_http_live_readers_superseded_total",
            "Streams and sockets of messages that a newer one took over from",
        )?;
        for kind in Kind::ALL {
            // Told from the beginning, as zero.
            live_readers.with_label_values(&[kind.as_str()]);
            live_deliveries.with_label_values(&[kind.as_str()]);
        }
        registry.register(Box::new(live_readers.clone()))?;
        registry.register(Box::new(live_deliveries.clone()))?;
        registry.register(Box::new(live_superseded.clone()))?;
        let connections = IntGauge::new(
            "satpost_http_connections",
            "Connections of clients that are open",
        )?;
        let connections_refused = IntCounterVec::new(
            Opts::new(
                "satpost_http_connections_refused_total",
                "Connections that were one too many, by the limit they passed",
            ),
            &["limit"],
        )?;
        registry.register(Box::new(connections.clone()))?;
        registry.register(Box::new(connections_refused.clone()))?;
        let admissions = IntCounterVec::new(
            Opts::new(
                "satpost_message_admissions_total",
                "Messages by how they came in: contact, once, knock, open, or refused",
            ),
            &["kind"],
        )?;
        registry.register(Box::new(admissions.clone()))?;
        registry.register(Box::new(event_streams.clone()))?;
        registry.register(Box::new(events_sent.clone()))?;
        registry.register(Box::new(readers_dropped.clone()))?;
        registry.register(Box::new(requests.clone()))?;
        registry.register(Box::new(duration.clone()))?;
        registry.register(Box::new(in_flight.clone()))?;
        registry.register(Box::new(waiting.clone()))?;
        Ok(Self {
            requests,
            duration,
            in_flight,
            waiting,
            event_streams,
            events_sent,
            readers_dropped,
            live_readers,
            live_deliveries,
            live_superseded,
            connections,
            connections_refused,
            admissions,
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

    /// Counts a message by how it came in.
    pub(crate) fn admission(&self, admission: Admission) {
        self.admissions
            .with_label_values(&[admission.label()])
            .inc();
    }

    /// Counts a request until the guard is dropped.
    pub(crate) fn in_flight(&self) -> GaugeGuard {
        GaugeGuard::raise(&self.in_flight)
    }

    /// Counts a waiting fetch until the guard is dropped.
    pub(crate) fn waiting(&self) -> GaugeGuard {
        GaugeGuard::raise(&self.waiting)
    }

    /// Counts an open event stream until the guard is dropped.
    pub(crate) fn event_stream(&self) -> GaugeGuard {
        GaugeGuard::raise(&self.event_streams)
    }

    /// Counts a connection.
    pub(crate) fn connection_opened(&self) {
        self.connections.inc();
    }

    /// Counts it no longer.
    pub(crate) fn connection_closed(&self) {
        self.connections.dec();
    }

    /// Counts a connection that was one too many for `limit`.
    pub(crate) fn connection_refused(&self, limit: &str) {
        self.connections_refused.with_label_values(&[limit]).inc();
    }

    /// Counts a change that was handed to a stream.
    pub(crate) fn event_sent(&self) {
        self.events_sent.inc();
    }

    /// Counts an open stream or socket of messages until the guard is dropped.
    pub(crate) fn live_reader(&self, kind: Kind) -> GaugeGuard {
        GaugeGuard::raise(&self.live_readers.with_label_values(&[kind.as_str()]))
    }

    /// Counts a delivery that was handed to a stream or socket.
    pub(crate) fn delivered(&self, kind: Kind) {
        self.live_deliveries
            .with_label_values(&[kind.as_str()])
            .inc();
    }

    /// Counts a stream or socket that a newer one took over from.
    pub(crate) fn live_reader_superseded(&self) {
        self.live_superseded.inc();
    }

    /// Counts a stream that was ended because its reader was too slow.
    pub(crate) fn reader_dropped(&self) {
        self.readers_dropped.inc();
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
