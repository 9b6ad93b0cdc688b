//! The history of prices: a `redb` file of its own.
//!
//! ```text
//! price.redb
//!   format        "format"                  -> 1
//!   observations  (milliseconds, number)    -> postcard: exchange, currency, candle or failure
//!   candles       (currency, exchange, ms)  -> postcard: open, high, low, close, volume as text
//! ```
//! `observations` is what answers are computed from again, in the order things were seen; `candles`
//! is the same data by minute, as queries want it, and holds minutes from before the server started
//! or while it was down, because exchanges answer with more than one.

use std::ops::RangeInclusive;
use std::path::Path;
use std::time::Duration;

use redb::{Database, ReadableDatabase as _, ReadableTable as _, TableDefinition};
use satpost_domain::Timestamp;
use satpost_domain::price::{Candle, Currency, ExchangeId, Observation};

mod stored;

use stored::{decode_candle, decode_observation, encode_candle, encode_observation};

const FORMAT: u64 = 1;
const FORMATS: TableDefinition<'_, &str, u64> = TableDefinition::new("format");
const OBSERVATIONS: TableDefinition<'_, (u64, u32), &[u8]> = TableDefinition::new("observations");
const CANDLES: TableDefinition<'_, (&str, &str, u64), &[u8]> = TableDefinition::new("candles");

/// How much of the file is held in memory.
const CACHE_BYTES: usize = 16 * 1024 * 1024;

/// What a poller hands over: what it saw, and the candles that are new.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Record {
    /// What it saw.
    pub observation: Observation,
    /// The candles of the answer that were not recorded yet, or not for good.
    pub candles: Vec<Candle>,
}

/// The file cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum HistoryError {
    /// The database or the disk.
    #[error("the history of prices: {0}")]
    Database(Box<redb::Error>),
    /// Another version of the server wrote it.
    #[error("the history of prices has format {found}, this server knows {FORMAT}")]
    Format {
        /// What it has.
        found: u64,
    },
    /// An entry is not what was written.
    #[error("the history of prices: an entry is not understood")]
    Damaged,
}

/// For `map_err`: the many errors of `redb` as one.
fn database(error: impl Into<redb::Error>) -> HistoryError {
    HistoryError::Database(Box::new(error.into()))
}

/// The open file; one process at a time.
pub struct PriceHistory {
    database: Database,
}

impl PriceHistory {
    /// Opens the file, or makes it.
    ///
    /// # Errors
    /// [`HistoryError`].
    pub fn open(path: &Path) -> Result<Self, HistoryError> {
        let mut builder = redb::Builder::new();
        builder.set_cache_size(CACHE_BYTES);
        let file = builder.create(path).map_err(database)?;
        let transaction = file.begin_write().map_err(database)?;
        {
            let mut formats = transaction.open_table(FORMATS).map_err(database)?;
            let found = formats.get("format").map_err(database)?;
            let found = found.map_or(FORMAT, |found| found.value());
            if found != FORMAT {
                return Err(HistoryError::Format { found });
            }
            formats.insert("format", FORMAT).map_err(database)?;
            transaction.open_table(OBSERVATIONS).map_err(database)?;
            transaction.open_table(CANDLES).map_err(database)?;
        }
        transaction.commit().map_err(database)?;
        Ok(Self { database: file })
    }

    /// Writes records in one transaction, durable when this returns.
    ///
    /// # Errors
    /// [`HistoryError`]; then none of them is written.
    pub fn record(&self, records: &[Record]) -> Result<(), HistoryError> {
        let transaction = self.database.begin_write().map_err(database)?;
        {
            let mut observations = transaction.open_table(OBSERVATIONS).map_err(database)?;
            let mut candles = transaction.open_table(CANDLES).map_err(database)?;
            for Record {
                observation,
                candles: new,
            } in records
            {
                let at = observation.at.as_millis();
                let mut same_time = observations
                    .range((at, 0)..=(at, u32::MAX))
                    .map_err(database)?;
                let last = same_time.next_back().transpose().map_err(database)?;
                let number = last.map_or(0, |(key, _)| key.value().1.saturating_add(1));
                drop(same_time);
                let bytes = encode_observation(observation);
                observations
                    .insert((at, number), bytes.as_slice())
                    .map_err(database)?;
                let (currency, exchange) = (&observation.currency, &observation.exchange);
                for candle in new {
                    let key = (currency.as_str(), exchange.as_str(), candle.at.as_millis());
                    let bytes = encode_candle(candle);
                    candles.insert(key, bytes.as_slice()).map_err(database)?;
                }
            }
        }
        transaction.commit().map_err(database)
    }

