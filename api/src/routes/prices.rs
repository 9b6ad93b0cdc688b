//! What a bitcoin costs, with everything that tells how far to trust it. Reads memory only.

use actix_web::{HttpResponse, web};
use satpost_api_types::prices::{
    DroppedExchange, ListPricesResponse, PriceCandle, PriceQuorum, PriceResponse,
};
use satpost_api_types::problem::ProblemCode;
use satpost_domain::price::{Answer, Candle, Currency, Dropped};

use crate::extract::State;
use crate::price_query::PriceSettings;
use crate::problem::ApiError;
use crate::respond::found;

/// The price of a bitcoin.
///
/// Exchanges are asked in the background; the answer is the median of what they told last, and says
/// who was dropped and why. Without a quorum it is the last price that had one, with `stale` and its age.
#[utoipa::path(
    get, path = "/v1/price/{currency}", tag = "prices",
    params(("currency" = String, Path, description = "The currency, like USD")),
    responses((status = 200, description = "The price", body = PriceResponse))
)]
pub(crate) async fn get_price(
    state: State,
    currency: web::Path<String>,
) -> Result<HttpResponse, ApiError> {
    let currency = known(state.prices.settings(), &currency)
        .ok_or_else(|| unknown(state.prices.settings()))?;
    let now = state.clock.now();
    match state.prices.answer(&currency, now) {
        Some(answer) => Ok(found(price_response(&currency, answer))),
        None => Err(unavailable(&state.prices.dropped(&currency, now))),
    }
}

/// All prices, in the shape of mempool.space.
#[utoipa::path(
    get, path = "/v1/prices", tag = "prices",
    responses((status = 200, description = "The prices that are known and fresh", body = ListPricesResponse))
)]
pub(crate) async fn list_prices(state: State) -> HttpResponse {
    let now = state.clock.now();
    let currencies = state.prices.settings().currencies.iter();
    let fresh = currencies.filter_map(|currency| {
        let answer = state.prices.answer(currency, now)?;
        // There is no room for a flag in this shape.
        let price = (!answer.stale).then(|| answer.candle.close.rounded())?;
        Some((currency.to_string(), price))
    });
    found(ListPricesResponse {
        time: now.as_secs(),
        prices: fresh.collect(),
    })
}

/// The currency, however its letters are written.
pub(crate) fn known(settings: &PriceSettings, text: &str) -> Option<Currency> {
    let mut currencies = settings.currencies.iter();
    currencies
        .find(|currency| currency.as_str().eq_ignore_ascii_case(text))
        .cloned()
}

fn unknown(settings: &PriceSettings) -> ApiError {
    let names: Vec<&str> = settings.currencies.iter().map(Currency::as_str).collect();
    let detail = if names.is_empty() {
        "this server has no prices: its operator has configured no exchanges".to_owned()
    } else {
        format!("this server has prices in {}", names.join(", "))
    };
    ApiError::new(ProblemCode::UnknownCurrency).with_detail(detail)
}

fn unavailable(dropped: &[Dropped]) -> ApiError {
    let reasons: Vec<String> = dropped
        .iter()
        .map(|entry| format!("{} {}", entry.exchange, entry.reason.name()))
        .collect();
    ApiError::price_unavailable(format_args!(
        "too few exchanges agree, and the last price is too old; not counted: {}",
        reasons.join(", ")
    ))
}

fn price_response(currency: &Currency, answer: Answer) -> PriceResponse {
    let dropped = |entry: Dropped| DroppedExchange {
        exchange: entry.exchange.to_string(),
        reason: entry.reason.name().to_owned(),
    };
    PriceResponse {
        currency: currency.to_string(),
        price: answer.candle.close.to_string(),
        candle: price_candle(&answer.candle),
        age_secs: answer.age.as_secs(),
        stale: answer.stale,
        quorum: PriceQuorum {
            needed: answer.quorum as u64,
            agreed: answer.used.len() as u64,
            exchanges: answer.exchanges as u64,
        },
        used: answer.used.iter().map(ToString::to_string).collect(),
        dropped: answer.dropped.into_iter().map(dropped).collect(),
    }
}

fn price_candle(candle: &Candle) -> PriceCandle {
    PriceCandle {
        at: candle.at.as_millis(),
        open: candle.open.to_string(),
        high: candle.high.to_string(),
        low: candle.low.to_string(),
        close: candle.close.to_string(),
        volume: candle.volume.to_string(),
    }
}
