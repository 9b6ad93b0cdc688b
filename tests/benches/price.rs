//! How fast a price is answered while exchanges lie and hang, over HTTP from the real pollers. Beside
//! it stands what a server without a memory does: it asks the same exchanges for every answer and
//! takes the mean, as SpotBit does.
//!
//! `cargo bench -p satpost-tests --bench price -- [--quick] [--json]`

#![allow(
    clippy::disallowed_methods,
    reason = "a bench measures time and reads its own arguments"
)]

use std::io::{self, Write as _};
use std::sync::Arc;
use std::time::{Duration, Instant};

use futures_util::future::join_all;
use satpost_api::price_query::PriceQuery as _;
use satpost_commands::ports::Clock as _;
use satpost_domain::price::Currency;
use satpost_infra::price::Prices;
use satpost_infra::price::fetch::Fetcher;
use satpost_infra::price::parse::{Exchange, parse};
use satpost_infra::system::SystemClock;
use satpost_tests::exchange::{Behaviour, SimulatedExchange, price_config};
use satpost_tests::http_server::{HttpServer, ServerOptions};
use tokio_util::sync::CancellationToken;

/// How long the baseline bears an exchange that hangs; SpotBit's library takes 10 seconds.
const PATIENCE: Duration = Duration::from_secs(1);

/// Two that lie, one that hangs, four that are honest.
const PRICES: [Option<&str>; 7] = [
    Some("1"),
    Some("64000.5"),
    None,
    Some("64010"),
    Some("999999"),
    Some("64020.25"),
    Some("64030"),
];

fn main() -> io::Result<()> {
    let arguments: Vec<_> = std::env::args().collect();
    let given = |name: &str| arguments.iter().any(|argument| argument == name);
    let (answers, means) = if given("--quick") {
        (2_000, 2)
    } else {
        (50_000, 10)
    };
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .build()?;
    runtime.block_on(run(answers, means, given("--json")))
}

async fn run(answers: usize, means: usize, json: bool) -> io::Result<()> {
    let folder = tempfile::tempdir()?;
    let exchanges = exchanges().await;
    let usd: Currency = "USD".parse().expect("USD is a currency");
    let plan = price_config(&exchanges)
        .plan()
        .expect("a plan of seven feeds");
    let file = folder.path().join("price.redb");
    let prices = Prices::open(plan, &file, Arc::new(SystemClock)).expect("an empty folder");
    let (prices, stop) = (Arc::new(prices), CancellationToken::new());
    let fetcher = Fetcher::with_timeout(PATIENCE).expect("an HTTP client");
    let polling = tokio::spawn(Arc::clone(&prices).run(fetcher.clone(), stop.clone()));
    while prices.answer(&usd, SystemClock.now()).is_none() {
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    let options = ServerOptions {
        prices: prices.clone(),
        ..ServerOptions::default()
    };
    let server = HttpServer::start_with(options).await;

    let mut memory = Vec::new();
    for _ in 0..answers {
        let started = Instant::now();
        std::hint::black_box(prices.answer(&usd, SystemClock.now()));
        memory.push(started.elapsed());
    }
    let mut http = Vec::new();
    let client = reqwest::Client::builder()
        .tls_certs_only([])
        .build()
        .map_err(io::Error::other)?;
    let url = format!("{}/v1/price/USD", server.base());
    for _ in 0..answers {
        let started = Instant::now();
        let answer = client.get(&url).send().await.map_err(io::Error::other)?;
        let body = answer.text().await.map_err(io::Error::other)?;
        http.push(started.elapsed());
        assert!(body.contains("\"stale\":false"), "{body}");
    }
    let (mut mean, mut healthy) = (Vec::new(), Vec::new());
    for _ in 0..means {
        let started = Instant::now();
        std::hint::black_box(mean_of_all(&fetcher, &exchanges, &usd).await);
        mean.push(started.elapsed());
    }
    exchanges[2].behave(Behaviour::price("64015"));
    for _ in 0..means * 10 {
        let started = Instant::now();
        std::hint::black_box(mean_of_all(&fetcher, &exchanges, &usd).await);
        healthy.push(started.elapsed());
    }
    let baseline = percentile_ms(&mut mean, 99);
    report(json, "answer from memory", &mut memory, None)?;
    report(json, "answer over HTTP", &mut http, Some(baseline))?;
    report(json, "mean, one hangs", &mut mean, None)?;
    report(json, "mean, none hangs", &mut healthy, None)?;
    server.stop().await;
    stop.cancel();
    polling.await.map_err(io::Error::other)
}

async fn exchanges() -> Vec<SimulatedExchange> {
    let mut exchanges = Vec::new();
    for (exchange, price) in Exchange::ALL.into_iter().zip(PRICES) {
        let behaviour = price.map_or(Behaviour::Hung, Behaviour::price);
        exchanges.push(SimulatedExchange::start(exchange, behaviour).await);
    }
    exchanges
}

/// What SpotBit does for each question: ask everybody at once, take the mean of who answers.
async fn mean_of_all(
    fetcher: &Fetcher,
    exchanges: &[SimulatedExchange],
    currency: &Currency,
) -> f64 {
    let one = |exchange: &SimulatedExchange| {
        let url = exchange.url().replace("{CUR}", currency.as_str());
        let (fetcher, kind) = (fetcher.clone(), exchange.exchange);
        async move {
            let body = fetcher.fetch(url.parse().ok()?).await.ok()?;
            let candles = parse(kind, currency, &body).ok()?;
            let close: f64 = candles.last()?.close.to_string().parse().ok()?;
            Some(close)
        }
    };
    let closes: Vec<f64> = join_all(exchanges.iter().map(one))
        .await
        .into_iter()
        .flatten()
        .collect();
    let count = u32::try_from(closes.len()).unwrap_or(1);
    closes.iter().sum::<f64>() / f64::from(count.max(1))
}

fn percentile_ms(latencies: &mut [Duration], percent: usize) -> f64 {
    latencies.sort_unstable();
    let index = (latencies.len() * percent / 100).min(latencies.len() - 1);
    latencies[index].as_secs_f64() * 1_000.0
}

fn report(
    json: bool,
    case: &str,
    latencies: &mut [Duration],
    baseline: Option<f64>,
) -> io::Result<()> {
    let mut out = io::stdout().lock();
    let (p50, p99) = (percentile_ms(latencies, 50), percentile_ms(latencies, 99));
    if !json {
        let times = baseline.map_or(String::new(), |slow| {
            format!("   {:.0} times faster", slow / p99)
        });
        return writeln!(
            out,
            "{case:<20} p50 {p50:>10.4} ms   p99 {p99:>10.4} ms{times}"
        );
    }
    for (metric, value, baseline) in [("p50", p50, None), ("p99", p99, baseline)] {
        let line = serde_json::json!({
            "bench": "price", "case": case, "metric": metric, "value": value, "unit": "ms",
            "baseline": baseline, "ratio": baseline.map(|slow| slow / value),
        });
        writeln!(out, "{line}")?;
    }
    Ok(())
}
