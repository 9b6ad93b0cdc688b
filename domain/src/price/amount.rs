//! Decimals of prices and volumes: not negative, bounded, exact.

use std::fmt;

use rust_decimal::Decimal;

/// How many decimal places are kept; exchanges give at most 8, and floats of theirs up to 17.
pub const AMOUNT_PLACES: u32 = 10;
/// The largest amount. A bitcoin has never cost more than 10^11 of any currency.
pub const AMOUNT_MAX: u64 = 1_000_000_000_000;
/// The longest text that is looked at, in bytes.
const TEXT_BYTES_MAX: usize = 64;
/// Hundredths of a percent in a whole.
const BASIS_POINTS: u32 = 10_000;

/// A price or a volume.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Amount(Decimal);

/// Why a text is no amount.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum AmountError {
    /// Not a number as JSON writes them: `NaN`, a word, a leading `+`.
    #[error("not a decimal number")]
    NotANumber,
    /// Below zero.
    #[error("the number is negative")]
    Negative,
    /// Above [`AMOUNT_MAX`], or with an exponent that no price has.
    #[error("the number is beyond what a price can be")]
    OutOfRange,
}

impl Amount {
    /// Nothing.
    pub const ZERO: Self = Self(Decimal::ZERO);

    /// Takes a number as JSON writes them (RFC 8259, section 6), rounded to [`AMOUNT_PLACES`].
    ///
    /// # Errors
    /// [`AmountError`].
    pub fn parse(text: &str) -> Result<Self, AmountError> {
        if text.len() > TEXT_BYTES_MAX || !is_json_number(text) {
            return Err(AmountError::NotANumber);
        }
        let parsed = if text.contains(['e', 'E']) {
            Decimal::from_scientific(text)
        } else {
            text.parse()
        };
        let number = parsed.map_err(|_| AmountError::OutOfRange)?;
        if number.is_sign_negative() && !number.is_zero() {
            return Err(AmountError::Negative);
        }
        if number > Decimal::from(AMOUNT_MAX) {
            return Err(AmountError::OutOfRange);
        }
        let mut number = number.round_dp(AMOUNT_PLACES).normalize();
        number.set_sign_positive(true);
        Ok(Self(number))
    }

    /// True for zero.
    #[must_use]
    pub fn is_zero(self) -> bool {
        self.0.is_zero()
    }

    /// The number in the middle between this one and `other`, exactly.
    #[must_use]
    pub fn midpoint(self, other: Self) -> Self {
        Self(((self.0 + other.0) / Decimal::TWO).normalize())
    }

    /// The sum, but no more than [`AMOUNT_MAX`].
    #[must_use]
    pub fn saturating_add(self, other: Self) -> Self {
        Self((self.0 + other.0).min(Decimal::from(AMOUNT_MAX)))
    }

    /// True when this differs from `reference` by more than so many hundredths of a percent of it.
    #[must_use]
    pub fn deviates(self, reference: Self, basis_points: u32) -> bool {
        let difference = (self.0 - reference.0).abs();
        difference * Decimal::from(BASIS_POINTS) > reference.0 * Decimal::from(basis_points)
    }

    /// The nearest whole number; halves go to the even one.
    #[must_use]
    pub fn rounded(self) -> u64 {
        let whole = self.0.round();
        u64::try_from(whole).expect("an amount is between zero and AMOUNT_MAX")
    }
}

/// `-? digits (. digits)? ([eE] [+-]? digits)?`, without leading zeros.
fn is_json_number(text: &str) -> bool {
    let text = text.strip_prefix('-').unwrap_or(text);
    let (mantissa, exponent) = match text.split_once(['e', 'E']) {
        Some((mantissa, exponent)) => (mantissa, Some(exponent)),
        None => (text, None),
    };
    let (whole, fraction) = match mantissa.split_once('.') {
        Some((whole, fraction)) => (whole, Some(fraction)),
        None => (mantissa, None),
    };
    let digits = |text: &str| !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
    let exponent_is_good =
        |text: &str| digits(text.strip_prefix(['+', '-']).unwrap_or(text)) && text.len() <= 5;
    digits(whole)
        && (whole == "0" || !whole.starts_with('0'))
        && fraction.is_none_or(digits)
        && exponent.is_none_or(exponent_is_good)
}

/// Plain digits, never an exponent: a JSON number as well.
impl fmt::Display for Amount {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(&self.0, f)
    }
}

impl fmt::Debug for Amount {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(&self.0, f)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn amount(text: &str) -> Amount {
        Amount::parse(text).unwrap()
    }

    #[test]
    fn reads_numbers_as_json_writes_them_and_tells_them_plainly() {
        for (text, told) in [
            ("0", "0"),
            ("-0.0", "0"),
            ("67321.10000", "67321.1"),
            ("6.73211e4", "67321.1"),
            ("1E-7", "0.0000001"),
            ("12.345678901249", "12.3456789012"),
            ("1000000000000", "1000000000000"),
            ("0.00000000001", "0"),
        ] {
            assert_eq!(amount(text).to_string(), told, "{text}");
        }
    }

    #[test]
    fn refuses_what_is_no_price() {
        use AmountError::{Negative, NotANumber, OutOfRange};
        for (text, error) in [
            ("", NotANumber),
            ("NaN", NotANumber),
            ("Infinity", NotANumber),
            ("-Infinity", NotANumber),
            ("+1", NotANumber),
            ("01", NotANumber),
            ("1.", NotANumber),
            (".5", NotANumber),
            ("1e", NotANumber),
            ("1_000", NotANumber),
            ("0x10", NotANumber),
            ("1,5", NotANumber),
            (" 1", NotANumber),
            ("-1", Negative),
            ("-1e-9", Negative),
            ("1e400", OutOfRange),
            ("1e13", OutOfRange),
            ("1000000000000.1", OutOfRange),
            ("1e-400", OutOfRange),
        ] {
            assert_eq!(Amount::parse(text), Err(error), "{text}");
        }
        assert_eq!(Amount::parse(&"9".repeat(60)), Err(OutOfRange));
        assert_eq!(Amount::parse(&"9".repeat(65)), Err(NotANumber));
    }

    #[test]
    fn the_largest_amounts_can_be_compared_and_added() {
        let largest = amount("1000000000000");
        let odd = amount("999999999999.9999999999");
        assert!(odd.deviates(Amount::ZERO, 10_000));
        assert!(!odd.deviates(largest, 0) || odd < largest);
        assert_eq!(largest.midpoint(largest), largest);
        assert_eq!(largest.saturating_add(odd), largest);
        assert_eq!(largest.rounded(), AMOUNT_MAX);
    }

    #[test]
    fn a_deviation_is_measured_by_the_reference() {
        let median = amount("100");
        assert!(!amount("102").deviates(median, 200));
        assert!(!amount("98").deviates(median, 200));
        assert!(amount("102.01").deviates(median, 200));
        assert!(amount("97.99").deviates(median, 200));
    }

    #[test]
    fn the_midpoint_is_exact() {
        assert_eq!(amount("1").midpoint(amount("2")), amount("1.5"));
        let narrow = amount("0.0000000001").midpoint(amount("0.0000000002"));
        assert_eq!(narrow.to_string(), "0.00000000015");
    }
}
