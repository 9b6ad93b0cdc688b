//! Prices: which currencies, whom to ask, and how answers are made. Without feeds no exchange is
//! ever called.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use satpost_domain::limits::{PRICE_CURRENCIES_MAX, PRICE_FEEDS_MAX, PRICE_RECORDS_MAX};
use satpost_domain::price::{Amount, Currency, ExchangeId, Market, NameError, Policy, PriceBounds};
use serde::{Deserialize, Serialize};
use url::{Host, Url};

use crate::price::parse::Exchange;
use crate::price::plan::{Feed, PricePlan, UrlTemplate};

/// The shortest time between two questions to an exchange: all of them allow one in 5 seconds.
const INTERVAL_SECS_MIN: u64 = 5;
/// The longest: a minute of it must still be fresh with room for failures.
const INTERVAL_SECS_MAX: u64 = 3_600;
const SECONDS_PER_WEEK: u64 = 7 * 24 * 3_600;
const KEEP_WEEKS_MAX: u32 = 520;
const BASIS_POINTS_MAX: u32 = 10_000;

/// Prices.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct PriceConfig {
    /// Currencies, like `USD`.
    pub currencies: Vec<String>,
    /// Whom to ask. Empty: there are no prices.
    pub feeds: Vec<FeedConfig>,
    /// How often each exchange is asked, in seconds.
    pub interval_secs: u64,
    /// How old a quote may be, in seconds.
    pub max_age_secs: u64,
    /// How far a quote may be from the median, in hundredths of a percent.
    pub deviation_basis_points: u32,
    /// How many exchanges must agree; 0 for more than half of those of a currency.
    pub quorum: usize,
    /// How many weeks of history are kept.
    pub keep_weeks: u32,
    /// The lowest and the highest price a currency can have, as decimals in text.
    pub bounds: BTreeMap<String, [String; 2]>,
}

/// Whom to ask.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct FeedConfig {
    /// Its name in paths and answers.
    pub name: String,
    /// The shape of its answers; its name when absent.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub parser: Option<String>,
    /// Where to ask, with `{CUR}` or `{cur}` for the currency; the public address of the exchange
    /// when absent.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub url: Option<String>,
    /// Which currencies; all when empty.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub currencies: Vec<String>,
    /// How often, when other than `price.interval_secs`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub interval_secs: Option<u64>,
}

impl Default for PriceConfig {
    fn default() -> Self {
        Self {
            currencies: Vec::new(),
            feeds: Vec::new(),
            interval_secs: 60,
            max_age_secs: 300,
            deviation_basis_points: 200,
            quorum: 0,
            keep_weeks: 10,
            bounds: BTreeMap::new(),
        }
    }
}

/// Why the settings of prices cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum PriceConfigError {
    /// A currency or exchange has no usable name.
    #[error("price: {0}")]
    Name(#[from] NameError),
    /// The same thing is named twice.
    #[error("price: {0} is named twice")]
    Twice(String),
    /// A feed asks for a currency that is not in the list.
    #[error("price.feeds: {feed} asks for {currency}, which is not in price.currencies")]
    ForeignCurrency {
        /// The feed.
        feed: String,
        /// The currency.
        currency: String,
    },
    /// No parser has this name.
    #[error("price.feeds: no parser is called {0:?}; there are {known}", known = Exchange::names())]
    UnknownParser(String),
    /// The address does not parse, or is not safe.
    #[error(
        "price.feeds: {0:?} is no https URL (http is taken for loopback addresses only), or has no {{CUR}} or {{cur}} although several currencies are asked for"
    )]
    Url(String),
    /// Feeds without currencies, or a currency without a feed.
    #[error("price: {0} has no {1}")]
    Missing(String, &'static str),
    /// More exchanges must agree than are asked.
    #[error("price.quorum: {quorum} must agree on {currency}, but only {feeds} are asked")]
    Quorum {
        /// How many must agree.
        quorum: usize,
        /// On what.
        currency: String,
        /// How many are asked.
        feeds: usize,
    },
    /// A number makes no sense.
    #[error("price.{key} must be {expected}")]
    Number {
        /// Which.
        key: &'static str,
        /// What it must be.
        expected: String,
    },
    /// The history would be too large.
    #[error(
        "price.keep_weeks: the history would hold {records} records, and {PRICE_RECORDS_MAX} are allowed; keep fewer weeks or ask less often"
    )]
    TooMuchHistory {
        /// How many it would hold.
        records: u64,
    },
}

