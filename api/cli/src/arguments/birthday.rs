//! From when on history is wanted: a height or a day.

use satpost_api_types::addresses::Birthday;

/// A height, or a day as YYYY-MM-DD (UTC).
pub(super) fn birthday(text: &str) -> Result<Birthday, String> {
    if let Ok(height) = text.parse() {
        return Ok(Birthday::Height(height));
    }
    let days = days_since_epoch(text);
    let days = days.ok_or("neither a height nor a date like 2024-01-31")?;
    Ok(Birthday::Time(days * 24 * 3600 * 1000))
}

/// The days from 1970-01-01 to a date of the Gregorian calendar that is not before it.
fn days_since_epoch(text: &str) -> Option<u64> {
    let mut parts = text.splitn(3, '-').map(|part| part.parse::<u64>().ok());
    let (year, month, day) = (parts.next()??, parts.next()??, parts.next()??);
    let is_leap = |year: u64| {
        year.is_multiple_of(4) && (!year.is_multiple_of(100) || year.is_multiple_of(400))
    };
    let february = if is_leap(year) { 29 } else { 28 };
    let months = [31, february, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31];
    let index = usize::try_from(month.checked_sub(1)?).ok()?;
    let in_month = *months.get(index)?;
    if !(1970..=9999).contains(&year) || !(1..=in_month).contains(&day) {
        return None;
    }
    let years: u64 = (1970..year)
        .map(|year| if is_leap(year) { 366 } else { 365 })
        .sum();
    Some(years + months[..index].iter().sum::<u64>() + day - 1)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_heights_and_days() {
        assert_eq!(birthday("800000"), Ok(Birthday::Height(800_000)));
        let days = [
            ("1970-01-01", 0),
            ("2000-02-29", 11_016),
            ("2000-03-01", 11_017),
            ("2009-01-03", 14_247),
            ("2100-03-01", 47_541),
        ];
        for (text, days) in days {
            let time = Birthday::Time(days * 86_400_000);
            assert_eq!(birthday(text), Ok(time), "{text}");
        }
        let bad = [
            "",
            "-1",
            "2023-02-29",
            "2024-13-01",
            "2024-00-01",
            "1969-12-31",
            "2024-1",
        ];
        for text in bad {
            assert!(birthday(text).is_err(), "{text}");
        }
    }
}
