//! The file: what is written is read, old entries go, and another format is refused.

use satpost_domain::price::{Amount, FeedFailure};

use super::*;

const START: u64 = 1_700_000_040_000;

fn candle(at: u64, close: &str) -> Candle {
    let close = Amount::parse(close).unwrap();
    Candle {
        at: Timestamp::from_millis(at),
        open: close,
        high: close,
        low: close,
        close,
        volume: Amount::parse("0.123456789").unwrap(),
    }
}

fn record(exchange: &str, at: u64, outcome: Result<Candle, FeedFailure>) -> Record {
    Record {
        candles: outcome.iter().copied().collect(),
        observation: Observation {
            exchange: exchange.parse().unwrap(),
            currency: "USD".parse().unwrap(),
            at: Timestamp::from_millis(at),
            outcome,
        },
    }
}

fn all(history: &PriceHistory) -> Vec<Observation> {
    let mut found = Vec::new();
    let ever = Timestamp::from_millis(0)..=Timestamp::from_millis(u64::MAX);
    history
        .observations(ever, |observation| found.push(observation.clone()))
        .unwrap();
    found
}

fn of(history: &PriceHistory, exchange: &str, times: RangeInclusive<u64>) -> Vec<Candle> {
    let times = Timestamp::from_millis(*times.start())..=Timestamp::from_millis(*times.end());
    let (usd, exchange) = ("USD".parse().unwrap(), exchange.parse().unwrap());
    history.candles(&usd, &exchange, times, 100).unwrap()
}

#[test]
fn what_is_recorded_is_there_after_a_restart_in_the_order_it_was_seen() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("price.redb");
    let records = [
        record("kraken", START + 5, Ok(candle(START, "64010.1"))),
        record("gemini", START + 5, Err(FeedFailure::TooLarge)),
        record("kraken", START + 9, Ok(candle(START, "64010.2"))),
    ];
    let history = PriceHistory::open(&path).unwrap();
    history.record(&records[..2]).unwrap();
    history.record(&records[2..]).unwrap();
    drop(history);
    let history = PriceHistory::open(&path).unwrap();
    let expected: Vec<_> = records.iter().map(|r| r.observation.clone()).collect();
    assert_eq!(all(&history), expected);
    // The minute went on, so it has the later price.
    assert_eq!(
        of(&history, "kraken", START..=START),
        [candle(START, "64010.2")]
    );
}

#[test]
fn every_failure_has_a_form_on_disk() {
    let folder = tempfile::tempdir().unwrap();
    let history = PriceHistory::open(&folder.path().join("price.redb")).unwrap();
    let records: Vec<_> = FeedFailure::ALL
        .map(|failure| record("okx", START, Err(failure)))
        .into();
    history.record(&records).unwrap();
    let found: Vec<_> = all(&history).into_iter().map(|o| o.outcome).collect();
    assert_eq!(found, FeedFailure::ALL.map(Err));
}

#[test]
fn forgets_what_is_old_in_every_market_and_nothing_else() {
    let folder = tempfile::tempdir().unwrap();
    let history = PriceHistory::open(&folder.path().join("price.redb")).unwrap();
    let times = [START, START + 60_000, START + 120_000];
    for exchange in ["bitstamp", "gemini", "kraken"] {
        for at in times {
            history
                .record(&[record(exchange, at, Ok(candle(at, "1")))])
                .unwrap();
        }
    }
    let cutoff = Timestamp::from_millis(times[1]);
    assert_eq!(history.forget(cutoff).unwrap(), 6);
    assert_eq!(history.forget(cutoff).unwrap(), 0);
    for exchange in ["bitstamp", "gemini", "kraken"] {
        let left = of(&history, exchange, 0..=u64::MAX);
        let left: Vec<_> = left.iter().map(|candle| candle.at.as_millis()).collect();
        assert_eq!(left, times[1..], "{exchange}");
    }
    assert_eq!(all(&history).len(), 6);
}

#[test]
fn answers_with_the_first_candles_within_the_times() {
    let folder = tempfile::tempdir().unwrap();
    let history = PriceHistory::open(&folder.path().join("price.redb")).unwrap();
    let minutes: Vec<_> = (0..10).map(|n| candle(START + n * 60_000, "5")).collect();
    let mut record = record("kraken", START, Ok(minutes[9]));
    record.candles.clone_from(&minutes);
    history.record(&[record]).unwrap();
    let within = of(&history, "kraken", START + 60_000..=START + 180_000);
    assert_eq!(within, minutes[1..=3]);
    assert_eq!(of(&history, "krake", 0..=u64::MAX), []);
    let (later, earlier) = (2, 1);
    assert_eq!(of(&history, "kraken", later..=earlier), []);
    let (usd, kraken) = ("USD".parse().unwrap(), "kraken".parse().unwrap());
    let ever = Timestamp::from_millis(0)..=Timestamp::from_millis(u64::MAX);
    let few = history.candles(&usd, &kraken, ever, 4).unwrap();
    assert_eq!(few, minutes[..4]);
}

#[test]
fn refuses_a_file_of_another_format() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("price.redb");
    let other = Database::create(&path).unwrap();
    let transaction = other.begin_write().unwrap();
    transaction
        .open_table(FORMATS)
        .unwrap()
        .insert("format", 2)
        .unwrap();
    transaction.commit().unwrap();
    drop(other);
    let refused = PriceHistory::open(&path);
    assert!(matches!(refused, Err(HistoryError::Format { found: 2 })));
}
