//! The rule from quotes to one candle.
//!
//! The numbers are the medians of all fresh quotes, outliers included: while fewer than half of them
//! lie, each number lies between the lowest and the highest honest one. A median taken again after
//! outliers were removed would not have this property, because honest quotes that are far apart can
//! be removed as well. So outliers do not vote on whether there is a quorum, and that is all.

use std::collections::BTreeMap;
use std::time::Duration;

use crate::Timestamp;
use crate::limits::PRICE_FUTURE_MAX;

use super::amount::Amount;
use super::candle::Candle;
use super::name::ExchangeId;
use super::observation::{FeedFailure, Quote};

/// What a price of a currency can be at all.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct PriceBounds {
    /// The lowest.
    pub min: Amount,
    /// The highest.
    pub max: Amount,
}

/// How quotes become an answer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Policy {
    /// How old a quote may be.
    pub max_age: Duration,
    /// How far a quote may be from the median of all fresh ones, in hundredths of a percent.
    pub deviation_basis_points: u32,
    /// How many exchanges must agree; at least one.
    pub quorum: usize,
    /// What a price can be at all.
    pub bounds: PriceBounds,
}

/// Why an exchange does not count.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum DropReason {
    /// It has told nothing yet.
    NoQuote,
    /// It told nothing the last time, and what it told before is too old.
    Failed(FeedFailure),
    /// Its quote is too old.
    TooOld,
    /// Its quote is from a time to come.
    FromTheFuture,
    /// Its price is none that the currency can have.
    OutOfBounds,
    /// Its price is too far from the median.
    Outlier,
}

impl DropReason {
    /// Its stable name in answers.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::NoQuote => "no_quote",
            Self::Failed(failure) => failure.name(),
            Self::TooOld => "too_old",
            Self::FromTheFuture => "from_the_future",
            Self::OutOfBounds => "out_of_bounds",
            Self::Outlier => "outlier",
        }
    }
}

/// An exchange that does not count, and why.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Dropped {
    /// Which.
    pub exchange: ExchangeId,
    /// Why.
    pub reason: DropReason,
}

/// What quotes give at a moment.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Aggregate {
    /// The medians, dated like the oldest quote used; nothing without a quorum.
    pub candle: Option<Candle>,
    /// Who agrees with the median, by name.
    pub used: Vec<ExchangeId>,
    /// Who does not count, by name.
    pub dropped: Vec<Dropped>,
}

/// Makes one candle of quotes in any order; of several quotes of an exchange the last one counts.
#[must_use]
pub fn aggregate(quotes: &[Quote], now: Timestamp, policy: &Policy) -> Aggregate {
    let mut dropped = Vec::new();
    let mut fresh: Vec<&Quote> = Vec::new();
    for quote in latest(quotes) {
        match refusal(quote, now, policy) {
            Some(reason) => dropped.push(drop_of(quote, reason)),
            None => fresh.push(quote),
        }
    }
    let mut used: Vec<&Quote> = Vec::new();
    if let Some(median) = median(fresh.iter().map(|quote| quote.candle.close)) {
        for quote in &fresh {
            let close = quote.candle.close;
            if close.deviates(median, policy.deviation_basis_points) {
                dropped.push(drop_of(quote, DropReason::Outlier));
            } else {
                used.push(quote);
            }
        }
    }
    dropped.sort();
    let agreed = used.len() >= policy.quorum.max(1);
    Aggregate {
        candle: agreed.then(|| medians(&fresh, &used)).flatten(),
        used: used.iter().map(|quote| quote.exchange.clone()).collect(),
        dropped,
    }
}

/// The last quote of each exchange, by name.
fn latest(quotes: &[Quote]) -> impl Iterator<Item = &Quote> {
    let mut latest: BTreeMap<&ExchangeId, &Quote> = BTreeMap::new();
    for quote in quotes {
        let last = latest.entry(&quote.exchange).or_insert(quote);
        *last = (*last).max(quote);
    }
    latest.into_values()
}

fn refusal(quote: &Quote, now: Timestamp, policy: &Policy) -> Option<DropReason> {
    let PriceBounds { min, max } = policy.bounds;
    if quote.candle.at.since(quote.observed_at) > PRICE_FUTURE_MAX
        || quote.observed_at.since(now) > PRICE_FUTURE_MAX
    {
        Some(DropReason::FromTheFuture)
    } else if now.since(quote.told_at()) > policy.max_age {
        Some(DropReason::TooOld)
    } else if quote.candle.low < min || quote.candle.high > max {
        Some(DropReason::OutOfBounds)
    } else {
        None
    }
}

fn drop_of(quote: &Quote, reason: DropReason) -> Dropped {
    Dropped {
        exchange: quote.exchange.clone(),
        reason,
    }
}

/// Every number by itself. Since a median keeps order, the lowest stays below the others.
fn medians(fresh: &[&Quote], used: &[&Quote]) -> Option<Candle> {
    let of = |part: fn(&Candle) -> Amount| median(fresh.iter().map(|quote| part(&quote.candle)));
    Some(Candle {
        at: used.iter().map(|quote| quote.told_at()).min()?,
        open: of(|candle| candle.open)?,
        high: of(|candle| candle.high)?,
        low: of(|candle| candle.low)?,
        close: of(|candle| candle.close)?,
        volume: of(|candle| candle.volume)?,
    })
}

/// The one in the middle, or the midpoint of the two in the middle.
fn median(amounts: impl Iterator<Item = Amount>) -> Option<Amount> {
    let mut amounts: Vec<_> = amounts.collect();
    amounts.sort_unstable();
    let upper = *amounts.get(amounts.len() / 2)?;
    if amounts.len() % 2 == 1 {
        return Some(upper);
    }
    Some(amounts[amounts.len() / 2 - 1].midpoint(upper))
}