fn number(key: &'static str, expected: impl Into<String>) -> PriceConfigError {
    let expected = expected.into();
    PriceConfigError::Number { key, expected }
}

impl PriceConfig {
    /// True when the operator wants prices.
    #[must_use]
    pub fn is_on(&self) -> bool {
        !self.feeds.is_empty()
    }

    /// What follows from the settings.
    ///
    /// # Errors
    /// [`PriceConfigError`].
    pub fn plan(&self) -> Result<PricePlan, PriceConfigError> {
        self.check_numbers()?;
        let currencies = self.currencies()?;
        let feeds = self.feeds(&currencies)?;
        let markets = currencies
            .iter()
            .map(|currency| self.market(currency, &feeds));
        let markets = markets.collect::<Result<Vec<_>, _>>()?;
        self.check_history(&feeds)?;
        Ok(PricePlan {
            interval: Duration::from_secs(self.interval_secs),
            keep_weeks: self.keep_weeks,
            keep: Duration::from_secs(u64::from(self.keep_weeks) * SECONDS_PER_WEEK),
            currencies,
            feeds,
            markets,
        })
    }

    fn check_numbers(&self) -> Result<(), PriceConfigError> {
        if self.feeds.len() > PRICE_FEEDS_MAX {
            return Err(number("feeds", format!("at most {PRICE_FEEDS_MAX}")));
        }
        if self.currencies.len() > PRICE_CURRENCIES_MAX {
            let expected = format!("at most {PRICE_CURRENCIES_MAX}");
            return Err(number("currencies", expected));
        }
        check_interval(self.interval_secs)?;
        if self.max_age_secs < self.interval_secs || self.max_age_secs > 24 * 3_600 {
            let expected = "between price.interval_secs and 86400";
            return Err(number("max_age_secs", expected));
        }
        if self.deviation_basis_points > BASIS_POINTS_MAX {
            let expected = format!("at most {BASIS_POINTS_MAX}");
            return Err(number("deviation_basis_points", expected));
        }
        if !(1..=KEEP_WEEKS_MAX).contains(&self.keep_weeks) {
            let expected = format!("between 1 and {KEEP_WEEKS_MAX}");
            return Err(number("keep_weeks", expected));
        }
        Ok(())
    }

    fn currencies(&self) -> Result<Vec<Currency>, PriceConfigError> {
        let names: Result<Vec<Currency>, _> = self.currencies.iter().map(|c| c.parse()).collect();
        let names = names?;
        no_two_alike(&names)?;
        if names.is_empty() && self.is_on() {
            let missing = "price.currencies".to_owned();
            return Err(PriceConfigError::Missing(missing, "currency"));
        }
        Ok(names)
    }

    fn feeds(&self, currencies: &[Currency]) -> Result<Vec<Feed>, PriceConfigError> {
        let feeds = self.feeds.iter().map(|feed| self.feed(feed, currencies));
        let feeds = feeds.collect::<Result<Vec<_>, _>>()?;
        let ids: Vec<ExchangeId> = feeds.iter().map(|feed| feed.id.clone()).collect();
        no_two_alike(&ids)?;
        Ok(feeds)
    }

