//! The HTTP interface of SpotBit in both its generations, so that wallets made for it work here.
//!
//! The shapes are SpotBit's; `stale` and `age_secs` are added to answers about now. What is told is
//! ours: medians with a quorum instead of means, from memory instead of one call to every exchange
//! for each question. Errors have SpotBit's shape, not that of our problems.
//!
//! # Layout
//! - [`v1`]: `/spotbit/now/…`, `/spotbit/hist/…`; [`v2`]: `/spotbit/api/…`.
//! - [`shapes`]: numbers and candles; [`dates`]: times as SpotBit reads and prints them.
//! - [`invalid`]: the answers of its validation; [`lookup`]: candles out of the history.

mod dates;
mod invalid;
mod lookup;
mod shapes;
mod v1;
mod v2;

use actix_web::http::Method;
use actix_web::http::header::{ALLOW, CACHE_CONTROL, HeaderValue};
use actix_web::web::{self, ServiceConfig};
use actix_web::{HttpResponse, Resource};
use satpost_domain::Timestamp;
use satpost_domain::price::{Currency, DropReason, Quote};
use serde_json::json;

use crate::extract::State;
use crate::routes::Operation;

/// Paths and names of the operations, for metrics and logs.
const OPERATIONS: [(&str, Method, &str); 15] = [
    ("spotbit_v1_status", Method::GET, "/spotbit/status"),
    ("spotbit_v1_configure", Method::GET, "/spotbit/configure"),
    ("spotbit_v1_configure", Method::POST, "/spotbit/configure"),
    ("spotbit_v1_now", Method::GET, "/spotbit/now/{currency}"),
    (
        "spotbit_v1_now_exchange",
        Method::GET,
        "/spotbit/now/{currency}/{exchange}",
    ),
    (
        "spotbit_v1_hist",
        Method::GET,
        "/spotbit/hist/{currency}/{exchange}/{start}/{end}",
    ),
    (
        "spotbit_v1_hist_dates",
        Method::GET,
        "/spotbit/hist/{currency}/{exchange}/{dates}",
    ),
    ("spotbit_status", Method::GET, "/spotbit/api/status"),
    ("spotbit_configure", Method::GET, "/spotbit/api/configure"),
    ("spotbit_exchanges", Method::GET, "/spotbit/api/exchanges"),
    ("spotbit_now", Method::GET, "/spotbit/api/now/{currency}"),
    (
        "spotbit_now_exchange",
        Method::GET,
        "/spotbit/api/now/{currency}/{exchange}",
    ),
    (
        "spotbit_history",
        Method::GET,
        "/spotbit/api/history/{currency}/{exchange}",
    ),
    (
        "spotbit_history_dates",
        Method::POST,
        "/spotbit/api/history/{currency}/{exchange}",
    ),
    (
        "spotbit_history_dates",
        Method::POST,
        "/spotbit/api/history/{currency}",
    ),
];

/// The operations, as the table of routes has its own.
pub(crate) fn operations() -> impl Iterator<Item = Operation> {
    let operation = |(name, method, path)| Operation { name, method, path };
    OPERATIONS.into_iter().map(operation)
}

/// Makes them reachable.
pub(crate) fn configure(config: &mut ServiceConfig) {
    let only = |path: &str, allow: &'static str| -> Resource {
        web::resource(format!("/spotbit{path}")).default_service(web::to(move || async move {
            let mut answer = detail(405, "Method Not Allowed");
            let headers = answer.headers_mut();
            headers.insert(ALLOW, HeaderValue::from_static(allow));
            answer
        }))
    };
    let get = |path: &str| only(path, "GET");
    config
        .service(get("/status").route(web::get().to(v1::status)))
        .service(
            only("/configure", "GET, POST")
                .route(web::get().to(v1::configuration))
                .route(web::post().to(v1::configuration)),
        )
        .service(get("/now/{currency}").route(web::get().to(v1::now)))
        .service(get("/now/{currency}/{exchange}").route(web::get().to(v1::now_exchange)))
        .service(get("/hist/{currency}/{exchange}/{start}/{end}").route(web::get().to(v1::history)))
        .service(get("/hist/{currency}/{exchange}/{dates}").route(web::get().to(v1::at_dates)))
        .service(get("/api/status").route(web::get().to(v2::status)))
        .service(get("/api/configure").route(web::get().to(v2::configuration)))
        .service(get("/api/exchanges").route(web::get().to(v2::exchanges)))
        .service(get("/api/now/{currency}").route(web::get().to(v2::now)))
        .service(get("/api/now/{currency}/{exchange}").route(web::get().to(v2::now_exchange)))
        .service(
            only("/api/history/{currency}/{exchange}", "GET, POST")
                .route(web::get().to(v2::history))
                .route(web::post().to(v2::at_dates)),
        )
        .service(
            only("/api/history/{currency}", "POST").route(web::post().to(v2::at_dates_of_exchange)),
        )
        .service(
            web::scope("/spotbit").default_service(web::to(|| async { detail(404, "Not Found") })),
        );
}

/// An error in SpotBit's shape.
fn detail(status: u16, text: &str) -> HttpResponse {
    answer(status, &json!({ "detail": text }))
}

/// An answer that nobody keeps.
fn answer(status: u16, body: &impl serde::Serialize) -> HttpResponse {
    let status = actix_web::http::StatusCode::from_u16(status)
        .expect("SpotBit answers with statuses of three digits");
    HttpResponse::build(status)
        .insert_header((CACHE_CONTROL, "no-store"))
        .json(body)
}

/// Whether a quote is too old to count, and how old it is in seconds.
fn freshness(state: &State, currency: &Currency, quote: &Quote, now: Timestamp) -> (bool, u64) {
    let dropped = state.prices.dropped(currency, now);
    let stale = dropped.iter().any(|entry| {
        let is_old = matches!(
            entry.reason,
            DropReason::TooOld | DropReason::Failed(_) | DropReason::FromTheFuture
        );
        entry.exchange == quote.exchange && is_old
    });
    (stale, now.since(quote.told_at()).as_secs())
}

/// The history cannot be read; the operator is told why.
fn broken(error: &dyn std::fmt::Display) -> HttpResponse {
    tracing::error!(%error, "a question about the history of prices cannot be answered");
    detail(500, "Internal Server Error")
}
