//! The form of observations and candles on disk. Numbers are text, so that anything that reads the
//! tables reads them exactly.

use satpost_domain::Timestamp;
use satpost_domain::price::{Amount, Candle, FeedFailure, Observation};
use serde::{Deserialize, Serialize};

#[derive(Serialize, Deserialize)]
struct StoredCandle {
    open: String,
    high: String,
    low: String,
    close: String,
    volume: String,
}

#[derive(Serialize, Deserialize)]
struct StoredObservation {
    exchange: String,
    currency: String,
    outcome: StoredOutcome,
}

/// Variants are numbered by their place, so new ones go to the end.
#[derive(Serialize, Deserialize)]
enum StoredOutcome {
    Candle { at: u64, numbers: StoredCandle },
    Failed(String),
}

impl From<&Candle> for StoredCandle {
    fn from(candle: &Candle) -> Self {
        Self {
            open: candle.open.to_string(),
            high: candle.high.to_string(),
            low: candle.low.to_string(),
            close: candle.close.to_string(),
            volume: candle.volume.to_string(),
        }
    }
}

impl StoredCandle {
    fn candle(&self, at: Timestamp) -> Option<Candle> {
        let candle = Candle {
            at,
            open: Amount::parse(&self.open).ok()?,
            high: Amount::parse(&self.high).ok()?,
            low: Amount::parse(&self.low).ok()?,
            close: Amount::parse(&self.close).ok()?,
            volume: Amount::parse(&self.volume).ok()?,
        };
        candle.checked().ok()
    }
}

pub(super) fn encode_candle(candle: &Candle) -> Vec<u8> {
    postcard::to_stdvec(&StoredCandle::from(candle)).expect("text always has a postcard form")
}

pub(super) fn decode_candle(at: Timestamp, bytes: &[u8]) -> Option<Candle> {
    let stored: StoredCandle = postcard::from_bytes(bytes).ok()?;
    stored.candle(at)
}

pub(super) fn encode_observation(observation: &Observation) -> Vec<u8> {
    let outcome = match &observation.outcome {
        Ok(candle) => StoredOutcome::Candle {
            at: candle.at.as_millis(),
            numbers: candle.into(),
        },
        Err(failure) => StoredOutcome::Failed(failure.name().to_owned()),
    };
    let stored = StoredObservation {
        exchange: observation.exchange.to_string(),
        currency: observation.currency.to_string(),
        outcome,
    };
    postcard::to_stdvec(&stored).expect("text and numbers always have a postcard form")
}

pub(super) fn decode_observation(at: Timestamp, bytes: &[u8]) -> Option<Observation> {
    let stored: StoredObservation = postcard::from_bytes(bytes).ok()?;
    let outcome = match stored.outcome {
        StoredOutcome::Candle { at, numbers } => Ok(numbers.candle(Timestamp::from_millis(at))?),
        StoredOutcome::Failed(name) => {
            let mut all = FeedFailure::ALL.into_iter();
            Err(all.find(|failure| failure.name() == name)?)
        }
    };
    Some(Observation {
        exchange: stored.exchange.parse().ok()?,
        currency: stored.currency.parse().ok()?,
        at,
        outcome,
    })
}
