//! Prices of the real `satpostd`, asked for with the real `satpost`, and computed again by the tool.

use std::fs;
use std::path::Path;
use std::process::{Command, Output};
use std::time::{Duration, Instant};

use satpost_infra::price::parse::Exchange;
use satpost_tests::exchange::{Behaviour, SimulatedExchange};
use satpost_tests::process::{ServerProcess, binaries};
use serde_json::Value;

/// How long until the server has heard of the exchanges.
const DEADLINE: Duration = Duration::from_secs(20);

fn satpost(home: &Path, server: &ServerProcess, arguments: &[&str]) -> Output {
    Command::new(binaries().join("satpost"))
        .args(["--json", "--server", &server.url(), "--home"])
        .arg(home)
        .args(arguments)
        .output()
        .unwrap()
}

#[tokio::test(flavor = "multi_thread")]
#[allow(
    clippy::disallowed_methods,
    reason = "a process takes the time that it takes"
)]
async fn a_server_that_is_told_to_knows_the_price_and_can_compute_it_again() {
    let folder = tempfile::tempdir().unwrap();
    let kraken = SimulatedExchange::start(Exchange::Kraken, Behaviour::price("64000.25")).await;
    let okx = SimulatedExchange::start(Exchange::Okx, Behaviour::price("64000.75")).await;
    let settings = folder.path().join("satpost.toml");
    let text = format!(
        "[price]\ncurrencies = [\"USD\"]\nfeeds = [\n  {{ name = \"kraken\", url = \"{}\" }},\n  {{ name = \"mirror\", parser = \"okx\", url = \"{}\" }},\n]\n",
        kraken.url(),
        okx.url()
    );
    fs::write(&settings, text).unwrap();
    let settings = settings.to_string_lossy().into_owned();
    let data_dir = folder.path().join("satpost");
    let flags = ["--config".to_owned(), settings.clone()];
    let mut server = ServerProcess::start(&data_dir, &flags);
    let until = Instant::now() + DEADLINE;
    let price = loop {
        let output = satpost(folder.path(), &server, &["price", "USD"]);
        if output.status.success() {
            break serde_json::from_slice::<Value>(&output.stdout).unwrap();
        }
        let told = String::from_utf8_lossy(&output.stderr).into_owned();
        assert!(Instant::now() < until, "{told}\n{}", server.log_tail());
        std::thread::sleep(Duration::from_millis(50));
    };
    assert_eq!(price["price"], "64000.5");
    assert_eq!(price["used"], serde_json::json!(["kraken", "mirror"]));
    let unknown = satpost(folder.path(), &server, &["price", "EUR"]);
    assert_eq!(unknown.status.code(), Some(3), "refused");

    assert_eq!(server.stop(), Some(0), "{}", server.log_tail());
    let output = Command::new(binaries().join("satpostd"))
        .args(["price", "--config", &settings, "--data-dir"])
        .arg(&data_dir)
        .output()
        .unwrap();
    let told = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(output.status.success(), "{told}");
    let again: Value = serde_json::from_slice(&output.stdout).unwrap();
    assert_eq!(again["price"], price["price"]);
    assert_eq!(again["stale"], false);
}

#[test]
fn refuses_feeds_that_would_be_asked_without_tls() {
    let folder = tempfile::tempdir().unwrap();
    let settings = folder.path().join("satpost.toml");
    let text = "[price]\ncurrencies = [\"USD\"]\nfeeds = [{ name = \"kraken\", url = \"http://example.org/{CUR}\" }]\n";
    fs::write(&settings, text).unwrap();
    let output = Command::new(binaries().join("satpostd"))
        .args(["serve", "--config"])
        .arg(&settings)
        .arg("--data-dir")
        .arg(folder.path().join("satpost"))
        .output()
        .unwrap();
    assert_eq!(output.status.code(), Some(78));
    let told = String::from_utf8_lossy(&output.stderr);
    assert!(told.contains("no https URL"), "{told}");
}
