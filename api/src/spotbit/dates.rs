//! Times as SpotBit reads and prints them: what Python's `datetime` does, in UTC.

use satpost_domain::Timestamp;
use time::format_description::well_known::Iso8601;
use time::{Date, OffsetDateTime, PrimitiveDateTime, Time};

/// Numbers above this are milliseconds, below it seconds, as SpotBit's validation decides.
const SECONDS_MAX: u64 = 20_000_000_000;

/// `2023-11-14T22:14:00+00:00`.
pub(super) fn isoformat(at: Timestamp) -> String {
    format!("{}+00:00", printed(at, 'T'))
}

/// `2023-11-14 22:14:00`.
pub(super) fn with_a_space(at: Timestamp) -> String {
    printed(at, ' ')
}

fn printed(at: Timestamp, between: char) -> String {
    let seconds = i64::try_from(at.as_secs()).unwrap_or(i64::MAX);
    // A time beyond the calendar is in no candle and no clock.
    let moment = OffsetDateTime::from_unix_timestamp(seconds);
    let moment = moment.unwrap_or(OffsetDateTime::UNIX_EPOCH);
    let (year, month, day) = (moment.year(), u8::from(moment.month()), moment.day());
    let (hour, minute, second) = moment.to_hms();
    format!("{year:04}-{month:02}-{day:02}{between}{hour:02}:{minute:02}:{second:02}")
}

/// A date in ISO 8601, UTC unless it says otherwise, with `T` or a space before the time.
pub(super) fn iso(text: &str) -> Option<Timestamp> {
    let text = text.trim().replacen(' ', "T", 1);
    let moment = OffsetDateTime::parse(&text, &Iso8601::DEFAULT)
        .ok()
        .or_else(|| {
            let moment = PrimitiveDateTime::parse(&text, &Iso8601::DEFAULT).ok()?;
            Some(moment.assume_utc())
        })
        .or_else(|| {
            let date = Date::parse(&text, &Iso8601::DEFAULT).ok()?;
            Some(PrimitiveDateTime::new(date, Time::MIDNIGHT).assume_utc())
        })?;
    let millis = u64::try_from(moment.unix_timestamp_nanos() / 1_000_000).ok()?;
    Some(Timestamp::from_millis(millis))
}

/// Milliseconds, digits only.
pub(super) fn milliseconds(text: &str) -> Option<Timestamp> {
    let only_digits = !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
    let count = only_digits.then(|| text.parse().ok())??;
    Some(Timestamp::from_millis(count))
}

/// A date in ISO 8601, or seconds or milliseconds since the epoch.
pub(super) fn any(text: &str) -> Option<Timestamp> {
    match milliseconds(text) {
        Some(count) if count.as_millis() <= SECONDS_MAX => {
            Some(Timestamp::from_millis(count.as_millis() * 1_000))
        }
        Some(count) => Some(count),
        None => iso(text),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn prints_as_python_does() {
        let at = Timestamp::from_millis(1_700_000_040_000);
        assert_eq!(isoformat(at), "2023-11-14T22:14:00+00:00");
        assert_eq!(with_a_space(at), "2023-11-14 22:14:00");
    }

    #[test]
    fn reads_dates_and_numbers() {
        let at = Timestamp::from_millis(1_700_000_040_000);
        for text in [
            "2023-11-14T22:14:00",
            "2023-11-14 22:14:00",
            "2023-11-14T22:14",
            "2023-11-14T22:14:00Z",
            "2023-11-14T23:14:00+01:00",
            "2023-11-14T22:14:00.000000",
            "1700000040",
            "1700000040000",
        ] {
            assert_eq!(any(text), Some(at), "{text}");
        }
        let midnight = any("2023-11-14").unwrap();
        assert_eq!(isoformat(midnight), "2023-11-14T00:00:00+00:00");
        for text in [
            "",
            "yesterday",
            "2023-13-01",
            "-1",
            "1e9",
            "2023-11-14T25:00:00",
        ] {
            assert_eq!(any(text), None, "{text}");
        }
    }
}
