//! Numbers and candles as SpotBit writes them: JSON numbers, here with every digit that is known.

use satpost_domain::price::{Amount, Candle};
use serde::Serialize;
use serde_json::value::RawValue;

use super::dates::isoformat;

/// A decimal as a JSON number. Never a float on the way.
#[derive(Debug, Serialize)]
#[serde(transparent)]
pub(super) struct Number(Box<RawValue>);

impl From<Amount> for Number {
    fn from(amount: Amount) -> Self {
        let raw = RawValue::from_string(amount.to_string());
        Self(raw.expect("an amount is written as a JSON number"))
    }
}

/// The candle of the second generation.
#[derive(Debug, Serialize)]
pub(super) struct SpotbitCandle {
    timestamp: String,
    open: Number,
    high: Number,
    low: Number,
    close: Number,
    volume: Number,
    /// With answers about now: whether it is too old to count.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) stale: Option<bool>,
    /// With answers about now.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) age_secs: Option<u64>,
}

impl From<&Candle> for SpotbitCandle {
    fn from(candle: &Candle) -> Self {
        Self {
            timestamp: isoformat(candle.at),
            open: candle.open.into(),
            high: candle.high.into(),
            low: candle.low.into(),
            close: candle.close.into(),
            volume: candle.volume.into(),
            stale: None,
            age_secs: None,
        }
    }
}