    /// Removes what lies before `cutoff`; tells how many entries that was.
    ///
    /// # Errors
    /// [`HistoryError`].
    pub fn forget(&self, cutoff: Timestamp) -> Result<u64, HistoryError> {
        use redb::ReadableTableMetadata as _;
        let cutoff = cutoff.as_millis();
        let transaction = self.database.begin_write().map_err(database)?;
        let removed = {
            let mut observations = transaction.open_table(OBSERVATIONS).map_err(database)?;
            let mut candles = transaction.open_table(CANDLES).map_err(database)?;
            let mut count = || -> Result<u64, redb::StorageError> {
                let before = observations.len()? + candles.len()?;
                observations.retain_in(..(cutoff, 0), |_, _| false)?;
                let mut pair = next_pair(&candles, None)?;
                while let Some((currency, exchange)) = pair {
                    let first = (currency.as_str(), exchange.as_str(), 0);
                    let last = (currency.as_str(), exchange.as_str(), cutoff);
                    candles.retain_in(first..last, |_, _| false)?;
                    pair = next_pair(&candles, Some((&currency, &exchange)))?;
                }
                Ok(before - observations.len()? - candles.len()?)
            };
            count().map_err(database)?
        };
        transaction.commit().map_err(database)?;
        Ok(removed)
    }

    /// The first `max` candles of a market that begin within `times`, oldest first.
    ///
    /// # Errors
    /// [`HistoryError`].
    pub fn candles(
        &self,
        currency: &Currency,
        exchange: &ExchangeId,
        times: RangeInclusive<Timestamp>,
        max: usize,
    ) -> Result<Vec<Candle>, HistoryError> {
        let (start, end) = (times.start().as_millis(), times.end().as_millis());
        if start > end {
            return Ok(Vec::new());
        }
        let transaction = self.database.begin_read().map_err(database)?;
        let table = transaction.open_table(CANDLES).map_err(database)?;
        let key = |at| (currency.as_str(), exchange.as_str(), at);
        let entries = table.range(key(start)..=key(end)).map_err(database)?;
        entries
            .take(max)
            .map(|entry| {
                let (key, bytes) = entry.map_err(database)?;
                let at = Timestamp::from_millis(key.value().2);
                decode_candle(at, bytes.value()).ok_or(HistoryError::Damaged)
            })
            .collect()
    }

    /// Gives everything that was seen within `times` to `take`, in order.
    ///
    /// # Errors
    /// [`HistoryError`].
    pub fn observations(
        &self,
        times: RangeInclusive<Timestamp>,
        mut take: impl FnMut(&Observation),
    ) -> Result<(), HistoryError> {
        let (start, end) = (times.start().as_millis(), times.end().as_millis());
        if start > end {
            return Ok(());
        }
        let transaction = self.database.begin_read().map_err(database)?;
        let table = transaction.open_table(OBSERVATIONS).map_err(database)?;
        for entry in table
            .range((start, 0)..=(end, u32::MAX))
            .map_err(database)?
        {
            let (key, bytes) = entry.map_err(database)?;
            let at = Timestamp::from_millis(key.value().0);
            take(&decode_observation(at, bytes.value()).ok_or(HistoryError::Damaged)?);
        }
        Ok(())
    }
}

/// The cutoff for what is kept at `now`.
pub(super) fn cutoff(now: Timestamp, keep: Duration) -> Timestamp {
    let keep = u64::try_from(keep.as_millis()).unwrap_or(u64::MAX);
    Timestamp::from_millis(now.as_millis().saturating_sub(keep))
}

/// The market after `after`, found without looking at the candles between.
fn next_pair(
    candles: &redb::Table<'_, (&'static str, &'static str, u64), &'static [u8]>,
    after: Option<(&str, &str)>,
) -> Result<Option<(String, String)>, redb::StorageError> {
    let mut entries = match after {
        Some((currency, exchange)) => candles.range((currency, exchange, u64::MAX)..)?,
        None => candles.range::<(&str, &str, u64)>(..)?,
    };
    let Some(entry) = entries.next() else {
        return Ok(None);
    };
    let (key, _) = entry?;
    let (currency, exchange, _) = key.value();
    Ok(Some((currency.to_owned(), exchange.to_owned())))
}

#[cfg(test)]
mod tests;
