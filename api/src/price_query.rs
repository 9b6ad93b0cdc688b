//! What the API needs to answer questions about prices. Answers come from memory; only the history
//! is read from a disk.

use std::ops::RangeInclusive;
use std::time::Duration;

use satpost_domain::Timestamp;
use satpost_domain::price::{Answer, Candle, Currency, Dropped, ExchangeId, Quote};

/// Prices as they are known now and were recorded.
pub trait PriceQuery: Send + Sync + 'static {
    /// Which currencies and exchanges there are.
    fn settings(&self) -> &PriceSettings;
    /// The price of a currency; nothing when no quorum was there for too long.
    fn answer(&self, currency: &Currency, now: Timestamp) -> Option<Answer>;
    /// Who does not count now and why, also when there is no answer.
    fn dropped(&self, currency: &Currency, now: Timestamp) -> Vec<Dropped>;
    /// What an exchange told last, however old.
    fn quote(&self, currency: &Currency, exchange: &ExchangeId) -> Option<Quote>;
    /// The first `max` candles of an exchange that begin within `times`, oldest first, one for each
    /// minute. Reads a disk: not to be called on a thread that serves requests.
    ///
    /// # Errors
    /// When the history cannot be read.
    fn history(
        &self,
        currency: &Currency,
        exchange: &ExchangeId,
        times: RangeInclusive<Timestamp>,
        max: usize,
    ) -> Result<Vec<Candle>, PriceHistoryError>;
}

/// The history of prices cannot be read.
#[derive(Debug, thiserror::Error)]
#[error("the history of prices cannot be read: {0}")]
pub struct PriceHistoryError(pub String);

/// What the operator has configured.
#[derive(Debug, Clone, Default)]
pub struct PriceSettings {
    /// The currencies, in the operator's order.
    pub currencies: Vec<Currency>,
    /// The exchanges, in the operator's order.
    pub exchanges: Vec<ExchangeInfo>,
    /// How often each exchange is asked.
    pub interval: Duration,
    /// How many weeks of history are kept.
    pub keep_weeks: u32,
}

/// An exchange as it is shown.
#[derive(Debug, Clone)]
pub struct ExchangeInfo {
    /// Its name in paths.
    pub id: ExchangeId,
    /// Its name for people.
    pub title: String,
    /// Its site.
    pub url: String,
    /// Where it is based, ISO 3166 codes.
    pub countries: Vec<String>,
    /// The currencies it is asked for.
    pub currencies: Vec<Currency>,
}

/// A server whose operator has configured no feeds.
#[derive(Debug, Default)]
pub struct NoPrices {
    settings: PriceSettings,
}

impl PriceQuery for NoPrices {
    fn settings(&self) -> &PriceSettings {
        &self.settings
    }

    fn answer(&self, _currency: &Currency, _now: Timestamp) -> Option<Answer> {
        None
    }

    fn dropped(&self, _currency: &Currency, _now: Timestamp) -> Vec<Dropped> {
        Vec::new()
    }

    fn quote(&self, _currency: &Currency, _exchange: &ExchangeId) -> Option<Quote> {
        None
    }

    fn history(
        &self,
        _currency: &Currency,
        _exchange: &ExchangeId,
        _times: RangeInclusive<Timestamp>,
        _max: usize,
    ) -> Result<Vec<Candle>, PriceHistoryError> {
        Ok(Vec::new())
    }
}
