//! What a feed told at a moment, or why it told nothing. Recorded observations are what answers can
//! be computed from again.

use crate::Timestamp;

use super::candle::Candle;
use super::name::{Currency, ExchangeId};

/// The latest candle of an exchange and when it was seen.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Quote {
    /// When the server saw it.
    pub observed_at: Timestamp,
    /// The candle.
    pub candle: Candle,
    /// Whose it is.
    pub exchange: ExchangeId,
}

impl Quote {
    /// What it speaks of: the begin of its candle, but never a time after it was seen. A feed cannot
    /// stay fresh by dating ahead.
    #[must_use]
    pub fn told_at(&self) -> Timestamp {
        self.candle.at.min(self.observed_at)
    }
}

/// Why a feed gave no candle.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum FeedFailure {
    /// No connection, or it broke.
    Unreachable,
    /// No whole answer in time.
    TimedOut,
    /// A status that is no success, redirects included.
    Refused,
    /// The answer is longer than is read.
    TooLarge,
    /// The answer does not have the shape that the parser knows.
    Malformed,
    /// The answer is about another market.
    WrongPair,
    /// The answer has no candle.
    Empty,
    /// A number is zero, negative or beyond all bounds, or the numbers do not fit together.
    Absurd,
}

impl FeedFailure {
    /// Every one.
    pub const ALL: [Self; 8] = [
        Self::Unreachable,
        Self::TimedOut,
        Self::Refused,
        Self::TooLarge,
        Self::Malformed,
        Self::WrongPair,
        Self::Empty,
        Self::Absurd,
    ];

    /// Its stable name, in answers, metrics and records.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Unreachable => "unreachable",
            Self::TimedOut => "timed_out",
            Self::Refused => "refused",
            Self::TooLarge => "too_large",
            Self::Malformed => "malformed",
            Self::WrongPair => "wrong_pair",
            Self::Empty => "empty",
            Self::Absurd => "absurd",
        }
    }
}

/// What came of asking a feed once.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Observation {
    /// Which exchange.
    pub exchange: ExchangeId,
    /// Which currency.
    pub currency: Currency,
    /// When the answer was there, or was given up.
    pub at: Timestamp,
    /// The latest candle, or why there is none.
    pub outcome: Result<Candle, FeedFailure>,
}
