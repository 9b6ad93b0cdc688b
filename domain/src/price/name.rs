//! Names of currencies and exchanges: short, and safe in a path, a file key and a metric.

use std::fmt;
use std::str::FromStr;
use std::sync::Arc;

/// The longest name of an exchange, in bytes.
pub const EXCHANGE_BYTES_MAX: usize = 32;

/// A currency: 3 to 5 capital letters, like `USD`.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Currency(Arc<str>);

/// An exchange: 1 to 32 lower-case letters, digits and `_`, like `kraken`.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ExchangeId(Arc<str>);

/// The text is no name.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum NameError {
    /// Not 3 to 5 capital letters.
    #[error("{0:?} is no currency: 3 to 5 capital letters, like USD")]
    Currency(String),
    /// Not 1 to 32 lower-case letters, digits and `_`.
    #[error("{0:?} is no exchange: 1 to 32 lower-case letters, digits and _, like kraken")]
    Exchange(String),
}

impl Currency {
    /// Its letters.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl ExchangeId {
    /// Its letters.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl FromStr for Currency {
    type Err = NameError;

    fn from_str(text: &str) -> Result<Self, NameError> {
        let good = (3..=5).contains(&text.len()) && text.bytes().all(|b| b.is_ascii_uppercase());
        if good {
            Ok(Self(text.into()))
        } else {
            Err(NameError::Currency(text.to_owned()))
        }
    }
}

impl FromStr for ExchangeId {
    type Err = NameError;

    fn from_str(text: &str) -> Result<Self, NameError> {
        let is_good = |b: u8| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'_';
        if (1..=EXCHANGE_BYTES_MAX).contains(&text.len()) && text.bytes().all(is_good) {
            Ok(Self(text.into()))
        } else {
            Err(NameError::Exchange(text.to_owned()))
        }
    }
}

impl fmt::Display for Currency {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl fmt::Display for ExchangeId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn takes_only_what_is_safe_everywhere() {
        assert_eq!("USD".parse::<Currency>().unwrap().to_string(), "USD");
        for text in ["", "US", "usd", "DOLLAR", "U D", "../"] {
            assert!(text.parse::<Currency>().is_err(), "{text}");
        }
        assert!("okx_2".parse::<ExchangeId>().is_ok());
        for text in ["", "Kraken", "a-b", "a/b", &"a".repeat(33)] {
            assert!(text.parse::<ExchangeId>().is_err(), "{text}");
        }
    }
}
