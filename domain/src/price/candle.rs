//! A candle: what was traded on a market within a time.

use crate::Timestamp;

use super::amount::Amount;

/// First, highest, lowest and last price within a time, and how many bitcoin were traded.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Candle {
    /// When the time begins.
    pub at: Timestamp,
    /// The first price.
    pub open: Amount,
    /// The highest price.
    pub high: Amount,
    /// The lowest price.
    pub low: Amount,
    /// The last price: the one that counts.
    pub close: Amount,
    /// How many bitcoin.
    pub volume: Amount,
}

/// Why numbers are no candle.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum CandleError {
    /// A price is zero.
    #[error("a price is zero")]
    NotPositive,
    /// A price lies outside of lowest and highest.
    #[error("the first or last price lies outside of the lowest and highest")]
    Inconsistent,
}

impl Candle {
    /// Checks that the prices are positive and fit together.
    ///
    /// # Errors
    /// [`CandleError`].
    pub fn checked(self) -> Result<Self, CandleError> {
        let Self {
            open,
            high,
            low,
            close,
            ..
        } = self;
        // The lowest is not above any other, so it is enough to look at it.
        if [open, high, low, close].iter().any(|price| price.is_zero()) {
            return Err(CandleError::NotPositive);
        }
        if low > open.min(close) || high < open.max(close) {
            return Err(CandleError::Inconsistent);
        }
        Ok(self)
    }

    /// This one and the `next` as one candle of both times.
    #[must_use]
    pub fn followed_by(self, next: Self) -> Self {
        Self {
            at: self.at,
            open: self.open,
            high: self.high.max(next.high),
            low: self.low.min(next.low),
            close: next.close,
            volume: self.volume.saturating_add(next.volume),
        }
    }
}

/// Merges candles that are in order of time into candles of `period_ms`.
#[must_use]
pub fn merge(candles: &[Candle], period_ms: u64) -> Vec<Candle> {
    let period_ms = period_ms.max(1);
    let mut merged: Vec<Candle> = Vec::new();
    for candle in candles {
        let begin = Timestamp::from_millis(candle.at.as_millis() / period_ms * period_ms);
        match merged.last_mut().filter(|last| last.at == begin) {
            Some(last) => *last = last.followed_by(*candle),
            None => merged.push(Candle {
                at: begin,
                ..*candle
            }),
        }
    }
    merged
}

#[cfg(test)]
mod tests {
    use super::*;

    fn candle(at: u64, numbers: [&str; 5]) -> Candle {
        let [open, high, low, close, volume] = numbers.map(|text| Amount::parse(text).unwrap());
        Candle {
            at: Timestamp::from_millis(at),
            open,
            high,
            low,
            close,
            volume,
        }
    }

    #[test]
    fn refuses_prices_that_do_not_fit_together() {
        candle(0, ["2", "3", "1", "2", "0"]).checked().unwrap();
        for (numbers, error) in [
            (["0", "3", "1", "2", "0"], CandleError::NotPositive),
            (["2", "3", "0", "2", "0"], CandleError::NotPositive),
            (["2", "3", "2.5", "2.6", "0"], CandleError::Inconsistent),
            (["2", "3", "1", "4", "0"], CandleError::Inconsistent),
            (["2", "1", "3", "2", "0"], CandleError::Inconsistent),
        ] {
            assert_eq!(candle(0, numbers).checked(), Err(error), "{numbers:?}");
        }
    }

    #[test]
    fn minutes_become_hours() {
        let minutes = [
            candle(3_600_000, ["5", "6", "4", "5.5", "1"]),
            candle(3_660_000, ["5.5", "9", "5", "8", "2"]),
            candle(7_200_000, ["8", "8", "8", "8", "0.5"]),
        ];
        let hours = merge(&minutes, 3_600_000);
        assert_eq!(hours.len(), 2);
        assert_eq!(hours[0], candle(3_600_000, ["5", "9", "4", "8", "3"]));
        assert_eq!(hours[1], minutes[2]);
    }
}
