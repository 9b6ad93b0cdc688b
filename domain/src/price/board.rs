//! What is known of every market now, and the last good answer of each. It is a fold over
//! observations: the same ones give the same board.

use std::collections::BTreeMap;
use std::time::Duration;

use crate::Timestamp;
use crate::limits::PRICE_STALE_MAX;

use super::aggregate::{Aggregate, DropReason, Dropped, Policy, aggregate};
use super::candle::Candle;
use super::name::{Currency, ExchangeId};
use super::observation::{FeedFailure, Observation, Quote};

/// A currency, who is asked for its price, and how answers are made.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Market {
    /// The currency.
    pub currency: Currency,
    /// The exchanges.
    pub exchanges: Vec<ExchangeId>,
    /// The rule.
    pub policy: Policy,
}

/// A price with everything that tells how far to trust it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Answer {
    /// The candle; its `close` is the price.
    pub candle: Candle,
    /// How old the oldest quote is that it rests on.
    pub age: Duration,
    /// True when there is no quorum now and this is the last answer that had one.
    pub stale: bool,
    /// Who agreed on it.
    pub used: Vec<ExchangeId>,
    /// Who does not count now, and why.
    pub dropped: Vec<Dropped>,
    /// How many must agree.
    pub quorum: usize,
    /// How many are asked.
    pub exchanges: usize,
}

/// All markets.
#[derive(Debug, Clone, Default)]
pub struct PriceBoard {
    markets: BTreeMap<Currency, MarketState>,
}

#[derive(Debug, Clone)]
struct MarketState {
    policy: Policy,
    feeds: BTreeMap<ExchangeId, FeedState>,
    last_good: Option<LastGood>,
}

#[derive(Debug, Clone, Default)]
struct FeedState {
    quote: Option<Quote>,
    failure: Option<(Timestamp, FeedFailure)>,
}

#[derive(Debug, Clone)]
struct LastGood {
    agreed_at: Timestamp,
    candle: Candle,
    used: Vec<ExchangeId>,
}

impl PriceBoard {
    /// Markets of which nothing is known yet.
    #[must_use]
    pub fn new(markets: impl IntoIterator<Item = Market>) -> Self {
        let state = |market: Market| {
            let feeds = market.exchanges.into_iter();
            let state = MarketState {
                policy: market.policy,
                feeds: feeds.map(|id| (id, FeedState::default())).collect(),
                last_good: None,
            };
            (market.currency, state)
        };
        Self {
            markets: markets.into_iter().map(state).collect(),
        }
    }

    /// Takes over what a feed told. Markets and exchanges that are not on the board are passed over:
    /// the record may be older than the configuration.
    pub fn observe(&mut self, observation: &Observation) {
        let Some(market) = self.markets.get_mut(&observation.currency) else {
            return;
        };
        let Some(feed) = market.feeds.get_mut(&observation.exchange) else {
            return;
        };
        match observation.outcome {
            Ok(candle) => {
                let quote = Quote {
                    observed_at: observation.at,
                    candle,
                    exchange: observation.exchange.clone(),
                };
                feed.quote = feed.quote.take().max(Some(quote));
            }
            Err(failure) => feed.failure = feed.failure.max(Some((observation.at, failure))),
        }
        market.keep_good(observation.at);
    }

    /// The price of a currency at `now`. Nothing when the currency is not on the board, or no quorum
    /// was there within [`PRICE_STALE_MAX`].
    #[must_use]
    pub fn answer(&self, currency: &Currency, now: Timestamp) -> Option<Answer> {
        self.markets.get(currency)?.answer(now)
    }

    /// What an exchange told last, however old.
    #[must_use]
    pub fn quote(&self, currency: &Currency, exchange: &ExchangeId) -> Option<&Quote> {
        let market = self.markets.get(currency)?;
        market.feeds.get(exchange)?.quote.as_ref()
    }

    /// Who does not count now and why, also when there is no answer.
    #[must_use]
    pub fn dropped(&self, currency: &Currency, now: Timestamp) -> Vec<Dropped> {
        let market = self.markets.get(currency);
        market.map_or_else(Vec::new, |market| {
            let now_known = market.aggregate(now);
            market.dropped(now_known.dropped)
        })
    }
}

impl MarketState {
    fn aggregate(&self, now: Timestamp) -> Aggregate {
        let quotes: Vec<Quote> = self
            .feeds
            .values()
            .filter_map(|feed| feed.quote.clone())
            .collect();
        aggregate(&quotes, now, &self.policy)
    }

    /// A quorum is reached by an observation and lost with time, so it is enough to look here.
    fn keep_good(&mut self, now: Timestamp) {
        let last = self.last_good.as_ref().map(|good| good.agreed_at);
        if last.is_some_and(|last| last > now) {
            return;
        }
        let Aggregate { candle, used, .. } = self.aggregate(now);
        if let Some(candle) = candle {
            self.last_good = Some(LastGood {
                agreed_at: now,
                candle,
                used,
            });
        }
    }

    fn answer(&self, now: Timestamp) -> Option<Answer> {
        let current = self.aggregate(now);
        let stale = current.candle.is_none();
        let (candle, used) = match (current.candle, &self.last_good) {
            (Some(candle), _) => (candle, current.used),
            (None, Some(good)) => (good.candle, good.used.clone()),
            (None, None) => return None,
        };
        let age = now.since(candle.at);
        (age <= PRICE_STALE_MAX).then(|| Answer {
            candle,
            age,
            stale,
            used,
            dropped: self.dropped(current.dropped),
            quorum: self.policy.quorum,
            exchanges: self.feeds.len(),
        })
    }

    /// Adds who never told anything, and says of quotes that got old why no newer one came.
    fn dropped(&self, mut dropped: Vec<Dropped>) -> Vec<Dropped> {
        for entry in &mut dropped {
            let feed = self.feeds.get(&entry.exchange);
            if entry.reason == DropReason::TooOld
                && let Some(failure) = feed.and_then(FeedState::failed_since)
            {
                entry.reason = DropReason::Failed(failure);
            }
        }
        for (exchange, feed) in &self.feeds {
            if feed.quote.is_none() {
                let failure = feed.failure.map(|(_, failure)| failure);
                dropped.push(Dropped {
                    exchange: exchange.clone(),
                    reason: failure.map_or(DropReason::NoQuote, DropReason::Failed),
                });
            }
        }
        dropped.sort();
        dropped
    }
}

impl FeedState {
    /// The failure after the last quote.
    fn failed_since(&self) -> Option<FeedFailure> {
        let quoted_at = self.quote.as_ref().map(|quote| quote.observed_at);
        let (at, failure) = self.failure?;
        quoted_at
            .is_none_or(|quoted_at| at >= quoted_at)
            .then_some(failure)
    }
}
