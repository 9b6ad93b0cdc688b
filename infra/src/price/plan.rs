//! What the operator's settings come to: whom to ask, where, how often, and how answers are made.

use std::time::Duration;

use satpost_api::price_query::{ExchangeInfo, PriceSettings};
use satpost_domain::price::{Currency, ExchangeId, Market};
use url::Url;

use super::parse::Exchange;

/// Everything that follows from the settings.
#[derive(Debug, Clone)]
pub struct PricePlan {
    /// The currencies.
    pub currencies: Vec<Currency>,
    /// Whom to ask.
    pub feeds: Vec<Feed>,
    /// How answers are made, one for each currency.
    pub markets: Vec<Market>,
    /// How often exchanges are asked, where a feed says nothing else.
    pub interval: Duration,
    /// How long history is kept, in weeks.
    pub keep_weeks: u32,
    /// The same as a time.
    pub keep: Duration,
}

/// Whom to ask.
#[derive(Debug, Clone)]
pub struct Feed {
    /// Its name.
    pub id: ExchangeId,
    /// Whose answers it gives.
    pub exchange: Exchange,
    /// Where to ask.
    pub url: UrlTemplate,
    /// What to ask for.
    pub currencies: Vec<Currency>,
    /// How often.
    pub interval: Duration,
}

/// An address with `{CUR}` or `{cur}` for the currency, in capital or small letters.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct UrlTemplate(String);

impl UrlTemplate {
    /// Takes any text.
    #[must_use]
    pub fn new(text: &str) -> Self {
        Self(text.to_owned())
    }

    /// True when addresses differ by currency.
    #[must_use]
    pub fn names_the_currency(&self) -> bool {
        self.0.contains("{CUR}") || self.0.contains("{cur}")
    }

    /// The address for a currency; nothing when it does not parse.
    #[must_use]
    pub fn url(&self, currency: &Currency) -> Option<Url> {
        let capital = currency.as_str();
        let text = self.0.replace("{CUR}", capital);
        Url::parse(&text.replace("{cur}", &capital.to_ascii_lowercase())).ok()
    }
}

/// Two feeds can give answers in the shape of the same exchange, so only its own has its title.
fn title(feed: &Feed) -> String {
    if feed.id.as_str() == feed.exchange.name() {
        feed.exchange.title().to_owned()
    } else {
        feed.id.to_string()
    }
}

impl PricePlan {
    /// What clients are shown of it.
    #[must_use]
    pub fn settings(&self) -> PriceSettings {
        let info = |feed: &Feed| ExchangeInfo {
            id: feed.id.clone(),
            title: title(feed),
            url: feed.exchange.site().to_owned(),
            countries: feed.exchange.countries().map(str::to_owned).collect(),
            currencies: feed.currencies.clone(),
        };
        PriceSettings {
            currencies: self.currencies.clone(),
            exchanges: self.feeds.iter().map(info).collect(),
            interval: self.interval,
            keep_weeks: self.keep_weeks,
        }
    }
}
