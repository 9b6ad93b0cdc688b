//! Candles out of the history, by hour and by date. These read a disk, so they run aside.

use std::time::Duration;

use satpost_domain::Timestamp;
use satpost_domain::limits::PRICE_HISTORY_ROWS_MAX;
use satpost_domain::price::candle::merge;
use satpost_domain::price::{Candle, Currency, ExchangeId};

use crate::price_query::{PriceHistoryError, PriceQuery};

const HOUR_MS: u64 = 3_600_000;
const HOUR: Duration = Duration::from_millis(HOUR_MS);
const MINUTES_PER_HOUR: usize = 60;

/// One market of a question.
pub(super) struct Lookup<'a> {
    pub(super) prices: &'a dyn PriceQuery,
    pub(super) currency: &'a Currency,
    pub(super) exchange: &'a ExchangeId,
}

impl Lookup<'_> {
    /// The candles of minutes within the times, at most [`PRICE_HISTORY_ROWS_MAX`]; true when there
    /// are more.
    pub(super) fn minutes(
        &self,
        start: Timestamp,
        end: Timestamp,
    ) -> Result<(Vec<Candle>, bool), PriceHistoryError> {
        let mut rows = self.read(start, end, PRICE_HISTORY_ROWS_MAX + 1)?;
        let more = rows.len() > PRICE_HISTORY_ROWS_MAX;
        rows.truncate(PRICE_HISTORY_ROWS_MAX);
        Ok((rows, more))
    }

    /// The candles of hours that begin within the times, a page of minutes at a time.
    pub(super) fn hours(
        &self,
        start: Timestamp,
        end: Timestamp,
    ) -> Result<Vec<Candle>, PriceHistoryError> {
        let (mut from, end) = (next_hour(start), this_hour(end).plus(HOUR));
        let last = Timestamp::from_millis(end.as_millis() - 1);
        let mut hours = Vec::new();
        loop {
            let page = PRICE_HISTORY_ROWS_MAX / MINUTES_PER_HOUR * MINUTES_PER_HOUR;
            let mut minutes = self.read(from, last, page)?;
            let full = minutes.len() == page;
            let newest = minutes.last().map(|candle| this_hour(candle.at));
            if let (true, Some(newest)) = (full, newest) {
                // The last hour of a page may go on in the next one.
                minutes.retain(|candle| candle.at < newest);
                from = newest;
            }
            hours.extend(merge(&minutes, HOUR_MS));
            if !full || minutes.is_empty() {
                return Ok(hours);
            }
        }
    }

    /// The first candle of an hour that begins at `date` or after it.
    pub(super) fn first_hour(
        &self,
        date: Timestamp,
        now: Timestamp,
    ) -> Result<Option<Candle>, PriceHistoryError> {
        let minutes = self.read(next_hour(date), now, MINUTES_PER_HOUR)?;
        Ok(merge(&minutes, HOUR_MS).first().copied())
    }

    /// The candle of the minute nearest to `date`, not farther away than an hour.
    pub(super) fn nearest(&self, date: Timestamp) -> Result<Option<Candle>, PriceHistoryError> {
        let before = Timestamp::from_millis(date.as_millis().saturating_sub(HOUR_MS));
        let near = self.read(before, date.plus(HOUR), 2 * MINUTES_PER_HOUR + 1)?;
        let distance = |candle: &&Candle| candle.at.as_millis().abs_diff(date.as_millis());
        Ok(near.iter().min_by_key(distance).copied())
    }

    fn read(
        &self,
        start: Timestamp,
        end: Timestamp,
        max: usize,
    ) -> Result<Vec<Candle>, PriceHistoryError> {
        let times = start..=end;
        self.prices
            .history(self.currency, self.exchange, times, max)
    }
}

fn this_hour(at: Timestamp) -> Timestamp {
    Timestamp::from_millis(at.as_millis() / HOUR_MS * HOUR_MS)
}

fn next_hour(at: Timestamp) -> Timestamp {
    let hours = at.as_millis().div_ceil(HOUR_MS);
    Timestamp::from_millis(hours.saturating_mul(HOUR_MS))
}
