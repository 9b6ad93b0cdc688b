//! Prices over real HTTP: simulated exchanges, the real pollers, the real API. Some exchanges lie,
//! hang, or answer what no exchange should.

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use reqwest::Method;
use satpost_api::price_query::PriceQuery as _;
use satpost_api_types::prices::{ListPricesResponse, PriceResponse};
use satpost_api_types::problem::ProblemCode as Code;
use satpost_commands::ports::Clock;
use satpost_domain::price::Currency;
use satpost_infra::price::fetch::Fetcher;
use satpost_infra::price::parse::Exchange;
use satpost_infra::price::service::replay;
use satpost_infra::price::{PriceHistory, Prices};
use satpost_infra::system::SystemClock;
use satpost_tests::exchange::{Behaviour, SimulatedExchange, price_config};
use satpost_tests::http_server::{HttpServer, ServerOptions};
use satpost_tests::signed_request::Answer;
use serde_json::{Value, json};
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;

/// How long an exchange may take in these tests.
const PATIENCE: Duration = Duration::from_millis(500);
/// How long the pollers may take until everything is as expected.
pub(super) const DEADLINE: Duration = Duration::from_secs(20);

/// Pollers over a history in a folder.
pub(super) struct Pollers {
    pub(super) prices: Arc<Prices>,
    stop: CancellationToken,
    running: JoinHandle<()>,
}

impl Pollers {
    pub(super) fn start(exchanges: &[SimulatedExchange], folder: &Path) -> Self {
        let plan = price_config(exchanges).plan().unwrap();
        let file = folder.join("price.redb");
        let prices = Arc::new(Prices::open(plan, &file, Arc::new(SystemClock)).unwrap());
        let stop = CancellationToken::new();
        let fetcher = Fetcher::with_timeout(PATIENCE).unwrap();
        let running = tokio::spawn(Arc::clone(&prices).run(fetcher, stop.clone()));
        Self {
            prices,
            stop,
            running,
        }
    }

    pub(super) async fn stop(self) {
        self.stop.cancel();
        self.running.await.unwrap();
    }
}

/// All seven, in the order of [`Exchange::ALL`].
pub(super) async fn seven(behaviours: [Behaviour; 7]) -> Vec<SimulatedExchange> {
    let mut exchanges = Vec::new();
    for (exchange, behaviour) in Exchange::ALL.into_iter().zip(behaviours) {
        exchanges.push(SimulatedExchange::start(exchange, behaviour).await);
    }
    exchanges
}

pub(super) async fn server(prices: &Arc<Prices>) -> HttpServer {
    let options = ServerOptions {
        prices: prices.clone(),
        ..ServerOptions::default()
    };
    HttpServer::start_with(options).await
}

pub(super) async fn get(server: &HttpServer, path: &str) -> Answer {
    let url = format!("{}{path}", server.base());
    let response = server.http.get(url).send().await.unwrap();
    Answer::read(&Method::GET, path, response).await
}

