//! Prices behind the port of the API: the board in memory, the history on disk, the pollers.

use std::ops::RangeInclusive;
use std::path::Path;
use std::sync::{Arc, PoisonError, RwLock};

use satpost_api::price_query::{PriceHistoryError, PriceQuery, PriceSettings};
use satpost_commands::ports::Clock;
use satpost_domain::Timestamp;
use satpost_domain::limits::{PRICE_RECORDS_WAITING_MAX, PRICE_STALE_MAX};
use satpost_domain::price::{
    Answer, Candle, Currency, Dropped, ExchangeId, Observation, PriceBoard, Quote,
};
use tokio::sync::mpsc;
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;

use super::fetch::Fetcher;
use super::history::{HistoryError, PriceHistory, cutoff};
use super::metrics::PriceMetrics;
use super::plan::PricePlan;
use super::poller::{Poller, PollerPorts};
use super::recorder::Recorder;

/// What is known now, shared by the pollers and the queries.
pub(super) struct Board(RwLock<PriceBoard>);

/// Why prices cannot be served.
#[derive(Debug, thiserror::Error)]
pub enum PricesError {
    /// The file cannot be used.
    #[error(transparent)]
    History(#[from] HistoryError),
    /// The metrics cannot be made.
    #[error("the metrics of prices: {0}")]
    Metrics(#[from] prometheus::Error),
}

/// All there is about prices.
pub struct Prices {
    plan: PricePlan,
    settings: PriceSettings,
    board: Arc<Board>,
    history: Arc<PriceHistory>,
    metrics: PriceMetrics,
    clock: Arc<dyn Clock>,
}

/// The board as it was at `at`, computed from what was recorded.
///
/// # Errors
/// [`HistoryError`].
pub fn replay(
    history: &PriceHistory,
    plan: &PricePlan,
    at: Timestamp,
) -> Result<PriceBoard, HistoryError> {
    let mut board = PriceBoard::new(plan.markets.iter().cloned());
    // Whatever is older can be part of no answer.
    let ages = plan.markets.iter().map(|market| market.policy.max_age);
    let oldest = PRICE_STALE_MAX + ages.max().unwrap_or_default();
    let times = cutoff(at, oldest)..=at;
    history.observations(times, |observation| board.observe(observation))?;
    Ok(board)
}

impl Board {
    /// Nothing panics while this is held, so a poisoned lock still guards a whole board.
    fn read<T>(&self, question: impl FnOnce(&PriceBoard) -> T) -> T {
        question(&self.0.read().unwrap_or_else(PoisonError::into_inner))
    }

    pub(super) fn observe(&self, observation: &Observation) {
        let mut board = self.0.write().unwrap_or_else(PoisonError::into_inner);
        board.observe(observation);
    }
}

impl Prices {
    /// Opens the history and knows again what was known before.
    ///
    /// # Errors
    /// [`PricesError`].
    pub fn open(plan: PricePlan, file: &Path, clock: Arc<dyn Clock>) -> Result<Self, PricesError> {
        let history = PriceHistory::open(file)?;
        let board = replay(&history, &plan, clock.now())?;
        Ok(Self {
            settings: plan.settings(),
            plan,
            board: Arc::new(Board(RwLock::new(board))),
            history: Arc::new(history),
            metrics: PriceMetrics::new()?,
            clock,
        })
    }

    /// What the feeds tell the operator.
    #[must_use]
    pub const fn metrics(&self) -> &PriceMetrics {
        &self.metrics
    }

    /// Asks the exchanges until `stop`; returns when everything seen is recorded.
    pub async fn run(self: Arc<Self>, fetcher: Fetcher, stop: CancellationToken) {
        let (records, receiver) = mpsc::channel(PRICE_RECORDS_WAITING_MAX);
        let ports = PollerPorts {
            fetcher,
            clock: Arc::clone(&self.clock),
            board: Arc::clone(&self.board),
            records,
            metrics: self.metrics.clone(),
        };
        let mut pollers = JoinSet::new();
        for feed in &self.plan.feeds {
            let poller = Poller::new(feed.clone(), ports.clone());
            pollers.spawn(poller.run(stop.clone()));
        }
        drop(ports);
        let recorder = Recorder {
            history: Arc::clone(&self.history),
            clock: Arc::clone(&self.clock),
            keep: self.plan.keep,
            metrics: self.metrics.clone(),
        };
        // Ends when the last poller has dropped its end of the channel.
        recorder.run(receiver).await;
        while let Some(ended) = pollers.join_next().await {
            if let Err(error) = ended {
                tracing::error!(%error, "a price feed ended with a defect");
            }
        }
    }
}

impl PriceQuery for Prices {
    fn settings(&self) -> &PriceSettings {
        &self.settings
    }

    fn answer(&self, currency: &Currency, now: Timestamp) -> Option<Answer> {
        self.board.read(|board| board.answer(currency, now))
    }

    fn dropped(&self, currency: &Currency, now: Timestamp) -> Vec<Dropped> {
        self.board.read(|board| board.dropped(currency, now))
    }

    fn quote(&self, currency: &Currency, exchange: &ExchangeId) -> Option<Quote> {
        self.board
            .read(|board| board.quote(currency, exchange).cloned())
    }

    fn history(
        &self,
        currency: &Currency,
        exchange: &ExchangeId,
        times: RangeInclusive<Timestamp>,
        max: usize,
    ) -> Result<Vec<Candle>, PriceHistoryError> {
        let found = self.history.candles(currency, exchange, times, max);
        found.map_err(|error| PriceHistoryError(error.to_string()))
    }
}
