//! A task for each exchange: it asks, tells the board, hands over to the recorder, and waits. What
//! fails is asked less and less often; nothing else waits for it.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use satpost_commands::ports::Clock;
use satpost_domain::Timestamp;
use satpost_domain::limits::PRICE_RETRY_MAX;
use satpost_domain::price::{Candle, Currency, FeedFailure, Observation};
use tokio::sync::mpsc;
use tokio_util::sync::CancellationToken;

use super::fetch::{Fetcher, NoAnswer};
use super::history::Record;
use super::metrics::PriceMetrics;
use super::parse::parse;
use super::plan::Feed;
use super::service::Board;

/// What a poller is wired to.
#[derive(Clone)]
pub(super) struct PollerPorts {
    pub(super) fetcher: Fetcher,
    pub(super) clock: Arc<dyn Clock>,
    pub(super) board: Arc<Board>,
    pub(super) records: mpsc::Sender<Record>,
    pub(super) metrics: PriceMetrics,
}

/// Asks one exchange.
pub(super) struct Poller {
    feed: Feed,
    ports: PollerPorts,
    failures: u32,
    /// The begin of the newest candle that was recorded, by currency.
    recorded: HashMap<Currency, Timestamp>,
}

impl Poller {
    pub(super) fn new(feed: Feed, ports: PollerPorts) -> Self {
        Self {
            feed,
            ports,
            failures: 0,
            recorded: HashMap::new(),
        }
    }

    /// Asks until `stop`.
    pub(super) async fn run(mut self, stop: CancellationToken) {
        loop {
            let wait = tokio::select! {
                () = stop.cancelled() => return,
                wait = self.round() => wait,
            };
            tokio::select! {
                () = stop.cancelled() => return,
                () = tokio::time::sleep(wait) => {}
            }
        }
    }

    /// Asks for every currency once; tells how long to wait.
    async fn round(&mut self) -> Duration {
        let mut retry_after = None;
        let mut last_failure = None;
        let mut succeeded = false;
        for currency in self.feed.currencies.clone() {
            match self.ask(&currency).await {
                Ok(()) => succeeded = true,
                Err(no_answer) => {
                    last_failure = Some(no_answer.failure);
                    retry_after = retry_after.max(no_answer.retry_after);
                }
            }
        }
        self.count(succeeded, last_failure);
        let wait = backed_off(self.feed.interval, self.failures);
        wait.max(retry_after.unwrap_or_default())
    }

    async fn ask(&mut self, currency: &Currency) -> Result<(), NoAnswer> {
        let answer = self.candles(currency).await;
        let at = self.ports.clock.now();
        let (candles, failed) = match answer {
            Ok(candles) => (candles, None),
            Err(no_answer) => (Vec::new(), Some(no_answer)),
        };
        let outcome = match (candles.last(), failed) {
            (Some(newest), None) => Ok(*newest),
            (_, Some(no_answer)) => Err(no_answer.failure),
            (None, None) => Err(FeedFailure::Empty),
        };
        self.ports.metrics.answered(&self.feed.id, &outcome);
        let observation = Observation {
            exchange: self.feed.id.clone(),
            currency: currency.clone(),
            at,
            outcome,
        };
        self.ports.board.observe(&observation);
        let candles = self.not_recorded_yet(currency, candles);
        let record = Record {
            observation,
            candles,
        };
        // The recorder ends after the pollers; without one nothing is recorded any more anyway.
        self.ports.records.send(record).await.ok();
        failed.map_or(Ok(()), Err)
    }

    async fn candles(&self, currency: &Currency) -> Result<Vec<Candle>, NoAnswer> {
        let url = self
            .feed
            .url
            .url(currency)
            .ok_or(FeedFailure::Unreachable)?;
        let body = self.ports.fetcher.fetch(url).await?;
        Ok(parse(self.feed.exchange, currency, &body)?)
    }

    /// The newest candle goes on changing until its minute is over, so it is recorded again.
    fn not_recorded_yet(&mut self, currency: &Currency, candles: Vec<Candle>) -> Vec<Candle> {
        let Some(newest) = candles.last() else {
            return candles;
        };
        let newest = newest.at;
        let known = self.recorded.insert(currency.clone(), newest);
        let is_new = |candle: &Candle| known.is_none_or(|known| candle.at >= known);
        candles.into_iter().filter(is_new).collect()
    }

    /// A feed counts as failing when no currency came through.
    fn count(&mut self, succeeded: bool, last_failure: Option<FeedFailure>) {
        let before = self.failures;
        self.failures = if succeeded {
            0
        } else {
            before.saturating_add(1)
        };
        self.ports.metrics.failing(&self.feed.id, self.failures);
        let feed = self.feed.id.as_str();
        match (last_failure.filter(|_| !succeeded), before) {
            (Some(failure), 0) => {
                let reason = failure.name();
                tracing::warn!(
                    price.feed = feed,
                    reason,
                    "a price feed fails; it is asked less and less often"
                );
            }
            (None, 1..) => tracing::info!(price.feed = feed, "a price feed works again"),
            _ => {}
        }
    }
}

/// Doubles with every failure, up to [`PRICE_RETRY_MAX`] or the interval, if that is longer: a
/// single attempt at that pace finds out whether the exchange is back.
fn backed_off(interval: Duration, failures: u32) -> Duration {
    let doubled = interval.saturating_mul(1_u32.checked_shl(failures).unwrap_or(u32::MAX));
    doubled.min(PRICE_RETRY_MAX.max(interval))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn asks_less_and_less_often_but_never_gives_up() {
        let minute = Duration::from_secs(60);
        let waits: Vec<_> = (0..6).map(|n| backed_off(minute, n).as_secs()).collect();
        assert_eq!(waits, [60, 120, 240, 480, 600, 600]);
        assert_eq!(backed_off(minute, u32::MAX), PRICE_RETRY_MAX);
        let hour = Duration::from_secs(3_600);
        assert_eq!(backed_off(hour, 9), hour);
    }
}