/// Waits until every exchange has been asked, and what it told has arrived.
pub(super) async fn all_heard(pollers: &Pollers, exchanges: &[SimulatedExchange]) {
    let usd: Currency = "USD".parse().unwrap();
    let heard = async {
        loop {
            let asked = exchanges.iter().all(|exchange| exchange.requests() > 0);
            let dropped = pollers.prices.dropped(&usd, SystemClock.now());
            let silent = dropped
                .iter()
                .any(|entry| entry.reason.name() == "no_quote");
            if asked && !silent {
                return;
            }
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    };
    tokio::time::timeout(DEADLINE, heard).await.unwrap();
}

fn reasons(price: &PriceResponse) -> Vec<(&str, &str)> {
    let dropped = price.dropped.iter();
    dropped
        .map(|entry| (entry.exchange.as_str(), entry.reason.as_str()))
        .collect()
}

#[tokio::test]
async fn two_that_lie_and_one_that_hangs_do_not_move_the_price_out_of_the_honest_range() {
    let folder = tempfile::tempdir().unwrap();
    let exchanges = seven([
        Behaviour::price("1"),
        Behaviour::price("64000.5"),
        Behaviour::Hung,
        Behaviour::price("64010"),
        Behaviour::price("999999"),
        Behaviour::Slow("64020.25".to_owned(), PATIENCE / 2),
        Behaviour::price("64030"),
    ])
    .await;
    let pollers = Pollers::start(&exchanges, folder.path());
    all_heard(&pollers, &exchanges).await;
    let server = server(&pollers.prices).await;
    let price: PriceResponse = get(&server, "/v1/price/usd").await.expect(200);
    // The median of 1, 64000.5, 64010, 64020.25, 64030, 999999.
    assert_eq!(price.price, "64015.125");
    assert!(!price.stale && price.age_secs < 60);
    assert_eq!(
        reasons(&price),
        [
            ("binance", "outlier"),
            ("bitstamp", "timed_out"),
            ("gemini", "outlier")
        ]
    );
    assert_eq!(
        price.used,
        ["bitfinex", "coinbaseexchange", "kraken", "okx"]
    );
    let quorum = (
        price.quorum.needed,
        price.quorum.agreed,
        price.quorum.exchanges,
    );
    assert_eq!(quorum, (4, 4, 7));
    let prices: ListPricesResponse = get(&server, "/v1/prices").await.expect(200);
    assert_eq!(prices.prices["USD"], 64_015);

    // However often a price is asked for, no exchange hears of it.
    let asked: Vec<u64> = exchanges.iter().map(SimulatedExchange::requests).collect();
    for path in ["/v1/price/USD", "/spotbit/api/now/USD", "/spotbit/now/usd"] {
        for _ in 0..20 {
            assert_eq!(get(&server, path).await.status.as_u16(), 200);
        }
    }
    let asked_now: Vec<u64> = exchanges.iter().map(SimulatedExchange::requests).collect();
    assert_eq!(asked_now, asked);
    server.stop().await;
    pollers.stop().await;
}

#[tokio::test]
async fn every_hostile_answer_is_named_and_none_counts() {
    let folder = tempfile::tempdir().unwrap();
    let huge = |announced| Behaviour::Huge {
        bytes: 10 * 1024 * 1024,
        announced,
    };
    let old = Behaviour::Price {
        close: "64000".to_owned(),
        age_secs: 3_600,
    };
    let rounds = [
        (
            [
                Behaviour::price("NaN"),
                Behaviour::price("-64000"),
                huge(true),
                huge(false),
                Behaviour::Status(302),
                Behaviour::Status(500),
                Behaviour::Body("{\"code\":".to_owned()),
            ],
            [
                ("binance", "malformed"),
                ("bitfinex", "absurd"),
                ("bitstamp", "too_large"),
                ("coinbaseexchange", "too_large"),
                ("gemini", "refused"),
                ("kraken", "refused"),
                ("okx", "malformed"),
            ],
        ),
        (
            [
                Behaviour::price("1e300"),
                Behaviour::price("\"64000\""),
                Behaviour::Body(r#"{"data":{"pair":"BTC/EUR","ohlc":[]}}"#.to_owned()),
                Behaviour::Body("[]".to_owned()),
                old,
                Behaviour::price("0"),
                Behaviour::price("0.0000001"),
            ],
            [
                ("binance", "absurd"),
                ("bitfinex", "malformed"),
                ("bitstamp", "wrong_pair"),
                ("coinbaseexchange", "empty"),
                ("gemini", "too_old"),
                ("kraken", "absurd"),
                ("okx", "out_of_bounds"),
            ],
        ),
    ];
    for (number, (behaviours, expected)) in rounds.into_iter().enumerate() {
        let exchanges = seven(behaviours).await;
        let folder = folder.path().join(number.to_string());
        std::fs::create_dir(&folder).unwrap();
        let pollers = Pollers::start(&exchanges, &folder);
        all_heard(&pollers, &exchanges).await;
        let server = server(&pollers.prices).await;
        let answer = get(&server, "/v1/price/USD").await;
        let detail = answer
            .expect_problem(Code::PriceUnavailable)
            .detail
            .unwrap();
        for (exchange, reason) in expected {
            let told = format!("{exchange} {reason}");
            assert!(detail.contains(&told), "{told}: {detail}");
        }
        let answer = get(&server, "/spotbit/api/now/USD").await;
        let body: Value = answer.expect(500);
        let told = "Spotbit could not get any candle data from the configured exchanges.";
        assert_eq!(body, json!({ "detail": told }));
        server.stop().await;
        pollers.stop().await;
    }
}

#[tokio::test]
async fn a_server_without_feeds_says_so() {
    let server = HttpServer::start().await;
    let answer = get(&server, "/v1/price/USD").await;
    let problem = answer.expect_problem(Code::UnknownCurrency);
    assert!(problem.detail.unwrap().contains("no exchanges"));
    let configuration: Value = get(&server, "/spotbit/api/configure").await.expect(200);
    assert_eq!(configuration, json!({ "currencies": [], "exchanges": [] }));
    server.stop().await;
}

#[tokio::test]
async fn a_restart_knows_what_was_known_and_a_replay_gives_the_same_answer() {
    let folder = tempfile::tempdir().unwrap();
    let usd: Currency = "USD".parse().unwrap();
    let honest = [
        "64000", "64010", "64020", "64030", "64040", "64050", "64060",
    ];
    let exchanges = seven(honest.map(Behaviour::price)).await;
    let pollers = Pollers::start(&exchanges, folder.path());
    all_heard(&pollers, &exchanges).await;
    let now = SystemClock.now();
    let live = pollers.prices.answer(&usd, now).unwrap();
    pollers.stop().await;

    let history = PriceHistory::open(&folder.path().join("price.redb")).unwrap();
    let plan = price_config(&exchanges).plan().unwrap();
    let board = replay(&history, &plan, now).unwrap();
    assert_eq!(board.answer(&usd, now), Some(live.clone()));
    drop(history);

    for exchange in &exchanges {
        exchange.behave(Behaviour::Status(503));
    }
    let pollers = Pollers::start(&exchanges, folder.path());
    let again = pollers.prices.answer(&usd, now).unwrap();
    assert_eq!(again, live);
    // An hour later nobody has told anything new.
    let later = now.plus(Duration::from_secs(3_600));
    let stale = pollers.prices.answer(&usd, later).unwrap();
    assert!(stale.stale && stale.age >= Duration::from_secs(3_600));
    assert_eq!(stale.candle, live.candle);
    pollers.stop().await;
}
