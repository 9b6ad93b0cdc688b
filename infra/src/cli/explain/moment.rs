//! When and where something happened, for people.

use std::fmt;

use satpost_domain::{Envelope, Position, Timestamp};
use serde::{Serialize, Serializer};

/// A place in the log and the server's clock there.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Moment {
    pub(super) position: Position,
    pub(super) at: Timestamp,
}

impl Moment {
    pub(super) const fn of(envelope: &Envelope) -> Self {
        Self {
            position: envelope.position,
            at: envelope.metadata.recorded_at,
        }
    }
}

impl fmt::Display for Moment {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} (position {})", utc(self.at), self.position)
    }
}

impl Serialize for Moment {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        #[derive(Serialize)]
        struct Shape {
            position: String,
            at: String,
            at_ms: u64,
        }
        let shape = Shape {
            position: self.position.to_string(),
            at: utc(self.at),
            at_ms: self.at.as_millis(),
        };
        shape.serialize(serializer)
    }
}

/// `2026-01-31T23:59:59Z` (RFC 3339). The day is computed after Howard Hinnant, "chrono-compatible
/// low-level date algorithms", `civil_from_days`.
pub(super) fn utc(time: Timestamp) -> String {
    let (days, rest) = (time.as_secs() / 86_400, time.as_secs() % 86_400);
    // Days from 0000-03-01, so that a leap day is the last of its year.
    let shifted = days + 719_468;
    let (era, day_of_era) = (shifted / 146_097, shifted % 146_097);
    let year_of_era =
        (day_of_era - day_of_era / 1_460 + day_of_era / 36_524 - day_of_era / 146_096) / 365;
    let day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let shifted_month = (5 * day_of_year + 2) / 153;
    let day = day_of_year - (153 * shifted_month + 2) / 5 + 1;
    let month = if shifted_month < 10 {
        shifted_month + 3
    } else {
        shifted_month - 9
    };
    let year = era * 400 + year_of_era + u64::from(month <= 2);
    let (hour, minute, second) = (rest / 3_600, rest / 60 % 60, rest % 60);
    format!("{year:04}-{month:02}-{day:02}T{hour:02}:{minute:02}:{second:02}Z")
}

#[test]
fn tells_the_days_of_the_calendar() {
    let told = |secs: u64| utc(Timestamp::from_millis(secs * 1_000));
    assert_eq!(told(0), "1970-01-01T00:00:00Z");
    assert_eq!(told(951_782_399), "2000-02-28T23:59:59Z");
    assert_eq!(told(951_782_400), "2000-02-29T00:00:00Z");
    assert_eq!(told(1_700_000_000), "2023-11-14T22:13:20Z");
    assert_eq!(told(4_107_542_400), "2100-03-01T00:00:00Z");
}
