//! SpotBit's second generation (since 2022), made with FastAPI.

#![expect(
    clippy::result_large_err,
    reason = "a refusal is the answer itself, made once for a request"
)]

use std::sync::Arc;

use actix_web::http::StatusCode;
use actix_web::{HttpRequest, HttpResponse, ResponseError as _, web};
use satpost_domain::Timestamp;
use satpost_domain::limits::{JSON_BODY_BYTES_MAX, PRICE_HISTORY_DATES_MAX};
use satpost_domain::price::{Candle, Currency};
use serde::Serialize;
use serde_json::{Value, json};

use super::lookup::Lookup;
use super::shapes::SpotbitCandle;
use super::{answer, broken, dates, detail, freshness, invalid};
use crate::extract::{State, read_body};
use crate::price_query::{ExchangeInfo, PriceHistoryError, PriceQuery};

const WEEK_MS: u64 = 7 * 24 * 3_600_000;
const NO_CANDLES: &str = "Spotbit could not get any candle data from the configured exchanges.";
const NO_DATA: &str = "Spotbit did not find any data.";
const NO_DATES: &str = "Spotbit did not receive any candle history for the requested dates.";

#[derive(Serialize)]
struct ExchangeDetails<'a> {
    id: &'a str,
    name: &'a str,
    url: &'a str,
    countries: &'a [String],
    currencies: Vec<&'a str>,
}

#[derive(Serialize)]
struct PriceAnswer {
    candle: SpotbitCandle,
    exchanges_used: Vec<String>,
    failed_exchanges: Vec<String>,
    stale: bool,
    age_secs: u64,
}

/// A market of the configuration.
struct Asked {
    currency: Currency,
    exchange: ExchangeInfo,
}

/// The currency of a path: exactly as it is configured.
fn currency(state: &State, text: &str) -> Result<Currency, HttpResponse> {
    let all = &state.prices.settings().currencies;
    let found = all.iter().find(|known| known.as_str() == text).cloned();
    found.ok_or_else(|| {
        let names: Vec<String> = all.iter().map(ToString::to_string).collect();
        invalid::not_in_the_set("path", "currency", &names)
    })
}

fn asked(state: &State, place: &str, text: &str, exchange: &str) -> Result<Asked, HttpResponse> {
    let currency = currency(state, text)?;
    let all = &state.prices.settings().exchanges;
    let found = all.iter().find(|known| known.id.as_str() == exchange);
    let exchange = found.cloned().ok_or_else(|| {
        let names: Vec<String> = all.iter().map(|known| known.id.to_string()).collect();
        invalid::not_in_the_set(place, "exchange", &names)
    })?;
    if !exchange.currencies.contains(&currency) {
        let name = &exchange.title;
        let text = format!("Spotbit does not support {currency} on {name}.");
        return Err(detail(500, &text));
    }
    Ok(Asked { currency, exchange })
}

/// `"The server is running."`.
pub(super) async fn status() -> HttpResponse {
    answer(200, &"The server is running.")
}

/// The currencies and exchanges.
pub(super) async fn configuration(state: State) -> HttpResponse {
    let settings = state.prices.settings();
    let exchanges: Vec<&str> = settings.exchanges.iter().map(|e| e.id.as_str()).collect();
    let currencies: Vec<&str> = settings.currencies.iter().map(Currency::as_str).collect();
    answer(
        200,
        &json!({ "currencies": currencies, "exchanges": exchanges }),
    )
}

/// The exchanges and what is known about them.
pub(super) async fn exchanges(state: State) -> HttpResponse {
    let details = |exchange: &ExchangeInfo| -> Value {
        json!(ExchangeDetails {
            id: exchange.id.as_str(),
            name: &exchange.title,
            url: &exchange.url,
            countries: &exchange.countries,
            currencies: exchange.currencies.iter().map(Currency::as_str).collect(),
        })
    };
    let exchanges = state.prices.settings().exchanges.iter();
    answer(200, &exchanges.map(details).collect::<Vec<_>>())
}

/// The price that the exchanges agree on.
pub(super) async fn now(state: State, path: web::Path<String>) -> HttpResponse {
    let currency = match currency(&state, &path) {
        Ok(currency) => currency,
        Err(refusal) => return refusal,
    };
    let Some(found) = state.prices.answer(&currency, state.clock.now()) else {
        return detail(500, NO_CANDLES);
    };
    let all = &state.prices.settings().exchanges;
    let title = |id| all.iter().find(|exchange| exchange.id == id);
    let title = |id| title(id).map(|exchange| exchange.title.clone());
    let failed = found.dropped.into_iter().map(|entry| entry.exchange);
    let body = PriceAnswer {
        candle: (&found.candle).into(),
        exchanges_used: found.used.into_iter().filter_map(title).collect(),
        failed_exchanges: failed.filter_map(title).collect(),
        stale: found.stale,
        age_secs: found.age.as_secs(),
    };
    answer(200, &body)
}

/// What an exchange told last.
pub(super) async fn now_exchange(state: State, path: web::Path<(String, String)>) -> HttpResponse {
    let asked = match asked(&state, "path", &path.0, &path.1) {
        Ok(asked) => asked,
        Err(refusal) => return refusal,
    };
    let Some(quote) = state.prices.quote(&asked.currency, &asked.exchange.id) else {
        return detail(500, NO_DATA);
    };
    let (stale, age) = freshness(&state, &asked.currency, &quote, state.clock.now());
    let mut candle = SpotbitCandle::from(&quote.candle);
    (candle.stale, candle.age_secs) = (Some(stale), Some(age));
    answer(200, &candle)
}

