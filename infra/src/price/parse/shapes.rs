//! The shapes of the exchanges' public interfaces: where the candles are in an answer, and how
//! they are written.

use std::collections::BTreeMap;

use satpost_domain::price::{Currency, FeedFailure};
use serde::Deserialize;
use serde_json::value::RawValue;

use super::{Columns, Exchange, Row, Unit, Written};

/// Time, open, high, low, close, volume, as most write them.
const IN_ORDER: [usize; 5] = [1, 2, 3, 4, 5];

type RawRows<'a> = Vec<Vec<&'a RawValue>>;

/// The candles of an answer in its own order.
pub(super) fn rows(
    exchange: Exchange,
    currency: &Currency,
    body: &[u8],
) -> Result<Vec<Row>, FeedFailure> {
    match exchange {
        Exchange::Binance => binance(body),
        Exchange::Bitfinex => bitfinex(body),
        Exchange::Bitstamp => bitstamp(currency, body),
        Exchange::CoinbaseExchange => coinbase(body),
        Exchange::Gemini => gemini(body),
        Exchange::Kraken => kraken(currency, body),
        Exchange::Okx => okx(body),
    }
}

fn json<'a, T: Deserialize<'a>>(body: &'a [u8]) -> Result<T, FeedFailure> {
    serde_json::from_slice(body).map_err(|_| FeedFailure::Malformed)
}

/// `[[1700000000000, "open", "high", "low", "close", "volume", …], …]`, oldest first.
fn binance(body: &[u8]) -> Result<Vec<Row>, FeedFailure> {
    let columns = Columns {
        time: (0, Written::Number, Unit::Milliseconds),
        numbers: IN_ORDER,
        written: Written::Text,
    };
    columns.rows(&json::<RawRows<'_>>(body)?)
}

/// `[[1700000000000, open, close, high, low, volume], …]`, newest first.
fn bitfinex(body: &[u8]) -> Result<Vec<Row>, FeedFailure> {
    let columns = Columns {
        time: (0, Written::Number, Unit::Milliseconds),
        numbers: [1, 3, 4, 2, 5],
        written: Written::Number,
    };
    columns.rows(&json::<RawRows<'_>>(body)?)
}

/// `[[1700000000, low, high, open, close, volume], …]`, newest first.
fn coinbase(body: &[u8]) -> Result<Vec<Row>, FeedFailure> {
    let columns = Columns {
        time: (0, Written::Number, Unit::Seconds),
        numbers: [3, 2, 1, 4, 5],
        written: Written::Number,
    };
    columns.rows(&json::<RawRows<'_>>(body)?)
}

/// `[[1700000000000, open, high, low, close, volume], …]`, newest first.
fn gemini(body: &[u8]) -> Result<Vec<Row>, FeedFailure> {
    let columns = Columns {
        time: (0, Written::Number, Unit::Milliseconds),
        numbers: IN_ORDER,
        written: Written::Number,
    };
    columns.rows(&json::<RawRows<'_>>(body)?)
}

#[derive(Deserialize)]
struct BitstampAnswer<'a> {
    #[serde(borrow)]
    data: BitstampData<'a>,
}

#[derive(Deserialize)]
struct BitstampData<'a> {
    pair: String,
    #[serde(borrow)]
    ohlc: Vec<BitstampCandle<'a>>,
}

#[derive(Deserialize)]
struct BitstampCandle<'a> {
    #[serde(borrow)]
    timestamp: &'a RawValue,
    #[serde(borrow)]
    open: &'a RawValue,
    #[serde(borrow)]
    high: &'a RawValue,
    #[serde(borrow)]
    low: &'a RawValue,
    #[serde(borrow)]
    close: &'a RawValue,
    #[serde(borrow)]
    volume: &'a RawValue,
}

/// `{"data":{"pair":"BTC/USD","ohlc":[{"timestamp":"1700000000","open":"…",…}]}}`.
fn bitstamp(currency: &Currency, body: &[u8]) -> Result<Vec<Row>, FeedFailure> {
    let data = json::<BitstampAnswer<'_>>(body)?.data;
    if data.pair != format!("BTC/{currency}") {
        return Err(FeedFailure::WrongPair);
    }
    let rows: RawRows<'_> = data
        .ohlc
        .iter()
        .map(|row| {
            vec![
                row.timestamp,
                row.open,
                row.high,
                row.low,
                row.close,
                row.volume,
            ]
        })
        .collect();
    let columns = Columns {
        time: (0, Written::Text, Unit::Seconds),
        numbers: IN_ORDER,
        written: Written::Text,
    };
    columns.rows(&rows)
}

#[derive(Deserialize)]
struct KrakenAnswer<'a> {
    error: Vec<String>,
    #[serde(borrow, default)]
    result: BTreeMap<String, &'a RawValue>,
}

/// `{"error":[],"result":{"XXBTZUSD":[[1700000000,"open","high","low","close","vwap","volume",9],…],"last":1}}`.
fn kraken(currency: &Currency, body: &[u8]) -> Result<Vec<Row>, FeedFailure> {
    let mut answer: KrakenAnswer<'_> = json(body)?;
    if !answer.error.is_empty() {
        return Err(FeedFailure::Refused);
    }
    answer.result.remove("last");
    let names = [format!("XXBTZ{currency}"), format!("XBT{currency}")];
    let rows = names.iter().find_map(|name| answer.result.remove(name));
    let Some(rows) = rows.filter(|_| answer.result.is_empty()) else {
        return Err(FeedFailure::WrongPair);
    };
    let columns = Columns {
        time: (0, Written::Number, Unit::Seconds),
        numbers: [1, 2, 3, 4, 6],
        written: Written::Text,
    };
    columns.rows(&json::<RawRows<'_>>(rows.get().as_bytes())?)
}

#[derive(Deserialize)]
struct OkxAnswer<'a> {
    code: String,
    #[serde(borrow, default)]
    data: RawRows<'a>,
}

/// `{"code":"0","msg":"","data":[["1700000000000","open","high","low","close","volume",…],…]}`.
fn okx(body: &[u8]) -> Result<Vec<Row>, FeedFailure> {
    let answer: OkxAnswer<'_> = json(body)?;
    if answer.code != "0" {
        return Err(FeedFailure::Refused);
    }
    let columns = Columns {
        time: (0, Written::Text, Unit::Milliseconds),
        numbers: IN_ORDER,
        written: Written::Text,
    };
    columns.rows(&answer.data)
}
