//! SpotBit's first generation (2020 to 2022), which FullyNoded, Gordian Wallet and Specter use.

#![expect(
    clippy::result_large_err,
    reason = "a refusal is the answer itself, made once for a request"
)]

use std::collections::BTreeMap;
use std::sync::Arc;

use actix_web::http::header::{CACHE_CONTROL, ContentType};
use actix_web::{HttpResponse, web};
use satpost_domain::Timestamp;
use satpost_domain::limits::PRICE_HISTORY_DATES_MAX;
use satpost_domain::price::{Candle, Currency, ExchangeId};
use serde::Serialize;
use serde_json::json;

use super::lookup::Lookup;
use super::shapes::Number;
use super::{answer, broken, dates, freshness};
use crate::extract::State;
use crate::price_query::PriceQuery;
use crate::routes::prices::known;

const MINUTE_MS: u64 = 60_000;
const COLUMNS: [&str; 9] = [
    "id",
    "timestamp",
    "datetime",
    "currency_pair",
    "open",
    "high",
    "low",
    "close",
    "vol",
];
/// What SpotBit says to dates it cannot read, with status 200.
const MALFORMED_DATES: &str = "malformed dates. Use YYYY-MM-DDTHH:mm:SS or millisecond timestamps. Provide both dates in the same format";

/// A row of SpotBit's database. Rows are numbered by their minute.
#[derive(Serialize)]
struct Row {
    id: u64,
    timestamp: u64,
    datetime: String,
    currency_pair: String,
    open: Number,
    high: Number,
    low: Number,
    close: Number,
    vol: Number,
    #[serde(skip_serializing_if = "Option::is_none")]
    stale: Option<bool>,
    #[serde(skip_serializing_if = "Option::is_none")]
    age_secs: Option<u64>,
}

impl Row {
    fn new(currency: &Currency, candle: &Candle) -> Self {
        let at = candle.at.as_millis();
        Self {
            id: at / MINUTE_MS,
            timestamp: at,
            datetime: dates::with_a_space(candle.at),
            currency_pair: pair(currency),
            open: candle.open.into(),
            high: candle.high.into(),
            low: candle.low.into(),
            close: candle.close.into(),
            vol: candle.volume.into(),
            stale: None,
            age_secs: None,
        }
    }

    /// In the order of [`COLUMNS`].
    fn into_columns(self) -> impl Serialize {
        (
            self.id,
            self.timestamp,
            self.datetime,
            self.currency_pair,
            self.open,
            self.high,
            self.low,
            self.close,
            self.vol,
        )
    }
}

#[derive(Serialize)]
struct Average {
    id: &'static str,
    timestamp: u64,
    datetime: String,
    oldest_timestamp: u64,
    currency_pair: String,
    open: Number,
    high: Number,
    low: Number,
    close: Number,
    volume: Number,
    exchanges: Vec<String>,
    failed_exchanges: Vec<String>,
    stale: bool,
    age_secs: u64,
}

fn pair(currency: &Currency) -> String {
    format!("BTC-{currency}")
}

fn unknown(what: &str) -> HttpResponse {
    answer(404, &json!({ "err": format!("{what} is not configured") }))
}

/// `server is running`.
pub(super) async fn status() -> HttpResponse {
    text("server is running")
}

fn text(text: &'static str) -> HttpResponse {
    HttpResponse::Ok()
        .insert_header((CACHE_CONTROL, "no-store"))
        .content_type(ContentType::plaintext())
        .body(text)
}

/// The settings. A `POST` changes nothing: only the operator does, in the configuration.
pub(super) async fn configuration(state: State) -> HttpResponse {
    let settings = state.prices.settings();
    let exchanges: Vec<&str> = settings.exchanges.iter().map(|e| e.id.as_str()).collect();
    let currencies: Vec<&str> = settings.currencies.iter().map(Currency::as_str).collect();
    let body = json!({
        "cached exchanges": exchanges,
        "currencies": currencies,
        "interval": settings.interval.as_secs(),
        "keepWeeks": settings.keep_weeks,
        "on demand exchanges": [],
        "updated settings?": "no",
    });
    answer(200, &body)
}

/// The price all exchanges agree on.
pub(super) async fn now(state: State, path: web::Path<String>) -> HttpResponse {
    let Some(currency) = known(state.prices.settings(), &path) else {
        return unknown(&path);
    };
    let now = state.clock.now();
    let Some(found) = state.prices.answer(&currency, now) else {
        return answer(503, &json!({ "err": "too few exchanges agree" }));
    };
    let candle = &found.candle;
    let names = |ids: Vec<ExchangeId>| ids.iter().map(ToString::to_string).collect();
    let failed = found.dropped.into_iter().map(|entry| entry.exchange);
    let body = Average {
        id: "average_value",
        timestamp: now.as_millis(),
        datetime: dates::with_a_space(now),
        oldest_timestamp: candle.at.as_millis(),
        currency_pair: pair(&currency),
        open: candle.open.into(),
        high: candle.high.into(),
        low: candle.low.into(),
        close: candle.close.into(),
        volume: candle.volume.into(),
        exchanges: names(found.used),
        failed_exchanges: names(failed.collect()),
        stale: found.stale,
        age_secs: found.age.as_secs(),
    };
    answer(200, &body)
}