    fn feed(&self, feed: &FeedConfig, all: &[Currency]) -> Result<Feed, PriceConfigError> {
        let parser = feed.parser.as_ref().unwrap_or(&feed.name);
        let exchange = Exchange::named(parser)
            .ok_or_else(|| PriceConfigError::UnknownParser(parser.clone()))?;
        let mut currencies = Vec::new();
        for name in &feed.currencies {
            let currency: Currency = name.parse()?;
            if !all.contains(&currency) {
                return Err(PriceConfigError::ForeignCurrency {
                    feed: feed.name.clone(),
                    currency: name.clone(),
                });
            }
            currencies.push(currency);
        }
        no_two_alike(&currencies)?;
        if currencies.is_empty() {
            currencies = all.to_vec();
        }
        let interval_secs = feed.interval_secs.unwrap_or(self.interval_secs);
        check_interval(interval_secs)?;
        let text = feed.url.as_deref().unwrap_or(exchange.url());
        let url = url_template(text, &currencies)
            .ok_or_else(|| PriceConfigError::Url(text.to_owned()))?;
        Ok(Feed {
            id: feed.name.parse()?,
            exchange,
            url,
            currencies,
            interval: Duration::from_secs(interval_secs),
        })
    }

    fn market(&self, currency: &Currency, feeds: &[Feed]) -> Result<Market, PriceConfigError> {
        let asked = feeds
            .iter()
            .filter(|feed| feed.currencies.contains(currency));
        let exchanges: Vec<ExchangeId> = asked.map(|feed| feed.id.clone()).collect();
        let quorum = match self.quorum {
            0 => exchanges.len() / 2 + 1,
            quorum => quorum,
        };
        if exchanges.is_empty() && self.is_on() {
            return Err(PriceConfigError::Missing(currency.to_string(), "feed"));
        }
        if quorum > exchanges.len() && self.is_on() {
            return Err(PriceConfigError::Quorum {
                quorum,
                currency: currency.to_string(),
                feeds: exchanges.len(),
            });
        }
        Ok(Market {
            currency: currency.clone(),
            exchanges,
            policy: Policy {
                max_age: Duration::from_secs(self.max_age_secs),
                deviation_basis_points: self.deviation_basis_points,
                quorum,
                bounds: self.bounds(currency)?,
            },
        })
    }

    fn bounds(&self, currency: &Currency) -> Result<PriceBounds, PriceConfigError> {
        let decimal = |text: &str| {
            Amount::parse(text).map_err(|error| number("bounds", format!("decimals: {error}")))
        };
        let (min, max) = match self.bounds.get(currency.as_str()) {
            Some([min, max]) => (decimal(min)?, decimal(max)?),
            None => (decimal("0.000001")?, decimal("1000000000000")?),
        };
        if min >= max {
            return Err(number("bounds", "a lowest and a highest price"));
        }
        Ok(PriceBounds { min, max })
    }

    /// Each question leaves a record, and each minute a candle.
    fn check_history(&self, feeds: &[Feed]) -> Result<(), PriceConfigError> {
        let seconds = u64::from(self.keep_weeks) * SECONDS_PER_WEEK;
        let of_feed = |feed: &Feed| {
            let each = seconds / feed.interval.as_secs().max(1) + seconds / 60;
            each * feed.currencies.len() as u64
        };
        let records = feeds.iter().map(of_feed).sum();
        if records > PRICE_RECORDS_MAX {
            return Err(PriceConfigError::TooMuchHistory { records });
        }
        Ok(())
    }
}

fn check_interval(secs: u64) -> Result<(), PriceConfigError> {
    if (INTERVAL_SECS_MIN..=INTERVAL_SECS_MAX).contains(&secs) {
        return Ok(());
    }
    let expected = format!("between {INTERVAL_SECS_MIN} and {INTERVAL_SECS_MAX}");
    Err(number("interval_secs", expected))
}

fn no_two_alike<T: Ord + ToString>(names: &[T]) -> Result<(), PriceConfigError> {
    let mut seen = BTreeSet::new();
    match names.iter().find(|name| !seen.insert(*name)) {
        Some(name) => Err(PriceConfigError::Twice(name.to_string())),
        None => Ok(()),
    }
}

