//! The candles in what an exchange answers: one shape for each exchange, taken strictly.
//!
//! Numbers are read from their text, so that none becomes a float. A number where the exchange
//! writes text, or the other way round, is another shape and refused.

mod shapes;

use satpost_domain::Timestamp;
use satpost_domain::limits::PRICE_REPLY_CANDLES_MAX;
use satpost_domain::price::{Amount, AmountError, Candle, Currency, FeedFailure};
use serde_json::value::RawValue;

/// The first block of Bitcoin, in milliseconds since the epoch: nothing was traded before.
const FIRST_TIME_MS: u64 = 1_231_006_505_000;
/// Far enough in the future that a time beyond it is no time in these units.
const LAST_TIME_MS: u64 = 7_258_118_400_000;

/// An exchange whose answers can be read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Exchange {
    /// `GET /api/v3/klines` of Binance.
    Binance,
    /// `GET /v2/candles/…/hist` of Bitfinex.
    Bitfinex,
    /// `GET /api/v2/ohlc/…/` of Bitstamp.
    Bitstamp,
    /// `GET /products/…/candles` of Coinbase Exchange.
    CoinbaseExchange,
    /// `GET /v2/candles/…/1m` of Gemini.
    Gemini,
    /// `GET /0/public/OHLC` of Kraken.
    Kraken,
    /// `GET /api/v5/market/candles` of OKX.
    Okx,
}

impl Exchange {
    /// Every one.
    pub const ALL: [Self; 7] = [
        Self::Binance,
        Self::Bitfinex,
        Self::Bitstamp,
        Self::CoinbaseExchange,
        Self::Gemini,
        Self::Kraken,
        Self::Okx,
    ];

    /// Its name in the configuration, which is the one it has in the ccxt library and so in SpotBit.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Binance => "binance",
            Self::Bitfinex => "bitfinex",
            Self::Bitstamp => "bitstamp",
            Self::CoinbaseExchange => "coinbaseexchange",
            Self::Gemini => "gemini",
            Self::Kraken => "kraken",
            Self::Okx => "okx",
        }
    }

    /// Its name for people.
    #[must_use]
    pub const fn title(self) -> &'static str {
        match self {
            Self::Binance => "Binance",
            Self::Bitfinex => "Bitfinex",
            Self::Bitstamp => "Bitstamp",
            Self::CoinbaseExchange => "Coinbase Exchange",
            Self::Gemini => "Gemini",
            Self::Kraken => "Kraken",
            Self::Okx => "OKX",
        }
    }

    /// Its site for people.
    #[must_use]
    pub const fn site(self) -> &'static str {
        match self {
            Self::Binance => "https://www.binance.com",
            Self::Bitfinex => "https://www.bitfinex.com",
            Self::Bitstamp => "https://www.bitstamp.net",
            Self::CoinbaseExchange => "https://exchange.coinbase.com",
            Self::Gemini => "https://www.gemini.com",
            Self::Kraken => "https://www.kraken.com",
            Self::Okx => "https://www.okx.com",
        }
    }

    /// Where it is based, ISO 3166 codes.
    pub fn countries(self) -> impl Iterator<Item = &'static str> {
        let countries: &[&str] = match self {
            Self::Binance => &["JP", "MT"],
            Self::Bitfinex => &["VG"],
            Self::Bitstamp => &["GB"],
            Self::CoinbaseExchange | Self::Gemini | Self::Kraken => &["US"],
            Self::Okx => &["CN", "US"],
        };
        countries.iter().copied()
    }

    /// Where it answers with candles of one minute, `{CUR}` and `{cur}` standing for the currency.
    #[must_use]
    pub const fn url(self) -> &'static str {
        match self {
            Self::Binance => {
                "https://api.binance.com/api/v3/klines?symbol=BTC{CUR}&interval=1m&limit=60"
            }
            Self::Bitfinex => {
                "https://api-pub.bitfinex.com/v2/candles/trade:1m:tBTC{CUR}/hist?limit=60"
            }
            Self::Bitstamp => "https://www.bitstamp.net/api/v2/ohlc/btc{cur}/?step=60&limit=60",
            Self::CoinbaseExchange => {
                "https://api.exchange.coinbase.com/products/BTC-{CUR}/candles?granularity=60"
            }
            Self::Gemini => "https://api.gemini.com/v2/candles/btc{cur}/1m",
            Self::Kraken => "https://api.kraken.com/0/public/OHLC?pair=XBT{CUR}&interval=1",
            Self::Okx => {
                "https://www.okx.com/api/v5/market/candles?instId=BTC-{CUR}&bar=1m&limit=60"
            }
        }
    }

    /// The exchange of that name.
    #[must_use]
    pub fn named(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|known| known.name() == name)
    }

    /// All names, for people.
    #[must_use]
    pub fn names() -> String {
        Self::ALL.map(Self::name).join(", ")
    }
}