/// What one exchange told last, or the price of `all`.
pub(super) async fn now_exchange(state: State, path: web::Path<(String, String)>) -> HttpResponse {
    let (currency, exchange) = path.into_inner();
    let Some(currency) = known(state.prices.settings(), &currency) else {
        return unknown(&currency);
    };
    let now = state.clock.now();
    if exchange == "all" {
        return ticker(&state, &currency, now);
    }
    let Some(exchange) = exchange_named(&state, &exchange) else {
        return unknown(&exchange);
    };
    let Some(quote) = state.prices.quote(&currency, &exchange) else {
        return answer(200, &json!({ "id": null }));
    };
    let (stale, age_secs) = freshness(&state, &currency, &quote, now);
    let mut row = Row::new(&currency, &quote.candle);
    (row.stale, row.age_secs) = (Some(stale), Some(age_secs));
    answer(200, &row)
}

/// SpotBit's versions differ in whether the price stands under `ticker` or under the pair.
fn ticker(state: &State, currency: &Currency, now: Timestamp) -> HttpResponse {
    let Some(found) = state.prices.answer(currency, now) else {
        return answer(503, &json!({ "err": "too few exchanges agree" }));
    };
    let close = || Number::from(found.candle.close);
    let prices = BTreeMap::from([("ticker".to_owned(), close()), (pair(currency), close())]);
    HttpResponse::Ok()
        .insert_header((CACHE_CONTROL, "no-store"))
        .insert_header(("satpost-stale", found.stale.to_string()))
        .insert_header(("satpost-age", found.age.as_secs().to_string()))
        .json(prices)
}

fn exchange_named(state: &State, name: &str) -> Option<ExchangeId> {
    let mut exchanges = state.prices.settings().exchanges.iter();
    exchanges
        .find(|exchange| exchange.id.as_str() == name)
        .map(|exchange| exchange.id.clone())
}

/// A market of the configuration, or what is said when there is none.
fn market(
    state: &State,
    currency: &str,
    exchange: &str,
) -> Result<(Currency, ExchangeId), HttpResponse> {
    let found = known(state.prices.settings(), currency).ok_or_else(|| unknown(currency))?;
    let exchange = exchange_named(state, exchange).ok_or_else(|| unknown(exchange))?;
    Ok((found, exchange))
}

#[derive(Serialize)]
struct History<T> {
    columns: [&'static str; 9],
    data: Vec<T>,
    /// Added when there are more rows than are answered at once.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    truncated: bool,
}

/// The rows between two dates, which are not part of them.
pub(super) async fn history(
    state: State,
    path: web::Path<(String, String, String, String)>,
) -> HttpResponse {
    let (currency, exchange, start, end) = path.into_inner();
    let (currency, exchange) = match market(&state, &currency, &exchange) {
        Ok(market) => market,
        Err(refusal) => return refusal,
    };
    let both = |read: fn(&str) -> Option<Timestamp>| Some((read(&start)?, read(&end)?));
    let Some((start, end)) = both(dates::milliseconds).or_else(|| both(dates::iso)) else {
        return text(MALFORMED_DATES);
    };
    let start = Timestamp::from_millis(start.as_millis().saturating_add(1));
    let end = Timestamp::from_millis(end.as_millis().saturating_sub(1));
    let prices: Arc<dyn PriceQuery> = Arc::clone(&state.prices);
    let found = web::block(move || {
        let lookup = Lookup {
            prices: prices.as_ref(),
            currency: &currency,
            exchange: &exchange,
        };
        let (candles, truncated) = lookup.minutes(start, end)?;
        let rows = candles.iter().map(|candle| Row::new(&currency, candle));
        Ok::<_, crate::price_query::PriceHistoryError>(History {
            columns: COLUMNS,
            data: rows.map(Row::into_columns).collect(),
            truncated,
        })
    });
    match found.await {
        Ok(Ok(found)) => answer(200, &found),
        Ok(Err(error)) => broken(&error),
        Err(error) => broken(&error),
    }
}

/// The rows nearest to dates in milliseconds, with dashes between.
pub(super) async fn at_dates(
    state: State,
    path: web::Path<(String, String, String)>,
) -> HttpResponse {
    let (currency, exchange, dates) = path.into_inner();
    let (currency, exchange) = match market(&state, &currency, &exchange) {
        Ok(market) => market,
        Err(refusal) => return refusal,
    };
    let dates: Option<Vec<Timestamp>> = dates.split('-').map(dates::milliseconds).collect();
    let Some(dates) = dates.filter(|dates| dates.len() <= PRICE_HISTORY_DATES_MAX) else {
        return text(MALFORMED_DATES);
    };
    let prices: Arc<dyn PriceQuery> = Arc::clone(&state.prices);
    let found = web::block(move || {
        let lookup = Lookup {
            prices: prices.as_ref(),
            currency: &currency,
            exchange: &exchange,
        };
        let row = |date: Timestamp| {
            let nearest = lookup.nearest(date)?;
            let row = nearest.map(|candle| Row::new(&currency, &candle));
            Ok::<_, crate::price_query::PriceHistoryError>((date.as_millis().to_string(), row))
        };
        dates
            .into_iter()
            .map(row)
            .collect::<Result<BTreeMap<_, _>, _>>()
    });
    match found.await {
        Ok(Ok(rows)) => answer(200, &rows),
        Ok(Err(error)) => broken(&error),
        Err(error) => broken(&error),
    }
}