/// The template, when every address it gives is `https`, or `http` on this machine.
fn url_template(text: &str, currencies: &[Currency]) -> Option<UrlTemplate> {
    let template = UrlTemplate::new(text);
    if currencies.len() > 1 && !template.names_the_currency() {
        return None;
    }
    for currency in currencies {
        let url: Url = template.url(currency)?;
        let loopback = match url.host()? {
            Host::Domain(name) => name == "localhost",
            Host::Ipv4(address) => address.is_loopback(),
            Host::Ipv6(address) => address.is_loopback(),
        };
        if url.scheme() != "https" && !(url.scheme() == "http" && loopback) {
            return None;
        }
    }
    Some(template)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn config(text: &str) -> PriceConfig {
        let all = toml::to_string(&PriceConfig::default()).unwrap();
        let mut table: toml::Table = all.parse().unwrap();
        table.extend(text.parse::<toml::Table>().unwrap());
        table.try_into().unwrap()
    }

    fn refused(text: &str) -> String {
        config(text).plan().unwrap_err().to_string()
    }

    const TWO: &str = "currencies = [\"USD\", \"EUR\"]\n\
        feeds = [{ name = \"kraken\" }, { name = \"mirror\", parser = \"bitstamp\", url = \"http://127.0.0.1:1/{cur}\", currencies = [\"USD\"], interval_secs = 30 }]";

    #[test]
    fn nobody_is_asked_by_default() {
        let config = PriceConfig::default();
        assert!(!config.is_on());
        assert!(config.plan().unwrap().feeds.is_empty());
    }

    #[test]
    fn plans_markets_with_a_majority_as_quorum() {
        let plan = config(TWO).plan().unwrap();
        assert_eq!(plan.feeds[0].interval.as_secs(), 60);
        assert_eq!(plan.feeds[1].interval.as_secs(), 30);
        let quorums: Vec<_> = plan.markets.iter().map(|m| m.policy.quorum).collect();
        assert_eq!(quorums, [2, 1], "two are asked for USD, one for EUR");
    }

    #[test]
    fn refuses_what_cannot_work_and_says_what() {
        for (more, told) in [
            ("quorum = 3", "quorum"),
            ("interval_secs = 1", "interval_secs"),
            ("max_age_secs = 59", "max_age_secs"),
            ("keep_weeks = 0", "keep_weeks"),
            ("deviation_basis_points = 10001", "deviation_basis_points"),
            ("bounds = { USD = [\"2\", \"1\"] }", "bounds"),
            ("bounds = { USD = [\"NaN\", \"1\"] }", "bounds"),
        ] {
            let told_now = refused(&format!("{TWO}\n{more}"));
            assert!(told_now.contains(told), "{more}: {told_now}");
        }
        for (text, told) in [
            ("feeds = [{ name = \"kraken\" }]", "currency"),
            ("currencies = [\"usd\"]", "usd"),
            ("currencies = [\"USD\", \"USD\"]", "twice"),
            (
                "currencies = [\"USD\"]\nfeeds = [{ name = \"mtgox\" }]",
                "mtgox",
            ),
            (
                "currencies = [\"USD\"]\nfeeds = [{ name = \"kraken\", currencies = [\"EUR\"] }]",
                "EUR",
            ),
            (
                "currencies = [\"USD\"]\nfeeds = [{ name = \"kraken\", url = \"http://example.org/{cur}\" }]",
                "https",
            ),
            (
                "currencies = [\"USD\"]\nfeeds = [{ name = \"kraken\", url = \"ftp://127.0.0.1/\" }]",
                "https",
            ),
            (
                "currencies = [\"USD\", \"EUR\"]\nfeeds = [{ name = \"kraken\", url = \"https://example.org/\" }]",
                "{cur}",
            ),
            (
                "currencies = [\"USD\"]\nfeeds = [{ name = \"kraken\" }, { name = \"kraken\" }]",
                "twice",
            ),
            (
                "currencies = [\"USD\"]\nfeeds = [{ name = \"kraken\" }]\ninterval_secs = 5\nkeep_weeks = 520",
                "keep_weeks",
            ),
        ] {
            let told_now = refused(text);
            assert!(told_now.contains(told), "{text}: {told_now}");
        }
    }
}
