//! The interface of SpotBit, both generations, over real pollers and simulated exchanges.

use std::path::Path;
use std::time::Duration;

use reqwest::Method;
use satpost_api::price_query::PriceQuery as _;
use satpost_commands::ports::Clock as _;
use satpost_domain::Timestamp;
use satpost_infra::price::parse::Exchange;
use satpost_infra::system::SystemClock;
use satpost_tests::exchange::{Behaviour, SimulatedExchange};
use satpost_tests::http_server::HttpServer;
use satpost_tests::signed_request::Answer;
use serde_json::{Value, json};

use super::price::{DEADLINE, Pollers, all_heard, get, server, seven};

async fn post(server: &HttpServer, path: &str, body: &str) -> Answer {
    let url = format!("{}{path}", server.base());
    let request = server.http.post(url).body(body.to_owned());
    Answer::read(&Method::POST, path, request.send().await.unwrap()).await
}

/// Honest prices, with candles of two minutes, behind a server.
async fn honest(folder: &Path) -> (Vec<SimulatedExchange>, Pollers, HttpServer) {
    let prices = [
        "64000.10", "64000.2", "64000.3", "64000.4", "64000.5", "64000.6", "64000.7",
    ];
    let exchanges = seven(prices.map(Behaviour::price)).await;
    let pollers = Pollers::start(&exchanges, folder);
    all_heard(&pollers, &exchanges).await;
    // What was seen is recorded a moment later.
    let recorded = async {
        let (usd, last) = ("USD".parse().unwrap(), Timestamp::from_millis(u64::MAX));
        for exchange in Exchange::ALL {
            let id = exchange.name().parse().unwrap();
            let ever = Timestamp::from_millis(0)..=last;
            while pollers
                .prices
                .history(&usd, &id, ever.clone(), 9)
                .unwrap()
                .len()
                < 2
            {
                tokio::time::sleep(Duration::from_millis(5)).await;
            }
        }
    };
    tokio::time::timeout(DEADLINE, recorded).await.unwrap();
    let server = server(&pollers.prices).await;
    (exchanges, pollers, server)
}

/// True for `2023-11-14T22:14:00+00:00`.
fn is_isoformat(value: &Value) -> bool {
    let text = value.as_str().unwrap();
    text.len() == 25 && &text[10..11] == "T" && text.ends_with("+00:00")
}

fn keys(value: &Value) -> Vec<&str> {
    let mut keys: Vec<&str> = value
        .as_object()
        .unwrap()
        .keys()
        .map(String::as_str)
        .collect();
    keys.sort_unstable();
    keys
}

#[tokio::test]
async fn answers_as_the_second_generation_of_spotbit_does() {
    let folder = tempfile::tempdir().unwrap();
    let (_exchanges, pollers, server) = honest(folder.path()).await;
    let status: Value = get(&server, "/spotbit/api/status").await.expect(200);
    assert_eq!(status, "The server is running.");
    let names = Exchange::ALL.map(Exchange::name);
    let configuration: Value = get(&server, "/spotbit/api/configure").await.expect(200);
    assert_eq!(
        configuration,
        json!({ "currencies": ["USD"], "exchanges": names })
    );
    let details: Value = get(&server, "/spotbit/api/exchanges").await.expect(200);
    assert_eq!(
        keys(&details[0]),
        ["countries", "currencies", "id", "name", "url"]
    );

    let answer = get(&server, "/spotbit/api/now/USD").await;
    let now: Value = answer.expect(200);
    let expected = [
        "age_secs",
        "candle",
        "exchanges_used",
        "failed_exchanges",
        "stale",
    ];
    assert_eq!(keys(&now), expected);
    let candle = ["close", "high", "low", "open", "timestamp", "volume"];
    assert_eq!(keys(&now["candle"]), candle);
    assert!(is_isoformat(&now["candle"]["timestamp"]));
    assert!(
        answer.text().contains("\"close\":64000.4,"),
        "{}",
        answer.text()
    );
    assert_eq!(now["exchanges_used"][3], "Coinbase Exchange");

    let kraken: Value = get(&server, "/spotbit/api/now/USD/kraken")
        .await
        .expect(200);
    assert_eq!(kraken["close"].to_string(), "64000.6");
    assert_eq!(kraken["stale"], false);
    for path in ["/spotbit/api/now/usd", "/spotbit/api/now/EUR"] {
        let refusal: Value = get(&server, path).await.expect(422);
        let fault = &refusal["detail"][0];
        assert_eq!(fault["loc"], json!(["path", "currency"]));
        assert_eq!(fault["type"], "type_error.enum");
        assert_eq!(fault["ctx"]["enum_values"], json!(["USD"]));
    }
    let refusal: Value = get(&server, "/spotbit/api/now/USD/mtgox").await.expect(422);
    assert_eq!(refusal["detail"][0]["loc"], json!(["path", "exchange"]));
    let nothing: Value = get(&server, "/spotbit/api/nothing").await.expect(404);
    assert_eq!(nothing, json!({ "detail": "Not Found" }));
    let method: Value = post(&server, "/spotbit/api/status", "").await.expect(405);
    assert_eq!(method, json!({ "detail": "Method Not Allowed" }));
    server.stop().await;
    pollers.stop().await;
}

