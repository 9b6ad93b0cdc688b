//! Which events a call wants: by beginnings or by a regular expression, of stream names or of types.

use fancy_regex::{Regex, RegexBuilder};
use satpost_event_store::{Filter, RecordedEvent};

use super::bounds;
use super::refusal::Refusal;
use crate::protocol::streams::read_req::options::FilterOptions;
use crate::protocol::streams::read_req::options::filter_options::{
    Expression, Filter as Wanted, Window,
};

/// How many steps one expression may take on one name. Clients exclude system events with a
/// look-ahead, which the linear engine does not have.
const REGEX_STEPS_MAX: usize = 10_000;
/// How much memory a compiled expression may take, in bytes.
const REGEX_COMPILED_BYTES_MAX: usize = 256 * 1024;
/// How many beginnings one filter may have.
const PREFIXES_MAX: usize = 256;
/// How many events are looked at between two checkpoints when the client does not say.
const WINDOW_DEFAULT: u32 = 32;

/// Which events a call wants.
#[derive(Debug)]
pub(super) enum EventFilter {
    /// Whatever begins like this; the store can do that itself.
    Prefixes(Filter),
    /// Streams whose name matches.
    StreamRegex(Regex),
    /// Events whose type matches.
    KindRegex(Regex),
}

/// A filter, and how often its subscription is told how far it has looked.
#[derive(Debug)]
pub(super) struct FilterRequest {
    pub(super) filter: EventFilter,
    pub(super) checkpoint_interval: u32,
}

impl EventFilter {
    /// Wants everything.
    pub(super) fn all() -> Self {
        Self::Prefixes(Filter::all())
    }

    /// What the store can leave out already.
    pub(super) fn of_store(&self) -> Filter {
        match self {
            Self::Prefixes(filter) => filter.clone(),
            Self::StreamRegex(_) | Self::KindRegex(_) => Filter::all(),
        }
    }

    /// Whether the call wants this event.
    pub(super) fn accepts(&self, event: &RecordedEvent) -> Result<bool, Refusal> {
        let matches = |regex: &Regex, text: &str| {
            regex
                .is_match(text)
                .map_err(|error| Refusal::BadRequest(format!("the filter takes too long: {error}")))
        };
        match self {
            Self::Prefixes(filter) => Ok(filter.accepts(event.stream.as_str(), &event.kind)),
            Self::StreamRegex(regex) => matches(regex, event.stream.as_str()),
            Self::KindRegex(regex) => matches(regex, &event.kind),
        }
    }
}

impl FilterRequest {
    /// Reads the filter of a request.
    pub(super) fn parse(options: FilterOptions) -> Result<Self, Refusal> {
        let window = match options.window {
            Some(Window::Max(events)) => events,
            Some(Window::Count(())) | None => WINDOW_DEFAULT,
        };
        let multiplier = options.checkpoint_interval_multiplier.max(1);
        let filter = match options.filter {
            None => EventFilter::all(),
            Some(Wanted::StreamIdentifier(expression)) => {
                parse(expression, EventFilter::StreamRegex, |streams| Filter {
                    streams,
                    ..Filter::all()
                })?
            }
            Some(Wanted::EventType(expression)) => {
                parse(expression, EventFilter::KindRegex, |kinds| Filter {
                    kinds,
                    ..Filter::all()
                })?
            }
        };
        Ok(Self {
            filter,
            checkpoint_interval: window.saturating_mul(multiplier).max(1),
        })
    }
}

fn parse(
    expression: Expression,
    by_regex: fn(Regex) -> EventFilter,
    by_prefixes: fn(Vec<String>) -> Filter,
) -> Result<EventFilter, Refusal> {
    if expression.regex.is_empty() {
        if expression.prefix.len() > PREFIXES_MAX {
            return Err(Refusal::BadRequest(format!(
                "a filter has at most {PREFIXES_MAX} beginnings"
            )));
        }
        return Ok(EventFilter::Prefixes(by_prefixes(expression.prefix)));
    }
    if expression.regex.len() > bounds::REGEX_BYTES_MAX {
        return Err(Refusal::BadRequest(format!(
            "the expression of a filter has at most {} bytes",
            bounds::REGEX_BYTES_MAX
        )));
    }
    let regex = RegexBuilder::new(&expression.regex)
        .backtrack_limit(REGEX_STEPS_MAX)
        .delegate_size_limit(REGEX_COMPILED_BYTES_MAX)
        .build()
        .map_err(|error| {
            Refusal::BadRequest(format!("the filter is no regular expression: {error}"))
        })?;
    Ok(by_regex(regex))
}