/// A parameter of the query, the first of its name.
fn parameter(request: &HttpRequest, name: &str) -> Option<String> {
    let query = request.query_string().as_bytes();
    let mut parameters = url::form_urlencoded::parse(query);
    let found = parameters.find(|(key, _)| key == name)?;
    Some(found.1.into_owned())
}

/// The candles of hours between two dates in any order; until now when the second is absent.
pub(super) async fn history(
    state: State,
    request: HttpRequest,
    path: web::Path<(String, String)>,
) -> HttpResponse {
    let asked = match asked(&state, "path", &path.0, &path.1) {
        Ok(asked) => asked,
        Err(refusal) => return refusal,
    };
    let now = state.clock.now();
    let Some(start) = parameter(&request, "start") else {
        return invalid::missing(&["query", "start"]);
    };
    let Some(start) = dates::any(&start) else {
        return invalid::not_a_date(&json!(["query", "start"]));
    };
    let end = match parameter(&request, "end").map(|text| dates::any(&text)) {
        None => now,
        Some(Some(end)) => end,
        Some(None) => return invalid::not_a_date(&json!(["query", "end"])),
    };
    let (start, end) = (start.min(end), start.max(end));
    let nothing = format!(
        "Spotbit did not receive any candle history for the period {}+00:00 - {}+00:00 from {}",
        dates::with_a_space(start),
        dates::with_a_space(end),
        asked.exchange.title
    );
    // Nothing older is kept, so there is no use in looking for it.
    let kept_ms = u64::from(state.prices.settings().keep_weeks) * WEEK_MS;
    let oldest = Timestamp::from_millis(now.as_millis().saturating_sub(kept_ms));
    let (start, end) = (start.max(oldest), end.min(now));
    found(state, asked, nothing, move |lookup| {
        lookup.hours(start, end)
    })
    .await
}

/// For each date of the body the first candle of an hour at it or after it.
pub(super) async fn at_dates(
    state: State,
    request: HttpRequest,
    path: web::Path<(String, String)>,
    body: web::Payload,
) -> HttpResponse {
    match asked(&state, "path", &path.0, &path.1) {
        Ok(asked) => first_candles(state, &request, asked, body).await,
        Err(refusal) => refusal,
    }
}

/// The same with the exchange in the query.
pub(super) async fn at_dates_of_exchange(
    state: State,
    request: HttpRequest,
    path: web::Path<String>,
    body: web::Payload,
) -> HttpResponse {
    let Some(exchange) = parameter(&request, "exchange") else {
        return invalid::missing(&["query", "exchange"]);
    };
    match asked(&state, "query", &path, &exchange) {
        Ok(asked) => first_candles(state, &request, asked, body).await,
        Err(refusal) => refusal,
    }
}

async fn first_candles(
    state: State,
    request: &HttpRequest,
    asked: Asked,
    body: web::Payload,
) -> HttpResponse {
    let body = match read_body(request, body.into_inner(), JSON_BODY_BYTES_MAX).await {
        Ok(body) => body,
        Err(error) => {
            let status = error.status_code();
            let text = status.canonical_reason().unwrap_or_default();
            return detail(status.as_u16(), text);
        }
    };
    let dates = match listed_dates(&body) {
        Ok(dates) => dates,
        Err(refusal) => return refusal,
    };
    let now = state.clock.now();
    found(state, asked, NO_DATES.to_owned(), move |lookup| {
        let candles = dates.into_iter().map(|date| lookup.first_hour(date, now));
        let candles = candles.collect::<Result<Vec<_>, _>>()?;
        Ok(candles.into_iter().flatten().collect())
    })
    .await
}

/// A JSON array of dates.
fn listed_dates(body: &[u8]) -> Result<Vec<Timestamp>, HttpResponse> {
    if body.is_empty() {
        return Err(invalid::missing(&["body"]));
    }
    let Ok(list) = serde_json::from_slice::<Vec<Value>>(body) else {
        return Err(invalid::not_a_list());
    };
    if list.len() > PRICE_HISTORY_DATES_MAX {
        return Err(invalid::too_many(&["body"], PRICE_HISTORY_DATES_MAX));
    }
    let date = |(index, value): (usize, &Value)| {
        let date = match value {
            Value::String(text) => dates::any(text),
            Value::Number(number) => dates::any(&number.to_string()),
            _ => None,
        };
        date.ok_or_else(|| invalid::not_a_date(&json!(["body", index])))
    };
    list.iter().enumerate().map(date).collect()
}

/// Looks something up aside, and answers with the candles or with why there are none.
async fn found(
    state: State,
    asked: Asked,
    nothing: String,
    look: impl FnOnce(&Lookup<'_>) -> Result<Vec<Candle>, PriceHistoryError> + Send + 'static,
) -> HttpResponse {
    let prices: Arc<dyn PriceQuery> = Arc::clone(&state.prices);
    let candles = web::block(move || {
        look(&Lookup {
            prices: prices.as_ref(),
            currency: &asked.currency,
            exchange: &asked.exchange.id,
        })
    });
    match candles.await {
        Ok(Ok(candles)) if candles.is_empty() => {
            detail(StatusCode::INTERNAL_SERVER_ERROR.as_u16(), &nothing)
        }
        Ok(Ok(candles)) => {
            let candles: Vec<SpotbitCandle> = candles.iter().map(Into::into).collect();
            answer(200, &candles)
        }
        Ok(Err(error)) => broken(&error),
        Err(error) => broken(&error),
    }
}
