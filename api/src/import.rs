//! The lines of an import: each is read and checked by itself.

use satpost_api_types::addresses::{ImportError, WatchEntry};
use satpost_api_types::problem::ProblemCode;
use satpost_domain::Timestamp;
use satpost_domain::limits::{IMPORT_ERRORS_MAX, IMPORT_LINE_BYTES_MAX, IMPORT_LINES_MAX};
use satpost_domain::network::Network;
use satpost_domain::watchlist::{WatchBounds, WatchTarget, WatchWish, WatchlistError};

use crate::address::watch_of;
use crate::problem::ApiError;

#[cfg(test)]
mod tests;

/// What every line is checked against.
#[derive(Debug, Clone, Copy)]
pub(crate) struct LineRules {
    pub(crate) network: Network,
    pub(crate) bounds: WatchBounds,
    pub(crate) now: Timestamp,
}

/// The lines of an import.
#[derive(Debug, Default)]
pub(crate) struct ImportLines {
    /// What the good lines ask for.
    pub(crate) watches: Vec<(WatchTarget, WatchWish)>,
    /// The number of each good line, from 1.
    pub(crate) numbers: Vec<usize>,
    /// The bad ones.
    pub(crate) refusals: Refusals,
}

/// Lines that were refused: how many, and what is wrong with the first of them.
#[derive(Debug, Default)]
pub(crate) struct Refusals {
    pub(crate) count: usize,
    pub(crate) errors: Vec<ImportError>,
}

impl Refusals {
    /// Like [`Self::add`], for a reason that is told before all others: it concerns the whole list.
    pub(crate) fn add_first(&mut self, line: usize, count: usize, error: &ApiError) {
        let others = std::mem::take(&mut self.errors);
        self.add(line, count, error);
        self.errors.extend(others);
        self.errors.truncate(IMPORT_ERRORS_MAX);
    }

    /// Counts `count` lines from `line` on that are refused for the same reason.
    pub(crate) fn add(&mut self, line: usize, count: usize, error: &ApiError) {
        self.count += count;
        if self.errors.len() < IMPORT_ERRORS_MAX {
            self.errors.push(ImportError {
                line,
                code: error.code.as_str().to_owned(),
                detail: error.detail.as_deref().unwrap_or_default().to_owned(),
            });
        }
    }
}

/// Reads the lines of `body`. Empty ones are skipped.
///
/// # Errors
/// `limit-exceeded` when there are none or too many.
pub(crate) fn read_lines(body: &[u8], rules: &LineRules) -> Result<ImportLines, ApiError> {
    let mut lines = ImportLines::default();
    let mut actual = 0_usize;
    for (number, line) in (1..).zip(body.split(|byte| *byte == b'\n')) {
        let line = line.trim_ascii();
        if line.is_empty() {
            continue;
        }
        actual += 1;
        if actual > IMPORT_LINES_MAX {
            continue;
        }
        match read_line(line, rules) {
            Ok(watch) => {
                lines.watches.push(watch);
                lines.numbers.push(number);
            }
            Err(error) => lines.refusals.add(number, 1, &error),
        }
    }
    if !(1..=IMPORT_LINES_MAX).contains(&actual) {
        return Err(ApiError::count("lines", IMPORT_LINES_MAX, actual));
    }
    Ok(lines)
}

fn read_line(line: &[u8], rules: &LineRules) -> Result<(WatchTarget, WatchWish), ApiError> {
    if line.len() > IMPORT_LINE_BYTES_MAX {
        return Err(
            ApiError::new(ProblemCode::TooLarge).with_detail(format_args!(
                "a line has at most {IMPORT_LINE_BYTES_MAX} bytes, this one has {}",
                line.len()
            )),
        );
    }
    let entry: WatchEntry = serde_json::from_slice(line)
        .map_err(|error| ApiError::malformed(format_args!("the line does not parse: {error}")))?;
    let (target, wish) = watch_of(&entry, rules.network)?;
    if let Some(birthday) = wish.birthday {
        let absurd = birthday.check(&rules.bounds, rules.now);
        absurd.map_err(WatchlistError::from)?;
    }
    Ok((target, wish))
}