/// The candles of an answer, oldest first, at least one. The newest one makes sense; older ones
/// that do not are left out.
///
/// # Errors
/// [`FeedFailure`].
pub fn parse(
    exchange: Exchange,
    currency: &Currency,
    body: &[u8],
) -> Result<Vec<Candle>, FeedFailure> {
    let mut rows = shapes::rows(exchange, currency, body)?;
    rows.sort_by_key(|row| row.at);
    let newest = rows.pop().ok_or(FeedFailure::Empty)?.numbers?;
    let mut candles: Vec<Candle> = rows
        .into_iter()
        .filter_map(|row| row.numbers.ok())
        .collect();
    candles.push(newest);
    candles.dedup_by_key(|candle| candle.at);
    Ok(candles)
}

/// A candle of an answer: its time, and its numbers when they make sense.
struct Row {
    at: Timestamp,
    numbers: Result<Candle, FeedFailure>,
}

/// How a field is written.
#[derive(Clone, Copy)]
enum Written {
    /// `"1.5"`.
    Text,
    /// `1.5`.
    Number,
}

/// In what times are counted.
#[derive(Clone, Copy)]
enum Unit {
    Seconds,
    Milliseconds,
}

/// Where the fields stand in a row, and how they are written.
struct Columns {
    time: (usize, Written, Unit),
    /// Open, high, low, close, volume.
    numbers: [usize; 5],
    written: Written,
}

/// The text of a field without its quotation marks.
fn text(field: &RawValue, written: Written) -> Result<&str, FeedFailure> {
    let raw = field.get();
    let quoted = raw
        .strip_prefix('"')
        .and_then(|rest| rest.strip_suffix('"'));
    match (written, quoted) {
        (Written::Text, Some(inner)) => Ok(inner),
        (Written::Number, None) => Ok(raw),
        _ => Err(FeedFailure::Malformed),
    }
}

/// The outer error is about the shape, the inner one about the number.
fn amount(field: &RawValue, written: Written) -> Result<Result<Amount, FeedFailure>, FeedFailure> {
    match Amount::parse(text(field, written)?) {
        Ok(amount) => Ok(Ok(amount)),
        Err(AmountError::NotANumber) => Err(FeedFailure::Malformed),
        Err(AmountError::Negative | AmountError::OutOfRange) => Ok(Err(FeedFailure::Absurd)),
    }
}

fn time(field: &RawValue, written: Written, unit: Unit) -> Result<Timestamp, FeedFailure> {
    let count = text(field, written)?;
    let count: u64 = count.parse().map_err(|_| FeedFailure::Malformed)?;
    let millis = match unit {
        Unit::Seconds => count.saturating_mul(1_000),
        Unit::Milliseconds => count,
    };
    if (FIRST_TIME_MS..LAST_TIME_MS).contains(&millis) {
        Ok(Timestamp::from_millis(millis))
    } else {
        Err(FeedFailure::Malformed)
    }
}

impl Columns {
    fn rows(&self, rows: &[Vec<&RawValue>]) -> Result<Vec<Row>, FeedFailure> {
        if rows.len() > PRICE_REPLY_CANDLES_MAX {
            return Err(FeedFailure::TooLarge);
        }
        rows.iter().map(|row| self.row(row)).collect()
    }

    fn row(&self, row: &[&RawValue]) -> Result<Row, FeedFailure> {
        let field = |index: usize| row.get(index).copied().ok_or(FeedFailure::Malformed);
        let (index, written, unit) = self.time;
        let at = time(field(index)?, written, unit)?;
        let mut numbers = [Ok(Amount::ZERO); 5];
        for (number, index) in numbers.iter_mut().zip(self.numbers) {
            *number = amount(field(index)?, self.written)?;
        }
        let numbers = candle(at, numbers);
        Ok(Row { at, numbers })
    }
}

fn candle(at: Timestamp, numbers: [Result<Amount, FeedFailure>; 5]) -> Result<Candle, FeedFailure> {
    let [open, high, low, close, volume] = numbers;
    let candle = Candle {
        at,
        open: open?,
        high: high?,
        low: low?,
        close: close?,
        volume: volume?,
    };
    candle.checked().map_err(|_| FeedFailure::Absurd)
}

#[cfg(test)]
mod tests;
