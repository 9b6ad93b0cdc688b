//! What a bitcoin costs. Numbers are decimals in text, so that no program makes floats of them unasked.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

/// `GET /v1/price/{currency}`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct PriceResponse {
    /// The currency, like `USD`.
    pub currency: String,
    /// The price of one bitcoin: the median of the last prices of all fresh quotes.
    pub price: String,
    /// The medians of the exchanges' candles of one minute.
    pub candle: PriceCandle,
    /// How old the oldest quote is that the price rests on, in seconds.
    pub age_secs: u64,
    /// True when not enough exchanges agree now and this is the last price they agreed on.
    pub stale: bool,
    /// How many exchanges agree.
    pub quorum: PriceQuorum,
    /// The exchanges that agreed, by name.
    pub used: Vec<String>,
    /// The exchanges that do not count now, and why.
    pub dropped: Vec<DroppedExchange>,
}

/// A candle.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct PriceCandle {
    /// When its minute begins.
    pub at: u64,
    /// The first price.
    pub open: String,
    /// The highest price.
    pub high: String,
    /// The lowest price.
    pub low: String,
    /// The last price.
    pub close: String,
    /// How many bitcoin were traded.
    pub volume: String,
}

/// How many exchanges agree.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct PriceQuorum {
    /// How many must.
    pub needed: u64,
    /// How many did.
    pub agreed: u64,
    /// How many are asked.
    pub exchanges: u64,
}

/// An exchange that does not count.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct DroppedExchange {
    /// Its name.
    pub exchange: String,
    /// `no_quote`, `too_old`, `from_the_future`, `out_of_bounds`, `outlier`, or why it did not answer:
    /// `unreachable`, `timed_out`, `refused`, `too_large`, `malformed`, `wrong_pair`, `empty`, `absurd`.
    pub reason: String,
}

/// `GET /v1/prices`: the shape of mempool.space. A price that is stale or not known is left out.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct ListPricesResponse {
    /// The server's clock, in seconds.
    pub time: u64,
    /// Prices by currency, rounded to whole units.
    #[serde(flatten)]
    pub prices: BTreeMap<String, u64>,
}