#[tokio::test]
async fn gives_the_history_as_the_second_generation_of_spotbit_does() {
    let folder = tempfile::tempdir().unwrap();
    let (_exchanges, pollers, server) = honest(folder.path()).await;
    let now = SystemClock.now().as_secs();
    let path = "/spotbit/api/history/USD/kraken";
    let hours: Value = get(&server, &format!("{path}?start={}", now - 7_200))
        .await
        .expect(200);
    let hours = hours.as_array().unwrap();
    // Two minutes, in one hour as a rule.
    assert!((1..=2).contains(&hours.len()), "{hours:?}");
    let volume: f64 = hours
        .iter()
        .map(|hour| hour["volume"].as_f64().unwrap())
        .sum();
    assert!((volume - 3.0).abs() < 1e-9, "{hours:?}");
    assert!(
        hours[0]["timestamp"]
            .as_str()
            .unwrap()
            .ends_with(":00:00+00:00")
    );

    let missing: Value = get(&server, path).await.expect(422);
    assert_eq!(missing["detail"][0]["type"], "value_error.missing");
    let bad: Value = get(&server, &format!("{path}?start=yesterday"))
        .await
        .expect(422);
    assert_eq!(bad["detail"][0]["type"], "value_error.datetime");
    let long_ago = format!("{path}?start=2015-01-01T00:00:00&end=2015-01-02T00:00:00");
    let none: Value = get(&server, &long_ago).await.expect(500);
    let told = none["detail"].as_str().unwrap();
    assert!(
        told.starts_with(
            "Spotbit did not receive any candle history for the period 2015-01-01 00:00:00+00:00"
        ),
        "{told}"
    );

    let body = format!("[\"2015-01-01T00:00:00\", {}]", now - 7_200);
    for path in [
        path.to_owned(),
        "/spotbit/api/history/USD?exchange=kraken".to_owned(),
    ] {
        let candles: Value = post(&server, &path, &body).await.expect(200);
        assert_eq!(candles.as_array().unwrap().len(), 2, "{candles}");
        let bad: Value = post(&server, &path, "[\"x\"]").await.expect(422);
        assert_eq!(bad["detail"][0]["loc"], json!(["body", 0]));
        let none: Value = post(&server, &path, "{}").await.expect(422);
        assert_eq!(none["detail"][0]["type"], "type_error.list");
        let many = format!("[{}0]", "0,".repeat(100));
        assert_eq!(post(&server, &path, &many).await.status.as_u16(), 422);
        let huge = " ".repeat(70_000);
        assert_eq!(post(&server, &path, &huge).await.status.as_u16(), 413);
    }
    server.stop().await;
    pollers.stop().await;
}

#[tokio::test]
async fn answers_as_the_first_generation_of_spotbit_does() {
    let folder = tempfile::tempdir().unwrap();
    let (_exchanges, pollers, server) = honest(folder.path()).await;
    assert_eq!(
        get(&server, "/spotbit/status").await.text(),
        "server is running"
    );
    let settings: Value = get(&server, "/spotbit/configure").await.expect(200);
    assert_eq!(settings["updated settings?"], "no");
    assert_eq!(settings["keepWeeks"], 10);
    let change = r#"{"keepWeeks": 1, "currencies": ["EUR"], "interval": 1}"#;
    let unchanged: Value = post(&server, "/spotbit/configure", change)
        .await
        .expect(200);
    assert_eq!(unchanged, settings, "a client changes nothing");

    let average: Value = get(&server, "/spotbit/now/usd").await.expect(200);
    assert_eq!(average["id"], "average_value");
    assert_eq!(average["currency_pair"], "BTC-USD");
    assert_eq!(average["close"].to_string(), "64000.4");
    assert!(average["volume"].is_number() && average["oldest_timestamp"].is_u64());
    assert_eq!(average["exchanges"].as_array().unwrap().len(), 7);
    assert_eq!(average["failed_exchanges"], json!([]));
    let row: Value = get(&server, "/spotbit/now/USD/okx").await.expect(200);
    assert_eq!(row["vol"].to_string(), "1.5");
    assert_eq!(row["close"].to_string(), "64000.7");
    let all: Value = get(&server, "/spotbit/now/USD/all").await.expect(200);
    assert_eq!(all["ticker"].to_string(), "64000.4");

    let now = SystemClock.now().as_millis();
    let path = format!("/spotbit/hist/usd/okx/{}/{now}", now - 600_000);
    let history: Value = get(&server, &path).await.expect(200);
    let columns = [
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
    assert_eq!(history["columns"], json!(columns));
    assert_eq!(history["data"].as_array().unwrap().len(), 2);
    assert_eq!(history["data"][0].as_array().unwrap().len(), 9);
    let at = history["data"][0][1].as_u64().unwrap();
    let path = format!("/spotbit/hist/usd/okx/{}-{}", at + 5, 1_400_000_000_000_u64);
    let rows: Value = get(&server, &path).await.expect(200);
    assert_eq!(rows[(at + 5).to_string()]["timestamp"], at);
    assert_eq!(rows["1400000000000"], Value::Null);
    let malformed = get(&server, "/spotbit/hist/usd/okx/today/tomorrow").await;
    assert_eq!(malformed.status.as_u16(), 200);
    assert!(malformed.text().starts_with("malformed dates."));
    let metrics = format!("{}/metrics", server.operator_base());
    let metrics = server.http.get(metrics).send().await.unwrap();
    let metrics = metrics.text().await.unwrap();
    assert!(
        metrics.contains("operation=\"spotbit_v1_hist_dates\""),
        "{metrics}"
    );
    assert!(!metrics.contains("unmatched"), "every route has a name");
    server.stop().await;
    pollers.stop().await;
}
